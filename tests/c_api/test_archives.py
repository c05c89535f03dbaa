"""Archives for other systems are made by the documented command, and what is in them is run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("lief") is None, reason="needs lief, of the archives extra"),
]


def make(system: str, folder: Path, *options: str) -> str:
    """Makes an archive and checks it; returns what was said of it."""
    command = [sys.executable, ROOT / "tools" / "make_archives.py", system, "-o", folder]
    done = subprocess.run(
        [*command, "--check", "-D", "GPT2EDGE_WERROR=ON", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc")
def test_archive_for_this_machine(tmp_path: Path) -> None:
    said = make("native", tmp_path)
    assert "run: the texts of Python" in said


@pytest.mark.skipif(find_spec("ziglang") is None, reason="needs ziglang, of the archives extra")
@pytest.mark.skipif(shutil.which("qemu-arm") is None, reason="needs qemu-arm")
@pytest.mark.skipif(not Path("/usr/arm-linux-gnueabihf").exists(), reason="needs libc6-armhf-cross")
def test_archive_for_a_small_device(tmp_path: Path) -> None:
    """By Zig: the system whose kernels are compiled soonest."""
    assert "run by qemu-arm: the texts of Python" in make("linux-armv7", tmp_path)


def test_a_wrong_archive_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "gpt2edge-0.1.0-linux-x86_64"
    (folder / "bin").mkdir(parents=True)
    path = shutil.make_archive(str(tmp_path / folder.name), "gztar", tmp_path, folder.name)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "check_archive.py", path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"{path}: there is no LICENSE\n"
