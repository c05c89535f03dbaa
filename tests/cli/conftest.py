"""Runs the command: within this process, which is quick, or as users do, in another one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pygpt2edge.cli import main

Done = subprocess.CompletedProcess  # of text
Run = Callable[..., "Done[str]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


def _command(args: tuple[str | Path, ...]) -> list[str]:
    return [sys.executable, "-m", "pygpt2edge", *map(str, args)]


def _environment(extra: dict[str, str] | None) -> dict[str, str]:
    return os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"} | (extra or {})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("generate", "x", input=...) -> what a process would return, without one. There is no
    terminal, and the working folder is tmp_path."""

    def run(*args: str | Path, input: str | bytes = "") -> Done[str]:
        data = input.encode() if isinstance(input, str) else input
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))
            with pytest.raises(SystemExit) as ended:
                main(list(map(str, args)))
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(args, ended.value.code, out, err)

    return run


@pytest.fixture
def spawn(tmp_path: Path) -> Run:
    """spawn("generate", "x", input=..., env=...) -> the finished process."""

    def spawn(*args: str | Path, input: str = "", env: dict[str, str] | None = None) -> Done[str]:
        return subprocess.run(
            _command(args),
            input=input,
            capture_output=True,
            encoding="utf-8",
            cwd=tmp_path,
            env=_environment(env),
            timeout=120,
            check=False,
        )

    return spawn


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start("generate", "x", env=...) -> the running process, which will not outlive the test."""
    processes = []

    def start(*args: str | Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            _command(args),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=_environment(env),
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        with process:  # closes the pipes
            process.wait()


def one_line_error(done: Done[str], status: int) -> str:
    """The error's text, after checking that it is all there is."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    notes = [line for line in done.stderr.splitlines() if not line.startswith("Using the small")]
    assert len(notes) == 1, done.stderr
    prefix = "pygpt2edge: error: "
    assert notes[0].startswith(prefix)
    return notes[0].removeprefix(prefix)
