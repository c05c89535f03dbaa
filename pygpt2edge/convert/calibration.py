"""What goes into a model's matrices, as `calibrate` measured it, and what follows for rounding.

The file is a GGUF of the kind that llama.cpp calls an importance matrix (general.type "imatrix"):
for each matrix NAME the tensors NAME.in_sum2, the sums of its inputs' squares (n_in), and
NAME.counts, how many inputs were seen. Such files are read too. Ours have more: NAME.in_sum, the
sums of the inputs, and NAME.in_products, the sums of the products of every two (n_in, n_in).

Where sensitivities were measured, NAME.kl_costs is what each type costs: KL divergence from the
exact model in nats a token, of types that the metadata's pygpt2edge.cost_types names in order.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pygpt2edge.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOT_POSSIBLE = 1e30  # the cost of a type whose blocks do not divide a tensor's rows
COST_TYPES_KEY = "pygpt2edge.cost_types"
_HEAD, _EMBEDDING = "output.weight", "token_embd.weight"
# Damping: this share of the diagonal's mean is added to the diagonal, against what a small sample
# overstates. A tied head is the embedding too, whose rows do not meet the head's inputs: it gets
# more.
_DAMPING, _HEAD_DAMPING = 0.01, 1.0


@dataclass(frozen=True)
class RoundingGuide:
    """How the errors of one matrix count.

    Attributes:
      weights: of each column's squared error, 1 on average.
      matrix: takes a column's error to later ones (_core.quantize_with_feedback), or None.
      mean: the mean input, whose error the bias can take over, or None.
    """

    weights: NDArray[np.float32]
    matrix: NDArray[np.float32] | None
    mean: NDArray[np.float32] | None


class Calibration:
    """A file of statistics, read one matrix at a time.

    `error_feedback` and `bias_compensation` say what a guide may have beside weights.
    """

    def __init__(
        self, path: Path, *, error_feedback: bool = True, bias_compensation: bool = True
    ) -> None:
        from pygpt2edge import _core

        self._path = path
        self._error_feedback, self._bias_compensation = error_feedback, bias_compensation
        self._input_scales: Mapping[str, NDArray[np.float32]] = {}
        self._file = _core.GgufFile(str(path))
        self._shapes = {info.name: tuple(info.shape) for info in self._file.tensors}
        if not any(name.endswith(".in_sum2") for name in self._shapes):
            raise FormatError(
                f"{path}: has no tensor *.in_sum2: not a file of `pygpt2edge calibrate` or "
                "llama.cpp's imatrix"
            )

    def with_scaled_inputs(self, scales: Mapping[str, NDArray[np.float32]]) -> Calibration:
        """The same of a model whose matrices' inputs are multiplied by these, by GGUF names."""
        scaled = copy.copy(self)
        scaled._input_scales = scales
        return scaled

    def mean_squares(self, name: str, n_in: int) -> NDArray[np.float32] | None:
        """Of a matrix's inputs; None when nothing is known of them."""
        if f"{name}.in_sum2" not in self._shapes:
            return None
        count = float(self._read(f"{name}.counts", 1, 1)[0, 0])
        if not count > 0:
            return None
        squares: NDArray[np.float32] = self._read(f"{name}.in_sum2", 1, n_in)[0]
        squares /= np.float32(count)
        return squares

    def costs(self, name: str) -> dict[str, float] | None:
        """What each type costs the tensor of that GGUF name, if it was measured."""
        types = self._file.metadata.get(COST_TYPES_KEY)
        if not isinstance(types, list) or f"{name}.kl_costs" not in self._shapes:
            return None
        costs = self._read(f"{name}.kl_costs", 1, len(types))[0].tolist()
        return {
            str(type): cost
            for type, cost in zip(types, costs, strict=True)
            if 0 <= cost < NOT_POSSIBLE
        }

    def guide(self, name: str, n_in: int, *, has_bias: bool) -> RoundingGuide | None:
        """For the matrix of that GGUF name; None when nothing is known of its inputs."""
        from pygpt2edge import _core

        if name == _EMBEDDING and f"{name}.in_sum2" not in self._shapes:
            name = _HEAD  # a tied head
        squares = self.mean_squares(name, n_in)
        if squares is None:
            return None
        count = float(self._read(f"{name}.counts", 1, 1)[0, 0])
        scales = self._input_scales.get(name)
        if scales is not None:
            squares *= np.square(scales)
        mean = None
        if has_bias and self._bias_compensation and f"{name}.in_sum" in self._shapes:
            mean = self._read(f"{name}.in_sum", 1, n_in)[0] / np.float32(count)
            if scales is not None:
                mean *= scales
        if not self._error_feedback or f"{name}.in_products" not in self._shapes:
            return RoundingGuide(_normalized(squares), None, mean)
        # In place: these are the largest arrays of a conversion.
        moments = self._read(f"{name}.in_products", n_in, n_in)
        moments /= np.float32(count)
        if scales is not None:
            moments *= scales
            moments *= scales[:, None]
        if mean is not None:  # bias compensation takes the error of the mean input
            for i in range(n_in):
                moments[i] -= mean[i] * mean
        weights = _core.factor_second_moments(moments, _DAMPING if has_bias else _HEAD_DAMPING)
        return RoundingGuide(weights, moments, mean)

    def _read(self, name: str, n_rows: int, n_in: int) -> NDArray[np.float32]:
        shape = self._shapes.get(name)
        if shape is None or int(np.prod(shape)) != n_rows * n_in or shape[-1] != n_in:
            found = "missing" if shape is None else f"{list(shape)}"
            raise FormatError(
                f"{self._path}: {name} is {found}, expected {n_rows} x {n_in}: it is of another "
                "model"
            )
        values = self._file.read_rows(name, 0, n_rows)
        self._file.release(name)
        if not np.isfinite(values).all():
            raise FormatError(f"{self._path}: {name} holds NaN or infinity; calibrate again")
        return values


def _normalized(squares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean squares as weights, none of them zero."""
    mean = np.float32(squares.mean(dtype=np.float64))
    if not mean > 0:
        return np.ones_like(squares)
    return squares / mean + np.float32(_DAMPING)
