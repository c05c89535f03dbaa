"""Converts checkpoints to GGUF.

    convert("openai-community/gpt2", "gpt2-q8_0.gguf", "q8_0")

One reader a format (safetensors_reader, torch_reader, tf_reader, gguf_reader) finds out where each
tensor lies; checkpoint checks that together they are a GPT-2; plan chooses types; quantizing does
the work; gguf_writer and output_file write the result. hub fetches what is not here; cached keeps
what was converted.
"""

from pygpt2edge.convert.checkpoint import StoredEntry
from pygpt2edge.convert.conversion import (
    CheckpointInfo,
    ConvertReport,
    convert,
    inspect_checkpoint,
)
from pygpt2edge.convert.model_config import ModelConfig
from pygpt2edge.convert.plan import OUTPUT_TYPES

__all__ = [
    "OUTPUT_TYPES",
    "CheckpointInfo",
    "ConvertReport",
    "ModelConfig",
    "StoredEntry",
    "convert",
    "inspect_checkpoint",
]
