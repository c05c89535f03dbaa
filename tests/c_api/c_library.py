"""The C library of the installed package, called through its header as other languages do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cffi

from pygpt2edge import config

ffi = cffi.FFI()


def declarations(header: Path) -> str:
    """What a header declares, without what only a preprocessor takes."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    text = re.sub(r'extern "C" \{', "", text)
    text = re.sub(r"^\}$", "", text, flags=re.M)
    return text.replace("GPT2EDGE_API", "")


def load() -> Any:
    """The library. Raises FileNotFoundError where the package was built without it."""
    ffi.cdef(declarations(config.include_dir() / "gpt2edge.h"))
    names = ("libgpt2edge.so.*", "libgpt2edge.dylib", "gpt2edge.dll")
    (path,) = (path for name in names for path in config.library_dir().glob(name))
    return ffi.dlopen(str(path))


class CError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Library:
    """Calls that return results, and raise CError where a status is an error."""

    def __init__(self) -> None:
        self.c = load()
        self.kept: list[Any] = []  # arrays that structs point to

    def call(self, name: str, *arguments: Any) -> int:
        status: int = getattr(self.c, f"gpt2edge_{name}")(*arguments)
        if status < 0:
            raise CError(status, ffi.string(self.c.gpt2edge_error_message()).decode())
        return status

    def struct(self, name: str) -> Any:
        out = ffi.new(f"gpt2edge_{name}*")
        out.size = ffi.sizeof(out[0])
        return out

    def made(self, kind: str, function: str, *arguments: Any) -> Any:
        out = ffi.new(f"gpt2edge_{kind}**")
        self.call(function, *arguments, out)
        return out[0]

    def model(self, path: Path, **options: Any) -> Any:
        given = self.struct("model_options")
        self.call("model_options_init", given, given.size)
        for name, value in options.items():
            setattr(given, name, value)
        return self.made("model", "model_open", str(path).encode(), given)

    def options(self, **values: Any) -> Any:
        """Text options; lists, texts and dicts as Python has them."""
        given = self.struct("text_options")
        self.call("text_options_init", given, given.size)
        for name, value in values.items():
            self._set(given, name, value)
        return given

    def _set(self, given: Any, name: str, value: Any) -> None:
        if name == "seed":
            given.has_seed = 1
        if name in ("stop", "dry_sequence_breakers"):
            texts = [ffi.new("char[]", text.encode()) for text in value]
            value = ffi.new("char*[]", texts)
            self.kept += texts
            setattr(given, f"n_{name}", len(texts))
        elif isinstance(value, dict):
            setattr(given, f"n_{name}", len(value))
            value = ffi.new("gpt2edge_logit_bias[]", list(value.items()))
        elif isinstance(value, list):
            setattr(given, f"n_{name}", len(value))
            value = ffi.new("int32_t[]", value)
        elif name == "context_overflow":
            value = ("stop", "error", "slide").index(value)
        self.kept.append(value)
        setattr(given, name, value)

    def text(self, model: Any, prompt: str | list[int], **options: Any) -> Any:
        given = self.options(**options)
        if isinstance(prompt, str):
            data = prompt.encode()
            return self.made("text", "text_open", model, data, len(data), given)
        return self.made("text", "text_open_tokens", model, prompt, len(prompt), given)

    def piece(self, text: Any, function: str = "text_next") -> Any:
        """A piece, or None at the end."""
        out = self.struct("piece")
        return None if self.call(function, text, out) == self.c.GPT2EDGE_END else out

    def rest(self, text: Any) -> str:
        pieces = []
        while (piece := self.piece(text)) is not None:
            pieces.append(ffi.buffer(piece.text, piece.n_text)[:])
        return b"".join(pieces).decode()

    def state(self, text: Any) -> Any:
        out = self.struct("text_state")
        self.call("text_get_state", text, out)
        return out

    def array(self, kind: str, function: str, *arguments: Any) -> Any:
        """What a function fills an array with, which is counted first."""
        n = ffi.new("size_t*")
        self.call(function, *arguments, ffi.NULL, 0, n)
        out = ffi.new(f"{kind}[]", n[0] or 1)
        self.call(function, *arguments, out, n[0], n)
        return ffi.unpack(out, n[0])

    def encode(self, model: Any, text: str, allow_special: bool = False) -> list[int]:
        data = text.encode()
        return list(self.array("int32_t", "encode", model, data, len(data), allow_special))
