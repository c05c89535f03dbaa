"""Reads what torch.save pickled without PyTorch, and without running anything.

A pickle is a program for a small machine with a stack. Here is such a machine that makes numbers,
texts, lists, tuples and dictionaries, and descriptions of tensors. Whatever else a pickle asks for
becomes a Foreign, which does nothing: nothing is imported or called. So the settings of a training
run, of whatever class, may lie beside the tensors. Python's own unpickler is not used: it takes a
hash of whatever is a key of a dictionary, which a few hundred bytes can make take for ever, or
overflow the stack.

The opcodes are described in Python's pickletools.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
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


class Foreign(NamedTuple):
    """Stands for a global that a pickle asks for, and for all that it makes of it."""

    made_by: str


class _StorageType(NamedTuple):
    dtype: str


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TensorView:
    return TensorView(storage, offset, shape, strides)


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


def _ordered_dict(pairs: Any = (), *_: Any) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in pairs:
        _set_item(made, key, value)
    return made


_STORAGE_TYPES = {
    "FloatStorage": "f32", "HalfStorage": "f16", "BFloat16Storage": "bf16", "DoubleStorage": "f64",
    "BoolStorage": "bool", "ByteStorage": "u8", "CharStorage": "i8", "ShortStorage": "i16",
    "IntStorage": "i32", "LongStorage": "i64",
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _ordered_dict,
    "torch._utils _rebuild_tensor": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils _rebuild_parameter": _rebuild_parameter,
}
_KNOWN: dict[str, Any] = _FUNCTIONS | {
    f"torch {name}": _StorageType(dtype) for name, dtype in _STORAGE_TYPES.items()
}
_FIXED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NEW: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict}
_SETS = frozenset[Any]()  # what is in a set is dropped
_GREATEST_BITS = 4096
_GREATEST_KEY = 1 << 60  # a greater number may have another's hash


def refuse_foreign(value: Any) -> None:
    """Raises UnsupportedError for a Foreign where a tensor is expected."""
    if isinstance(value, Foreign):
        raise UnsupportedError(
            f"the pickle asks for {value.made_by:.200}, which is not part of a tensor; refused, "
            "because loading it could run code. Save the model as safetensors (save_pretrained "
            "does) and convert that"
        )


def shown(value: Any) -> str:
    """A value of a pickle for a message. What it holds is left out: that may be endless."""
    is_plain = value is None or isinstance(value, str | bytes | int | float)
    return f"{value!r:.60}" if is_plain else f"a {type(value).__name__}"


def read_pickle(stream: io.BytesIO, path: Path) -> Any:
    """The next pickled object of the stream, which is left behind its end.

    Raises UnsupportedError when it is a Foreign itself, FormatError when it is damaged.
    """
    try:
        value = _Machine(stream.getbuffer().nbytes).run(stream)
        refuse_foreign(value)
        return value
    except (FormatError, UnsupportedError) as error:
        raise type(error)(f"{path}: {error}") from None
    except MemoryError:
        raise
    # What a damaged pickle raises is of any kind.
    except Exception as error:
        raise FormatError(
            f"{path}: damaged pickle ({type(error).__name__}: {error!s:.200}); download it again"
        ) from error


class _Machine:
    """Runs one pickle.

    Args:
      n_bytes: of the file: no memo is larger.
    """

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._foreign: dict[str, Foreign] = {}

    def run(self, stream: io.BytesIO) -> Any:
        for opcode, argument, _ in pickletools.genops(stream):
            self._step(opcode.name, argument)
        return self._stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        push = self._stack.append
        if name in _FIXED:
            push(_FIXED[name])
        elif name in _NEW:
            push(_NEW[name]())
        elif "PUT" in name or name == "MEMOIZE":
            self._remember(len(self._memo) if argument is None else argument)
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            push(self._memo[argument])
        elif method := _METHODS.get(name):
            method(self, argument)
        elif argument is not None and name not in ("PROTO", "FRAME"):
            push(_checked_number(argument))  # a number or a text
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise FormatError(f"the pickle has {name}, which torch.save does not write")

    def _remember(self, index: int) -> None:
        if not 0 <= index <= self._n_bytes:
            raise FormatError(f"the pickle has a memo index of {index} in {self._n_bytes} bytes")
        self._memo[index] = self._stack[-1]

    def _from_mark(self) -> list[Any]:
        """What was put on the stack since the last mark; it is taken from it."""
        mark = self._marks.pop()
        found = self._stack[mark:]
        del self._stack[mark:]
        return found

    def _last(self, n: int) -> tuple[Any, ...]:
        found = tuple(self._stack[-n:])
        if len(found) < n:
            raise FormatError("the pickle takes more from its stack than is there")
        del self._stack[-n:]
        return found

    def _global(self, name: str) -> Any:
        if name in _KNOWN:
            return _KNOWN[name]
        return self._foreign.setdefault(name, Foreign(name.replace(" ", ".", 1)))

    def _call(self, function: Any, arguments: Any) -> None:
        if isinstance(function, Foreign):
            self._stack.append(function)
        elif callable(function):
            self._stack.append(function(*arguments))
        else:
            raise FormatError(f"the pickle calls {shown(function)}")

    # ---- opcodes ----

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _pop(self, _: Any) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._from_mark()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _list(self, _: Any) -> None:
        self._stack.append(self._from_mark())

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._from_mark()))

    def _dict(self, _: Any) -> None:
        self._stack.append(_with_items({}, self._from_mark()))

    def _empty_set(self, _: Any) -> None:
        self._stack.append(_SETS)

    def _frozenset(self, _: Any) -> None:
        self._from_mark()
        self._stack.append(_SETS)

    def _append(self, _: Any) -> None:
        _extend(self._stack[-2], self._last(1))

    def _appends(self, _: Any) -> None:
        found = self._from_mark()
        _extend(self._stack[-1], found)

    def _add_items(self, _: Any) -> None:
        self._from_mark()

    def _set_item(self, _: Any) -> None:
        pair = self._last(2)
        _with_items(self._stack[-1], pair)

    def _set_items(self, _: Any) -> None:
        found = self._from_mark()
        _with_items(self._stack[-1], found)

    def _push_global(self, name: str) -> None:
        self._stack.append(self._global(name))

    def _stack_global(self, _: Any) -> None:
        module, name = self._last(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise FormatError(f"the pickle asks for {shown(module)} and {shown(name)}")
        self._stack.append(self._global(f"{module} {name}"))

    def _instance(self, name: str) -> None:
        self._call(self._global(name), self._from_mark())

    def _object(self, _: Any) -> None:
        function, *arguments = self._from_mark()
        self._call(function, arguments)

    def _reduce(self, _: Any) -> None:
        self._call(*self._last(2))

    def _new_object_ex(self, _: Any) -> None:
        function, arguments, _named = self._last(3)
        self._call(function, arguments)

    def _build(self, _: Any) -> None:
        """Attributes of a dictionary or a Foreign, which are dropped."""
        self._last(1)
        if not isinstance(self._stack[-1], dict | Foreign):
            raise FormatError(f"the pickle sets attributes of {shown(self._stack[-1])}")

    def _persistent(self, _: Any) -> None:
        (pid,) = self._last(1)
        for part in pid if isinstance(pid, tuple) else ():
            refuse_foreign(part)
        match pid:
            # The last, of old files, would make it a view of another storage; always None.
            case ("storage", _StorageType(dtype), str(key), str(), int(n), *view) if n >= 0:
                if all(part is None for part in view):
                    self._stack.append(Storage(dtype, key, n))
                    return
        parts = pid if isinstance(pid, tuple) else (pid,)
        raise FormatError(
            "the pickle refers to something that is not a storage: "
            f"{', '.join(map(shown, parts[:5]))}"
        )

    def _named_persistent(self, name: str) -> None:
        self._stack.append(name)
        self._persistent(None)

    def _extension(self, _: Any) -> None:
        self._stack.append(Foreign("a code of copyreg"))


_METHODS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine._mark, "POP": _Machine._pop, "POP_MARK": _Machine._pop_mark,
    "DUP": _Machine._dup, "LIST": _Machine._list, "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._stack.append(machine._last(1)),
    "TUPLE2": lambda machine, _: machine._stack.append(machine._last(2)),
    "TUPLE3": lambda machine, _: machine._stack.append(machine._last(3)),
    "DICT": _Machine._dict, "EMPTY_SET": _Machine._empty_set, "FROZENSET": _Machine._frozenset,
    "APPEND": _Machine._append, "APPENDS": _Machine._appends, "ADDITEMS": _Machine._add_items,
    "SETITEM": _Machine._set_item, "SETITEMS": _Machine._set_items,
    "GLOBAL": _Machine._push_global, "STACK_GLOBAL": _Machine._stack_global,
    "INST": _Machine._instance, "OBJ": _Machine._object, "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._reduce, "NEWOBJ_EX": _Machine._new_object_ex, "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
    "PERSID": _Machine._named_persistent,
    "EXT1": _Machine._extension, "EXT2": _Machine._extension, "EXT4": _Machine._extension,
}  # fmt: skip


def _checked_number(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _GREATEST_BITS:
        raise FormatError(f"the pickle has a number of {value.bit_length():,} bits")
    return value


def _extend(made: Any, values: Any) -> None:
    if isinstance(made, list):
        made.extend(values)
    elif not isinstance(made, Foreign):
        raise FormatError(f"the pickle appends to {shown(made)}")


def _with_items(made: Any, flat: Any) -> Any:
    """The dictionary with these keys and values, one after another."""
    if not isinstance(made, dict | Foreign):
        raise FormatError(f"the pickle sets items of {shown(made)}")
    if len(flat) % 2 != 0:
        raise FormatError("the pickle has a key without a value")
    if isinstance(made, dict):
        for i in range(0, len(flat), 2):
            _set_item(made, flat[i], flat[i + 1])
    return made


def _set_item(made: dict[Any, Any], key: Any, value: Any) -> None:
    """Only texts and numbers are names of tensors or settings; what has others is dropped."""
    is_number = isinstance(key, int) and abs(key) < _GREATEST_KEY
    if isinstance(key, str) or is_number:
        made[key] = value
