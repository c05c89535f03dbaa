"""Where each tensor of a safetensors file lies.

The safetensors library checks the header (sizes against shapes, no holes, no overlaps, nothing
beyond the end). Since holes are forbidden, the tensors in the order of their offsets follow each
other without a gap, and their places are the running sum of their sizes.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import math
from pathlib import Path

from pygpt2edge.convert.stored_tensor import ITEM_SIZES, StoredTensor
from pygpt2edge.errors import FormatError, UnsupportedError

_HEADER_LENGTH_SIZE = 8
_DTYPES = {
    "F32": "f32", "F16": "f16", "BF16": "bf16", "F64": "f64",
    "BOOL": "bool", "U8": "u8", "I8": "i8", "I16": "i16", "I32": "i32", "I64": "i64",
}  # fmt: skip


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """name -> place, for all tensors. Raises FormatError when the header lies."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices = [(name, file.get_slice(name)) for name in file.offset_keys()]
            entries = [
                (name, str(part.get_dtype()), tuple(part.get_shape())) for name, part in slices
            ]
    except SafetensorError as error:
        raise FormatError(
            f"{path}: not a sound safetensors file ({error}); download it again"
        ) from error

    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(_HEADER_LENGTH_SIZE), "little")
    offset = _HEADER_LENGTH_SIZE + header_length
    tensors = {}
    for name, code, shape in entries:
        if code not in _DTYPES:
            raise UnsupportedError(
                f"{path}: tensor {name} has dtype {code}; "
                "convert the checkpoint to float32, float16 or bfloat16 first"
            )
        dtype = _DTYPES[code]
        tensors[name] = StoredTensor.contiguous(name, path, dtype, shape, offset)
        offset += math.prod(shape) * ITEM_SIZES[dtype]
    return tensors
