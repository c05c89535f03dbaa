"""The requests that docs/serving.md shows, by curl itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from documents import ROOT, examples
from running_server import Running

PAGE = ROOT / "docs" / "serving.md"
REQUESTS = [found.text for found in examples(PAGE) if found.text.startswith("curl")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("line", REQUESTS, ids=lambda line: line[:60])
def test_request(server: Running, line: str) -> None:
    assert "http://127.0.0.1:8080" in line
    command = line.replace("http://127.0.0.1:8080", server.url)
    command = command.replace("curl ", "curl --silent --show-error --fail ", 1)
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_requests() -> None:
    assert len(REQUESTS) >= 4
