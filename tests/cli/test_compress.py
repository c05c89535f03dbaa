"""`pygpt2edge compress` and `decompress`: files, pipes, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Run, Start, one_line_error

TEXT = b"It is a truth universally acknowledged,\r\nthat a single man\xff\n"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_bytes(TEXT)
    return path


def test_to_a_file_and_back(run: Run, book: Path) -> None:
    done = run("compress", book)
    assert (done.returncode, done.stdout) == (0, "")
    compressed = book.with_name("book.txt.p2z")
    assert 0 < compressed.stat().st_size < len(TEXT) + 40
    assert f"{book}: {len(TEXT)} bytes to {compressed.stat().st_size}, {compressed}" in done.stderr
    assert book.read_bytes() == TEXT  # the file is kept
    book.unlink()
    assert run("decompress", compressed, "-q").stderr == ""
    assert book.read_bytes() == TEXT
    assert sorted(path.name for path in book.parent.iterdir()) == ["book.txt", "book.txt.p2z"]


def test_removes_the_file_where_asked(run: Run, book: Path) -> None:
    assert run("compress", "--rm", book).returncode == 0
    assert not book.exists()
    assert run("decompress", "--rm", f"{book}.p2z", "-o", book).returncode == 0
    assert [path.name for path in book.parent.iterdir()] == ["book.txt"]


def test_overwrites_only_by_force(run: Run, book: Path) -> None:
    out = book.with_name("out")
    out.write_bytes(b"mine")
    said = one_line_error(run("compress", book, "-o", out), 1)
    assert said == f"{out} exists already: --force overwrites it"
    assert out.read_bytes() == b"mine"
    assert run("compress", book, "-f", "-o", out).returncode == 0
    assert run("decompress", out, "-f", "-o", book).returncode == 0
    assert book.read_bytes() == TEXT


@pytest.mark.parametrize("options", [[], ["--message"], ["--block-size", "20"]])
def test_pipes(options: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pygpt2edge"]
    packed = subprocess.run(
        [*command, "compress", "-q", *options], input=TEXT, stdout=subprocess.PIPE, check=True,
        cwd=tmp_path,
    ).stdout  # fmt: skip
    path = tmp_path / "packed"
    path.write_bytes(packed)
    back = subprocess.run(
        [*command, "decompress", "-q", "-c", *options[:1] * ("--message" in options), path],
        stdout=subprocess.PIPE, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert back == TEXT


def test_failures_are_one_line_and_leave_nothing(run: Run, book: Path) -> None:
    before = set(book.parent.iterdir())
    assert "No such file" in one_line_error(run("compress", "none.txt"), 1)
    assert "does not end in .p2z: give -o OUT" in one_line_error(run("decompress", book), 2)
    said = one_line_error(run("decompress", book, "-o", "out"), 1)
    assert said.startswith(f"{book}: is nothing that pygpt2edge compress made")
    assert "not both" in one_line_error(run("compress", book, "-c", "-o", "out"), 2)
    assert "no blocks" in one_line_error(run("compress", book, "--message", "-B", "9"), 2)
    assert "folder" in one_line_error(run("compress", book, "-o", "no/such/out"), 1)
    assert set(book.parent.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_ctrl_c_leaves_nothing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_bytes(TEXT * 20000)
    process = start("compress", "-t", "1", "long.txt", env={"GPT2EDGE_ISA": "scalar"})
    assert process.stderr is not None
    os.read(process.stderr.fileno(), 1)  # the note that the model is loaded next
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["long.txt"]
