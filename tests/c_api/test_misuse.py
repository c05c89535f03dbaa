"""What is wrong gets a status and a message; nothing crashes."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest
from c_library import CError, ffi

from pygpt2edge import GPT2

KINDS = ["file", "model", "session", "text", "suggester"]


def status(library: Any, name: str, *arguments: Any) -> int:
    try:
        return int(library.call(name, *arguments))
    except CError as error:
        assert str(error)
        assert "\n" not in str(error)
        return error.status


def handle_arguments(function: Any) -> list[int]:
    """The places of the arguments that are handles."""
    kinds = [f"gpt2edge_{kind} *" for kind in KINDS]
    return [i for i, argument in enumerate(function.args) if argument.cname in kinds]


def zero(argument: Any) -> Any:
    return ffi.NULL if argument.kind in ("pointer", "function") else 0


def functions(library: Any) -> list[tuple[str, Any]]:
    names = [name for name in dir(library.c) if name.startswith("gpt2edge_")]
    found = [(name, ffi.typeof(getattr(library.c, name))) for name in names]
    return [(name.removeprefix("gpt2edge_"), f) for name, f in found if f.args]


def test_null_everywhere(library: Any) -> None:
    """Closing null does nothing, and of nothing there is nothing to step or append."""
    fine = {*(f"{kind}_close" for kind in KINDS), "text_step", "session_append"}
    for name, function in functions(library):
        found = status(library, name, *map(zero, function.args))
        assert (found == library.c.GPT2EDGE_OK) == (name in fine), name


@pytest.mark.parametrize("address", [1, 3, 8, 2**47 - 8, 2**64 - 1])
def test_garbage_handles(library: Any, address: int) -> None:
    tried = 0
    out = ffi.new("char[8192]")  # room for whatever is written
    for name, function in functions(library):
        for place in handle_arguments(function):
            arguments = [
                ffi.cast(a, out) if a.kind == "pointer" else zero(a) for a in function.args
            ]
            arguments[place] = ffi.cast(function.args[place], address)
            assert status(library, name, *arguments) == library.c.GPT2EDGE_ERROR_HANDLE, name
            tried += 1
    assert tried > 25


def test_handles_of_another_kind_and_closed_ones(library: Any, model: Any) -> None:
    text = library.text(model, "It is", max_tokens=1)
    for kind, other in itertools.product(KINDS, (text, model)):
        if (kind, other) not in (("text", text), ("model", model)):
            wrong = ffi.cast(f"gpt2edge_{kind}*", other)
            assert status(library, f"{kind}_close", wrong) == library.c.GPT2EDGE_ERROR_HANDLE
    library.call("text_close", text)
    with pytest.raises(CError, match="no open text"):
        library.call("text_close", text)
    with pytest.raises(CError, match="no open text"):
        library.piece(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": -5}, "top_k"),
        ({"top_p": 2.0}, "top_p"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"max_time": float("nan")}, "max_time"),
        ({"discard": -7}, "discard"),
        ({"forced_first_token": -2}, "forced_first_token"),
        ({"forced_first_token": 10**6}, "forced_first_token"),
        ({"logit_bias": {10**6: 1.0}}, "logit_bias"),
        ({"stop": [""]}, "stop"),
        ({"keep": -2}, "keep"),
        ({"logprobs": -1}, "logprobs"),
        ({"max_draft_tokens": 99, "prompt_lookup": 1}, "draft"),
    ],
)
def test_options_out_of_range(library: Any, model: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(CError, match=said) as raised:
        library.rest(library.text(model, "It is", **options))
    assert raised.value.status == library.c.GPT2EDGE_ERROR_ARGUMENT


def test_wrong_constants(library: Any, model: Any, python_model: GPT2) -> None:
    with pytest.raises(CError, match="kv_type is 9"):
        library.model(python_model.path, kv_type=9)
    with pytest.raises(CError, match="n_ctx"):
        library.model(python_model.path, n_ctx=-1)
    huge = library.model(python_model.path, n_ctx=2**31 - 1)
    for overflow in ("stop", "slide"):
        with pytest.raises(CError, match="n_ctx is 2147483647; this model has positions for 1 to"):
            library.text(huge, "A", context_overflow=overflow)
    library.call("model_close", huge)
    options = library.options()
    options.context_overflow = 3
    with pytest.raises(CError, match="context_overflow is 3"):
        library.made("text", "text_open", model, b"a", 1, options)
    options = library.options()
    options.n_stop = 1
    with pytest.raises(CError, match="stop is null"):
        library.made("text", "text_open", model, b"a", 1, options)
    options.n_stop = 2**63
    options.stop = ffi.cast("char**", 8)
    with pytest.raises(CError, match="no size"):
        library.made("text", "text_open", model, b"a", 1, options)


def test_structs_of_older_and_newer_programs(library: Any, model: Any) -> None:
    options = library.options(seed=1, max_tokens=4)
    expected = library.rest(library.made("text", "text_open", model, b"It is", 5, options))
    older = ffi.new("char[]", bytes(ffi.buffer(options)))
    given = ffi.cast("gpt2edge_text_options*", older)
    given.size = ffi.offsetof("gpt2edge_text_options", "context_overflow")
    for i in range(given.size, ffi.sizeof(older)):
        older[i] = b"\xff"  # what an older program has there is no option
    text = library.made("text", "text_open", model, b"It is", 5, given)
    assert library.rest(text) == expected

    newer = ffi.new("char[]", bytes(ffi.buffer(options)) + bytes(16))
    given = ffi.cast("gpt2edge_text_options*", newer)
    given.size = ffi.sizeof(newer)
    text = library.made("text", "text_open", model, b"It is", 5, given)
    assert library.rest(text) == expected
    newer[ffi.sizeof(newer) - 1] = b"\x01"
    with pytest.raises(CError, match="does not know") as raised:
        library.made("text", "text_open", model, b"It is", 5, given)
    assert raised.value.status == library.c.GPT2EDGE_ERROR_UNSUPPORTED
    for size in (0, 1, 10**9):
        given.size = size
        with pytest.raises(CError, match="size"):
            library.made("text", "text_open", model, b"It is", 5, given)
        piece = library.struct("piece")
        piece.size = size
        with pytest.raises(CError, match="size"):
            library.call("text_next", library.text(model, "It is"), piece)


def test_bad_files(library: Any, model: Any, python_model: GPT2, tmp_path: Path) -> None:
    data = python_model.path.read_bytes()
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(data[:5000])
    c = library.c
    for path, expected in (
        (tmp_path / "none.gguf", c.GPT2EDGE_ERROR_FILE),
        (tmp_path, c.GPT2EDGE_ERROR_FILE),
        (damaged, c.GPT2EDGE_ERROR_FORMAT),
    ):
        with pytest.raises(CError, match=path.name) as raised:
            library.made("model", "model_open", bytes(path), ffi.NULL)
        assert raised.value.status == expected
    with pytest.raises(CError) as raised:
        library.made("file", "file_open_bytes", data, 5000)
    assert raised.value.status == c.GPT2EDGE_ERROR_FORMAT
    with pytest.raises(CError) as raised:
        library.made("text", "text_resume", model, bytes(damaged), -1)
    assert raised.value.status == c.GPT2EDGE_ERROR_FORMAT


def test_messages_are_of_the_thread(library: Any) -> None:
    with pytest.raises(CError, match="model is null"):
        library.encode(ffi.NULL, "a")
    seen = []

    def other() -> None:
        seen.append(ffi.string(library.c.gpt2edge_error_message()))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [b""]


def test_closing_while_others_work(library: Any, python_model: GPT2) -> None:
    loaded = library.model(python_model.path)
    texts = [library.text(loaded, "It is", max_tokens=200, ignore_eos=True) for _ in range(4)]
    errors: list[int] = []

    def write(text: Any) -> None:
        try:
            library.rest(text)
        except CError as error:
            errors.append(error.status)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    library.call("model_close", loaded)
    for text in texts[:2]:
        library.call("text_close", text)
    for thread in threads:
        thread.join()
    assert set(errors) <= {library.c.GPT2EDGE_ERROR_HANDLE}
