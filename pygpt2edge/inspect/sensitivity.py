"""Measures what each type costs each tensor of a model, for `convert` to choose mixtures by.

One tensor at a time is rounded to about 4.5 bits, as a conversion with this calibration would, and
the model's predictions are compared with the exact ones. The divergence grows with the square of
the tensor's error: so one measurement a tensor says what every type costs, by the error that each
leaves. Errors are of the outputs, over the inputs that the calibration saw, where there is any.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pygpt2edge import _core
from pygpt2edge.convert.calibration import Calibration
from pygpt2edge.convert.checkpoint import Checkpoint
from pygpt2edge.convert.costs import has_costs, possible_types
from pygpt2edge.convert.opening import open_checkpoint
from pygpt2edge.convert.plan import TensorPlan, output_type, plan_conversion
from pygpt2edge.convert.quantizing import quantize_tensors, rounding_errors
from pygpt2edge.inspect.scores import Expected, Scores
from pygpt2edge.inspect.scoring import ROWS
from pygpt2edge.loaded_model import LoadedModel

Floats = NDArray[np.float32]

_MEASURED_TYPES = ("q4_k", "iq4_nl", "f16")  # the first whose blocks divide the rows
_ERROR_ROWS = 512  # of a tensor, whose errors are compared
_WINDOW = 512


def measure_costs(
    path: Path,
    tokens: Sequence[int],
    n_tokens: int,
    statistics: Path,
    costs: dict[str, dict[str, float]],
    n_threads: int | None,
    keep: Callable[[], None],
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """The cost of each type, by the names of tensors.

    Args:
      path: an f32 or f16 file.
      tokens: of a text.
      n_tokens: to compare predictions for, about so many: windows of them, evenly spread.
      statistics: the file of a calibration.
      costs: what is known already, and where the rest is put.
      n_threads: default, one a core.
      keep: called when `costs` has grown.
      progress: called with (tensors done, tensors in all, the tensor's name).

    Takes the memory of the model and the disk space of `costs_disk_bytes`, for the time.
    """
    calibration = Calibration(statistics)
    plans = plan_conversion(open_checkpoint(path), "f32", False).tensors
    chosen = [plan for plan in plans if has_costs(plan.spec)]
    biases = {plan.spec.gguf_name: plan for plan in plans if plan.spec.name.endswith(".bias")}
    if all(plan.spec.gguf_name in costs for plan in chosen):
        return
    with tempfile.TemporaryDirectory(dir=statistics.parent) as folder:
        model = LoadedModel(path, n_threads=n_threads)
        windows = _spread(tokens, n_tokens, min(_WINDOW, model.n_ctx))
        exact = _predictions(model, windows, Path(folder))
        del model  # before another is loaded
        patched = _PatchedModel(path, Path(folder) / "patched.gguf", n_threads)
        for i, plan in enumerate(chosen):
            name = plan.spec.gguf_name
            if name not in costs:
                bias = biases.get(f"{name.removesuffix('.weight')}.bias")
                costs[name] = _costs_of(plan, bias, calibration, patched, windows, exact)
                keep()
            if progress is not None:
                progress(i + 1, len(chosen), name)


def _costs_of(
    plan: TensorPlan, bias: TensorPlan | None, calibration: Calibration, patched: _PatchedModel,
    windows: NDArray[np.int32], exact: list[Expected],
) -> dict[str, float]:  # fmt: skip
    kinds = possible_types(plan.spec)
    kind = next(kind for kind in _MEASURED_TYPES if kind in kinds)
    found = rounding_errors([_as(plan, k) for k in kinds], calibration, _ERROR_ROWS)
    errors = dict(zip(kinds, found, strict=True))
    parts = [_as(plan, kind), *([bias] if bias is not None else [])]
    with patched.with_rounded(parts, calibration) as rounded:
        cost = _divergence(rounded, windows, exact)
    scale = cost / errors[kind] if errors[kind] > 0 else 0.0
    return {each: scale * error for each, error in errors.items()}


def check_memory_for_costs(path: Path, n_threads: int | None) -> None:
    """Raises MemoryError where the whole model does not fit, which costs are measured with."""
    needed = sum(_core.memory_estimate(str(path), n_threads=n_threads or 0).values())
    available = _core.available_memory()
    if needed > available:
        raise MemoryError(
            f"{path}: sensitivities take the whole model, {needed / 1e6:.0f} MB of memory, and "
            f"{available / 1e6:.0f} MB are available: calibrate without them, or convert the "
            "model to f16 first"
        )


def costs_disk_bytes(path: Path, checkpoint: Checkpoint, n_tokens: int) -> int:
    """Of a copy of the model, and of the tokens' logits and probabilities."""
    return path.stat().st_size + 2 * 4 * checkpoint.config.n_vocab * n_tokens


def _as(plan: TensorPlan, kind: str) -> TensorPlan:
    return replace(plan, type=output_type(kind))


class _PatchedModel:
    """A copy of a model's file, in which a few tensors are replaced for a time."""

    def __init__(self, source: Path, path: Path, n_threads: int | None) -> None:
        shutil.copyfile(source, path)
        path.chmod(0o600)
        self._path = path
        self._n_threads = n_threads
        self._tensors = {t.name: t for t in _core.GgufFile(str(path)).tensors}

    @contextmanager
    def with_rounded(
        self, parts: list[TensorPlan], calibration: Calibration
    ) -> Iterator[LoadedModel]:
        """The model with these tensors rounded; afterwards the file is as it was."""
        before = self._write(parts, calibration)
        try:
            yield LoadedModel(self._path, n_threads=self._n_threads)
        finally:
            self._restore(before)

    def _write(self, parts: list[TensorPlan], calibration: Calibration) -> dict[int, bytes]:
        """Writes the parts' rounded numbers. Returns what was there, by offset."""
        before: dict[int, bytes] = {}
        at: dict[str, int] = {}
        with self._path.open("r+b") as file:
            for plan, blocks in quantize_tensors(parts, self._n_threads, calibration):
                name, n_in = plan.spec.gguf_name, plan.spec.shape[-1]
                rows = _core.dequantize(blocks.reshape(-1, plan.row_bytes), plan.type.name, n_in)
                stored = _core.quantize(rows, self._tensors[name].type.lower(), 1)
                data = stored.tobytes()
                offset = at.get(name, self._tensors[name].offset)
                file.seek(offset)
                before[offset] = file.read(len(data))
                file.seek(offset)
                file.write(data)
                at[name] = offset + len(data)
        return before

    def _restore(self, before: dict[int, bytes]) -> None:
        with self._path.open("r+b") as file:
            for offset, data in before.items():
                file.seek(offset)
                file.write(data)


def _spread(tokens: Sequence[int], n_tokens: int, n_window: int) -> NDArray[np.int32]:
    """Windows of tokens, evenly spread over a text: (windows, tokens of one)."""
    n_window = min(n_window, len(tokens))
    n = max(1, min(n_tokens, len(tokens)) // n_window)
    starts = np.linspace(0, len(tokens) - n_window, n).astype(int)
    return np.array([tokens[start : start + n_window] for start in starts], np.int32)


def _logits(model: LoadedModel, windows: NDArray[np.int32]) -> Iterator[tuple[int, Floats]]:
    """A part of the windows' rows at a time, and which is the first."""
    session = model.session()
    for i, window in enumerate(windows):
        session.truncate(0)
        for first in range(0, len(window), ROWS):
            yield i * len(window) + first, session.append_all_logits(window[first : first + ROWS])


def _predictions(model: LoadedModel, windows: NDArray[np.int32], folder: Path) -> list[Expected]:
    """For each part of the rows, kept in files: all models are compared with them."""
    shape = (windows.size, model.config["n_vocab"])
    logits = np.memmap(folder / "logits", np.float32, "w+", shape=shape)
    weights = np.memmap(folder / "weights", np.float32, "w+", shape=shape)
    parts = []
    for first, rows in _logits(model, windows):
        part = Expected(rows)
        part.move_to(logits[first : first + len(rows)], weights[first : first + len(rows)])
        parts.append(part)
    return parts


def _divergence(model: LoadedModel, windows: NDArray[np.int32], exact: list[Expected]) -> float:
    scores = Scores()
    tokens = windows.ravel()
    for (first, logits), expected in zip(_logits(model, windows), exact, strict=True):
        scores.add(tokens[first : first + len(logits)], logits, expected, first)
    return scores.evaluation().kl_mean or 0.0
