"""The texts of a request, in the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from pygpt2edge.engine import QueueFullError, Request
from pygpt2edge.engine.batch import seeds
from pygpt2edge.errors import ContextLengthError, MissingDependencyError
from pygpt2edge.generate.results import Completion, Piece
from pygpt2edge.options import SamplingParams
from pygpt2edge.serve.http.errors import ApiError, invalid
from pygpt2edge.serve.http.threads import beside
from pygpt2edge.serve.service import Service


@dataclass
class Text:
    """One text. `pieces` may be read once; `end` it in any case."""

    service: Service
    prompt: int  # which of the request's prompts it continues
    request: Request
    submitted: float

    async def pieces(self) -> AsyncIterator[Piece]:
        """Its pieces. Raises ApiError where the text fails."""
        waited = None
        try:
            async for piece in self.request:
                if waited is not None:
                    yield piece
                    continue
                waited = time.perf_counter() - self.submitted
                yield piece  # first: it is on its way before it is counted
                self.service.metrics.first_token.observe(waited)
        except ContextLengthError as error:
            raise invalid(str(error), code="context_length_exceeded") from None
        except ValueError as error:
            raise invalid(str(error), _field(str(error))) from None
        except MemoryError as error:
            raise ApiError(503, f"not enough memory: {error}") from None

    async def result(self) -> Completion:
        """The whole text."""
        async for _ in self.pieces():
            continue
        return self.request.completion()

    def end(self) -> None:
        """Ends the text, if it has not ended. It does not wait for the step that is under way."""
        self.request.cancel()


async def results(texts: Sequence[Text]) -> list[Completion]:
    """The whole texts, which end with it, also where one fails or the client is gone."""
    try:
        return [await text.result() for text in texts]
    finally:
        for text in texts:
            text.end()


async def submit(
    service: Service, prompts: Sequence[Sequence[int]], n: int, params: SamplingParams
) -> list[Text]:
    """n texts of each prompt; all of them or, where an error is raised, none."""
    if n > 1:  # the engine keeps what it has read, here the prompts, for texts that begin so
        read = replace(params, max_tokens=0, logprobs=0)
        await _read(await _submit(service, [(i, p, read) for i, p in enumerate(prompts)]))
    jobs = []
    for index, prompt in enumerate(prompts):
        if n == 1:  # where no seed is given, the text draws one
            jobs.append((index, prompt, params))
            continue
        jobs += [(index, prompt, replace(params, seed=seed)) for seed in seeds(params.seed, n)]
    return await _submit(service, jobs)


async def _read(texts: Sequence[Text]) -> None:
    try:
        for text in texts:
            await text.request.wait()
    finally:
        for text in texts:
            text.request.cancel()


async def _submit(
    service: Service, jobs: Sequence[tuple[int, Sequence[int], SamplingParams]]
) -> list[Text]:
    texts: list[Text] = []
    try:
        # A language that the text must be of is compiled, which takes long.
        size = sum(len(prompt) + (_LONG if params.language else 0) for _, prompt, params in jobs)
        await beside(size, lambda: _submit_each(service, jobs, texts))
        # The engine's thread wants the interpreter's lock, which this one lets go of so: the answer
        # is begun beside the pass, not before it.
        await asyncio.sleep(0)
    except BaseException:
        for text in texts:
            text.request.cancel()
        raise
    return texts


def _submit_each(
    service: Service,
    jobs: Sequence[tuple[int, Sequence[int], SamplingParams]],
    texts: list[Text],
) -> None:
    for index, prompt, params in jobs:
        try:
            request = service.engine.submit(prompt, params)
        except QueueFullError as error:
            raise ApiError(
                429, str(error), code="queue_full", headers={"Retry-After": "1"}
            ) from None
        except ContextLengthError as error:
            raise invalid(str(error), "prompt", "context_length_exceeded") from None
        except (ValueError, TypeError, IndexError, MemoryError) as error:
            raise invalid(str(error), _field(str(error))) from None
        except MissingDependencyError as error:
            raise ApiError(501, str(error)) from None
        except RuntimeError:  # closed
            raise ApiError(503, "the server is stopping", headers={"Retry-After": "5"}) from None
        request.add_done_callback(service.metrics.text_ended)
        texts.append(Text(service, index, request, time.perf_counter()))


_LONG = 1 << 16


def _field(message: str) -> str:
    """The field that a message of the engine is about, which it begins with."""
    name = message.split(" ", 1)[0].rstrip(",")
    return name if name in SamplingParams.__dataclass_fields__ else "prompt"
