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


def expected(model: GPT2) -> list[str]:
    """What each program writes, in the order of the page."""
    prompts = ["Once upon a time", "It is a truth", "How now"]
    first = prompts[0]
    return [
        model.generate(first, max_tokens=40, seed=1).text,
        "".join(f"{w.word} {w.probability:.2f}\n" for w in model.suggest("How is the wea")),
        "".join(f"{p}{model.generate(p, max_tokens=20, seed=1).text}\n" for p in prompts),
        model.generate(first, max_tokens=8, temperature=0, ignore_eos=True).text,
    ]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc")
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program(number: int, tmp_path: Path) -> None:
    model = GPT2()
    (tmp_path / "app.c").write_text(PROGRAMS[number])
    line = f"cc -std=c99 -Wall -Wextra -Werror app.c {config.cflags()} {config.libs()} -o app"
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "app", model.path], capture_output=True, check=True)
    assert done.stdout.decode() == expected(model)[number]
    failed = subprocess.run([tmp_path / "app", tmp_path], capture_output=True, check=False)
    assert failed.returncode == 1
    assert str(tmp_path) in failed.stderr.decode()
