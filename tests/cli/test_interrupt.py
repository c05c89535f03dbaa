"""What Ctrl-C and a closed pipe leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

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


def test_within_a_language(start: Start) -> None:
    pytest.importorskip("llguidance")
    overflow = ("--context-overflow", "slide")
    process = start(*_ENDLESS, "--regex", "[a-z ]+", *overflow, "It is", env=_SLOW)
    out, err = _interrupt_after(process, b"It is" + b"?" * 15)
    assert process.returncode == 130
    assert out.endswith(b"\n")
    assert "Traceback" not in err


# Ctrl-C comes while a function runs: when it is called, or somewhat later.
_INTERRUPTED = """
import os, signal, sys, threading
from importlib import import_module
place, name, delay = sys.argv[1:4]
owner = import_module(place)
if "." in name:
    kind, name = name.split(".")
    owner = getattr(owner, kind)
plain, interrupt = getattr(owner, name), lambda: os.kill(os.getpid(), signal.SIGINT)

def called(*given, **options):
    setattr(owner, name, plain)
    threading.Timer(float(delay), interrupt).start() if float(delay) else interrupt()
    return plain(*given, **options)

setattr(owner, name, called)
sys.argv[1:] = sys.argv[4:]
from pygpt2edge.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("place", "name", "delay", "options"),
    [
        ("pygpt2edge._core", "Model", 0, ()),  # while it is loaded
        ("pygpt2edge", "Engine.submit", 0.3, ("--n", "3")),  # while the command waits for an engine
    ],
    ids=["loading", "engine"],
)
def test_before_there_is_text(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
    place: str,
    name: str,
    delay: float,
    options: tuple[str, ...],
) -> None:
    given = (*_ENDLESS, "--context-overflow", "slide", *options, "It is")
    done = run_python(_INTERRUPTED, place, name, delay, *given, **_SLOW)
    assert done.returncode == 130, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == "pygpt2edge: interrupted"
    assert "Traceback" not in done.stderr


def test_while_the_command_is_imported(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "pygpt2edge.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from pygpt2edge.__main__ import main
main()
"""
    done = run_python(code)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


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
