"""What is left when packages that ours depends on are left out, as by `pip install --no-deps` or in
frozen programs: text is written from GGUF files as ever, and what needs a package says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pygpt2edge import GPT2, demo_model_path

LEFT_OUT = ("gguf", "huggingface_hub", "matplotlib", "numpy", "safetensors", "tiktoken")


def run(program: str, *left_out: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a Python that has no such packages."""
    without = f"import sys; sys.modules.update(dict.fromkeys({left_out}))\n"
    command = [sys.executable, "-c", without + program]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run_command(*words: str, left_out: tuple[str, ...] = LEFT_OUT) -> tuple[int, str, str]:
    done = run(f"from pygpt2edge.cli import main\nmain({list(words)})", *left_out)
    return done.returncode, done.stdout, done.stderr


def test_text_is_written_without_any_of_them() -> None:
    program = """
from pygpt2edge import GPT2
model = GPT2(n_threads=1)
print(repr(model.generate(["It's a truth"], max_tokens=8, seed=1)[0].text))
print(repr(model.generate("It's a truth", max_tokens=8, seed=1).text))
print(repr([text.text for text in model.beam_search("It's a truth", 2, 2, max_tokens=3)]))
print([candidate.index for candidate in model.rank("It's a truth", [" of", " that"])])
print([word.word for word in model.suggest("It's a tr")])
"""
    model = GPT2(n_threads=1)
    text = model.generate("It's a truth", max_tokens=8, seed=1).text
    beams = [beam.text for beam in model.beam_search("It's a truth", 2, 2, max_tokens=3)]
    ranked = [candidate.index for candidate in model.rank("It's a truth", [" of", " that"])]
    words = [word.word for word in model.suggest("It's a tr")]
    done = run(program, *LEFT_OUT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [repr(text), *map(str, (repr(text), beams, ranked, words))]


def test_the_command_line_writes_text_without_any_of_them() -> None:
    text = GPT2().generate("It is", max_tokens=5, seed=1).text
    status, out, err = run_command("generate", "It is", "-n", "5", "--seed", "1", "-q")
    assert (status, out) == (0, f"It is{text}\n"), err


@pytest.mark.parametrize(
    "expression",
    ["logits('a')", "score('a')", "attention('a')", "session().append_all_logits([1])"],
)
def test_what_gives_arrays_says_that_it_needs_numpy(expression: str) -> None:
    done = run(f"from pygpt2edge import GPT2\nGPT2().{expression}", "numpy")
    assert done.stderr.splitlines()[-1] == (
        "pygpt2edge.errors.MissingDependencyError: an array of numbers needs numpy, which is not "
        "installed: pip install numpy"
    )


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["eval", __file__], "numpy"),
        (["attention", "a"], "numpy"),
        (["bench"], "numpy"),
        (["convert", "a", "b.gguf"], "numpy"),
        (["convert", str(demo_model_path()), "b.gguf", "--allow-requantize"], "gguf"),
    ],
)
def test_a_command_names_the_package_that_it_needs(
    words: list[str], missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run_command(*words, left_out=(missing,))
    problem = f"this command needs {missing}, which is not installed: pip install {missing}"
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == f"pygpt2edge: error: {problem}"
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_the_command_line_needs_click() -> None:
    status, out, err = run_command("generate", "It is", left_out=("click",))
    problem = "the command line needs click, which is not installed: pip install click"
    assert (status, out, err) == (1, "", f"pygpt2edge: error: {problem}\n")
