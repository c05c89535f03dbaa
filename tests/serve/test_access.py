"""Who may use a server: keys, names, and the pages of other sites."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_server import Running, serving

httpx = pytest.importorskip("httpx", reason="needs httpx")
KEY = "an-open-sesame"


def get(server: Running, path: str = "/v1/models", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(server.url + path, headers=named, verify=False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With a key from a file, an origin and a name."""
    file = tmp_path_factory.mktemp("key") / "key.txt"
    file.write_text(KEY + "\n")
    with serving(
        "--api-key-file", str(file), "--host", "0.0.0.0", "--allow-origin", "https://good.example",
        "--allow-host", "Box.Example", "--max-connections", "20",
    ) as running:  # fmt: skip
        running.url = running.url.replace("0.0.0.0", "127.0.0.1")
        yield running


def test_the_key(guarded: Running) -> None:
    assert get(guarded, authorization=f"Bearer {KEY}").status_code == 200
    for wrong in ("", KEY, "Bearer", f"Bearer {KEY}x", "Bearer \u00e9", f"Basic {KEY}"):
        answer = httpx.get(
            guarded.url + "/v1/models",
            headers=[(b"authorization", wrong.encode())],
            verify=False,
        )
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_what_needs_no_key(guarded: Running) -> None:
    for path in ("/health", "/openapi.json"):
        assert get(guarded, path).status_code == 200
    for path in ("/metrics", "/v1/completions", "/nothing"):
        assert get(guarded, path).status_code == 401


def test_names_of_this_machine(guarded: Running) -> None:
    authorization = f"Bearer {KEY}"
    ours = ("localhost", "localhost:80", "127.0.0.1", "10.1.2.3:99", "[::1]:8080", "box.example")
    others = ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil")
    for host in ours:
        assert get(guarded, host=host, authorization=authorization).status_code == 200, host
    for host in (*others, "[::1", ""):
        assert get(guarded, host=host, authorization=authorization).status_code == 403, host


def test_pages_of_other_sites(server: Running) -> None:
    assert get(server, origin="https://evil.example").status_code == 403
    assert get(server, origin="null").status_code == 403
    assert get(server, origin="http://localhost:1").status_code == 403  # of another port
    assert get(server, origin=server.url).status_code == 200
    assert get(server, sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status_code == 403
    assert get(server, sec_fetch_site="same-origin").status_code == 200
    evil = {"Origin": "https://evil.example"}
    answer = server.post("/v1/completions", {"prompt": "x"}, headers=evil)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_origins_that_are_named(guarded: Running) -> None:
    authorization = f"Bearer {KEY}"
    answer = get(guarded, origin="https://good.example", authorization=authorization)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://good.example"
    answer = get(guarded, origin="https://evil.example", authorization=authorization)
    assert answer.status_code == 403
    ask = {"Origin": "https://good.example", "Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
    preflight = httpx.options(guarded.url + "/v1/completions", headers=ask, verify=False)
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


def run(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pygpt2edge", "serve", "--port", "0", *options]
    return subprocess.run(
        command, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False
    )


def test_other_machines_need_a_key() -> None:
    done = run("--host", "0.0.0.0")
    assert done.returncode == 2
    assert "--api-key-file" in done.stderr
    with serving("--host", "::", "--without-key") as server:
        assert server.url.startswith("http://[::]:")


@pytest.mark.parametrize("key", ["", " ", "caf\u00e9", "two\nlines"])
def test_keys_that_are_none(key: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(key, encoding="utf-8")
    done = run("--api-key-file", str(tmp_path / "key"))
    assert done.returncode == 2
    assert "printable" in done.stderr


def test_the_key_from_the_environment() -> None:
    with serving(PYGPT2EDGE_API_KEY=KEY) as server:
        assert get(server).status_code == 401
        assert get(server, authorization=f"Bearer {KEY}").status_code == 200


def test_an_address_that_is_taken(server: Running) -> None:
    port = server.url.rsplit(":", 1)[1]
    done = run("--port", port)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 + done.stderr.count("demo model")
    assert port in done.stderr


def test_no_prompt_and_no_path_in_logs(tmp_path: Path) -> None:
    with serving("--access-log") as server:
        server.complete("a secret prompt", max_tokens=1)
        server.post("/v1/completions", {"prompt": "a secret prompt", "temperature": -1})
        assert server.stop() == 0
        assert server.process.stdout is not None
        assert server.process.stderr is not None
        log = server.process.stdout.read() + server.process.stderr.read()
    assert "POST /v1/completions" in log
    assert "secret" not in log


def test_answers_name_no_path_of_the_host(server: Running) -> None:
    for path in ("/v1/models", "/openapi.json", "/metrics", "/health"):
        assert str(Path.home()) not in get(server, path).text
        assert "site-packages" not in get(server, path).text
        assert ".gguf" not in get(server, path).text
