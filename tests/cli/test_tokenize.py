"""`pygpt2edge tokenize`: text to tokens and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pygpt2edge import GPT2, Tokenizer

from .conftest import Run, one_line_error

TEXT = "Hello, \U0001f913 world\n"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return GPT2().tokenizer


def test_ids_and_pieces(run: Run, tokenizer: Tokenizer) -> None:
    lines = run("tokenize", TEXT).stdout.splitlines()
    tokens = tokenizer.encode(TEXT)
    assert [int(line.split()[0]) for line in lines] == tokens
    assert lines[0].endswith("'Hello'")
    assert lines[-1].endswith(r"'\n'")
    assert any(r"b' \xf0\x9f" in line for line in lines)  # a part of a character
    pieces = run("tokenize", TEXT, "--pieces").stdout.splitlines()
    assert pieces == [line.split(None, 1)[1] for line in lines]


def test_forms_of_output(run: Run, tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(TEXT)
    assert run("tokenize", TEXT, "--ids").stdout == " ".join(map(str, tokens)) + "\n"
    assert run("tokenize", TEXT, "--count").stdout == f"{len(tokens)}\n"
    result = json.loads(run("tokenize", TEXT, "--json").stdout)
    assert (result["text"], result["tokens"], result["count"]) == (TEXT, tokens, len(tokens))
    assert result["pieces"][0] == "Hello"


def test_text_from_stdin_and_files_is_taken_to_its_last_byte(
    run: Run, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    (tmp_path / "text.txt").write_bytes(TEXT.encode())
    expected = f"{len(tokenizer.encode(TEXT))}\n"
    assert run("tokenize", "--count", input=TEXT).stdout == expected
    assert run("tokenize", "--count", "-", input=TEXT).stdout == expected
    assert run("tokenize", "--count", "-f", "text.txt").stdout == expected


def test_decoding_gives_the_text_back_exactly(run: Run) -> None:
    ids = run("tokenize", TEXT, "--ids").stdout
    assert run("tokenize", "--decode", input=ids).stdout == TEXT
    listed = json.dumps(json.loads(run("tokenize", TEXT, "--json").stdout)["tokens"])
    assert run("tokenize", "--decode", listed).stdout == TEXT


def test_special_tokens_need_leave(run: Run) -> None:
    assert run("tokenize", "<|endoftext|>", "--ids", "--allow-special").stdout == "50256\n"
    assert len(run("tokenize", "<|endoftext|>", "--ids").stdout.split()) > 1


@pytest.mark.parametrize(
    ("args", "status", "found"),
    [
        (["--decode", "12 x"], 2, "'x'"),
        (["--decode", "--ids", "12"], 2, "--ids"),
        (["--decode", "50257"], 1, "50257"),
        (["a", "-f", "b"], 2, "--file"),
        (["-f", "missing.txt"], 1, "missing.txt"),
    ],
)
def test_errors(run: Run, args: list[str], status: int, found: str) -> None:
    assert found in one_line_error(run("tokenize", *args), status)
