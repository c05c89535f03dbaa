"""The pieces of several texts as one sequence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from pygpt2edge.generate.results import Piece
from pygpt2edge.serve.completions.texts import Text

# A text's number, and its next piece, None at its end.
Numbered = tuple[int, Piece | None]


async def merged(texts: Sequence[Text]) -> AsyncGenerator[Numbered, None]:
    """The pieces of all texts as they come. Raises what `Text.pieces` does."""
    if len(texts) == 1:
        async for piece in texts[0].pieces():
            yield 0, piece
        yield 0, None
        return
    queue: asyncio.Queue[Numbered | Exception] = asyncio.Queue(1)
    tasks = [asyncio.create_task(_pump(i, text, queue)) for i, text in enumerate(texts)]
    try:
        n_open = len(texts)
        while n_open:
            found = await queue.get()
            if isinstance(found, Exception):
                raise found
            n_open -= found[1] is None
            yield found
    finally:
        for task in tasks:
            task.cancel()


async def _pump(index: int, text: Text, queue: asyncio.Queue[Numbered | Exception]) -> None:
    try:
        async for piece in text.pieces():
            await queue.put((index, piece))
        await queue.put((index, None))
    except Exception as error:
        await queue.put(error)
