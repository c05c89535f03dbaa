"""The command-line program without Python writes what Python writes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import ROOT, examples

from pygpt2edge import GPT2

pytestmark = pytest.mark.slow
PROMPT = "Once upon a time"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=1)


@pytest.fixture
def gpt2edge(installed_library: Path, tmp_path: Path) -> Run:
    """Runs the installed program, which finds no Python and no other variables."""
    program = (
        installed_library / "bin" / ("gpt2edge.exe" if sys.platform == "win32" else "gpt2edge")
    )

    def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], input=stdin, capture_output=True, text=True, check=False,
            cwd=tmp_path, env={}, encoding="utf-8",
        )  # fmt: skip

    return run


def test_text_is_that_of_python(gpt2edge: Run, model: GPT2) -> None:
    given = ["-n", "30", "--seed", "7", "--temp=1.1", "--top-k", "100", "--stop", "zzz"]
    expected = model.generate(
        PROMPT, max_tokens=30, seed=7, temperature=1.1, top_k=100, stop="zzz"
    ).text
    done = gpt2edge("generate", PROMPT, "-m", model.path, *given)
    assert (done.stdout, done.stderr, done.returncode) == (PROMPT + expected + "\n", "", 0)
    piped = gpt2edge("generate", "-", "-m", model.path, *given, stdin=PROMPT)
    assert piped.stdout == done.stdout


def test_next_words_and_inspection(gpt2edge: Run, model: GPT2) -> None:
    done = gpt2edge("suggest", "How is the wea", "-m", model.path, "-k", "2")
    expected = [(word.word, word.completion) for word in model.suggest("How is the wea", 2)]
    found = [tuple(line.split("  ")[1].split("\t")) for line in done.stdout.splitlines()]
    assert found == expected
    said = gpt2edge("inspect", model.path).stdout
    assert "6 layers of 256, 4 heads, 1024 positions, 50257 tokens" in said
    assert f"{model.memory['weights'] / 1e6:.1f} MB of weights" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage"),
        (["generat"], "did you mean generate?"),
        (["generate", "--max-token", "3"], "did you mean --max-tokens?"),
        (["generate", "-n", "x"], '-n is "x", expected a whole number'),
        (["generate", "-n"], "-n needs a value"),
        (["generate", "a", "b"], "an argument too many"),
        (["generate", "--ignore-eos=1"], "takes no value"),
        (["generate", "--seed", "-1"], "expected 0 or more"),
        (["generate", "a"], "give a model"),
        (["suggest"], "give a text"),
    ],
)
def test_wrong_usage(gpt2edge: Run, arguments: list[str], said: str) -> None:
    done = gpt2edge(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_failures_are_one_line(gpt2edge: Run, tmp_path: Path) -> None:
    done = gpt2edge("generate", "a", "-m", tmp_path / "none.gguf")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "none.gguf" in done.stderr


@pytest.mark.parametrize("options", [[], ["--message"]])
def test_compression(gpt2edge: Run, model: GPT2, tmp_path: Path, options: list[str]) -> None:
    data = b"Once upon a time\r\nthere was a king\xff"
    (tmp_path / "in").write_bytes(data)
    done = gpt2edge("compress", "in", "-m", model.path, "-o", "packed", *options)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert (tmp_path / "packed").read_bytes() == model.compress(data, message=bool(options))
    done = gpt2edge("decompress", "packed", "-m", model.path, "-o", "out", *options)
    assert (done.stderr, done.returncode) == ("", 0)
    assert (tmp_path / "out").read_bytes() == data
    refused = gpt2edge("decompress", "in", "-m", model.path, *options)
    assert (refused.stdout, refused.returncode) == ("", 1)
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["compress", "generate", "suggest", "inspect"])
def test_help_has_examples_that_are_right(gpt2edge: Run, command: str) -> None:
    done = gpt2edge(command, "--help")
    assert done.returncode == 0
    assert f"Usage: gpt2edge {command}" in done.stdout
    assert f"  gpt2edge {command} " in done.stdout.partition("Examples:")[2]


def test_documented_commands_run(gpt2edge: Run, model: GPT2, tmp_path: Path) -> None:
    shown = [shlex.split(each.text) for each in examples(ROOT / "docs" / "embedding.md")]
    own = [words[1:] for words in shown if words[0] == "gpt2edge"]
    assert len(own) == 3
    (tmp_path / "gpt2.gguf").write_bytes(model.path.read_bytes())
    for arguments in own:
        done = gpt2edge(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX signals")
def test_interrupt(installed_library: Path, model: GPT2) -> None:
    arguments = ["generate", "a", "-m", model.path, "-n", "-1", "--context-overflow", "slide"]
    with subprocess.Popen(
        [installed_library / "bin" / "gpt2edge", *arguments, "--ignore-eos"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.read(20)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - start < 30
