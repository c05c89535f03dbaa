"""Makes csrc/formats/code_grids.h, the grids of ggml's IQ types, from the gguf package.

    python tools/make_code_grids.py

It needs clang-format. A grid is data: the points that codes of those types are indices of, which
ggml has as bytes. A point of four or eight numbers becomes an integer of 16 bits, of which each
number takes three or two: its index among the sizes in csrc/formats/code_tables.h.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import gguf
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "csrc" / "formats" / "code_grids.h"

GRIDS = ("IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S")

HEADER = """\
// Made by tools/make_code_grids.py from ggml's grids, as the gguf package has them.
#pragma once

#include <cstdint>

namespace gpt2edge::code_grids {

// A point of eight numbers, of 2 bits each, or four, of 3: the first in the lowest bits.
"""
FOOTER = "\n}  // namespace gpt2edge::code_grids\n"


def points(name: str) -> list[int]:
    kind = getattr(gguf.quants, name)
    kind.init_grid()
    grid = np.asarray(kind.grid).reshape(kind.grid_shape)
    places = {size: place for place, size in enumerate(kind.grid_map)}
    bits = 2 if kind.grid_shape[1] == 8 else 3
    return [sum(places[int(x)] << bits * i for i, x in enumerate(point)) for point in grid]


def header() -> str:
    parts = [HEADER]
    for name in GRIDS:
        numbers = points(name)
        listed = ", ".join(f"0x{number:04X}" for number in numbers)
        constant = f"k{name.replace('_', '')}"
        parts.append(f"\ninline constexpr uint16_t {constant}[{len(numbers)}] = {{{listed}}};\n")
    return "".join(parts) + FOOTER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    OUT.write_text(header())
    subprocess.run(["clang-format", "-i", OUT], check=True)


if __name__ == "__main__":
    main()
