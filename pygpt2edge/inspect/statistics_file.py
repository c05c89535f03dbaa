"""The file that `calibrate` writes, a layer after the other.

convert/calibration.py says what is in it. Where each tensor lies is known from the model's shape,
so that the file can be begun before anything is measured, and gone on with by another run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pygpt2edge.convert.calibration import COST_TYPES_KEY, NOT_POSSIBLE
from pygpt2edge.convert.costs import RELATIVE_ERRORS, has_costs
from pygpt2edge.convert.gpt2_names import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

    from pygpt2edge import _core

_ALIGNMENT = 32
_HEAD = "output.weight"


class StatisticsFile:
    """Where what lies in a file of statistics.

    Attributes:
      costed: the tensors whose types' costs the file has, at its end; none where those are not
        wanted.
    """

    def __init__(self, path: Path, specs: list[TensorSpec], *, products: bool, costs: bool) -> None:
        self._path = path
        self._shapes: dict[str, tuple[int, int]] = {}
        self._first_of_layer: dict[int, str] = {}
        matrices = {spec.gguf_name: spec for spec in specs if spec.is_quantized}
        embedding = matrices.pop("token_embd.weight")
        head = matrices.pop(_HEAD, embedding)
        for name, spec in [*matrices.items(), (_HEAD, head)]:
            self._first_of_layer.setdefault(spec.layer, f"{name}.in_sum2")
            self._add_matrix(name, spec.shape[1], products)
        self.costed = [spec.gguf_name for spec in specs if has_costs(spec)] if costs else []
        for name in self.costed:
            self._shapes[f"{name}.kl_costs"] = (1, len(RELATIVE_ERRORS))

    def _add_matrix(self, name: str, n_in: int, products: bool) -> None:
        shapes = {"in_sum2": (1, n_in), "counts": (1, 1), "in_sum": (1, n_in)}
        if products:
            shapes["in_products"] = (n_in, n_in)
        self._shapes |= {f"{name}.{part}": shape for part, shape in shapes.items()}

    @property
    def n_bytes(self) -> int:
        """Of the tensors."""
        return sum(_padded(shape) for shape in self._shapes.values())

    def begin(self) -> None:
        """Writes all but the tensors."""
        import gguf

        writer = gguf.GGUFWriter(self._path, "imatrix")
        try:
            writer.add_type("imatrix")
            if self.costed:
                writer.add_array(COST_TYPES_KEY, list(RELATIVE_ERRORS))
            for name, shape in self._shapes.items():
                writer.add_tensor_info(
                    name, shape, np.dtype(np.float32), 4 * shape[0] * shape[1],
                    gguf.GGMLQuantizationType.F32,
                )  # fmt: skip
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
        finally:
            writer.close()
        with self._path.open("ab") as file:
            file.write(bytes(-file.tell() % _ALIGNMENT))

    def write_layer(self, head_bytes: int, layer: int, inputs: list[_core.MatrixInputs]) -> None:
        """What went into a layer's matrices, after those of the layers before it; with the last
        layer's, the head's. `head_bytes` is the size of the file that `begin` left."""
        with self._path.open("r+b") as file:
            file.truncate(head_bytes + self._offset(self._first_of_layer[layer]))
            file.seek(0, os.SEEK_END)
            for each in inputs:
                self._append(file, each.squares[None, :])
                self._append(file, np.array([[each.count]], np.float32))
                self._append(file, each.sums[None, :])
                products = each.products()
                if products is not None:
                    self._append(file, products)
            file.flush()
            os.fsync(file.fileno())

    def write_costs(self, head_bytes: int, costs: Mapping[str, Mapping[str, float]]) -> None:
        """At the end; zeros where nothing is known yet."""
        if not self.costed:
            return
        with self._path.open("r+b") as file:
            file.seek(head_bytes + self._offset(f"{self.costed[0]}.kl_costs"))
            for name in self.costed:
                by_type = costs.get(name, dict.fromkeys(RELATIVE_ERRORS, 0.0))
                row = [by_type.get(kind, NOT_POSSIBLE) for kind in RELATIVE_ERRORS]
                self._append(file, np.array([row], np.float32))

    def _offset(self, name: str) -> int:
        at = 0
        for each, shape in self._shapes.items():
            if each == name:
                break
            at += _padded(shape)
        return at

    def _append(self, file: BinaryIO, values: NDArray[np.float32]) -> None:
        file.write(memoryview(np.ascontiguousarray(values)).cast("B"))
        file.write(bytes(_padded(values.shape) - values.nbytes))


def _padded(shape: tuple[int, ...]) -> int:
    return -(-4 * shape[0] * shape[1] // _ALIGNMENT) * _ALIGNMENT
