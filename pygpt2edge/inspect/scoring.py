"""Log-probabilities of given tokens, without keeping all logits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pygpt2edge import _core
from pygpt2edge.errors import require
from pygpt2edge.loaded_model import LoadedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Rows of logits held at a time: 26 MB with GPT-2's vocabulary.
ROWS = 128
# Sessions in a pass. Each that goes on alone has at least a page of 64 tokens for itself: for the
# 1.5B model in f16, 16 of them take as much as a full context of 1,024 tokens.
_SESSIONS = 16

Part = tuple[_core.Session, Sequence[int], Sequence[int]]


def score(model: LoadedModel, text: str | Sequence[int]) -> NDArray[np.float32]:
    """See `GPT2.score`."""
    require("numpy", "an array of numbers")
    import numpy as np  # so late: what ranks texts needs none

    return np.array(scores_of(model, text), np.float32)


def scores_of(model: LoadedModel, text: str | Sequence[int]) -> list[float]:
    """The same as a list, which needs no numpy."""
    tokens = model.encoded(text)
    return _core.score(model.core_model, model.contexts, model.start_token, tokens)


def logprobs(parts: Iterable[Part]) -> Iterator[list[float]]:
    """Appends tokens to sessions, and yields how probable a target was after each of them.

    Args:
      parts: (session, tokens to append, as many targets). They are asked for when there is room for
        them, so that sessions made on the way do not all take memory at once.

    Yields, for each part in order, natural logarithms: float32 numbers, bit for bit the same
    whatever else shares the passes. Raises what `_core.append_and_score` does.
    """
    so_far: list[float] = []
    for pieces in _passes(parts):
        found = _core.append_and_score([part for part, _ in pieces])
        for scores, (_, ends) in zip(found, pieces, strict=True):
            so_far += scores
            if ends:
                yield so_far
                so_far = []


def _passes(parts: Iterable[Part]) -> Iterator[list[tuple[Part, bool]]]:
    """Pieces of parts, a pass at a time, and whether each is the last of its part."""
    pieces: list[tuple[Part, bool]] = []
    room = ROWS
    for session, tokens, targets in parts:
        first, ends = 0, False
        while not ends:
            if room == 0 or len(pieces) == _SESSIONS:
                yield pieces
                pieces, room = [], ROWS
            last = min(len(tokens), first + room)
            ends = last == len(tokens)
            pieces.append(((session, tokens[first:last], targets[first:last]), ends))
            room -= last - first
            first = last
    if pieces:
        yield pieces
