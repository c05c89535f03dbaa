"""Names what people take for a checkpoint and is none, and says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from pygpt2edge.errors import FormatError, UnsupportedError

_REMEDY = "convert the original checkpoint of Hugging Face or OpenAI"
_ADAPTER = "an adapter, not a model: convert its base model with --lora and this folder"
# Of files and folders, by patterns of their names; the first that fits.
_OTHER_NAMES = {
    "adapter_model.safetensors": _ADAPTER,
    "adapter_model.bin": _ADAPTER,
    "*.h5": f"TensorFlow (Keras) weights; {_REMEDY}",
    "*.msgpack": f"Flax weights; {_REMEDY}",
    "*.onnx": f"an ONNX model; {_REMEDY}",
    "*.tflite": f"a TensorFlow Lite model; {_REMEDY}",
    "*.mlpackage": f"a Core ML model; {_REMEDY}",
    "*.mlmodel": f"a Core ML model; {_REMEDY}",
    "*.mlmodelc": f"a Core ML model; {_REMEDY}",
    "openvino_*.xml": f"an OpenVINO model; {_REMEDY}",
    "openvino_*.bin": f"an OpenVINO model; {_REMEDY}",
    "*.ot": f"libtorch weights, such as rust-bert's; {_REMEDY}",
}
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_LEGACY_GGML = f"a file of ggml from before GGUF; {_REMEDY}"
# Where they have which bytes -> what they are.
_OTHER_CONTENTS = {
    (0, b"\x89HDF\r\n\x1a\n"): f"an HDF5 file, such as Keras writes; {_REMEDY}",
    (4, b"TFL3"): f"a TensorFlow Lite model; {_REMEDY}",
    (6, b"TransformerDecoderSpec\0"): f"a CTranslate2 model; {_REMEDY}",
    (0, b"MZqFpD"): "a llamafile, a program with a model in it: `unzip` takes out the GGUF file, "
    "which runs as it is",
    # What ggml's programs read before there was GGUF: int32 0x67676d6c ("ggml") and its successors.
    (0, b"lmgg"): _LEGACY_GGML,
    (0, b"fmgg"): _LEGACY_GGML,
    (0, b"tjgg"): _LEGACY_GGML,
}  # fmt: skip
# Where folders have what is none of the above, besides in themselves.
_FOLDERS = ("onnx", "coreml", "coreml/text-generation", "openvino")
# Endings of names beside which the weights are integers.
_QUANTIZED = {
    ".SCB": "bitsandbytes in 8 bits", ".absmax": "bitsandbytes in 4 bits",
    ".qweight": "GPTQ or AWQ",
}  # fmt: skip


def refuse_other_name(path: Path) -> None:
    """Raises for what this program does not read, by the name of the file or folder."""
    for pattern, description in _OTHER_NAMES.items():
        if fnmatchcase(path.name, pattern):
            raise UnsupportedError(f"{path}: {description}")


def refuse_other_folder(folder: Path) -> None:
    """Raises for a folder that holds something of these."""
    refuse_other_name(folder)
    for place in (folder, *(folder / name for name in _FOLDERS)):
        for path in sorted(place.glob("*")):
            refuse_other_name(path)
            if path.is_file():
                refuse_other_contents(path)


def refuse_other_contents(path: Path) -> None:
    """Raises for a file that holds something else than its name says, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(_LFS_POINTER):
        raise FormatError(
            f"{path}: a pointer of git-LFS, not the file itself; fetch that with `git lfs pull`"
        )
    for (place, magic), description in _OTHER_CONTENTS.items():
        if start.startswith(magic, place):
            raise UnsupportedError(f"{path}: {description}")


def refuse_quantized(path: Path, names: Iterable[str]) -> None:
    """Raises for the tensors of a quantizer that is not this one."""
    for name in names:
        for ending, quantizer in _QUANTIZED.items():
            if name.endswith(ending):
                raise UnsupportedError(
                    f"{path}: quantized by {quantizer} (tensor {name!r:.80}); convert the "
                    "original checkpoint"
                )
