"""`pygpt2edge generate` with a constraint."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import Run, one_line_error

pytest.importorskip("llguidance", reason="needs llguidance, of the constrain extra")


def test_texts_of_a_form(run: Run, tmp_path: Path) -> None:
    form = r" (yes|no), [0-9]{3}"
    done = run("generate", "A", "--no-echo", "-q", "--seed", "1", "--regex", form)
    assert re.fullmatch(form, done.stdout.removesuffix("\n"))
    schema = {"type": "array", "items": {"enum": ["one", "two"]}, "minItems": 2, "maxItems": 4}
    (tmp_path / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    for given in (("-j", json.dumps(schema)), ("-jf", str(tmp_path / "schema.json"))):
        done = run("generate", "A", "--json", "--seed", "1", *given)
        assert set(json.loads(json.loads(done.stdout)["text"])) <= {"one", "two"}
    (tmp_path / "list.gbnf").write_text('root ::= (" " [a-c]){2}\n', encoding="utf-8")
    for given in (
        ("--grammar", 'root ::= (" " [a-c]){2}'),
        ("--grammar-file", str(tmp_path / "list.gbnf")),
    ):
        done = run("generate", "A", "--no-echo", "-q", "--n", "2", "--seed", "1", *given)
        assert re.fullmatch("( [a-c]){2}\n---\n( [a-c]){2}\n", done.stdout)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--regex", "a(b"), 1, "regex, at character 1, '(b': unclosed group"),
        (("--regex", "a", "--grammar", "b"), 2, "regex and grammar are given, expected one"),
        (("-j", "{"), 2, "json_schema is no JSON"),
        (("-j", "{}", "-jf", "x.json"), 2, "give one of --json-schema and --json-schema-file"),
        (("--grammar-file", "missing.gbnf"), 1, "missing.gbnf: No such file"),
        (("--regex", "a", "--num-beams", "2"), 2, "--regex does not go with --num-beams"),
    ],
)
def test_what_is_wrong_is_told(run: Run, words: tuple[str, ...], status: int, told: str) -> None:
    assert told in one_line_error(run("generate", "A", *words), status)


def test_a_saved_text_goes_on(run: Run, tmp_path: Path) -> None:
    words = (
        "generate",
        "The letter of ",
        "--regex",
        "[0-9]{1,2} (May|June) 18[0-9]{2}",
        "--seed",
        "3",
    )
    path = str(tmp_path / "text.p2e")
    whole = json.loads(run(*words, "--json").stdout)
    run(*words, "-n", "2", "--save", path)
    found = json.loads(run("generate", "--resume", path, "-n", "20", "--json").stdout)
    assert found["text"] == whole["text"]


def test_token_healing_is_on_unless_told(run: Run) -> None:
    for flags, n, given in (((), 3, None), (("--no-token-healing",), 4, False)):
        words = ("generate", "It is a ", "--regex", "[a-z]+", "--temp", "0", "--json", *flags)
        found = json.loads(run(*words).stdout)
        assert len(found["prompt_tokens"]) == n
        assert found["options"]["token_healing"] is given
