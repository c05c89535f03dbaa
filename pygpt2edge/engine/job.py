"""A request's text, for the engine's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pygpt2edge.engine.request import Request
from pygpt2edge.generate.generation import Generation
from pygpt2edge.generate.results import Piece


class Job(Request):
    """A request, and its text in the core.

    `withdraw` takes a job out of the queue, which need not be there.
    """

    def __init__(self, generation: Generation, withdraw: Callable[[Job], None]) -> None:
        super().__init__(generation)
        self._withdraw = withdraw
        self.core_text = generation.core_text
        self.prompt: list[int] = self.core_text.state().prompt
        self.n_pages: int = self.core_text.max_pages  # of keys and values

    def cancel(self) -> None:
        super().cancel()
        self._withdraw(self)

    def take(self) -> list[Piece]:
        """The pieces of the last step."""
        return self._generation.pieces()

    def error(self) -> Exception | None:
        """What ended the text, if it was an error."""
        try:
            self.core_text.check_error()
        except Exception as error:
            return error
        return None

    def give(self, pieces: Sequence[Piece]) -> None:
        """Passes pieces to the reader."""
        if pieces:
            self._add(pieces)

    def abandon(self, error: Exception) -> None:
        """Ends it in a child process, which has not the thread that writes it."""
        self._abandon(error)

    def end(self, error: BaseException | None = None) -> None:
        """Tells the reader that there are no more, and the error, if any."""
        self._end(error)
