"""The core's encoder gives the ids that tiktoken gives, for any text and any vocabulary."""

from __future__ import annotations

import functools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import pygpt2edge
from pygpt2edge import FormatError, Tokenizer, _core

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
LETTERS = "abAB'.1"  # as tokens they stand for themselves
END = "<|end|>"

# Characters of all planes, those that decide where text is cut more often than chance would have.
fragments = st.one_of(
    st.text(max_size=6),
    st.text(st.characters(categories=["Cs", "Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Nl", "No"])),
    st.sampled_from([" ", "  ", "\n", "\r\n\t", "\u3000", "\x1c", "\x85", "\u180e", "\ufeff"]),
    st.sampled_from(["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'l", "''", " '", "don't"]),
    st.sampled_from(["the", " and", "12", "\u0663", "!?"]),
    st.sampled_from(["e\u0301", "\u6f22", "\U0001f642", "\U00010400"]),
    st.sampled_from(["<|endoftext|>", "<|endoftext", "|>", END, "new york", "new york city"]),
)  # fmt: skip
texts = st.lists(fragments, max_size=16).map("".join)


@functools.cache
def official() -> Tokenizer:
    path = str(pygpt2edge.demo_model_path())
    return Tokenizer(_core.tokenizer_tables(_core.GgufFile(path)))


def same(tokenizer: Tokenizer, text: str, allow_special: bool = False) -> list[int]:
    tokens = tokenizer.encode(text, allow_special=allow_special)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert tokenizer.core.encode(whole, allow_special) == tokens, ascii(text)
    return tokens


@settings(deadline=None, max_examples=400)
@given(texts, st.booleans())
def test_any_text(text: str, allow_special: bool) -> None:
    same(official(), text, allow_special)


def test_all_characters() -> None:
    """Each after a space and a letter, and before a letter and a digit: its class shows."""
    for first in range(0, sys.maxunicode + 1, 256):
        codes = range(first, first + 256)
        characters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
        same(official(), "".join(f" {c}a{c}1{c}{c}" for c in characters))


@st.composite
def vocabularies(draw: st.DrawFn) -> Tokenizer:
    """Any merges of any tokens, a few added ones, and perhaps not all letters."""
    tokens = list(draw(st.sets(st.sampled_from(LETTERS), min_size=2)))
    if draw(st.booleans()):
        tokens.append("\u0120")  # GPT-2's spelling of a space
    merges: list[str] = []
    for _ in range(draw(st.integers(0, 20))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if f"{left} {right}" not in merges:
            merges.append(f"{left} {right}")
            tokens += [left + right] if left + right not in tokens else []
    types = [NORMAL] * len(tokens)
    for text in draw(st.sets(st.text(LETTERS + " \u00e9", min_size=1, max_size=5), max_size=4)):
        if text not in tokens:
            tokens.append(text)
            types.append(draw(st.sampled_from([CONTROL, USER_DEFINED])))
    order = draw(st.permutations(range(len(tokens))))
    end = draw(st.one_of(st.none(), st.integers(0, len(tokens) - 1)))
    shuffled = [tokens[i] for i in order], [types[i] for i in order]
    return Tokenizer(_core.TokenizerTables(*shuffled, merges, None, end, "drawn"))


@settings(deadline=None, max_examples=300)
@given(vocabularies(), st.text(LETTERS + " \u00e9", max_size=150), st.booleans())
def test_any_vocabulary(tokenizer: Tokenizer, text: str, allow_special: bool) -> None:
    """What it lacks a byte for is refused with the same words."""
    try:
        expected = tokenizer.encode(text, allow_special=allow_special)
    except ValueError as error:
        with pytest.raises(ValueError, match=f"^{error}$"):
            tokenizer.core.encode(text, allow_special)
    else:
        assert tokenizer.core.encode(text, allow_special) == expected


@settings(deadline=None)
@given(st.binary(max_size=40))
@example(b"\xe2\x80(\xf0\x9f\x99\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf\xe2\x82\xac\xe2\x82")
def test_bytes_that_are_no_utf8_are_read_as_python_replaces_them(data: bytes) -> None:
    expected = official().encode(data.decode("utf-8", "replace"))
    assert official().core.encode(data) == expected


@pytest.mark.parametrize("length", [63, 64, 65, 66, 1000])
@pytest.mark.parametrize("run", ["a", "ab", "\u6f22", "=", "=-", "7", " ", "\n "])
def test_long_words(run: str, length: int) -> None:
    """Around the length from which pairs wait in a queue."""
    text = (run * length)[:length]
    same(official(), text)
    same(official(), f"{text} b")


@pytest.mark.slow
@pytest.mark.parametrize("run", ["a", "\u6f22", "!", "7", " ", "\u3000", " \n", "ab "])
def test_a_million_characters(run: str) -> None:
    same(official(), "so" + run * 1_000_000 + "x")


def test_added_tokens_that_are_the_same_text() -> None:
    """A control token's text may be what a spelled token stands for. The lowest id counts."""
    tokens = ["a", "\u0120", "\u0120a", " a", "b"]
    tables = _core.TokenizerTables(tokens, [1, 1, 1, 3, 1], ["\u0120 a"], None, 2, "same")
    assert same(Tokenizer(tables), "b a", allow_special=True) == [4, 2]
    assert same(Tokenizer(tables), "b a") == [4, 2]


def test_an_added_token_that_is_no_utf8_is_in_no_text() -> None:
    """Bytes of it may be in a text, within a character."""
    tokens = ["\u00c3", "\u00a9", "a"]  # spelled, as the bytes C3 and A9
    tables = _core.TokenizerTables(tokens, [1, 1, 1], [], 0, 1, "bytes")
    assert same(Tokenizer(tables), "a\u00e9", allow_special=True) == [2, 0, 1]


def test_many_added_tokens_the_longest_first() -> None:
    added = ["a" * n for n in range(2, 200)] + [END, END[:-1], "b" + END]
    tokens = ["a", "b", *added]
    types = [NORMAL, NORMAL] + [USER_DEFINED] * len(added)
    tokenizer = Tokenizer(_core.TokenizerTables(tokens, types, [], None, None, "many"))
    assert same(tokenizer, "a" * 250 + "b" + END) == [199, 51, tokens.index("b" + END)]
    assert same(tokenizer, END[:-1] + "a") == [tokens.index(END[:-1]), 0]


def test_threads_share_an_encoder() -> None:
    encoder = official().core
    parts = [f"{i} threads' words, \u6f22\u5b57 {'x' * 200}" for i in range(64)]
    expected = [encoder.encode(part) for part in parts]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(encoder.encode, parts)) == expected


def test_damaged_tables_make_no_encoder() -> None:
    with pytest.raises(FormatError, match="uses or makes a token that is not in"):
        _core.Tokenizer(_core.TokenizerTables(["a", "b"], [], ["a b"], None, None, "damaged"))
    with pytest.raises(TypeError):
        _core.Tokenizer(None)  # type: ignore[arg-type]


def test_without_tiktoken_the_core_encodes() -> None:
    text = "<|endoftext|>It's a truth \U0001f642 universally"
    program = (
        "import sys; sys.modules['tiktoken'] = None\n"
        "from pygpt2edge import GPT2\n"
        f"print(GPT2().tokenizer.encode({text!a}, allow_special=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{official().encode(text, allow_special=True)}\n", done.stderr
