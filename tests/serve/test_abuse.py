"""What no client should send: each gets its error, and the texts of others do not change."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_server import Running, alone, serving

from pygpt2edge import GPT2

ROUTE = "/v1/completions"


def until(true: object, seconds: float = 20) -> None:
    """Waits for what comes soon."""
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def head(n_bytes: int, more: str = "") -> bytes:
    return (
        f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {n_bytes}\r\n{more}\r\n"
    ).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split()[1])


NOT_JSON = {
    "nothing": b"",
    "half": b'{"prompt": "On',
    "not utf-8": b'{"prompt": "\xff\xfe"}',
    "half a surrogate pair": b'{"prompt": "\\ud800"}',
    "nan": b'{"prompt": "x", "temperature": NaN}',
    "infinity": b'{"prompt": "x", "temperature": Infinity}',
    "too large": b'{"prompt": "x", "temperature": 1e309}',
    "too large a bias": b'{"prompt": "x", "logit_bias": {"5": 1e309}}',
    "deep list": b"[" * 100_000 + b"]" * 100_000,
    "deep prompt": b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep object": b'{"response_format": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "no object": b"5",
    "many prompts": json.dumps({"prompt": ["x"] * 10_000}).encode(),
    "great ids": b'{"prompt": [99999999999999999999999999]}',
    "ids outside": b'{"prompt": [50257]}',
    "negative seed": b'{"prompt": "x", "seed": -1}',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_bad_bodies(server: Running, body: bytes) -> None:
    answer = server.post(ROUTE, body)
    assert answer.status_code == 400, answer.text[:300]
    assert len(answer.json()["error"]["message"]) < 300


def test_body_over_the_limit(server: Running) -> None:
    answer = server.post(ROUTE, json.dumps({"prompt": "x" * (1 << 20)}).encode())
    assert answer.status_code == 413


def test_body_over_the_limit_in_chunks(server: Running) -> None:
    """Its length is not told beforehand."""
    request = (
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with server.connect() as client:
        client.sendall(request)
        for _ in range(17):
            client.sendall(chunk)
        assert status_of(client.recv(4096)) == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999"])
def test_lengths_that_are_none(server: Running, length: str) -> None:
    with server.connect() as client:
        client.sendall(head(0).replace(b"Content-Length: 0", f"Content-Length: {length}".encode()))
        assert status_of(client.recv(4096)) in (400, 413)


@contextmanager
def abuse(server: Running) -> Iterator[None]:
    """Everything of this file at once, for as long as the block runs."""
    going = threading.Event()

    def again() -> None:
        while not going.is_set():
            for body in NOT_JSON.values():
                server.post(ROUTE, body)

    threads = [threading.Thread(target=again) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        going.set()
        for thread in threads:
            thread.join()


def stream_slowly(server: Running, body: bytes) -> str:
    """A client that reads little by little, with little room for what is sent ahead."""
    with server.connect(receive_buffer=4096) as client:
        client.sendall(head(len(body), "Connection: close\r\n") + body)
        data = b""
        while part := client.recv(512):
            data += part
            time.sleep(0.001)
    return text_of(data)


def text_of(data: bytes) -> str:
    """The text of a stream's events."""
    lines = [line[6:] for line in data.decode().splitlines() if line.startswith("data: {")]
    return "".join(json.loads(line)["choices"][0]["text"] for line in lines)


def test_64_streams_of_clients_of_all_kinds(server: Running, model: GPT2) -> None:
    """Some read slowly, some hang up, some send half a request; all others get their text."""
    prompts = ["It is a truth", "Once upon a time", "The king", "In the"]

    def body(i: int, n: int = 40) -> bytes:
        fields = {"prompt": prompts[i % 4], "seed": i, "max_tokens": n, "stream": True}
        return json.dumps(fields).encode()

    def client(i: int) -> str | None:
        if i % 8 == 1:  # hangs up
            with server.connect() as gone:
                gone.sendall(head(len(body(i, 900))) + body(i, 900))
                gone.recv(300)
            return None
        if i % 8 == 2:  # half a request
            with server.connect() as gone:
                gone.sendall(head(500) + body(i)[:30])
            return None
        if i % 8 == 3:
            return stream_slowly(server, body(i))
        return text_of(server.post(ROUTE, body(i)).content)

    with abuse(server), ThreadPoolExecutor(64) as pool:
        texts = list(pool.map(client, range(64)))
    for i, text in enumerate(texts):
        if text is not None:
            assert text == alone(model, prompts[i % 4], seed=i, max_tokens=40)
    until(lambda: server.metric("pygpt2edge_texts_running") == 0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_ends_its_text(server: Running, stream: bool) -> None:
    before = server.metric("pygpt2edge_generated_tokens_total")
    body = json.dumps({"prompt": "x", "max_tokens": 4000, "stream": stream, "ignore_eos": True,
                       "context_overflow": "slide"}).encode()  # fmt: skip
    with server.connect() as client:
        client.sendall(head(len(body)) + body)
        until(lambda: server.metric("pygpt2edge_texts_running") == 1)
    until(lambda: server.metric("pygpt2edge_texts_running") == 0)
    assert server.metric("pygpt2edge_generated_tokens_total") - before < 3000


def test_slow_bodies_and_idle_connections_are_cut() -> None:
    with serving("--read-timeout", "1") as server:
        with server.connect() as client:
            client.sendall(head(100) + b'{"prompt"')
            assert status_of(client.recv(4096)) == 408
        with server.connect() as client:
            client.sendall(b"POST /v1/comp")
            assert client.recv(4096) == b""


def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    options = {"ignore_eos": True, "context_overflow": "slide", "logprobs": 100, "stream": True}
    body = json.dumps({"prompt": "x", "max_tokens": 4000, **options}).encode()
    with serving("--send-timeout", "1") as server, server.connect(4096) as client:
        client.sendall(head(len(body)) + body)
        until(lambda: server.metric("pygpt2edge_texts_running") == 1)
        until(lambda: server.metric("pygpt2edge_texts_running") == 0)
        assert server.metric("pygpt2edge_generated_tokens_total") < 4000


def test_queue_full() -> None:
    # One runs and two wait, where the engine is quick to take the first: no room for the fourth.
    body = {"prompt": "x", "max_tokens": 400, "ignore_eos": True, "n": 4}
    with serving("--max-queue", "2", "--max-batch", "1") as server:
        answer = server.post(ROUTE, body)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["type"] == "rate_limit_error"
        until(lambda: server.metric("pygpt2edge_texts_waiting") == 0)
        assert server.complete("x", max_tokens=1)["choices"]  # nothing of it is left in the queue


def test_memory_is_flat(server: Running) -> None:
    """tools/soak_server.py does it for 10,000 requests."""
    body = json.dumps({"prompt": "x", "max_tokens": 1, "seed": 1}).encode()
    wrong = [body, NOT_JSON["nan"], NOT_JSON["ids outside"], b'{"seed": 1}']

    def ask(n: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: server.post(ROUTE, wrong[i % 4]), range(n)))

    def resident() -> int:
        statm = Path(f"/proc/{server.process.pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * 4096

    ask(200)
    before = resident()
    ask(400)
    assert resident() - before < 4e6
