"""The .bin files of llm.c: a header of 256 int32, then all weights in one order.

The header: a magic number, a version (3: float32, 5: bfloat16), positions, tokens, layers, heads,
width, rows of the embedding (the tokens, padded). The weights are those of torch's Linear, each of
all layers before the next. There is no tokenizer: it is GPT-2's. Source:
the training programs of github.com/karpathy/llm.c.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from pygpt2edge.convert.checkpoint import Checkpoint, bind
from pygpt2edge.convert.model_config import ModelConfig, config_of_hparams
from pygpt2edge.convert.official_vocabulary import vocabulary_beside
from pygpt2edge.convert.stored_tensor import ITEM_SIZES, StoredTensor
from pygpt2edge.errors import FormatError, UnsupportedError

_MAGIC = 20240326
_HEADER_BYTES = 256 * 4
_DTYPES = {3: "f32", 5: "bf16"}
_FIELDS = ("n_ctx", "n_vocab", "n_layer", "n_head", "n_embd", "n_rows")


def is_llm_c(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _MAGIC.to_bytes(4, "little")


def open_llm_c(path: Path) -> Checkpoint:
    """Opens a file whose first bytes are those of `is_llm_c`."""
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    if len(start) < _HEADER_BYTES:
        raise FormatError(f"{path}: file ends inside the header; it is truncated")
    numbers = [int.from_bytes(start[i : i + 4], "little", signed=True) for i in range(4, 32, 4)]
    if numbers[0] not in _DTYPES:
        raise UnsupportedError(
            f"{path}: version {numbers[0]} of llm.c's format, expected 3 (float32) or 5 (bfloat16)"
        )
    header = dict(zip(_FIELDS, numbers[1:], strict=True))
    config = config_of_hparams(path, header)
    if header["n_rows"] < config.n_vocab:
        raise FormatError(
            f"{path}: {header['n_rows']} rows of the embedding for {config.n_vocab} tokens"
        )
    by_name = _place(path, config, header["n_rows"], _DTYPES[numbers[0]])
    by_name["wte.weight"] = by_name["wte.weight"].first_rows(config.n_vocab)
    read_vocabulary = partial(vocabulary_beside, path, config.n_vocab)
    return bind("llm.c", path, config, by_name, read_vocabulary)


def _place(path: Path, config: ModelConfig, n_rows: int, dtype: str) -> dict[str, StoredTensor]:
    """canonical name -> place. Raises FormatError when the file has another size."""
    width, inner = config.n_embd, config.n_inner
    of_layers: dict[str, tuple[int, ...]] = {
        "ln_1.weight": (width,), "ln_1.bias": (width,),
        "attn.c_attn.weight": (3 * width, width), "attn.c_attn.bias": (3 * width,),
        "attn.c_proj.weight": (width, width), "attn.c_proj.bias": (width,),
        "ln_2.weight": (width,), "ln_2.bias": (width,),
        "mlp.c_fc.weight": (inner, width), "mlp.c_fc.bias": (inner,),
        "mlp.c_proj.weight": (width, inner), "mlp.c_proj.bias": (width,),
    }  # fmt: skip
    before: dict[str, tuple[int, ...]] = {
        "wte.weight": (n_rows, width), "wpe.weight": (config.n_ctx, width)
    }  # fmt: skip
    behind: dict[str, tuple[int, ...]] = {"ln_f.weight": (width,), "ln_f.bias": (width,)}
    # Before anything is made for each layer: the header may lie about their number.
    n_numbers = _n_numbers(before) + config.n_layer * _n_numbers(of_layers) + _n_numbers(behind)
    expected = _HEADER_BYTES + n_numbers * ITEM_SIZES[dtype]
    if expected != path.stat().st_size:
        raise FormatError(
            f"{path}: {path.stat().st_size} bytes, expected {expected} from the header; the file "
            "is truncated or damaged"
        )
    shapes = before
    for name, shape in of_layers.items():
        shapes |= {f"h.{layer}.{name}": shape for layer in range(config.n_layer)}
    placed, offset = {}, _HEADER_BYTES
    for name, shape in (shapes | behind).items():
        placed[name] = StoredTensor.contiguous(name, path, dtype, shape, offset)
        offset += math.prod(shape) * ITEM_SIZES[dtype]
    return placed


def _n_numbers(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(map(math.prod, shapes.values()))
