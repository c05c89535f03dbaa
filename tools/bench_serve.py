"""Measures what the server costs against the engine alone, and beside llama-cpp-python's server.

    python tools/bench_serve.py MODEL [--streams 16] [--tokens 192] [--rounds 5] [--llama PYTHON]

Throughput is that of all streams at once, and the first token's delay that of one text at a time,
each the median of rounds by turns. --llama is an interpreter that has llama-cpp-python[server]; its
server computes one text at a time. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from pygpt2edge import GPT2
from pygpt2edge.engine import Engine

PROMPTS = [f"Chapter {i}. It is a truth universally acknowledged that" for i in range(64)]


def fields(i: int, n_tokens: int) -> dict[str, Any]:
    return {"max_tokens": n_tokens, "temperature": 1.0, "top_k": 40, "seed": i}


class InProcess:
    """The engine itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def throughput(self, n_streams: int, n_tokens: int) -> float:
        """Tokens a second."""

        def read(i: int) -> int:
            options = fields(i, n_tokens)
            request = self._engine.submit(PROMPTS[i], ignore_eos=True, **options)
            return sum(piece.token is not None for piece in request)

        start = time.perf_counter()
        with ThreadPoolExecutor(n_streams) as pool:
            total = sum(pool.map(read, range(n_streams)))
        return total / (time.perf_counter() - start)

    def first_token(self) -> float:
        """Seconds."""
        start = time.perf_counter()
        request = self._engine.submit(PROMPTS[0], ignore_eos=True, **fields(0, 1))
        next(request)
        found = time.perf_counter() - start
        request.result()
        return found


class OverHttp:
    """A server of OpenAI's completions; `more` are fields that only it has."""

    def __init__(self, port: int, more: dict[str, Any]) -> None:
        self._port, self._more = port, more

    def throughput(self, n_streams: int, n_tokens: int) -> float:
        async def all_streams() -> list[tuple[float, int]]:
            return await asyncio.gather(*(self._read(i, n_tokens) for i in range(n_streams)))

        start = time.perf_counter()
        total = sum(n for _, n in asyncio.run(all_streams()))
        return total / (time.perf_counter() - start)

    def first_token(self) -> float:
        return asyncio.run(self._read(0, 1))[0]

    async def _read(self, i: int, n_tokens: int) -> tuple[float, int]:
        """Seconds to the first event, and how many events there are for tokens."""
        body = {"prompt": PROMPTS[i], "stream": True, **fields(i, n_tokens), **self._more}
        data = json.dumps(body).encode()
        head = (
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        start = time.perf_counter()
        writer.write(head.encode() + data)
        first, n = 0.0, 0
        async for line in reader:
            if line.startswith(b'data: {"id"'):
                first = first or time.perf_counter() - start
                n += b'"text":""' not in line and b'"text": ""' not in line
        writer.close()
        return first, n


@contextmanager
def server(command: list[str], port: int) -> Iterator[None]:
    """Runs a server until the block ends; waits until it listens."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield
        finally:
            process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def by_turns(rounds: int, measures: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each measure."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for i in range(rounds + 1):
        for name, measure in measures.items():
            value = measure()
            if i:  # the first warms up
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def measure(
    model: str, streams: int, tokens: int, rounds: int, llama: str | None
) -> dict[str, Any]:
    port, llama_port = free_port(), free_port()
    command = [sys.executable, "-m", "pygpt2edge", "serve", "-m", model, "--port", str(port)]
    with server(command, port), Engine(GPT2(model)) as engine:
        sides: dict[str, InProcess | OverHttp] = {
            "in_process": InProcess(engine),
            "server": OverHttp(port, {"ignore_eos": True}),
        }
        result = _measured(sides, streams, tokens, rounds)
    result["throughput_ratio"] = (
        result["tokens_per_s"]["server"] / result["tokens_per_s"]["in_process"]
    )
    result["first_token_later_ms"] = (
        result["first_token_ms"]["server"] - result["first_token_ms"]["in_process"]
    )
    if llama is not None:
        command = [llama, "-m", "llama_cpp.server", "--model", model, "--port", str(llama_port)]
        with server([*command, "--n_threads", "2", "--n_ctx", "1024"], llama_port):
            sides = {"llama_cpp": OverHttp(llama_port, {})}
            theirs = _measured(sides, streams, tokens, max(1, rounds // 2))
        for name, values in theirs.items():
            result[name] |= values
    return result


def _measured(
    sides: dict[str, InProcess | OverHttp], streams: int, tokens: int, rounds: int
) -> dict[str, Any]:
    speed = by_turns(
        rounds,
        {name: lambda side=side: side.throughput(streams, tokens) for name, side in sides.items()},  # type: ignore[misc]
    )
    delay = by_turns(4 * rounds, {name: side.first_token for name, side in sides.items()})
    return {
        "tokens_per_s": speed,
        "first_token_ms": {name: 1000 * seconds for name, seconds in delay.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--llama", metavar="PYTHON")
    args = parser.parse_args()
    result = measure(args.model, args.streams, args.tokens, args.rounds, args.llama)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
