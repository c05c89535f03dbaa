"""The core's classes of characters are those that tiktoken's regular expressions have."""

from __future__ import annotations

import sys

import tiktoken

from pygpt2edge import _core

CLASSES = {"letter": r"\p{L}", "mark": r"\p{M}", "number": r"\p{N}", "space": r"\s"}


def having(expression: str) -> set[int]:
    """The code points that have a class: text that a pattern does not match leaves no tokens."""
    encoding = tiktoken.Encoding(
        "class",
        pat_str=expression,
        mergeable_ranks={bytes([b]): b for b in range(256)},
        special_tokens={},
    )
    codes = (code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    return {code for code in codes if encoding.encode_ordinary(chr(code))}


def test_all_code_points() -> None:
    expected = {name: having(expression) for name, expression in CLASSES.items()}
    found: dict[str, set[int]] = {name: set() for name in [*CLASSES, "other"]}
    for code in range(sys.maxunicode + 1):
        found[_core.character_class(code)].add(code)
    assert {name: found[name] for name in CLASSES} == expected


def test_what_is_no_code_point() -> None:
    assert _core.character_class(sys.maxunicode + 1) == "other"
