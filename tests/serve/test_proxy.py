"""deploy/nginx.conf: two servers behind one address."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from documents import ROOT
from running_server import Running, alone, httpx, serving

from pygpt2edge import GPT2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx"),
]

ENDLESS = {"prompt": "x", "max_tokens": 100000, "ignore_eos": True, "context_overflow": "slide"}


class Proxy(NamedTuple):
    url: str
    servers: list[Running]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The second server stops early, in the last test."""
    folder = tmp_path_factory.mktemp("nginx")
    options = ("-t", "1", "--max-tokens", "100000")
    with serving(*options) as one, serving(*options) as two:
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        path = configuration(folder, {"8080": url, "8081": one.url, "8082": two.url})
        # Compiled in, and no business of the configuration that is shown.
        own = f"daemon off; pid {folder}/pid; error_log stderr;"
        command = ["nginx", "-p", str(folder), "-c", str(path), "-g", own]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        with subprocess.Popen(command) as process:
            try:
                wait_for(lambda: answers(url))
                yield Proxy(url, [one, two])
            finally:
                process.terminate()


def configuration(folder: Path, servers: dict[str, str]) -> Path:
    """The one that is shown, at these addresses, and with nothing outside of a folder."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for port, url in servers.items():
        assert f"127.0.0.1:{port}" in text
        text = text.replace(f"127.0.0.1:{port}", url.removeprefix("http://"))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    path = folder / "nginx.conf"
    path.write_text(text.replace("http {\n", f"http {{\n{places}"))
    return path


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def n_running(proxy: Proxy) -> list[float]:
    return [server.metric("pygpt2edge_texts_running") for server in proxy.servers]


def test_pieces_pass_at_once_and_requests_go_to_the_idle_server(proxy: Proxy) -> None:
    """The first events arrive while the texts are computed; hanging up ends them."""
    lines = []  # which end with what reads them
    with httpx.Client() as client, httpx.Client() as other:
        for each in (client, other):
            request = each.build_request(
                "POST", f"{proxy.url}/v1/completions", json=ENDLESS | {"stream": True}
            )
            lines.append(each.send(request, stream=True).iter_lines())
            assert next(lines[-1]).startswith("data: ")
        assert n_running(proxy) == [1, 1]
    wait_for(lambda: n_running(proxy) == [0, 0])


def test_where_a_server_has_stopped_the_other_answers(proxy: Proxy, model: GPT2) -> None:
    body = {"prompt": "It is a truth", "seed": 1, "max_tokens": 8}
    text = alone(model, "It is a truth", seed=1, max_tokens=8)
    proxy.servers[1].stop()
    for _ in range(4):
        answer = httpx.post(f"{proxy.url}/v1/completions", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["text"] == text
