"""Many texts at once: requests that join and leave a batch at any step."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, final

from pygpt2edge import _core
from pygpt2edge.generation import Generation
from pygpt2edge.prefix_cache import PrefixCache
from pygpt2edge.results import Completion, Piece

if TYPE_CHECKING:
    from pygpt2edge.model import GPT2
    from pygpt2edge.window import Parts

# Tokens of prompts that a step takes beside running texts, which wait for them, and without any.
_PREFILL_BESIDE, _PREFILL_ALONE = 64, 256
# Positions by which a session's memory grows.
_PAGE = 64


class QueueFullError(RuntimeError):
    """An engine has as many requests waiting as it takes: try again later."""


class Request(Iterator[Piece], AsyncIterator[Piece]):
    """One text that an engine writes: iterate over its pieces, in a thread or a coroutine.

    Every piece goes to one reader. Errors of the request are raised where its pieces are read.
    """

    def __init__(self, generation: Generation, n_pages: int) -> None:
        self._generation = generation
        self._n_pages = n_pages  # it will need at most
        self._pieces: deque[Piece] = deque()
        self._changed = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._done = False
        self._cancelled = False
        self._error: BaseException | None = None
        self._n_given = 0  # of the pending tokens, to the window
        self._seconds = 0.0  # that took

    def cancel(self) -> None:
        """Ends the text where it is. What is written already can still be read."""
        with self._changed:
            self._cancelled = True

    @property
    def done(self) -> bool:
        """Whether nothing more will be written."""
        return self._done

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

    def completion(self) -> Completion:
        """The text so far, with its tokens and timings."""
        return self._generation.completion()

    def result(self) -> Completion:
        """Waits for the end of the text, and returns it whole. Raises what went wrong."""
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

    def _add(self, pieces: Sequence[Piece], done: bool, error: BaseException | None = None) -> None:
        with self._changed:
            self._pieces.extend(pieces)
            self._done, self._error = done, error
            self._changed.notify_all()
            waiting, self._waiting = self._waiting, []
        for loop, waiter in waiting:
            try:
                loop.call_soon_threadsafe(_wake, waiter)
            except RuntimeError:  # the reader's loop has ended: nobody waits any more
                continue


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


@final
class Engine:
    """Writes many texts at once, each exactly as it would be written alone.

    Every step is one pass over the weights for all running texts. Requests join in the order they
    came, as soon as there is room; a long prompt is read in parts, between which the other texts go
    on. Texts that begin alike share the work and the memory of what they have in common, now and
    later.

    Args:
      model: whose texts; several engines may share it, and take turns.
      max_batch: the most texts at once.
      max_queue: the most requests that wait; more raise QueueFullError.
      cache_bytes: the most memory for keys and values, of running texts and of beginnings that are
        kept for later. None means what `max_batch` full contexts take, or half of the memory that
        is free if that is less. A request that alone needs more is refused.
      keep_prefixes: whether to keep what is computed for texts to come that begin alike.

    Methods may be called from any thread. Use it in a `with`, or `close()` it.

    >>> from pygpt2edge import GPT2
    >>> with Engine(GPT2()) as engine:
    ...     requests = [engine.submit(p, max_tokens=3, seed=1) for p in ("Once", "It is")]
    ...     [len(request.result().tokens) for request in requests]
    [3, 3]
    """

    def __init__(
        self,
        model: GPT2,
        *,
        max_batch: int = 16,
        max_queue: int = 1024,
        cache_bytes: int | None = None,
        keep_prefixes: bool = True,
    ) -> None:
        if max_batch < 1 or max_queue < 1:
            raise ValueError(
                f"max_batch is {max_batch} and max_queue {max_queue}; give 1 or more each"
            )
        self._model = model
        self._max_batch, self._max_queue = max_batch, max_queue
        full = model.memory["cache"]
        self._page_bytes = full // _pages(model.n_ctx)
        if cache_bytes is None:
            cache_bytes = max(full, min(max_batch * full, _core.available_memory() // 2))
        self.cache_bytes = cache_bytes
        self._prefixes = PrefixCache() if keep_prefixes else None
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="pygpt2edge-engine", daemon=True)
        self._thread.start()

    def submit(self, prompt: str | Sequence[int], **options: Any) -> Request:
        """Queues a text. Takes the options of `GPT2.stream`, and raises what it raises.

        Raises QueueFullError when too many requests wait, MemoryError when the text could outgrow
        `cache_bytes`, ContextLengthError for a prompt that is too long, RuntimeError after close().
        """
        generation = self._model.stream(prompt, **options)
        generation.window.check(generation.pending)
        n_pages = _pages_needed(generation)
        if n_pages * self._page_bytes > self.cache_bytes:
            raise MemoryError(
                f"the text may need {n_pages * self._page_bytes:,} bytes of cache and cache_bytes "
                f"is {self.cache_bytes:,}: lower max_tokens or raise cache_bytes"
            )
        request = Request(generation, n_pages)
        with self._changed:
            if self._closing:
                raise RuntimeError("the engine is closed")
            if len(self._waiting) >= self._max_queue:
                raise QueueFullError(
                    f"{len(self._waiting)} requests wait already: try again later, or raise "
                    "max_queue"
                )
            self._waiting.append(request)
            self._changed.notify()
        return request

    def close(self) -> None:
        """Cancels all requests and ends the engine's thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # ---- the engine's own thread ----

    def _work(self) -> None:
        while self._admit():
            try:
                self._step()
            except BaseException as error:  # whatever it is, the readers are to hear of it
                for request in list(self._running):
                    request._add((), True, error)
                self._running.clear()
        for request in (*self._running, *self._waiting):
            request._add((), True)

    def _admit(self) -> bool:
        """Lets requests in, waiting while there are none; False when the engine is to end."""
        with self._changed:
            while not self._closing and not self._running and not self._waiting:
                self._changed.wait()
            if self._closing:
                return False
            while self._waiting and len(self._running) < self._max_batch:
                pages = sum(r._n_pages for r in self._running) + self._waiting[0]._n_pages
                if self._running and pages * self._page_bytes > self.cache_bytes:
                    break
                self._running.append(self._waiting.popleft())
        for request in self._running:
            self._reuse_prefix(request)
        return True

    def _reuse_prefix(self, request: Request) -> None:
        """What is known of a new request's prompt is not computed again."""
        generation = request._generation
        if self._prefixes is None or request._n_given or len(generation.window.session):
            return
        known = self._prefixes.session_for(generation.pending)
        if known is not None:
            generation.window.adopt(known)
            request._n_given = len(known)

    def _step(self) -> None:
        """One pass for all running texts."""
        for request in [r for r in self._running if r._cancelled]:
            self._leave(request)
        parts: Parts = []
        shares = self._shares()
        for request, n in shares:
            tokens = request._generation.pending[request._n_given : request._n_given + n]
            parts += request._generation.window.plan(tokens, request._generation.n_logits)
        self._make_room()
        start = time.perf_counter()
        try:
            _core.append_together(parts)
        except MemoryError as error:
            self._relieve(error)
            return
        seconds = time.perf_counter() - start
        for request, n in shares:
            request._generation.window.commit()
            request._n_given += n
            request._seconds += seconds
            if request._n_given == len(request._generation.pending):
                self._advance(request)

    def _shares(self) -> list[tuple[Request, int]]:
        """How many of its pending tokens each request gives to this step.

        Prompts share what there is for them evenly, so that a short one does not wait for a long
        one that came before.
        """
        reading = [r for r in self._running if not r._generation.has_begun]
        writes = len(reading) < len(self._running)
        share = (_PREFILL_BESIDE if writes else _PREFILL_ALONE) // max(1, len(reading))
        shares = []
        for request in self._running:
            left = len(request._generation.pending) - request._n_given
            shares.append((request, min(left, max(1, share)) if request in reading else left))
        return shares

    def _advance(self, request: Request) -> None:
        """The pending tokens of a request are computed: on to the next."""
        generation = request._generation
        generation.note_computed(request._seconds)
        request._n_given, request._seconds = 0, 0.0
        if not generation.has_begun:
            self._keep_prefix(generation, whole_pages=True)
        try:
            pieces = generation.advance()
        except Exception as error:
            self._leave(request, error=error)
            return
        if generation.finished:
            self._leave(request, pieces)
        else:
            request._add(pieces, False)

    def _leave(
        self, request: Request, pieces: Sequence[Piece] = (), error: Exception | None = None
    ) -> None:
        self._running.remove(request)
        self._keep_prefix(request._generation)
        request._generation.window.release()
        request._add(pieces, True, error)

    def _keep_prefix(self, generation: Generation, whole_pages: bool = False) -> None:
        """Keeps what a text has computed; of one that goes on, `whole_pages` only: it would have to
        copy the last one before it writes to it."""
        if self._prefixes is None or not generation.window.in_one_context:
            return
        session = generation.window.session
        n = len(session)
        self._prefixes.add(session, n - n % _PAGE if whole_pages else n)

    def _relieve(self, error: MemoryError) -> None:
        """Memory ran out: kept beginnings go first, then the request that came last."""
        if self._prefixes is None or not self._prefixes.drop_oldest():
            self._leave(self._running[-1], error=error)

    def _make_room(self) -> None:
        """Gives up kept beginnings while all pages together take more than they may."""
        if self._prefixes is None:
            return
        to_come = len(self._running) * self._page_bytes
        while self._model.cache_bytes_used + to_come > self.cache_bytes:
            if not self._prefixes.drop_oldest():
                return


def _pages(n_tokens: int) -> int:
    return -(-n_tokens // _PAGE)


def _pages_needed(generation: Generation) -> int:
    window, limit = generation.window, generation.options.max_tokens
    n_tokens = math.inf if limit is None else len(generation.pending) + limit
    n_ctx = window.session.n_ctx
    return _pages(n_ctx if n_tokens > n_ctx else int(n_tokens)) * window.n_contexts(n_tokens)
