"""Hanging up: what nobody reads any more is not computed. The application is driven as a server
drives it, so that the moment is known at which it learns that the client is gone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pygpt2edge import GPT2, Engine, _core

pytest.importorskip("starlette", reason="needs starlette")

from starlette.applications import Starlette
from starlette.types import Message, Scope

from pygpt2edge.serve.app import create_app
from pygpt2edge.serve.settings import Settings

ENDLESS = {"prompt": "x", "max_tokens": 4000, "ignore_eos": True, "context_overflow": "slide"}
LONG = list(range(1000, 1900))
REQUESTS: dict[str, dict[str, Any]] = {
    "a text": ENDLESS,
    "a text, streamed": ENDLESS | {"stream": True},
    "texts": ENDLESS | {"n": 4},
    "texts, streamed": ENDLESS | {"n": 4, "stream": True},
    "more texts than run": ENDLESS | {"prompt": ["x"] * 20},
    "a prompt": ENDLESS | {"prompt": LONG},
    "a prompt of texts": ENDLESS | {"prompt": LONG, "n": 2},
    "a prompt of texts, streamed": ENDLESS | {"prompt": LONG, "n": 2, "stream": True},
}


def engine_of(app: Starlette) -> Engine:
    engine: Engine = app.state.service.engine
    return engine


@pytest.fixture
def slow_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes as slow as those of a large model: many would fit where one was meant."""
    step = _core.step_together

    def slow(texts: Any) -> None:
        step(texts)
        time.sleep(0.03)

    monkeypatch.setattr(_core, "step_together", slow)


@pytest.fixture
def app(model: GPT2, slow_passes: None) -> Iterator[Starlette]:
    made = create_app(model, Settings(max_batch=16))
    yield made
    engine_of(made).close()


class Client:
    """Sends one request, and hangs up when it is told to.

    `passes` is how many the engine had made when the application learnt of it.
    """

    def __init__(self, app: Starlette, fields: dict[str, Any]) -> None:
        self._app, self._engine = app, engine_of(app)
        self._body = json.dumps(fields).encode()
        self._is_sent = False
        self._gone = asyncio.Event()
        self.passes: int | None = None

    async def receive(self) -> Message:
        if not self._is_sent:
            self._is_sent = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        if self.passes is None:
            self.passes = self._engine.n_passes
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        assert message.get("status", 200) in (200, 499)

    async def hang_up_after(self, is_time: Callable[[], bool]) -> None:
        scope: Scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "path": "/v1/completions", "query_string": b"", "headers": [(b"host", b"localhost")],
        }  # fmt: skip
        request = asyncio.create_task(self._app(scope, self.receive, self.send))
        while not is_time():
            assert not request.done()
            await asyncio.sleep(0.001)
        self._gone.set()
        await request


async def until_idle(engine: Engine) -> None:
    end = time.monotonic() + 20
    while engine.n_running or engine.n_waiting:
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("fields", REQUESTS.values(), ids=REQUESTS)
def test_texts_end_within_two_passes(app: Starlette, fields: dict[str, Any]) -> None:
    engine = engine_of(app)

    async def passes_after_hanging_up(n_before: int) -> int:
        client = Client(app, fields)
        first = engine.n_passes
        await client.hang_up_after(lambda: engine.n_passes - first >= n_before)
        await until_idle(engine)
        assert client.passes is not None
        return engine.n_passes - client.passes

    for n_before in (1, 2, 4):
        assert asyncio.run(passes_after_hanging_up(n_before)) <= 2


@pytest.mark.parametrize("stream", [True, False])
def test_the_scoring_of_a_prompt_ends(
    app: Starlette, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """128 tokens are scored at a time."""
    n_calls = 0
    rank = _core.append_and_rank

    def counted(*args: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        return rank(*args)

    monkeypatch.setattr(_core, "append_and_rank", counted)
    client = Client(app, ENDLESS | {"prompt": LONG, "echo": True, "logprobs": 1, "stream": stream})
    asyncio.run(client.hang_up_after(lambda: n_calls == 2))
    assert n_calls <= 3
    assert engine_of(app).n_passes == 0


def test_the_queue_forgets_who_is_gone(model: GPT2, slow_passes: None) -> None:
    """Requests that wait end at once, and leave their place to others."""
    with Engine(model, max_batch=1, max_queue=2) as engine:
        running = engine.submit("x", max_tokens=200, ignore_eos=True)
        next(running)
        for _ in range(5):
            waiting = [engine.submit("x") for _ in range(2)]
            for request in waiting:
                request.cancel()
                assert request.result().finish_reason == "cancelled"
            assert engine.n_waiting == 0
        running.cancel()
