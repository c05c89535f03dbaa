"""tools/fuzz_equality.py finds nothing in a few seconds, and tells what it was given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "fuzz_equality.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, TOOL, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def found(*arguments: str) -> dict[str, Any]:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["different"] == 0
    return told


@pytest.mark.slow
def test_texts_are_cut_as_by_tiktoken() -> None:
    told = found("texts", "--seconds", "2")
    assert told["texts"] > 50
    assert told["tokens"] > 1000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_requests_are_what_each_is_alone() -> None:
    pytest.importorskip("llguidance")
    told = found("requests", "--requests", "120")
    assert told["requests"] >= 120
    assert 0 < told["cancelled"] < 120


def test_an_unknown_part_is_told() -> None:
    done = run("kernel")
    assert done.returncode == 2
    assert "no part is named kernel: kernels, texts, requests" in done.stderr
