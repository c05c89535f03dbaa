"""Feeds bytes to what a server and its clients' languages are made of, by Atheris and libFuzzer.

    python tools/fuzz_serving.py serve_body [OPTION ...]

tools/fuzz.py runs these as it runs the fuzzers of the core; the options are libFuzzer's.

* serve_body: a request's route and body, through the whole application: the status is 2xx or 4xx,
  and an error has the body that clients expect.
* chat_template: a chat template: it makes a prompt of a chat, or is refused.
* constrain_regex, constrain_schema, constrain_grammar: a language and some tokens of it: they are
  found, or it is refused.

Anything else, more time than -timeout and more memory than -rss_limit_mb are findings. Needs
`pip install atheris`.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["pygpt2edge", "jinja2", "llguidance"]):
    from pygpt2edge import GPT2
    from pygpt2edge.constrain.constraint import Constraint, constraint_for
    from pygpt2edge.convert import convert
    from pygpt2edge.errors import FormatError
    from pygpt2edge.options import SamplingParams
    from pygpt2edge.serve.app import ENDPOINTS, create_app
    from pygpt2edge.serve.chat_template import ChatTemplate
    from pygpt2edge.serve.settings import Settings
    from pygpt2edge.serve.template_sandbox import TemplateRefusal

DATA = Path(__file__).resolve().parents[1] / "tests" / "data" / "convert"
PROMPT = "a b"
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello, <|endoftext|>\n"},
]
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}{% endfor %}"
# The least that a request may ask for, so that each takes little time.
SETTINGS = Settings(
    chat_template=TEMPLATE, max_tokens=16, max_texts=4, max_batch=4, max_beams=3, max_logprobs=3,
    max_attention=16,
)  # fmt: skip
ROUTES = [(each.path, each.takes) for each in ENDPOINTS if each.takes is not None]
MOST_TOKENS = 12


def load_model() -> GPT2:
    """The checkpoint of 296 tokens that the tests have."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.gguf"
        convert(DATA / "hugging_face", path, "f32")
        return GPT2(path, n_threads=1)


# ---- requests ----


class Client:
    """Sends bodies to the application of a model, without a network."""

    def __init__(self) -> None:
        self._app = create_app(load_model(), SETTINGS)
        self._loop = asyncio.new_event_loop()

    def __call__(self, data: bytes) -> None:
        """The first byte says which route, the second where the body is cut in two."""
        if len(data) < 2:
            return
        path, _ = ROUTES[data[0] % len(ROUTES)]
        body = data[2:]
        cut = data[1] * len(body) // 255
        status, answer = self._loop.run_until_complete(self._ask(path, [body[:cut], body[cut:]]))
        check_answer(status, answer)

    async def _ask(self, path: str, parts: list[bytes]) -> tuple[int, bytes]:
        messages = [
            {"type": "http.request", "body": part, "more_body": i + 1 < len(parts)}
            for i, part in enumerate(parts)
        ]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()  # the client waits for the whole answer
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": b"", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        }  # fmt: skip
        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def check_answer(status: int, answer: bytes) -> None:
    assert 200 <= status < 300 or 400 <= status < 500, (status, answer)
    if status >= 400:
        error = json.loads(answer)["error"]
        assert error.keys() == {"message", "type", "param", "code"}, error
        assert 0 < len(error["message"]) < 2000, error
    elif answer.startswith(b"data: "):
        for event in answer.split(b"\r\n\r\n" if b"\r\n\r\n" in answer else b"\n\n"):
            if event.strip() and event.strip() != b"data: [DONE]":
                json.loads(event.strip().removeprefix(b"data: "))
    else:
        json.loads(answer)


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 15, 295, 296, 2**31, 2**63, 2**64 - 1, 10**30, 0.0, 0.5,
    1e-9, 1e38, -1e300, "", "a", " a b", "\x00", "é\u2028🙂", "<|endoftext|>", "never", "text",
    [], {}, [0], [1, 2], ["a"], [["a"]], [[1], [2]], [0, "a"], {"type": "object"}, {"5": 1.5},
    {"type": "json_schema", "json_schema": {"schema": {"type": "integer"}}}, [{"role": "user"}],
    [{"role": "user", "content": "a"}], {"regex": "a+"}, "a*b", 'root ::= "a"', "x" * 300,
]  # fmt: skip


def mutate_body(data: bytes, most: int, seed: int) -> bytes:
    """Changes fields of the JSON behind the first two bytes, or bytes."""
    _, takes = ROUTES[data[0] % len(ROUTES)] if data else ROUTES[0]
    names = takes.__struct_fields__ if takes else ()
    return mutate_json(data, 2, most, random.Random(seed), names, VALUES)


def mutate_json(
    data: bytes, start: int, most: int, draw: random.Random, names: Sequence[str], values: list[Any]
) -> bytes:
    """Changes some fields of an object, however deep, most of the time; else bytes."""
    try:
        whole = json.loads(data[start:])
    except (ValueError, RecursionError):
        whole = None
    if not isinstance(whole, dict) or draw.random() < 0.3:
        return bytes(atheris.Mutate(data, most))
    for _ in range(draw.randint(1, 3)):
        inner = [part for part in parts_of(whole) if isinstance(part, dict)]
        fields = whole if draw.random() < 0.5 else draw.choice(inner)
        name = draw.choice([*fields, *names])
        if name in fields and draw.random() < 0.3:
            del fields[name]
        else:
            fields[name] = copy.deepcopy(draw.choice([*values, *parts_of(whole)]))
    changed = data[:start] + json.dumps(whole).encode()
    return changed if len(changed) <= most else data


def parts_of(value: Any) -> Iterator[Any]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from parts_of(inner)


# ---- chat templates ----


class Templates:
    """Makes prompts of a chat by templates that are the input."""

    def __init__(self) -> None:
        self._tokenizer = load_model().tokenizer
        self._settings = Settings(max_chat=10_000, template_timeout=0.5)

    def __call__(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        try:
            template = ChatTemplate(text, self._tokenizer, self._settings)
            tokens = template.tokens(CHAT)
        except (FormatError, TemplateRefusal) as error:
            check_message(error)
        else:
            assert all(0 <= token < self._tokenizer.n_vocab for token in tokens)


# ---- languages ----


class Languages:
    """Writes some tokens of languages that are the input."""

    def __init__(self, option: str) -> None:
        self._option = option
        self._tokenizer = load_model().tokenizer
        self._prompt = self._tokenizer.encode(PROMPT)

    def __call__(self, data: bytes) -> None:
        source = data.decode("utf-8", "surrogateescape")
        draw = random.Random(len(data))
        try:
            options: dict[str, Any] = {self._option: source}
            params = SamplingParams(**options)
            constraint = constraint_for(self._tokenizer, params, self._prompt)
            assert constraint is not None
            self._write(constraint, draw)
        except ValueError as error:
            check_message(error)

    def _write(self, constraint: Constraint, draw: random.Random) -> None:
        n_vocab = self._tokenizer.n_vocab
        _, is_whole = constraint.start()
        for _ in range(MOST_TOKENS):
            if is_whole:
                return
            constraint.begin_masks([], 0)
            (mask,) = constraint.masks()
            allowed = [i for i in range(n_vocab) if mask[i // 8] >> i % 8 & 1]
            assert allowed
            token = draw.choice(allowed)
            if token == self._tokenizer.eos_token:
                return
            _, is_whole = constraint.accept(token)


def check_message(error: Exception) -> None:
    message = str(error)
    assert message, "no message"
    assert len(message) < 1000, message
    assert "\n" not in message, message


def mutate_schema(data: bytes, most: int, seed: int) -> bytes:
    """Changes keywords of a schema, or bytes."""
    return mutate_json(data, 0, most, random.Random(seed), KEYWORDS, SCHEMA_VALUES)


KEYWORDS = (
    "type", "properties", "required", "additionalProperties", "patternProperties", "items",
    "prefixItems", "minItems", "maxItems", "anyOf", "oneOf", "allOf", "not", "enum", "const",
    "$ref", "$defs", "$id", "minimum", "maximum", "exclusiveMinimum", "multipleOf", "minLength",
    "maxLength", "pattern", "format", "minProperties", "x-guidance", "a",
)  # fmt: skip
SCHEMA_VALUES: list[Any] = [
    "object", "array", "string", "number", "integer", "boolean", "null", "date-time", "email",
    "#", "#/$defs/a", "#/properties/a", "^a+$", "(a|b){2,5}", 0, 1, -1, 3, 0.1, 1e308, 10**20,
    100_000, True, False, None, ["a"], ["string", "null"], [1, "a", None, {}], [], {},
    {"a": {"type": "integer"}}, [{"type": "string"}, {"type": "null"}], {"$ref": "#"},
    {"whitespace_flexible": True}, {"^a": {}},
]  # fmt: skip


TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "serve_body": Client,
    "chat_template": Templates,
    "constrain_regex": lambda: Languages("regex"),
    "constrain_schema": lambda: Languages("json_schema"),
    "constrain_grammar": lambda: Languages("grammar"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("options", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    test_one_input = TARGETS[given.target]()
    mutators = {"serve_body": mutate_body, "constrain_schema": mutate_schema}
    own = {"custom_mutator": mutators[given.target]} if given.target in mutators else {}
    atheris.Setup([sys.argv[0], *given.options], test_one_input, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
