"""The memory that a model will take once it is converted.

Of a GGUF file the core computes it to the byte (`_core.memory_estimate`). Here weights are counted
as the file will store them, which is what they take packed, but for the padding of last rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygpt2edge.convert import ModelConfig

# The core's fixed buffers: 12 MB for the 124M model, 22 MB for the 1.5B.
WORKING_MEMORY = "10 to 30 MB of working memory"

# OpenAI's models: name -> (n_layer, n_head, n_embd).
OFFICIAL_SHAPES = {
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}


def checkpoint_memory(
    path: Path, type: str, n_ctx: int = 0, kv_type: str | None = None
) -> dict[str, int]:
    """Bytes of "weights" and "cache" for the checkpoint in a folder, converted to a type."""
    from pygpt2edge.convert.opening import open_checkpoint
    from pygpt2edge.convert.plan import plan_conversion

    checkpoint = open_checkpoint(path)
    weights = plan_conversion(checkpoint, type, allow_requantize=True).n_bytes
    kv_type = kv_type or default_kv_type({type})
    return {"weights": weights, "cache": _cache_bytes(checkpoint.config, n_ctx, kv_type)}


def official_memory(name: str, type: str) -> dict[str, int]:
    """The same for one of OFFICIAL_SHAPES, with its whole context."""
    from pygpt2edge.convert import ModelConfig
    from pygpt2edge.convert.gpt2_names import needed_tensors
    from pygpt2edge.convert.plan import output_type

    n_layer, n_head, n_embd = OFFICIAL_SHAPES[name]
    config = ModelConfig(50257, 1024, n_embd, n_head, n_layer, 4 * n_embd)
    matrices, others = output_type(type), output_type("f32")
    weights = 0
    for spec in needed_tensors(config, has_output=False):
        kind = matrices if spec.is_quantized else others
        weights += spec.n_elements // kind.block_size * kind.block_bytes
    return {"weights": weights, "cache": _cache_bytes(config, 0, default_kv_type({type}))}


def default_kv_type(types: set[str]) -> str:
    """What GPT2 chooses for a model of tensors of these types."""
    return "f32" if types == {"f32"} else "f16"


def _cache_bytes(config: ModelConfig, n_ctx: int, kv_type: str) -> int:
    """A key and a value for every layer, position and channel; of codes, a scale for each head."""
    number_bytes = {"f32": 4, "f16": 2, "int16": 2, "int8": 1}[kv_type]
    scale_bytes = 4 * config.n_head if kv_type.startswith("int") else 0
    position_bytes = config.n_embd * number_bytes + scale_bytes
    return 2 * config.n_layer * (n_ctx or config.n_ctx) * position_bytes
