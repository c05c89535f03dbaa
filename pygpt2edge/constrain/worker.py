"""A thread that computes beside the one that asks.

A pool's thread of concurrent.futures does the same. Its futures, with locks and conditions of their
own, took 1% of the time of a token with 124M parameters in each of the two threads.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from pygpt2edge.process.lock import ProcessLock

Result = TypeVar("Result")


class Task(Generic[Result]):
    """Something that is computed."""

    def __init__(self, compute: Callable[[], Result]) -> None:
        self._compute = compute
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._process = os.getpid()
        self._is_running = threading.Lock()
        self._is_running.acquire()

    def run(self) -> None:
        """Computes it, in the worker's thread."""
        try:
            self._results.append(self._compute())
        except BaseException as error:
            self._error = error
        finally:
            self._is_running.release()

    def wait(self) -> None:
        """Waits until it is computed, or has failed. Raises RuntimeError where the thread that
        computes it stayed behind in a parent process."""
        if self._process != os.getpid() and not self._results and self._error is None:
            raise RuntimeError(
                "the next tokens of this text were being computed by another thread when the "
                "process forked: begin the text anew in this process"
            )
        with self._is_running:
            pass

    def result(self) -> Result:
        """Waits for what is computed. Raises what computing it raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._results[0]


class Worker:
    """Computes tasks in the order in which they are begun."""

    def __init__(self, name: str) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def begin(self, compute: Callable[[], Result]) -> Task[Result]:
        """Returns without waiting for it."""
        task = Task(compute)
        self._tasks.put(task.run)
        return task

    def stop(self) -> None:
        """Ends the thread when all is computed."""
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (run := self._tasks.get()) is not None:
            run()


_workers: list[Worker] = []
_lock = ProcessLock()


def mask_worker() -> Worker:
    """The one thread of all texts: masks are needed in the order in which they are begun."""
    with _lock:
        if not _workers:
            _workers.append(Worker("pygpt2edge-masks"))
        return _workers[0]


@atexit.register
def _stop() -> None:
    """Before the interpreter ends, which a thread in foreign code must not see."""
    while _workers:
        _workers.pop().stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.clear)
