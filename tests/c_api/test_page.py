"""The C programs of docs/embedding.md are compiled and run, linked with the package's library."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pygpt2edge import GPT2, config

PAGE = Path(__file__).resolve().parents[2] / "docs" / "embedding.md"
PROGRAMS = re.findall(r"^```c\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc")
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program(number: int, tmp_path: Path) -> None:
    model = GPT2()
    (tmp_path / "app.c").write_text(PROGRAMS[number])
    line = f"cc -std=c99 -Wall -Wextra -Werror app.c {config.cflags()} {config.libs()} -o app"
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "app", model.path], capture_output=True, check=True)
    expected = [
        model.generate("Once upon a time", max_tokens=40, seed=1).text,
        "".join(f"{w.word} {w.probability:.2f}\n" for w in model.suggest("How is the wea")),
    ]
    assert done.stdout.decode() == expected[number]
    failed = subprocess.run([tmp_path / "app", tmp_path], capture_output=True, check=False)
    assert failed.returncode == 1
    assert str(tmp_path) in failed.stderr.decode()
