"""Where tokens are in their text."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence

Place = tuple[int, int]  # from the first character to the one behind the last


def character_places(pieces: Sequence[bytes]) -> list[Place]:
    """Of pieces of a text in UTF-8 that follow one another, in characters. One that is a part of a
    character has all of it."""
    whole = b"".join(pieces)
    begins = [i for i, byte in enumerate(whole) if byte & 0xC0 != 0x80]
    places = []
    for piece, end in zip(pieces, itertools.accumulate(map(len, pieces)), strict=True):
        first = end - len(piece)
        last = max(end - 1, first)
        places.append((bisect_right(begins, first) - 1, bisect_right(begins, last)))
    return places
