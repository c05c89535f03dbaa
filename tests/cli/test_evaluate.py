"""`pygpt2edge eval`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from pygpt2edge import GPT2, _core
from pygpt2edge.convert import convert
from pygpt2edge.inspect.evaluate import evaluate

from .conftest import Run, one_line_error

SOURCE = Path(__file__).parents[1] / "data" / "convert" / "hugging_face"  # n_ctx is 16
TEXT = "In the beginning\n<|endoftext|>\nIt is a truth universally acknowledged, that a single man"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds f32.gguf and q4_0.gguf of a tiny model."""
    folder = tmp_path_factory.mktemp("models")
    for kind in ("f32", "q4_0"):
        convert(SOURCE, folder / f"{kind}.gguf", kind)
    return folder


def test_the_figures_are_those_of_evaluate(run: Run, tmp_path: Path, folder: Path) -> None:
    f32, q4_0 = GPT2(folder / "f32.gguf"), GPT2(folder / "q4_0.gguf")
    (tmp_path / "text.txt").write_text(TEXT)
    args = ("eval", "text.txt", "-m", folder / "q4_0.gguf")
    expected = evaluate(q4_0, TEXT, reference=f32)
    done = run(*args, "--reference", folder / "f32.gguf", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout) == json.loads(json.dumps(asdict(expected)))
    alone = json.loads(run(*args, "--json", "-c", "8").stdout)
    assert alone.keys() == {"tokens", "nll", "perplexity", "by_position"}
    assert alone["nll"] == evaluate(q4_0, TEXT, n_ctx=8).nll
    overlapping = evaluate(q4_0, TEXT, n_ctx=8, stride=3).nll
    for option in ("--stride", "--ppl-stride"):
        found = json.loads(run(*args, "--json", "-c", "8", option, "3").stdout)
        assert found["nll"] == overlapping != alone["nll"]
    table = run("eval", "-", "-m", folder / "q4_0.gguf", input=TEXT).stdout
    assert f"perplexity  {expected.perplexity:.3f}" in table


@pytest.mark.parametrize(
    ("text", "args", "status", "found"),
    [
        ("", [], 1, "nothing to score"),
        ("<|endoftext|>", [], 1, "nothing to score"),
        ("abc", ["-c", "1"], 1, "expected 2 to"),
        ("abc", ["--reference", "missing.gguf"], 1, "missing.gguf"),
        ("abc", ["--no-such-option"], 2, "--no-such-option"),
        ("abc", ["-c", "8", "--stride", "9"], 1, "stride is 9; give 1 to 8, the window"),
        ("abc", ["--stride", "0"], 2, "0"),
    ],
)
def test_errors(run: Run, text: str, args: list[str], status: int, found: str) -> None:
    assert found in one_line_error(run("eval", "-", *args, input=text), status)


def test_a_missing_text(run: Run) -> None:
    assert "missing.txt" in one_line_error(run("eval", "missing.txt"), 1)


def test_a_model_whose_weights_are_no_numbers(folder: Path, tmp_path: Path, run: Run) -> None:
    broken = bytearray((folder / "f32.gguf").read_bytes())
    (norm,) = [t for t in _core.GgufFile(str(folder / "f32.gguf")).tensors
               if t.name == "output_norm.weight"]  # fmt: skip
    broken[norm.offset : norm.offset + 4] = np.float32("nan").tobytes()
    (tmp_path / "broken.gguf").write_bytes(broken)
    message = one_line_error(run("eval", "-", "-m", "broken.gguf", "--json", input=TEXT), 1)
    assert "damaged" in message


def test_several_files_and_their_picture(run: Run, tmp_path: Path, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "text.txt").write_text(TEXT)
    args = ("eval", "text.txt", "-m", folder / "q4_0.gguf", "--also", folder / "f32.gguf",
            "--reference", folder / "f32.gguf")  # fmt: skip
    found = json.loads(run(*args, "--json", "--plot", "kl.svg").stdout)
    assert found["kl_mean"] > 0
    assert found["also"][0]["kl_mean"] == 0
    assert "bits per weight" in (tmp_path / "kl.svg").read_text()
    lines = run(*args).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["file", "q4_0.gguf", "f32.gguf"]
    error = one_line_error(run("eval", "text.txt", "-m", folder / "f32.gguf", "--plot", "x.png"), 2)
    assert "--reference" in error


def test_the_windows_of_llama_cpp(run: Run, folder: Path) -> None:
    args = ("eval", "-", "-m", folder / "f32.gguf", "--protocol", "llama.cpp", "-c", "8", "--json")
    found = json.loads(run(*args, input=TEXT).stdout)
    n_tokens = len(GPT2(folder / "f32.gguf").tokenizer.encode(TEXT))
    assert found["tokens"] == n_tokens // 8 * 3  # of 8 tokens the last three: 5, 6 and 7
    assert "only full ones" in one_line_error(run(*args, input="a b"), 1)
