"""Unpickles a PyTorch state dict without PyTorch, and nothing but a state dict.

A pickle is a program. This one may only name the few globals that rebuild tensors, and those are
replaced by inert descriptions: no tensor is made here, and nothing else can be imported or called.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

from pygpt2edge.errors import FormatError, UnsupportedError


class Storage(NamedTuple):
    """A flat array of numbers, stored elsewhere in the file under `key`."""

    dtype: str
    key: str
    n_elements: int


class TensorView(NamedTuple):
    """A tensor as the pickle describes it; nothing in it has been checked."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class _StorageType(NamedTuple):
    dtype: str


_STORAGE_TYPES = {
    "FloatStorage": "f32", "HalfStorage": "f16", "BFloat16Storage": "bf16", "DoubleStorage": "f64",
    "BoolStorage": "bool", "ByteStorage": "u8", "CharStorage": "i8", "ShortStorage": "i16",
    "IntStorage": "i32", "LongStorage": "i64",
}  # fmt: skip


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TensorView:
    return TensorView(storage, offset, shape, strides)


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


_ALLOWED_GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGE_TYPES.items()},
}


class _StateDictUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED_GLOBALS[module, name]
        except KeyError:
            raise UnsupportedError(
                f"the pickle asks for {module}.{name}, which is not part of a tensor; refused, "
                "because loading it could run code. Save the model as safetensors "
                "(save_pretrained does) and convert that"
            ) from None

    def persistent_load(self, pid: Any) -> Storage:
        match pid:
            # The last, of old files, would make it a view of another storage; always None.
            case ("storage", _StorageType(dtype), str(key), str(), int(n), *view) if n >= 0:
                if all(part is None for part in view):
                    return Storage(dtype, key, n)
        raise FormatError(f"the pickle refers to something that is not a storage: {pid!r:.80}")


def read_pickle(stream: io.BytesIO, path: Path) -> Any:
    """The next pickled object of the stream, which is left behind its end.

    Raises UnsupportedError when it names a global that is no part of a tensor, FormatError when it
    is damaged.
    """
    start = stream.tell()
    try:
        _check_memo(stream)
        stream.seek(start)
        return _StateDictUnpickler(stream).load()
    except (FormatError, UnsupportedError) as error:
        raise type(error)(f"{path}: {error}") from None
    except MemoryError:
        raise
    # What a damaged pickle raises is not limited to pickle's own errors.
    except Exception as error:
        raise FormatError(
            f"{path}: damaged pickle ({type(error).__name__}: {error}); download it again"
        ) from error


def _check_memo(stream: io.BytesIO) -> None:
    """Refuses memo indexes larger than the pickle: the unpickler would allocate up to the index."""
    n_bytes = stream.getbuffer().nbytes
    for opcode, argument, _ in pickletools.genops(stream):
        if "PUT" in opcode.name and isinstance(argument, int) and argument > n_bytes:
            raise FormatError(f"the pickle has a memo index of {argument} in {n_bytes} bytes")
