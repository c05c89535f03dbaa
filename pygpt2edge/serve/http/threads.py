"""Where the work of a request is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

Result = TypeVar("Result")

# Characters or tokens whose handling takes less time than a thread's start and the way back.
_SMALL = 4096


async def beside(size: int, work: Callable[[], Result]) -> Result:
    """The result of work on so many characters or tokens: in a thread where it takes long, so that
    others' events are sent meanwhile; at once where it does not."""
    if size <= _SMALL:
        return work()
    return await anyio.to_thread.run_sync(work)
