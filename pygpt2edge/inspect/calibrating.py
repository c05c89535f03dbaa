"""Measures what goes into a model's matrices while it reads a text, for `convert`.

convert/calibration.py describes the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pygpt2edge.convert.calibration import COST_TYPES_KEY, NOT_POSSIBLE
from pygpt2edge.convert.costs import RELATIVE_ERRORS
from pygpt2edge.inspect.sensitivity import measure_costs
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.output_file import replaced_when_whole

if TYPE_CHECKING:
    from gguf import GGUFWriter

    from pygpt2edge import _core


def calibrate(
    model: LoadedModel,
    text: str,
    out: str | Path,
    *,
    max_tokens: int = 32768,
    products: bool = True,
    sensitivity_tokens: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> int:
    """Reads a text with a model and writes what went into its matrices, for `convert`.

    Args:
      model: of an f32 or f16 file.
      text: of the kind the model will see; read in windows of the model's context.
      out: the file to write.
      max_tokens: where to stop.
      products: with the products of every two inputs, which error feedback needs. They take
        4 * n_in^2 bytes a matrix, in memory and in the file: 540 MB for GPT-2 124M.
      sensitivity_tokens: how many of the tokens after those to measure by what each type costs
        each tensor, which `convert` chooses mixtures by; 0 for not at all. The model reads them
        once for each tensor; 4096 will do.
      progress: called with (done, in all, what): tokens, then tensors.

    Returns the number of tokens read. Raises ValueError for a model that is quantized.
    """
    from pygpt2edge import _core

    statistics = _core.InputStatistics(model.core_model, products)
    all_tokens = model.tokenizer.encode(text)
    tokens = all_tokens[:max_tokens]
    if not tokens:
        raise ValueError("there is nothing to read: the text has no token")
    for first in range(0, len(tokens), model.n_ctx):
        window = tokens[first : first + model.n_ctx]
        statistics.read(window)
        if progress is not None:
            progress(first + len(window), len(tokens), "")
    out = Path(out)
    with replaced_when_whole(out, 0) as temporary:
        _write(temporary, statistics.inputs, {})
        if sensitivity_tokens > 0:
            # What was not read for the statistics, where there is enough of it.
            first = max(0, min(len(tokens), len(all_tokens) - sensitivity_tokens))
            others = all_tokens[first:]
            costs = measure_costs(model, others, sensitivity_tokens, temporary, progress)
            _write(temporary, statistics.inputs, costs)
    return len(tokens)


def _write(
    path: Path, inputs: list[_core.MatrixInputs], costs: dict[str, dict[str, float]]
) -> None:
    import gguf

    writer = gguf.GGUFWriter(path, "imatrix", use_temp_file=False)
    try:
        writer.add_type("imatrix")
        for each in inputs:
            writer.add_tensor(f"{each.name}.in_sum2", each.squares[None, :])
            writer.add_tensor(f"{each.name}.counts", np.array([[each.count]], np.float32))
            writer.add_tensor(f"{each.name}.in_sum", each.sums[None, :])
            products = each.products()
            if products is not None:
                writer.add_tensor(f"{each.name}.in_products", products)
        if costs:
            _add_costs(writer, costs)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _add_costs(writer: GGUFWriter, costs: dict[str, dict[str, float]]) -> None:
    types = list(RELATIVE_ERRORS)
    writer.add_array(COST_TYPES_KEY, types)
    for name, by_type in costs.items():
        row = [by_type.get(kind, NOT_POSSIBLE) for kind in types]
        writer.add_tensor(f"{name}.kl_costs", np.array([row], np.float32))
