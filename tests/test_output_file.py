"""The output appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest

from pygpt2edge.convert import convert


def test_replaces_what_was_there(tmp_path, data):
    out = tmp_path / "out.gguf"
    out.write_bytes(b"old")
    convert(data / "hugging_face", out, "q8_0")
    assert out.read_bytes()[:4] == b"GGUF"
    assert list(tmp_path.iterdir()) == [out]


def test_follows_a_link_to_the_real_file(tmp_path, data):
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "real.gguf", tmp_path / "link.gguf"
    target.write_bytes(b"old")
    link.symlink_to(target)
    convert(data / "hugging_face", link, "q8_0")
    assert link.is_symlink()
    assert target.read_bytes()[:4] == b"GGUF"


def test_output_that_is_a_folder(tmp_path, data):
    with pytest.raises(IsADirectoryError, match="give the name of a file"):
        convert(data / "hugging_face", tmp_path)


def test_output_in_a_missing_folder(tmp_path, data):
    with pytest.raises(FileNotFoundError, match="create it first"):
        convert(data / "hugging_face", tmp_path / "no" / "out.gguf")


def test_output_that_is_a_device(data):
    with pytest.raises(OSError, match="not a regular file"):
        convert(data / "hugging_face", "/dev/null")
    assert os.path.exists("/dev/null")  # noqa: PTH110
    assert not os.path.isfile("/dev/null")  # noqa: PTH113


def test_too_little_space_is_seen_before_writing(tmp_path, data, monkeypatch):
    usage = shutil._ntuple_diskusage(9, 8, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"needs 0\.1 MB, 0\.0 MB are free") as caught:
        convert(data / "hugging_face", tmp_path / "out.gguf", "f32")
    assert caught.value.errno == errno.ENOSPC
    assert "out.gguf" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing_write", [1, 2, 5])
def test_disk_that_fills_up_while_writing(tmp_path, data, monkeypatch, failing_write):
    from pygpt2edge.convert import gguf_writer

    quantize = gguf_writer.quantize_tensors

    def fill_up(*arguments):
        for number, item in enumerate(quantize(*arguments), 1):
            if number == failing_write:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield item

    monkeypatch.setattr(gguf_writer, "quantize_tensors", fill_up)
    (tmp_path / "out.gguf").write_bytes(b"old")
    with pytest.raises(OSError, match="not enough space: needs") as caught:
        convert(data / "hugging_face", tmp_path / "out.gguf", "f32")
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]
    assert (tmp_path / "out.gguf").read_bytes() == b"old"


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX's")
@pytest.mark.parametrize("limit", [100, 20_000, 100_000])
def test_write_that_the_system_refuses(tmp_path, data, run_python, limit):
    """A real failing write: the system lets no file of this process grow beyond the limit."""
    code = """
import resource, signal, sys
from pygpt2edge.convert import convert
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    convert(sys.argv[1], sys.argv[2], "f32")
except OSError as error:
    print("refused", error.errno)
"""
    result = run_python(code, data / "hugging_face", tmp_path / "out.gguf", limit)
    assert result.stdout == f"refused {errno.EFBIG}\n", result.stderr
    assert list(tmp_path.iterdir()) == []


SLOW = """
import sys, time
from pygpt2edge.convert import convert
def progress(done, total, what):
    print(what, flush=True)
    time.sleep(0.05)
try:
    convert(sys.argv[1], sys.argv[2], "f32", progress=progress)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise SystemExit(130)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_interrupted_run_leaves_nothing(tmp_path, data, number, status):
    arguments = [sys.executable, "-c", SLOW, data / "hugging_face", tmp_path / "out.gguf"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "token_embd.weight\n"
        assert len(list(tmp_path.iterdir())) == 1  # the temporary file, half written
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(30) == status
    assert ("interrupted" in rest) == (number == signal.SIGINT)
    assert "output_norm.bias" not in rest
    assert list(tmp_path.iterdir()) == []


def test_a_handler_of_the_program_is_left_alone(tmp_path, data):
    def handler(*_):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, handler)
    try:
        convert(data / "hugging_face", tmp_path / "out.gguf")
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
    convert(data / "hugging_face", tmp_path / "out.gguf")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_failing_progress_callback_leaves_nothing(tmp_path, data):
    def fail(done, total, what):
        raise RuntimeError("bar broke")

    with pytest.raises(RuntimeError, match="bar broke"):
        convert(data / "hugging_face", tmp_path / "out.gguf", progress=fail)
    assert list(tmp_path.iterdir()) == []
