"""Stop strings and whole characters, against the obvious way on the whole text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygpt2edge._core import StopMatcher


def naive_cut(text: bytes, stops: list[bytes], n_ignored: int = 0) -> tuple[bytes, bytes | None]:
    """The text before the match that starts first, the shortest of those that start there. Matches
    within the first n_ignored bytes do not count."""
    for start in range(len(text)):
        for stop in sorted(stops, key=len):
            if text.startswith(stop, start) and start + len(stop) > n_ignored:
                return text[:start], stop
    return text, None


def run(
    pieces: list[bytes], stops: list[bytes], n_ignored: int = 0
) -> tuple[list[bytes], bytes | None]:
    """The released bytes and the stop string; the first n_ignored pieces cannot stop."""
    matcher = StopMatcher(stops)
    released = []
    for i, piece in enumerate(pieces):
        released.append(matcher.push(piece, can_stop=i >= n_ignored))
        if matcher.stopped:
            break
    released.append(matcher.finish())
    assert matcher.stopped == (matcher.stop_string is not None)
    return released, matcher.stop_string


# Few letters, so that stop strings overlap each other and themselves.
letters = st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=40).map(b"".join)
awkward_bytes = st.lists(
    st.one_of(
        st.sampled_from(["\u00e9", "\u6f22", "\U0001f642", "a", "b"]).map(str.encode),
        st.sampled_from(
            [b"\xc3", b"\xe0", b"\xed\xa0", b"\xf0\x9f", b"\xf4\x90", b"\x80", b"\xff"]
        ),
        st.binary(max_size=3),
    ),
    max_size=15,
).map(b"".join)
stop_strings = st.lists(
    st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=6).map(b"".join), max_size=4
)


@st.composite
def pieces_of(draw: st.DrawFn, texts: st.SearchStrategy[bytes]) -> list[bytes]:
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=len(text))))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.slow
@settings(max_examples=500)
@given(pieces_of(letters), stop_strings)
def test_cuts_where_the_whole_text_would_be_cut(pieces: list[bytes], stops: list[bytes]) -> None:
    released, stop = run(pieces, stops)
    assert (b"".join(released), stop) == naive_cut(b"".join(pieces), stops)


@settings(max_examples=200)
@given(pieces_of(letters), stop_strings, st.integers(0, 10))
def test_stop_strings_that_end_too_early_do_not_count(
    pieces: list[bytes], stops: list[bytes], n: int
) -> None:
    released, stop = run(pieces, stops, n)
    text = b"".join(pieces)
    assert (b"".join(released), stop) == naive_cut(text, stops, len(b"".join(pieces[:n])))


@settings(max_examples=300)
@given(
    pieces_of(awkward_bytes),
    st.lists(st.sampled_from(["a", "\u00e9b", "\u6f22\u6f22", "\U0001f642"]).map(str.encode)),
)
def test_pieces_decode_as_the_whole_does(pieces: list[bytes], stops: list[bytes]) -> None:
    released, stop = run(pieces, stops)
    assert (b"".join(released), stop) == naive_cut(b"".join(pieces), stops)
    whole = b"".join(released).decode("utf-8", "replace")
    assert "".join(piece.decode("utf-8", "replace") for piece in released) == whole


@settings(max_examples=300)
@given(pieces_of(awkward_bytes))
def test_holds_back_no_more_than_a_character(pieces: list[bytes]) -> None:
    """Bytes that can no longer become a character are not held."""
    matcher = StopMatcher([])
    seen, shown = b"", b""
    for piece in pieces:
        seen += piece
        shown += matcher.push(piece)
        held = seen[len(shown) :]
        assert len(held) <= 3
        completions = (held + bytes([0x80 + i]) * n for i in range(64) for n in (1, 2, 3))
        assert not held or any(is_utf8(text) for text in completions)
    assert shown + matcher.finish() == seen


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_a_character_spread_over_tokens_comes_whole() -> None:
    matcher = StopMatcher([])
    smile = "\U0001f642".encode()
    assert [matcher.push(smile[i : i + 1]) for i in range(4)] == [b"", b"", b"", smile]


def test_only_what_may_become_a_stop_string_is_held() -> None:
    matcher = StopMatcher([b"\nUser:"])
    assert matcher.push(b"Hello\nU") == b"Hello"
    assert matcher.push(b"S\n") == b"\nUS"
    assert matcher.push(b"User") == b""
    assert not matcher.stopped
    assert matcher.push(b": hi") == b""
    assert matcher.stopped
    assert matcher.stop_string == b"\nUser:"
    assert matcher.push(b"more") == b""
    assert matcher.finish() == b""


def test_a_stop_string_inside_a_piece_of_text_releases_what_comes_before() -> None:
    matcher = StopMatcher([b"END", b"\n\n"])
    assert matcher.push(b"one\n\ntwo END three") == b"one"
    assert matcher.stop_string == b"\n\n"


def test_a_match_waits_for_one_that_began_before_it() -> None:
    matcher = StopMatcher([b"bc", b"abcd"])
    assert matcher.push(b"xabc") == b"x"
    assert not matcher.stopped
    assert matcher.push(b"d") == b""
    assert matcher.stop_string == b"abcd"


@pytest.mark.parametrize("more", [b"e", None])
def test_a_waiting_match_holds_when_the_earlier_one_fails(more: bytes | None) -> None:
    matcher = StopMatcher([b"bc", b"abcd"])
    shown = matcher.push(b"xabc")
    shown += matcher.push(more) if more else matcher.finish()
    assert shown == b"xa"
    assert matcher.stop_string == b"bc"


def test_stop_strings_that_start_inside_a_character_do_not_split_it_early() -> None:
    matcher = StopMatcher([b"\xa9Z"])
    assert matcher.push("a\u00e9".encode()) == b"a"  # the e-acute's second byte may begin a stop
    assert matcher.push(b"b") == "\u00e9b".encode()


def test_long_repetitive_stop_strings_stay_linear() -> None:
    """A million bytes that nearly match a stop of ten thousand, many times over."""
    stop = b"a" * 10_000 + b"b"
    matcher = StopMatcher([stop])
    text = b"a" * 1_000_000
    assert matcher.push(text) == text[10_000:]
    assert matcher.push(b"b") == b""
    assert matcher.stop_string == stop


def test_empty_stop_strings_are_refused() -> None:
    with pytest.raises(ValueError, match="stop string 1 is empty"):
        StopMatcher([b"x", b""])
