"""The core's folders include only those below them, and only the kernels use intrinsics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[1] / "csrc"
LAYERS = [
    "base", "formats", "kernels", "quantize", "model", "calibrate", "tokenize", "generate",
    "compress", "c_api", "program", "python",
]  # fmt: skip
SOURCES = sorted(path for path in CSRC.rglob("*") if path.suffix in (".h", ".cpp"))
# What a kernel source may include besides the kernels themselves: nothing whose inline functions
# the linker could share between instruction sets.
KERNEL_INCLUDES = {
    "base/half.h",
    "formats/ggml_blocks.h",
    "arm_neon.h",
    "cstddef",
    "cstdint",
    "immintrin.h",
    "math.h",
    "stdint.h",
    "type_traits",
    "string.h",
}


def includes(path: Path) -> list[str]:
    return re.findall(r'^#include ["<]([^">]+)[">]', path.read_text(encoding="utf-8"), re.M)


def folder_of(path: Path) -> str:
    return path.relative_to(CSRC).parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CSRC)))
def test_layers_point_one_way(path: Path) -> None:
    own = LAYERS.index(folder_of(path))
    for name in includes(path):
        layer = name.split("/")[0]
        assert layer != "c_api" or folder_of(path) in ("c_api", "program"), path.name
        assert layer not in LAYERS or LAYERS.index(layer) <= own, f"{path.name} includes {name}"


def test_kernel_sources_share_no_inline_code() -> None:
    kernels = CSRC / "kernels"
    seen = list(kernels.glob("kernels_*.cpp"))
    assert seen
    for path in seen:
        for name in includes(path):
            if name.startswith("kernels/"):
                if CSRC / name not in seen:
                    seen.append(CSRC / name)
            else:
                assert name in KERNEL_INCLUDES, f"{path.name} includes {name}"


def test_intrinsics_stay_in_the_kernels() -> None:
    for path in SOURCES:
        if "kernels/isa" not in path.as_posix():
            assert not re.search(r"\b_mm(256|512)_", path.read_text(encoding="utf-8")), path
