"""What Ctrl-C and a closed pipe leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from pygpt2edge import Generation, Piece
from pygpt2edge.cli import cli

from .conftest import Start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")

# The slowest kernels, so that there is time to interfere.
_SLOW = {"GPT2EDGE_ISA": "scalar"}
_ENDLESS = ("generate", "-t", "1", "-n", "-1", "--ignore-eos", "-s", "1")


def _interrupt_after(process: subprocess.Popen[bytes], first: bytes) -> tuple[bytes, str]:
    """Sends Ctrl-C once that much has come out. Returns all of stdout, and stderr."""
    assert process.stdout is not None
    seen = b""
    while len(seen) < len(first):
        chunk = os.read(process.stdout.fileno(), len(first) - len(seen))
        assert chunk, "the command ended too early"
        seen += chunk
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return seen + out, err.decode()


def test_while_generating_keeps_the_text_so_far(start: Start) -> None:
    process = start(*_ENDLESS, "It is", env=_SLOW)
    out, err = _interrupt_after(process, b"It is" + b"?" * 40)
    assert process.returncode == 130
    assert out.startswith(b"It is")
    assert out.endswith(b"\n")
    assert "Traceback" not in err
    timings = err.splitlines()[-1]
    assert timings.startswith("prefill 2 tokens")
    n_decoded = int(timings.split("decode ")[1].split()[0])
    assert 0 < n_decoded < 1021


def test_while_reading_the_prompt(start: Start) -> None:
    prompt = "word " * 1000
    process = start(*_ENDLESS, prompt, env=_SLOW)
    out, err = _interrupt_after(process, prompt.encode())
    assert process.returncode == 130
    assert out.decode() == prompt + "\n"
    assert err.splitlines()[-1].startswith("prefill 0 tokens")


def test_json_says_that_the_text_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = 0
    plain_next = Generation.__next__

    def next_or_interrupt(generation: Generation) -> Piece:
        nonlocal pieces
        pieces += 1
        if pieces > 3:
            raise KeyboardInterrupt
        return plain_next(generation)

    monkeypatch.setattr(Generation, "__next__", next_or_interrupt)
    done = CliRunner().invoke(cli, ["generate", "It is", "--json", "--ignore-eos"])
    assert done.exit_code == 130
    result = json.loads(done.stdout)
    assert result["finish_reason"] is None
    assert len(result["tokens"]) == 3


def test_a_closed_pipe_ends_it_silently(start: Start) -> None:
    process = start(*_ENDLESS, "-q", "It is", env=_SLOW)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0
