"""Moves scales of channels between matrices, so that blocks of 32 hold numbers of a size.

What goes into a matrix is rounded to 8 bits with a scale for 32 channels, and so are the matrix's
rows. A channel that is far larger than its neighbours takes their precision. A factor on a channel
of a norm's gain and bias, and its inverse on the matrix's column, change nothing but that balance;
values and the matrix after attention have the same freedom. (Cross-layer equalization of Nagel et
al., arXiv:1906.04721, and SmoothQuant of Xiao et al., arXiv:2211.10438, by blocks.) Factors are
powers of two: the products are exact.

The factors of a block have the least sum of both rounding errors that single steps find. The error
of a block of inputs grows with E[max^2] * sum(columns^2), that of the weights with the sum over
rows of max^2, times the inputs' second moments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pygpt2edge.convert.calibration import Calibration
from pygpt2edge.convert.checkpoint import Checkpoint
from pygpt2edge.convert.costs import RELATIVE_ERRORS
from pygpt2edge.convert.gpt2_names import TensorSpec
from pygpt2edge.convert.plan import OUTPUT_TYPES
from pygpt2edge.convert.stored_tensor import RowSource, row_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 32
_ROWS = 256  # of a matrix, that stand for all
_SWEEPS = 6
# The p-norm of the channels' sizes is about the root of E[max^2]: of 32 equal normal ones, and of
# one that is far above the others.
_NORM = 5
# The norm before a matrix, in a layer.
_NORMS = {"attn.c_attn": "ln_1", "mlp.c_fc": "ln_2"}


@dataclass(frozen=True)
class ScaledTensor:
    """Another tensor, its rows and columns multiplied."""

    source: RowSource
    rows: NDArray[np.float32] | None = None
    columns: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def dtype(self) -> str:
        return self.source.dtype

    def read_rows(self, first: int, n: int) -> NDArray[np.float32]:
        values = self.source.read_rows(first, n)
        if self.rows is not None:
            values = values * self.rows[first : first + n, None]
        return values if self.columns is None else values * self.columns

    def verify(self) -> None:
        self.source.verify()


def equalized(
    checkpoint: Checkpoint, types: Mapping[str, str], calibration: Calibration | None
) -> tuple[Checkpoint, dict[str, NDArray[np.float32]]]:
    """The same model with other scales of channels, and what the inputs of which matrix are
    multiplied by. `types` are those that the matrices will be written in, by GGUF names."""
    specs = {spec.name: spec for spec, _ in checkpoint.tensors}
    work = _Equalization({spec.name: source for spec, source in checkpoint.tensors}, specs, types,
                         calibration)  # fmt: skip
    for layer in range(checkpoint.config.n_layer):
        for matrix, norm in _NORMS.items():
            work.behind_norm(f"h.{layer}.{norm}", specs[f"h.{layer}.{matrix}.weight"])
        work.behind_values(f"h.{layer}.attn", checkpoint.config.n_embd)
    # A classifier and an embedding take what the last norm gives as it is.
    if "lm_head.weight" in specs and checkpoint.classifier is None:
        work.behind_norm("ln_f", specs["lm_head.weight"])
    tensors = [(spec, work.sources[spec.name]) for spec, _ in checkpoint.tensors]
    return replace(checkpoint, tensors=tensors), work.input_scales


class _Equalization:
    def __init__(
        self, sources: dict[str, RowSource], specs: dict[str, TensorSpec],
        types: Mapping[str, str], calibration: Calibration | None,
    ) -> None:  # fmt: skip
        self.sources = sources
        self.input_scales: dict[str, NDArray[np.float32]] = {}
        self._specs = specs
        self._types = types
        self._calibration = calibration

    def behind_norm(self, norm: str, spec: TensorSpec) -> None:
        if not self._is_coded(spec):
            return
        gain, bias = self._read(f"{norm}.weight")[0], self._read(f"{norm}.bias")[0]
        scales = self._scales(spec, np.square(gain) + np.square(bias))
        self._scale(f"{norm}.weight", columns=scales)
        self._scale(f"{norm}.bias", columns=scales)
        self._scale_inputs(spec, scales)

    def behind_values(self, attention: str, n_embd: int) -> None:
        """The values of c_attn, which attention averages, and the matrix after it."""
        spec = self._specs[f"{attention}.c_proj.weight"]
        if not self._is_coded(spec):
            return
        norm = attention.replace("attn", "ln_1")
        gain, bias = self._read(f"{norm}.weight")[0], self._read(f"{norm}.bias")[0]
        values = self._read(f"{attention}.c_attn.weight")[2 * n_embd :]
        mean = values @ bias + self._read(f"{attention}.c_attn.bias")[0][2 * n_embd :]
        scales = self._scales(spec, np.square(values) @ np.square(gain) + np.square(mean))
        rows = np.ones(3 * n_embd, np.float32)
        rows[2 * n_embd :] = scales
        self._scale(f"{attention}.c_attn.weight", rows=rows)
        self._scale(f"{attention}.c_attn.bias", columns=rows)
        self._scale_inputs(spec, scales)

    def _is_coded(self, spec: TensorSpec) -> bool:
        is_float = OUTPUT_TYPES[self._types[spec.gguf_name]].block_size == 1
        return not is_float and spec.shape[1] % _BLOCK == 0

    def _read(self, name: str) -> NDArray[np.float32]:
        return self.sources[name].read_rows(0, row_shape(self._specs[name].shape)[0])

    def _scales(self, spec: TensorSpec, squares: NDArray[np.float32]) -> NDArray[np.float32]:
        """`squares` are the inputs' second moments, as far as is known without data."""
        measured = None
        if self._calibration is not None:
            measured = self._calibration.mean_squares(spec.gguf_name, spec.shape[1])
        matrix = self._read(spec.name)
        matrix = matrix[:: max(1, len(matrix) // _ROWS)]
        share = RELATIVE_ERRORS[_known(self._types[spec.gguf_name])] / RELATIVE_ERRORS["q8_0"]
        return channel_scales(squares if measured is None else measured, matrix, share)

    def _scale_inputs(self, spec: TensorSpec, scales: NDArray[np.float32]) -> None:
        self._scale(spec.name, columns=np.reciprocal(scales))
        self.input_scales[spec.gguf_name] = scales

    def _scale(
        self, name: str, rows: NDArray[np.float32] | None = None,
        columns: NDArray[np.float32] | None = None,
    ) -> None:  # fmt: skip
        if any(each is not None and (each != 1).any() for each in (rows, columns)):
            self.sources[name] = ScaledTensor(self.sources[name], rows, columns)


def _known(type: str) -> str:
    """A type whose error is known, in place of q4_0's."""
    return type if type in RELATIVE_ERRORS else "iq4_nl"


def channel_scales(
    squares: NDArray[np.float32], matrix: NDArray[np.float32], weight_share: float
) -> NDArray[np.float32]:
    """Powers of two for the inputs of a matrix (n_out, n_in), whose columns are divided by them.

    `squares` are the inputs' second moments; `weight_share` says how much coarser the weights' type
    is than the inputs' 8 bits, in squared error.
    """
    n_in = len(squares)
    sizes = np.sqrt(squares.astype(np.float64)).reshape(-1, _BLOCK)
    columns = np.abs(matrix).reshape(len(matrix), -1, _BLOCK)
    scales = np.ones_like(sizes)
    costs = _costs(sizes, columns, scales, weight_share)
    for _ in range(_SWEEPS):
        before = scales.copy()
        for channel in range(_BLOCK):
            for step in (0.5, 2.0):
                tried = scales.copy()
                tried[:, channel] *= step
                found = _costs(sizes, columns, tried, weight_share)
                better = found < costs * (1 - 1e-6)
                scales[better], costs[better] = tried[better], found[better]
        if np.array_equal(scales, before):
            break
    return scales.reshape(n_in).astype(np.float32)


def _costs(
    sizes: NDArray[np.float64], columns: NDArray[np.float32], scales: NDArray[np.float64],
    weight_share: float,
) -> NDArray[np.float64]:  # fmt: skip
    """Of each block; see above."""
    inputs = sizes * scales
    weights = columns * (1 / scales).astype(np.float32)
    of_inputs = (inputs**_NORM).sum(axis=1) ** (2 / _NORM) * np.square(weights).sum(axis=(0, 2))
    of_weights = np.square(weights.max(axis=2)).sum(axis=0) * np.square(inputs).sum(axis=1)
    return np.asarray(of_inputs + weight_share * of_weights, np.float64)
