"""A request to an engine, for its reader."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from pygpt2edge.generate.generation import Generation
from pygpt2edge.generate.results import Completion, Piece


class QueueFullError(RuntimeError):
    """An engine has as many requests waiting as it takes: try again later."""


class Request(Iterator[Piece], AsyncIterator[Piece]):
    """One text of an engine: iterate over its pieces, in a thread or a coroutine.

    Every piece goes to one reader. Errors of the request are raised where its pieces are read.
    """

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._pieces: deque[Piece] = deque()
        self._changed = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._callbacks: list[Callable[[Request], None]] | None = []  # None when they are called
        self._done = False
        self._error: BaseException | None = None

    def cancel(self) -> None:
        """Ends the text. The pieces generated so far can still be read."""
        self._generation.cancel()

    def done(self) -> bool:
        """Whether the text has ended, in an error too."""
        return self._done

    def add_done_callback(self, callback: Callable[[Request], None]) -> None:
        """Calls it with this request when the text has ended, before its reader learns of it; at
        once where it has. The caller's thread is the engine's: be quick, and raise nothing."""
        with self._changed:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        callback(self)

    def __next__(self) -> Piece:
        with self._changed:
            while not self._pieces and not self._done:
                self._changed.wait()
            piece = self._take()
        if piece is None:
            raise StopIteration
        return piece

    async def __anext__(self) -> Piece:
        while True:
            with self._changed:
                if self._pieces or self._done:
                    piece = self._take()
                    break
                loop = asyncio.get_running_loop()
                waiter = loop.create_future()
                self._waiting.append((loop, waiter))
            await waiter
        if piece is None:
            raise StopAsyncIteration
        return piece

    def completion(self, *, logprobs: bool = True) -> Completion:
        """The text so far, with its tokens and timings. It takes less time without the tokens'
        log-probabilities."""
        return self._generation.completion(logprobs=logprobs)

    def result(self) -> Completion:
        """Waits for the end of the text, and returns it whole. Raises the request's error."""
        for _ in self:
            pass
        return self.completion()

    async def wait(self) -> Completion:
        """`result`, for coroutines."""
        async for _ in self:
            pass
        return self.completion()

    def _take(self) -> Piece | None:
        if self._pieces:
            return self._pieces.popleft()
        if self._error is not None:
            raise self._error
        return None

    def _add(self, pieces: Sequence[Piece]) -> None:
        with self._changed:
            self._pieces.extend(pieces)
        self._wake_reader()

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            callbacks, self._callbacks = self._callbacks or [], None
        for callback in callbacks:  # without the lock, for which the last piece's reader would wait
            callback(self)
        with self._changed:
            self._done, self._error = True, error
        self._wake_reader()

    def _abandon(self, error: Exception) -> None:
        """Ends it in a child process, where whoever held its lock is not."""
        self._changed = threading.Condition()
        self._waiting, self._callbacks = [], None
        self._done, self._error = True, error

    def _wake_reader(self) -> None:
        with self._changed:
            self._changed.notify_all()
            waiting, self._waiting = self._waiting, []
        for loop, waiter in waiting:
            try:
                loop.call_soon_threadsafe(_wake, waiter)
            except RuntimeError:  # the reader's event loop is closed
                continue


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
