"""Text to tokens and back, against Hugging Face's tokenizers (committed by
tools/make_tokenizer_golden.py) and tiktoken (live)."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

import pygpt2edge
from pygpt2edge import FormatError, Tokenizer, _core

DATA = Path(__file__).resolve().parents[1] / "data" / "tokenizer"
END_OF_TEXT = "<|endoftext|>"

# The pattern as first published, with nothing done for speed.
PUBLISHED_PATTERN = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)

# Texts made of what tokenizers get wrong more often than chance would.
texts = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.text(st.characters(categories=["Cs", "Zs", "Zl", "Zp", "Cc", "Mn", "Nl", "No"])),
        st.sampled_from([" ", "  ", "\n", "\r\n", "\u3000", "'s", "'LL", "don't", END_OF_TEXT]),
        st.sampled_from(["\U0001f469\u200d\U0001f467", "e\u0301", "\u6f22\u5b57", "12", "!?"]),
    ),
    max_size=12,
).map("".join)


@functools.cache
def golden(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text(encoding="ascii"))
    return content


@functools.cache
def official() -> Tokenizer:
    path = str(pygpt2edge.demo_model_path())
    return Tokenizer(_core.tokenizer_tables(_core.GgufFile(path)))


@functools.cache
def made_from(name: str) -> Tokenizer:
    tables = golden(name)
    end = tables["tokens"].index(END_OF_TEXT) if END_OF_TEXT in tables["tokens"] else None
    return Tokenizer(
        _core.TokenizerTables(
            tables["tokens"], tables["token_types"], tables["merges"], None, end, name
        )
    )


def tokenizer_named(name: str) -> Tokenizer:
    return official() if name == "official" else made_from(name)


@functools.cache
def reference() -> tiktoken.Encoding:
    """tiktoken's gpt2, from the same file, by another way: ids straight from the token list."""
    file = _core.GgufFile(str(pygpt2edge.demo_model_path()))
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    byte_of = {chr(b): b for b in printable}
    byte_of |= {chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in printable)}
    ranks = {}
    for i, token in enumerate(file.strings("tokenizer.ggml.tokens")):
        if token != END_OF_TEXT:
            ranks[bytes(byte_of[c] for c in token)] = i
    return tiktoken.Encoding(
        "reference",
        pat_str=PUBLISHED_PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: 50256},
        explicit_n_vocab=50257,
    )


@pytest.mark.parametrize("name", ["official", "trained", "contrived"])
def test_equals_hugging_face(name: str) -> None:
    tokenizer = tokenizer_named(name)
    for text, plain, special in golden(name)["cases"]:
        assert tokenizer.encode(text) == plain, ascii(text)
        assert tokenizer.encode(text, allow_special=True) == special, ascii(text)
        assert tokenizer.count(text) == len(plain)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(texts)
def test_equals_tiktoken(text: str) -> None:
    tokens = official().encode(text)
    assert tokens == reference().encode(text, disallowed_special=())
    special = official().encode(text, allow_special=True)
    assert special == reference().encode(text, allowed_special="all")
    assert official().decode(tokens) == reference().decode(tokens)


@pytest.mark.slow
@settings(deadline=None)
@given(st.sampled_from(["official", "trained"]), texts.filter(str.isprintable))
def test_decoding_gives_the_text_back(name: str, text: str) -> None:
    tokenizer = tokenizer_named(name)
    for allow_special in (False, True):
        tokens = tokenizer.encode(text, allow_special=allow_special)
        assert tokenizer.decode(tokens, errors="strict") == text
        assert b"".join(map(tokenizer.token_bytes, tokens)) == text.encode()


@settings(deadline=None)
@given(st.lists(st.integers(0, 50256)))
def test_any_tokens_decode(tokens: list[int]) -> None:
    assert official().decode_bytes(tokens) == reference().decode_bytes(tokens)
    assert official().decode(tokens) == reference().decode(tokens)


def test_bytes_that_are_no_utf8_decode_as_asked() -> None:
    tokenizer = official()
    broken = [next(i for i in range(256) if tokenizer.token_bytes(i) == b"\xf0")]
    assert tokenizer.decode(broken) == "\ufffd"
    assert tokenizer.decode(broken, errors="ignore") == ""
    with pytest.raises(UnicodeDecodeError):
        tokenizer.decode(broken, errors="strict")


@pytest.mark.parametrize("text", ["\ud800", "a\udc00b", "\udc00\ud800", "\ud83d\ude42!"])
def test_surrogates_are_read_as_tiktoken_reads_them(text: str) -> None:
    assert official().encode(text) == reference().encode(text)


def test_end_of_text_is_plain_text_unless_allowed() -> None:
    tokenizer = official()
    text = f"One{END_OF_TEXT}Two"
    assert tokenizer.eos_token == tokenizer.bos_token == 50256
    assert 50256 not in tokenizer.encode(text)
    assert tokenizer.encode(text, allow_special=True) == [
        *tokenizer.encode("One"),
        50256,
        *tokenizer.encode("Two"),
    ]
    assert tokenizer.decode([50256]) == END_OF_TEXT


def test_added_tokens_are_found_in_plain_text_the_longest_first() -> None:
    tokenizer = made_from("trained")
    ids = {text: golden("trained")["tokens"].index(text) for text in ("new york", "new york city")}
    assert tokenizer.encode("new york city") == [ids["new york city"]]
    assert tokenizer.encode("new yorknew york city") == list(ids.values())


@pytest.mark.slow
@pytest.mark.parametrize("run", [" ", "\n", "\u3000", " \n"])
@pytest.mark.parametrize("after", ["", " x", "\u3000x"])
def test_a_million_spaces(run: str, after: str) -> None:
    """Far beyond what tiktoken's pattern can take at once."""
    text = "so" + run * (1_000_000 // len(run)) + after
    tokens = official().encode(text)
    assert official().decode(tokens, errors="strict") == text
    # Like a short run, which tiktoken manages alone, it begins and ends.
    short = reference().encode("so" + run * (3200 // len(run)) + after)
    assert tokens[:20] == short[:20]
    assert tokens[-3:] == short[-3:]


@pytest.mark.slow
@pytest.mark.parametrize("run", ["a", "\u6f22", "!", "7"])
def test_a_million_characters_of_one_word(run: str) -> None:
    text = run * 1_000_000
    tokens = official().encode(text)
    assert official().decode(tokens, errors="strict") == text
    assert tokens[:20] == reference().encode(run * 400)[:20]


@pytest.mark.slow
@pytest.mark.parametrize("run", [" ", "\n", " \n\t", "\x85"])
def test_cutting_off_long_runs_changes_no_token(run: str) -> None:
    """Around the length from which runs are cut off, tiktoken still manages alone."""
    for length in (19_998, 19_999, 20_000, 20_001, 40_001):
        long = (run * length)[:length]
        for text in (long, f"a{long}b", f"{long} b{long}", f"\x1c{long}\x1c{long}\n"):
            assert official().encode(text) == reference().encode(text)


def test_a_byte_the_vocabulary_lacks_is_named() -> None:
    tokenizer = Tokenizer(_core.TokenizerTables(["a", "b", "ab"], [], ["a b"], None, None, "cut"))
    assert tokenizer.encode("abba") == [2, 1, 0]
    with pytest.raises(ValueError, match="no token for the byte 0x63"):
        tokenizer.encode("abc")


@pytest.mark.parametrize("token", [-1, 50257, 2**40])
def test_an_id_that_is_no_token_is_refused(token: int) -> None:
    with pytest.raises(ValueError, match=f"no token {token}; ids are 0 to 50256"):
        official().decode([0, token])


def write_vocabulary(folder: Path, vocabulary: object, merges: str) -> tuple[Path, Path]:
    encoder, bpe = folder / "encoder.json", folder / "vocab.bpe"
    encoder.write_text(json.dumps(vocabulary), encoding="utf-8")
    bpe.write_text(merges, encoding="utf-8")
    return encoder, bpe


@pytest.mark.parametrize("version", ["#version: 0.2\n", ""])
def test_from_files(tmp_path: Path, version: str) -> None:
    tables = golden("contrived")
    vocabulary = {token: i for i, token in enumerate([*tables["tokens"], END_OF_TEXT])}
    merges = version + "\n".join(tables["merges"]) + "\n"
    tokenizer = Tokenizer.from_files(*write_vocabulary(tmp_path, vocabulary, merges))
    for text, plain, _ in tables["cases"]:
        assert tokenizer.encode(text) == plain
    assert tokenizer.eos_token == tokenizer.n_vocab - 1
    assert tokenizer.encode(END_OF_TEXT, allow_special=True) == [tokenizer.eos_token]


@pytest.mark.parametrize(
    ("vocabulary", "merges", "problem"),
    [
        ([], "", "expected an object"),
        ({}, "", "has no vocabulary"),
        ({"a": 0, "b": 2}, "", "not 0, 1, 2"),
        ({"a": 0, "b": "1"}, "", "not 0, 1, 2"),
        ({"a": 0, "b": 1}, "a b\n", r"merges\[0\] uses or makes a token"),
        ({"a": 0, "b": 1}, "a  b\n", r"merges\[0\] is not two tokens"),
    ],
)
def test_files_that_are_no_vocabulary_are_named(
    tmp_path: Path, vocabulary: object, merges: str, problem: str
) -> None:
    with pytest.raises(FormatError, match=f"encoder.json.*{problem}"):
        Tokenizer.from_files(*write_vocabulary(tmp_path, vocabulary, merges))
