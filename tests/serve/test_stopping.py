"""SIGTERM: no new requests, and running ones have a time to end."""

from __future__ import annotations

import json
import signal
import threading
import time
from typing import Any

import pytest
from running_server import Running, alone, serving

from pygpt2edge import GPT2

httpx = pytest.importorskip("httpx", reason="needs httpx")


def in_thread(server: Running, **body: Any) -> tuple[threading.Thread, list[Any]]:
    """A request on its way, and where its answer will be."""
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(server.post("/v1/completions", {"prompt": "Once", **body}))
        except httpx.HTTPError as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while server.metric("pygpt2edge_texts_running") == 0 and thread.is_alive():
        time.sleep(0.002)
    return thread, found


@pytest.mark.parametrize("stream", [True, False])
def test_running_texts_end(model: GPT2, stream: bool) -> None:
    options = {"max_tokens": 400, "ignore_eos": True, "seed": 1}
    with serving("--grace", "20") as server:
        thread, found = in_thread(server, stream=stream, **options)
        assert server.stop() == 0
        thread.join()
        with pytest.raises(httpx.ConnectError):
            server.post("/v1/completions", {"prompt": "x"})
    [answer] = found
    assert answer.status_code == 200
    if stream:
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
        text = "".join(json.loads(line)["choices"][0]["text"] for line in lines)
    else:
        text = answer.json()["choices"][0]["text"]
    assert text == alone(model, "Once", **options)


@pytest.mark.parametrize("stream", [True, False])
def test_texts_are_cut_after_the_grace_period(stream: bool) -> None:
    with serving("--grace", "1", "--max-tokens", "1000000") as server:
        thread, _ = in_thread(
            server, stream=stream, max_tokens=1000000, ignore_eos=True, context_overflow="slide"
        )
        assert server.stop() == 0
        thread.join()


def test_ctrl_c(server: Running) -> None:
    with serving() as other:
        other.process.send_signal(signal.SIGINT)
        assert other.process.wait(20) == 0
        assert other.process.stderr is not None
        assert "Traceback" not in other.process.stderr.read()
