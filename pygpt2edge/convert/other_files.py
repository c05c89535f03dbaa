"""Names what people take for a checkpoint and is none, and says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pygpt2edge.errors import FormatError, UnsupportedError

_REMEDY = "convert the original checkpoint of Hugging Face or OpenAI"
_ADAPTER = "an adapter, not a model: convert its base model with --lora and this folder"
# Of files, by name.
OTHER_WEIGHTS = {
    "tf_model.h5": f"TensorFlow (Keras) weights; {_REMEDY}",
    "flax_model.msgpack": f"Flax weights; {_REMEDY}",
    "adapter_model.safetensors": _ADAPTER,
    "adapter_model.bin": _ADAPTER,
    "model.onnx": f"an ONNX model; {_REMEDY}",
}
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_OTHER_CONTENTS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, such as Keras writes",
    # What ggml's programs read before there was GGUF: int32 0x67676d6c ("ggml") and its successors.
    b"lmgg": "a file of ggml from before GGUF",
    b"fmgg": "a file of ggml from before GGUF",
    b"tjgg": "a file of ggml from before GGUF",
}
# Endings of names beside which the weights are integers.
_QUANTIZED = {
    ".SCB": "bitsandbytes in 8 bits", ".absmax": "bitsandbytes in 4 bits",
    ".qweight": "GPTQ or AWQ",
}  # fmt: skip


def refuse_other_name(path: Path) -> None:
    """Raises for a file of weights that this program does not read, by its name."""
    if path.name in OTHER_WEIGHTS:
        raise UnsupportedError(f"{path}: {OTHER_WEIGHTS[path.name]}")


def refuse_other_contents(path: Path) -> None:
    """Raises for a file that holds something else than its name says, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(len(_LFS_POINTER))
    if start == _LFS_POINTER:
        raise FormatError(
            f"{path}: a pointer of git-LFS, not the file itself; fetch that with `git lfs pull`"
        )
    for magic, description in _OTHER_CONTENTS.items():
        if start.startswith(magic):
            raise UnsupportedError(f"{path}: {description}; {_REMEDY}")


def refuse_quantized(path: Path, names: Iterable[str]) -> None:
    """Raises for the tensors of a quantizer that is not this one."""
    for name in names:
        for ending, quantizer in _QUANTIZED.items():
            if name.endswith(ending):
                raise UnsupportedError(
                    f"{path}: quantized by {quantizer} (tensor {name!r:.80}); convert the "
                    "original checkpoint"
                )
