"""Continuous batching: requests join and leave a batch at any step."""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, final
from weakref import WeakSet

from pygpt2edge import _core
from pygpt2edge.engine.job import Job
from pygpt2edge.engine.prefix_cache import PrefixCache
from pygpt2edge.engine.request import QueueFullError, Request
from pygpt2edge.generate.results import Piece
from pygpt2edge.generate.stream import stream
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import SamplingOptions, SamplingParams, resolved

if TYPE_CHECKING:
    from typing_extensions import Unpack


@final
class Engine:
    """Generates many texts at once, each identical to generating it alone.

    Every step is one pass over the weights for all running texts (continuous batching). Requests
    join in the order of submission, as soon as there is room. Long prompts are computed in chunks,
    between which the other texts continue (chunked prefill). Texts with a common prefix share its
    computation and memory, also with finished texts (prefix caching).

    Args:
      model: the loaded model; several engines may share it, and take turns.
      max_batch: the maximum number of running texts.
      max_queue: the maximum number of waiting requests; more raise QueueFullError.
      cache_bytes: the most memory for keys and values, of running texts and of kept prefixes.
        None means the size of `max_batch` full contexts, or half of the free memory if that is
        less. A request that alone needs more is refused.
      keep_prefixes: whether to keep keys and values for later texts with the same prefix.

    Methods may be called from any thread. Use it in a `with`, or `close()` it.

    Examples:
      >>> from pygpt2edge import GPT2
      >>> with Engine(GPT2()) as engine:
      ...     requests = [engine.submit(p, max_tokens=3, seed=1) for p in ("Once", "It is")]
      ...     [len(request.result().tokens) for request in requests]
      [3, 3]
    """

    def __init__(
        self,
        model: LoadedModel,
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
        self._page_bytes = model.page_bytes
        if cache_bytes is None:
            cache_bytes = max(full, min(max_batch * full, _core.available_memory() // 2))
        self.cache_bytes = cache_bytes
        self._prefixes = PrefixCache() if keep_prefixes else None
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._jobs: WeakSet[Job] = WeakSet()
        self._changed = threading.Condition()
        self._closing = False
        self._why_closed = "the engine is closed"
        self._n_passes = 0
        self._offered: list[_core.Session] = []  # to be kept
        self._thread = threading.Thread(target=self._work, name="pygpt2edge-engine", daemon=True)
        self._thread.start()
        _open_engines.add(self)

    def submit(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Request:
        """Queues a text. Takes the options of `GPT2.stream`, and raises what it raises.

        Raises QueueFullError when too many requests wait, MemoryError when the text could outgrow
        `cache_bytes`, ContextLengthError for a prompt that is too long, RuntimeError after close().
        """
        text = stream(self._model, prompt, resolved("submit", params, options))
        job = Job(text, self._withdraw)
        job.core_text.check()
        n_bytes = job.n_pages * self._page_bytes
        if n_bytes > self.cache_bytes:
            raise MemoryError(
                f"the text may need {n_bytes:,} bytes of cache and cache_bytes is "
                f"{self.cache_bytes:,}: lower max_tokens or raise cache_bytes"
            )
        with self._changed:
            if self._closing:
                raise RuntimeError(self._why_closed)
            if len(self._waiting) >= self._max_queue:
                raise QueueFullError(
                    f"{len(self._waiting)} requests wait already: try again later, or raise "
                    "max_queue"
                )
            self._jobs.add(job)
            self._waiting.append(job)
            self._changed.notify()
        return job

    def keep(self, session: _core.Session) -> None:
        """Keeps the keys and values of a session, which must not be appended to any more, for later
        texts that begin with its tokens: like those of a finished text, as long as there is room.
        """
        with self._changed:
            self._offered.append(session)
            self._changed.notify()

    @property
    def is_running(self) -> bool:
        """Whether it takes requests."""
        return self._thread.is_alive() and not self._closing

    @property
    def n_running(self) -> int:
        """How many texts are computed now."""
        return len(self._running)

    @property
    def n_waiting(self) -> int:
        """How many requests wait until there is room for them."""
        return len(self._waiting)

    @property
    def n_passes(self) -> int:
        """How many passes over the weights it has made."""
        return self._n_passes

    def close(self) -> None:
        """Cancels all requests and ends the engine's thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        _open_engines.discard(self)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _withdraw(self, job: Job) -> None:
        """A cancelled request does not wait for its turn to end."""
        with self._changed:
            if job not in self._waiting:
                return
            self._waiting.remove(job)
        job.end()

    def _leave(self) -> None:
        """In a child process: the engine's thread stayed with the parent, and may have held locks
        of its requests."""
        self._changed = threading.Condition()
        self._closing = True
        self._why_closed = (
            "the engine stayed with the process that forked: make an Engine in this process"
        )
        for job in [job for job in self._jobs if not job.done()]:
            job.abandon(RuntimeError(self._why_closed))
        self._running, self._waiting = [], deque()

    # ---- the engine's own thread ----

    def _work(self) -> None:
        while self._admit():
            try:
                self._step()
            except BaseException as error:  # of any kind: the readers raise it
                for job in list(self._running):
                    job.end(error)
                self._running.clear()
        for job in (*self._running, *self._waiting):
            job.cancel()
            job.end()

    def _admit(self) -> bool:
        """Admits requests, waiting while there are none; False when the engine is closing."""
        with self._changed:
            while not (self._closing or self._running or self._waiting or self._offered):
                self._changed.wait()
            if self._closing:
                return False
            admitted = []
            n_pages = sum(job.n_pages for job in self._running)
            while self._waiting and len(self._running) < self._max_batch:
                n_pages += self._waiting[0].n_pages
                if self._running and n_pages * self._page_bytes > self.cache_bytes:
                    break
                admitted.append(self._waiting.popleft())
                self._running.append(admitted[-1])
            offered, self._offered = self._offered, []
        if self._prefixes is not None:
            for session in offered:
                self._prefixes.add(session)
        for job in admitted:
            self._reuse_prefix(job)
        return True

    def _reuse_prefix(self, job: Job) -> None:
        """Begins a new request with the kept keys and values of its prompt's prefix."""
        if self._prefixes is None:
            return
        known = self._prefixes.session_for(job.prompt)
        if known is not None:
            job.core_text.share(known)

    def _step(self) -> None:
        """One pass for all running texts."""
        for job in [job for job in self._running if job.core_text.finished]:  # cancelled
            self._finish(job, job.take())
        self._make_room()
        if not self._running:
            return
        reading = {job for job in self._running if not job.core_text.has_begun}
        self._n_passes += 1
        try:
            _core.step_together([job.core_text for job in self._running])
        except MemoryError as error:
            self._free_memory(error)
            return
        for job in list(self._running):
            if job.core_text.finished:
                self._finish(job, job.take(), job.error())
                continue
            if job in reading and job.core_text.has_begun:
                self._keep_prefix(job)
            job.give(job.take())

    def _finish(
        self, job: Job, pieces: Sequence[Piece] = (), error: Exception | None = None
    ) -> None:
        job.give(pieces)
        self._running.remove(job)
        self._keep_prefix(job)
        job.core_text.release()
        job.end(error)

    def _keep_prefix(self, job: Job) -> None:
        """Keeps a text's keys and values for later texts with the same prefix."""
        if self._prefixes is not None and (known := job.core_text.prefix()) is not None:
            self._prefixes.add(known)

    def _free_memory(self, error: MemoryError) -> None:
        """Out of memory: drops kept prefixes first, then the newest request."""
        if self._prefixes is None or not self._prefixes.drop_oldest():
            self._finish(self._running[-1], error=error)

    def _make_room(self) -> None:
        """Drops kept prefixes while all pages together take more than cache_bytes."""
        if self._prefixes is None:
            return
        to_come = len(self._running) * self._page_bytes
        while self._model.cache_bytes_used + to_come > self.cache_bytes:
            if not self._prefixes.drop_oldest():
                return


_open_engines: WeakSet[Engine] = WeakSet()


@atexit.register
def _close_engines() -> None:
    """A thread that comes back from the core while the interpreter ends would abort the program."""
    for engine in list(_open_engines):
        engine.close()


def _leave_engines() -> None:
    for engine in list(_open_engines):
        engine._leave()
    _open_engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_engines)
