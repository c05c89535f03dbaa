"""Where each tensor of a safetensors file lies.

The file starts with the length of a JSON header, and the header: name -> dtype, shape, and the
range of bytes behind the header. The safetensors library checks it (sizes against shapes, no
holes, no overlaps, nothing beyond the end); once it has, the header can be believed.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from pathlib import Path

from pygpt2edge.convert.stored_tensor import StoredTensor
from pygpt2edge.errors import FormatError, UnsupportedError

_LENGTH_SIZE = 8
_DTYPES = {
    "F32": "f32", "F16": "f16", "BF16": "bf16", "F64": "f64",
    "BOOL": "bool", "U8": "u8", "I8": "i8", "I16": "i16", "I32": "i32", "I64": "i64",
}  # fmt: skip


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """name -> place, for all tensors. Raises FormatError when the header is invalid."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise FormatError(
            f"{path}: not a sound safetensors file ({error}); download it again"
        ) from error

    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_SIZE), "little")
        header = json.loads(file.read(length))
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _DTYPES:
            raise UnsupportedError(
                f"{path}: tensor {name} has dtype {entry['dtype']}; "
                "convert the checkpoint to float32, float16 or bfloat16 first"
            )
        offset = _LENGTH_SIZE + length + entry["data_offsets"][0]
        tensors[name] = StoredTensor.contiguous(
            name, path, _DTYPES[entry["dtype"]], tuple(entry["shape"]), offset
        )
    return tensors
