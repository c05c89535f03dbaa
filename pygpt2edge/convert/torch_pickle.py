"""Unpickles what torch.save wrote without PyTorch, and without running anything.

A pickle is a program. The few globals that rebuild tensors are replaced by inert descriptions, and
every other one by a Foreign, which does nothing: no tensor is made here, and nothing is imported or
called. So the settings of a training run, of whatever class, may lie beside the tensors.
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


class Foreign:
    """Stands for what a pickle builds of anything but tensors; `made_by` is the global's name."""

    made_by = ""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Whatever it would be made of is dropped."""

    def __call__(self, *_: Any, **__: Any) -> Foreign:
        return self

    def ignore(self, *_: Any) -> None:
        """What an unpickler gives an object is dropped."""

    __setstate__ = __setitem__ = append = extend = add = ignore


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


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if known := _ALLOWED_GLOBALS.get((module, name)):
            return known
        return type(name, (Foreign,), {"made_by": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Storage:
        for part in pid if isinstance(pid, tuple) else ():
            refuse_foreign(part)
        match pid:
            # The last, of old files, would make it a view of another storage; always None.
            case ("storage", _StorageType(dtype), str(key), str(), int(n), *view) if n >= 0:
                if all(part is None for part in view):
                    return Storage(dtype, key, n)
        raise FormatError(f"the pickle refers to something that is not a storage: {pid!r:.80}")


def refuse_foreign(value: Any) -> None:
    """Raises UnsupportedError for a Foreign where a tensor is expected."""
    kind = value if isinstance(value, type) else type(value)
    if issubclass(kind, Foreign):
        raise UnsupportedError(
            f"the pickle asks for {kind.made_by}, which is not part of a tensor; refused, because "
            "loading it could run code. Save the model as safetensors (save_pretrained does) and "
            "convert that"
        )


def read_pickle(stream: io.BytesIO, path: Path) -> Any:
    """The next pickled object of the stream, which is left behind its end.

    Raises UnsupportedError when it is a Foreign itself, FormatError when it is damaged.
    """
    start = stream.tell()
    try:
        _check_memo(stream)
        stream.seek(start)
        value = _InertUnpickler(stream).load()
        refuse_foreign(value)
        return value
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
