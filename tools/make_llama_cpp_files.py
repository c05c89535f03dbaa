"""Makes tests/data/llama_cpp: models that llama.cpp's quantizer wrote, and its logits for them.

pip install llama-cpp-python . && python tools/make_llama_cpp_files.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

import llama_cpp_peer as llama_cpp  # noqa: E402
from llama_cpp_models import FOLDER, NARROW, WIDE, WIDE_TYPES  # noqa: E402
from tiny_models import TinyModel, draw_weights, some_tokens, write_gguf  # noqa: E402

# llama.cpp wants merges in a file, and takes one that joins to no token.
MERGES = ("a b",)


def make(model: TinyModel, ftype: str, types: dict[str, str]) -> None:
    target = FOLDER / f"{model.name}.gguf"
    with tempfile.TemporaryDirectory() as folder:
        source = write_gguf(Path(folder) / "f32.gguf", model, draw_weights(model), merges=MERGES)
        llama_cpp.quantize(source, target, ftype, types)
    tokens = some_tokens(model, 24)
    logits = llama_cpp.logits(target, tokens)
    np.savez_compressed(FOLDER / f"{model.name}.npz", tokens=tokens, logits=logits)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    make(WIDE, "q4_0", WIDE_TYPES)
    make(NARROW, "iq3_m", {})


if __name__ == "__main__":
    main()
