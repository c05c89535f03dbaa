"""Measures what goes into a model's matrices while it reads a text, for `convert`.

The model is read a layer at a time: all windows of the text pass through one layer before the next
is loaded, and between layers the residual stream of each token is kept on the disk. So a model is
calibrated in the memory of one of its layers, and a run that was interrupted goes on from the last
layer that it finished.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pygpt2edge import _core
from pygpt2edge.convert.checkpoint import Checkpoint
from pygpt2edge.convert.opening import open_checkpoint
from pygpt2edge.inspect.sensitivity import (
    check_memory_for_costs,
    costs_disk_bytes,
    measure_costs,
)
from pygpt2edge.inspect.statistics_file import StatisticsFile
from pygpt2edge.inspect.unfinished import Unfinished
from pygpt2edge.loaded_model import tokenizer_of
from pygpt2edge.output_file import check_target

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray
    from typing_extensions import Self

Progress = Callable[[int, int, str], None]


def calibrate(
    path: str | Path,
    text: str,
    out: str | Path,
    *,
    max_tokens: int = 32768,
    products: bool = True,
    sensitivity_tokens: int = 0,
    n_threads: int | None = None,
    n_ctx: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> int:
    """Reads a text with a model and writes what went into its matrices, for `convert`.

    Args:
      path: an f32 or f16 GGUF file.
      text: of the kind the model will see; read in windows of n_ctx tokens.
      out: the file to write. Until it is whole, what is done is in the folder OUT.unfinished:
        another call with the same arguments goes on from there, to the same bytes.
      max_tokens: where to stop.
      products: with the products of every two inputs, which error feedback needs. They take
        4 * n_in^2 bytes a matrix in the file, and a layer's in memory: 540 MB and 45 MB for GPT-2
        124M, 9.4 GB and 195 MB for the 1.5B model.
      sensitivity_tokens: how many of the tokens after those to measure by what each type costs
        each tensor, which `convert` chooses mixtures by; 0 for not at all. The whole model reads
        them once for each tensor; 4096 will do.
      n_threads: default, one a core. The bytes do not depend on it.
      n_ctx: tokens of a window; default, the model's context.
      progress: called with (done, in all, what): tokens times layers, then tensors.
      say: called with a line when there is something to go on from.

    Returns the number of tokens read.

    Raises:
      MemoryError: before anything is read, when it will not fit.
      OSError: the same for the disk; or the file cannot be read.
      ValueError: a model that is quantized, a text without tokens.
    """
    path, out = Path(path), Path(os.path.realpath(out))
    checkpoint = open_checkpoint(path)
    all_tokens = tokenizer_of(path).encode(text, add_special_tokens=False)
    tokens = all_tokens[:max_tokens]
    if not tokens:
        raise ValueError("there is nothing to read: the text has no token")
    _check_memory(path, n_threads or 0, products)
    n_window = min(n_ctx or checkpoint.config.n_ctx, checkpoint.config.n_ctx)
    work = Unfinished(out, _what(path, all_tokens, len(tokens), n_window, products,
                                 sensitivity_tokens))  # fmt: skip
    specs = [spec for spec, _ in checkpoint.tensors]
    file = StatisticsFile(work.stats, specs, products=products, costs=sensitivity_tokens > 0)
    n_bytes = _disk_bytes(checkpoint, file, len(tokens))
    if sensitivity_tokens > 0:
        check_memory_for_costs(path, n_threads)
        n_bytes = max(
            n_bytes, file.n_bytes + costs_disk_bytes(path, checkpoint, sensitivity_tokens)
        )
    goes_on = work.resume()
    check_target(out, n_bytes - work.n_bytes)
    if goes_on:
        _say(say, f"going on with {work.folder}: {work.n_layers} of {checkpoint.config.n_layer} "
                  "layers are done")  # fmt: skip
    else:
        work.clear()
        file.begin()
        work.head_bytes = work.stats.stat().st_size
        work.save()
    try:
        _read_layers(path, checkpoint, tokens, n_window, products, n_threads, work, file, progress)
        if sensitivity_tokens > 0:
            # What was not read for the statistics, where there is enough of it.
            first = max(0, min(len(tokens), len(all_tokens) - sensitivity_tokens))
            file.write_costs(work.head_bytes, work.costs)
            measure_costs(path, all_tokens[first:], sensitivity_tokens, work.stats, work.costs,
                          n_threads, work.save, progress)  # fmt: skip
            file.write_costs(work.head_bytes, work.costs)
    except KeyboardInterrupt:
        _say(say, f"{work.folder} has what is done: the same command goes on from there")
        raise
    work.finish(out)
    return len(tokens)


def _say(say: Callable[[str], None] | None, line: str) -> None:
    if say is not None:
        say(line)


def _what(
    path: Path, tokens: Sequence[int], n_read: int, n_window: int, products: bool, n_costs: int
) -> dict[str, object]:
    state = path.stat()
    return {
        "model": [str(path.resolve()), state.st_size, state.st_mtime_ns],
        "text": hashlib.sha256(np.array(tokens, np.int32).tobytes()).hexdigest(),
        "tokens": n_read,
        "window": n_window,
        "products": products,
        "sensitivities": n_costs,
    }


def _check_memory(path: Path, n_threads: int, products: bool) -> None:
    needed = _core.calibration_memory(os.fsencode(path), n_threads, products)
    available = _core.available_memory()
    if needed <= available:
        return
    remedy = "free memory, or give --no-products (products=False)" if products else "free memory"
    raise MemoryError(
        f"{path}: to calibrate it takes {needed / 1e6:.0f} MB of memory, a layer at a time, and "
        f"{available / 1e6:.0f} MB are available: {remedy}"
    )


def _disk_bytes(checkpoint: Checkpoint, file: StatisticsFile, n_tokens: int) -> int:
    """Of the statistics, and of the residuals before and after a layer."""
    config = checkpoint.config
    n_files = min(2, config.n_layer - 1)
    return file.n_bytes + n_files * 4 * config.n_embd * n_tokens


def _read_layers(
    path: Path, checkpoint: Checkpoint, tokens: Sequence[int], n_window: int, products: bool,
    n_threads: int | None, work: Unfinished, file: StatisticsFile, progress: Progress | None,
) -> None:  # fmt: skip
    n_layers, n_embd = checkpoint.config.n_layer, checkpoint.config.n_embd
    for layer in range(work.n_layers, n_layers):
        stage = _core.CalibrationStage(
            os.fsencode(path), n_threads or 0, layer, layer + 1, products
        )
        with _Residuals(work, layer, n_layers, n_embd) as residuals:
            for first in range(0, len(tokens), n_window):
                window = tokens[first : first + n_window]
                values = residuals.read(len(window))
                stage.read(window, values)
                residuals.write(values)
                if progress is not None:
                    done = layer * len(tokens) + first + len(window)
                    progress(done, n_layers * len(tokens), f"layer {layer + 1} of {n_layers}")
        file.write_layer(work.head_bytes, layer, stage.inputs)
        work.layer_is_done(layer)
        del stage  # before the next is loaded


class _Residuals:
    """The files of residuals before and after a layer; the first layer has none before it, the last
    none after it."""

    def __init__(self, work: Unfinished, layer: int, n_layers: int, n_embd: int) -> None:
        self._before = work.residuals(layer) if layer > 0 else None
        self._after = work.residuals(layer + 1) if layer + 1 < n_layers else None
        self._n_embd = n_embd
        self._source: BinaryIO | None = None
        self._target: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._source = self._before.open("rb") if self._before is not None else None
        self._target = self._after.open("wb") if self._after is not None else None
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.close()
        if self._target is not None:
            self._target.flush()
            os.fsync(self._target.fileno())
            self._target.close()

    def read(self, n_tokens: int) -> NDArray[np.float32]:
        if self._source is None:
            return np.zeros((n_tokens, self._n_embd), np.float32)
        values = np.fromfile(self._source, np.float32, n_tokens * self._n_embd)
        return values.reshape(n_tokens, self._n_embd)

    def write(self, values: NDArray[np.float32]) -> None:
        if self._target is not None:
            self._target.write(memoryview(values).cast("B"))
