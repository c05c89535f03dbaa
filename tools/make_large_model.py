"""Writes a GGUF file in the shape of a released GPT-2, with drawn weights: to measure memory.

    python tools/make_large_model.py OUT.gguf --name gpt2-xl --type f32

Streams: it takes the memory of a few rows, and the disk space of the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pygpt2edge import demo_model_path
from pygpt2edge.cli.memory import OFFICIAL_SHAPES
from pygpt2edge.convert import ModelConfig
from pygpt2edge.convert.checkpoint import Checkpoint
from pygpt2edge.convert.gguf_writer import append_tensors, write_head
from pygpt2edge.convert.gpt2_names import TensorSpec, needed_tensors
from pygpt2edge.convert.opening import open_checkpoint
from pygpt2edge.convert.plan import plan_conversion
from pygpt2edge.convert.stored_tensor import row_shape


class DrawnTensor:
    """Noise of the spread that training gives, the same again and again; norms' gains around 1."""

    dtype = "f32"

    def __init__(self, spec: TensorSpec, noise: NDArray[np.float32]) -> None:
        self.shape = spec.shape
        self._noise = noise
        is_gain = "ln_" in spec.name and spec.name.endswith("weight")
        self._mean = 1.0 if is_gain else 0.0
        is_matrix = len(spec.shape) > 1 and spec.layer >= 0
        self._scale = row_shape(spec.shape)[1] ** -0.5 if is_matrix else 0.1

    def read_rows(self, first: int, n: int) -> NDArray[np.float32]:
        values = np.resize(self._noise[first:], (n, row_shape(self.shape)[1]))
        values *= np.float32(self._scale)
        values += np.float32(self._mean)
        return values

    def verify(self) -> None:
        pass


def drawn_checkpoint(name: str, n_layers: int | None) -> Checkpoint:
    """The vocabulary is the demo model's, GPT-2's own."""
    n_layer, n_head, n_embd = OFFICIAL_SHAPES[name]
    n_layer = n_layers or n_layer
    vocabulary = open_checkpoint(demo_model_path()).read_vocabulary()
    config = ModelConfig(len(vocabulary.tokens), 1024, n_embd, n_head, n_layer, 4 * n_embd)
    specs = needed_tensors(config, has_output=False)
    noise = np.random.default_rng(1).standard_normal(1 << 20, np.float32)
    return Checkpoint(
        kind="drawn weights", path=Path(name), config=config, entries=[],
        tensors=[(spec, DrawnTensor(spec, noise)) for spec in specs],
        read_vocabulary=lambda: vocabulary,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", choices=OFFICIAL_SHAPES, default="gpt2-xl")
    parser.add_argument("--type", default="f32")
    parser.add_argument("--layers", type=int, help="instead of the model's")
    options = parser.parse_args()
    checkpoint = drawn_checkpoint(options.name, options.layers)
    plan = plan_conversion(checkpoint, options.type, allow_requantize=False)
    write_head(options.out, plan, checkpoint.config, checkpoint.read_vocabulary(), options.name, {})
    append_tensors(options.out, plan, None, lambda _bytes, _name: None)


if __name__ == "__main__":
    main()
