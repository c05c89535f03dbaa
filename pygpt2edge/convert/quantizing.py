"""Turns planned tensors into the bytes of the output, slab by slab, on several threads.

Each worker takes one slab through all of its stations: read, widen and transpose, scale, quantize.
All of them release the GIL. Slabs come out in order, and only a few are in flight, so memory is
bound by the slab size and not by the tensor's.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from pygpt2edge.convert.calibration import Calibration, RoundingGuide
from pygpt2edge.convert.gguf_reader import QuantizedTensor
from pygpt2edge.convert.plan import TensorPlan
from pygpt2edge.convert.stored_tensor import row_shape
from pygpt2edge.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Slab = tuple["NDArray[np.uint8]", "NDArray[np.float32] | None"]

# Of float32, over all workers. A slab takes up to four times its size while it is worked on
# (as stored, as float32, scaled, quantized), which keeps the whole under 150 MB.
_SLAB_BYTES = 24 << 20
_MAX_WORKERS = 8
_PLACES = 16  # of a tensor, whose errors stand for all


def default_threads() -> int:
    """The CPUs this process may use, not those the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Guides:
    """What the calibration says of the tensor in work. Slabs come in order, so one is kept."""

    def __init__(self, calibration: Calibration | None) -> None:
        self._calibration = calibration
        self._lock = threading.Lock()
        self._name: str | None = None
        self._guide: RoundingGuide | None = None

    def of(self, plan: TensorPlan) -> RoundingGuide | None:
        if self._calibration is None or not plan.spec.is_quantized or plan.type.block_size == 1:
            return None
        name = plan.spec.gguf_name
        with self._lock:
            if name != self._name:
                self._guide = None  # gone before the next is made
                self._guide = self._calibration.guide(
                    name, row_shape(plan.spec.shape)[1], has_bias=plan.spec.layer >= 0
                )
                self._name = name
            return self._guide


def quantize_tensors(
    plans: list[TensorPlan], n_threads: int | None, calibration: Calibration | None = None
) -> Iterator[tuple[TensorPlan, NDArray[np.uint8]]]:
    """Yields (plan, bytes of its next rows) in order, until every tensor is complete.

    Raises FormatError when a tensor's numbers are damaged or do not fit its type.
    """
    n_workers = max(1, min(n_threads or default_threads(), _MAX_WORKERS))
    pool = ThreadPoolExecutor(n_workers, thread_name_prefix="convert")
    guides = _Guides(calibration)
    pending: deque[tuple[TensorPlan, Future[_Slab]]] = deque()
    shifts: list[NDArray[np.float32]] = []  # of the outputs of the matrix before its bias

    def take() -> tuple[TensorPlan, NDArray[np.uint8]]:
        plan, future = pending.popleft()
        blocks, shift = future.result()
        if shift is not None:
            shifts.append(shift)
        elif shifts and plan.spec.name.endswith(".bias"):
            bias = blocks.view(np.float32) + np.concatenate(shifts)
            shifts.clear()
            return plan, bias.view(np.uint8)
        return plan, blocks

    try:
        for plan, first, n in _slabs(plans, _SLAB_BYTES // n_workers):
            pending.append((plan, pool.submit(_quantize_slab, plan, first, n, guides)))
            if len(pending) > n_workers:
                yield take()
        while pending:
            yield take()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _slabs(plans: list[TensorPlan], slab_bytes: int) -> Iterator[tuple[TensorPlan, int, int]]:
    """(plan, first row, number of rows), covering every tensor in order."""
    for plan in plans:
        n_rows, n_in = row_shape(plan.spec.shape)
        step = max(1, slab_bytes // (4 * n_in))
        for first in range(0, n_rows, step):
            yield plan, first, min(step, n_rows - first)


def _quantize_slab(plan: TensorPlan, first: int, n: int, guides: _Guides) -> _Slab:
    """The blocks of some rows, and what the rounding takes from their outputs on average, which
    the bias is to give back."""
    from pygpt2edge import _core

    if first == 0:
        plan.source.verify()
    if plan.source.dtype == plan.type.name and isinstance(plan.source, QuantizedTensor):
        return plan.source.read_blocks(first, n), None  # the same type: no second rounding
    rows = plan.source.read_rows(first, n)
    _check_range(plan, rows)
    n_scaled = _scaled_rows(plan, rows, first)
    if n_scaled is not None:
        n_scaled *= np.float32(plan.scale)
    guide = guides.of(plan)
    if guide is None:
        return _core.quantize(rows, plan.type.name, 1, plan.rounding), None
    if guide.matrix is None:
        blocks = _core.quantize(rows, plan.type.name, 1, "search", guide.weights)
    else:
        blocks = _core.quantize_with_feedback(rows, plan.type.name, guide.weights, guide.matrix, 1)
    if guide.mean is None:
        return blocks, None
    rows -= _core.dequantize(blocks, plan.type.name, rows.shape[1])
    rows *= guide.mean
    return blocks, rows.sum(axis=1, dtype=np.float64).astype(np.float32)


def rounding_errors(
    plans: list[TensorPlan], calibration: Calibration | None, most_rows: int
) -> list[float]:
    """The squared error that each plan's type leaves, all plans being of one tensor: of its
    outputs, over the inputs that the calibration saw, or else of its numbers. Of at most about so
    many rows, in a few places."""
    from pygpt2edge import _core

    guides = _Guides(calibration)
    n_rows, n_in = row_shape(plans[0].spec.shape)
    n = max(1, most_rows // _PLACES)
    out = []
    for plan in plans:
        total = 0.0
        for first in range(0, n_rows, max(n, n_rows // _PLACES)):
            exact = plan.source.read_rows(first, min(n, n_rows - first))
            blocks, _ = _quantize_slab(plan, first, len(exact), guides)
            error = exact - _core.dequantize(blocks, plan.type.name, n_in)
            guide = guides.of(plan)
            if guide is not None and guide.matrix is not None:
                error = error @ guide.matrix.T
            weights = 1.0 if guide is None else guide.weights
            total += float((weights * np.square(error)).sum(dtype=np.float64))
        out.append(total)
    return out


def _scaled_rows(
    plan: TensorPlan, rows: NDArray[np.float32], first: int
) -> NDArray[np.float32] | None:
    """The part of the slab that the plan scales. A bias is one row: its numbers count as rows."""
    if plan.n_scaled_rows == 0:
        return None
    if len(plan.spec.shape) == 1:
        return rows[0, : plan.n_scaled_rows]
    return rows[: max(0, plan.n_scaled_rows - first)]


def _check_range(plan: TensorPlan, rows: NDArray[np.float32]) -> None:
    """Refuses what would silently become infinity. NaN passes through min and max."""
    largest = float(max(rows.max(), -rows.min()))
    if math.isnan(largest) or math.isinf(largest):
        raise FormatError(
            f"tensor {plan.spec.name} holds NaN or infinity; the checkpoint is broken"
        )
    if largest > plan.type.largest:
        raise FormatError(
            f"tensor {plan.spec.name} reaches {largest:g}, beyond the range of {plan.type.name} "
            f"({plan.type.largest:g}); convert with type f32 or bf16"
        )
