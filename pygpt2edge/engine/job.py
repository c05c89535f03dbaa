"""One of many texts, as the engine sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pygpt2edge.engine.request import Request
from pygpt2edge.generate.generation import Generation
from pygpt2edge.generate.results import Piece

PAGE = 64  # positions by which a session's memory grows


class Job(Request):
    """A request, and how far the engine is with it."""

    def __init__(self, generation: Generation) -> None:
        super().__init__(generation)
        self.generation = generation
        self.n_pages = _pages_needed(generation)  # at most
        self.n_given = 0  # of the pending tokens, to the window
        self.seconds = 0.0  # that took

    @property
    def is_cancelled(self) -> bool:
        """Whether its reader wants no more."""
        return self._cancelled

    @property
    def n_left(self) -> int:
        """How many of the pending tokens the window has not been given."""
        return len(self.generation.pending) - self.n_given

    def give(self, pieces: Sequence[Piece], done: bool, error: BaseException | None = None) -> None:
        """Passes pieces on to the reader, and at the end what went wrong, if anything."""
        self._add(pieces, done, error)


def pages(n_tokens: int) -> int:
    """How many pages so many tokens take."""
    return -(-n_tokens // PAGE)


def _pages_needed(generation: Generation) -> int:
    window, limit = generation.window, generation.options.max_tokens
    n_tokens = math.inf if limit is None else len(generation.pending) + limit
    n_ctx = window.session.n_ctx
    return pages(n_ctx if n_tokens > n_ctx else int(n_tokens)) * window.n_contexts(n_tokens)
