"""`pygpt2edge eval` and pygpt2edge.evaluate, against the same sums written out in float64."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pygpt2edge import GPT2, _core
from pygpt2edge.convert import convert
from pygpt2edge.evaluate import evaluate

from .conftest import Run, one_line_error

SOURCE = Path(__file__).parents[1] / "data" / "convert" / "hugging_face"  # n_ctx is 16
DOCUMENTS = [
    "It is a truth universally acknowledged, that a single man in possession of a good fortune",
    "In the beginning God created the heaven and the earth.\n",
]
TEXT = "\n<|endoftext|>\n".join(DOCUMENTS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds f32.gguf and q4_0.gguf of a tiny model."""
    folder = tmp_path_factory.mktemp("models")
    for kind in ("f32", "q4_0"):
        convert(SOURCE, folder / f"{kind}.gguf", kind)
    return folder


@pytest.fixture(scope="module")
def f32(folder: Path) -> GPT2:
    return GPT2(folder / "f32.gguf")


@pytest.fixture(scope="module")
def q4_0(folder: Path) -> GPT2:
    return GPT2(folder / "q4_0.gguf")


def _windows(model: GPT2, size: int, documents: list[str] = DOCUMENTS) -> list[list[int]]:
    stream = []
    for document in documents:
        stream += [model.tokenizer.eos_token, *model.tokenizer.encode(document)]
    return [stream[i : i + size] for i in range(0, len(stream), size)]


def _log_softmax(model: GPT2, window: list[int]) -> NDArray[np.float64]:
    logits = model.logits(window[:-1]).astype(np.float64)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _nll(model: GPT2, window: list[int]) -> NDArray[np.float64]:
    return -_log_softmax(model, window)[np.arange(len(window) - 1), window[1:]]


@pytest.mark.parametrize("size", [2, 7, 16])
def test_perplexity_is_that_of_disjoint_windows(f32: GPT2, size: int) -> None:
    result = evaluate(f32, TEXT, n_ctx=size)
    losses = np.concatenate([_nll(f32, w) for w in _windows(f32, size) if len(w) > 1])
    assert result.tokens == len(losses)
    assert result.nll == pytest.approx(losses.mean(), rel=1e-6)
    assert result.perplexity == pytest.approx(np.exp(losses.mean()), rel=1e-6)
    assert result.kl_mean is result.kl_p99 is result.top1_agreement is None


@pytest.mark.slow
@pytest.mark.parametrize(("size", "keep"), [(16, 1), (16, 15), (7, 3), (250, 130)])
def test_windows_that_hand_on_their_last_tokens(size: int, keep: int) -> None:
    model = GPT2(n_ctx=256)
    text = "It is a truth universally acknowledged. " * 60
    (stream,) = _windows(model, 10**6, [text])
    losses = [*_nll(model, stream[:size])]
    for start in range(size - keep, len(stream) - keep, size - keep):
        losses += [*_nll(model, stream[start : start + size])[keep - 1 :]]
    assert len(losses) == len(stream) - 1
    result = evaluate(model, text, n_ctx=size, keep=keep, reference=model)
    assert result.tokens == len(losses)
    assert result.nll == pytest.approx(np.mean(losses), rel=1e-6)
    assert result.top1_agreement == 1


def test_divergence_from_a_reference(f32: GPT2, q4_0: GPT2) -> None:
    result = evaluate(q4_0, TEXT, reference=f32)
    kl, agree = [], []
    for window in _windows(f32, 16):
        p, q = _log_softmax(f32, window), _log_softmax(q4_0, window)
        kl.append((np.exp(p) * (p - q)).sum(axis=1))
        agree.append(p.argmax(axis=1) == q.argmax(axis=1))
    divergences = np.concatenate(kl)
    assert divergences.mean() > 1e-5  # or there would be nothing to compare
    assert result.kl_mean == pytest.approx(divergences.mean(), rel=1e-3)
    assert result.kl_p99 == pytest.approx(np.percentile(divergences, 99), rel=1e-3)
    assert result.top1_agreement == np.concatenate(agree).mean()
    assert result.nll == evaluate(q4_0, TEXT).nll


def test_a_model_does_not_differ_from_itself(f32: GPT2) -> None:
    result = evaluate(f32, TEXT, reference=f32)
    assert (result.kl_mean, result.kl_p99, result.top1_agreement) == (0, 0, 1)


def test_windows_longer_than_a_chunk_of_rows() -> None:
    model = GPT2(n_ctx=300)  # more than twice the rows of logits held at a time
    text = "And God said, Let there be light: and there was light. " * 20
    losses = [_nll(model, w) for w in _windows(model, 300, [text]) if len(w) > 1]
    assert evaluate(model, text).nll == pytest.approx(np.concatenate(losses).mean(), rel=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "<|endoftext|>\n" + TEXT,
        TEXT + "\n<|endoftext|>",
        TEXT.replace("\n<|endoftext|>\n", "<|endoftext|>"),
    ],
)
def test_where_the_marks_between_documents_stand(f32: GPT2, text: str) -> None:
    assert evaluate(f32, text).nll == evaluate(f32, TEXT).nll


def test_models_of_different_vocabularies_cannot_be_compared(f32: GPT2) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        evaluate(GPT2(), TEXT, reference=f32)


def test_the_command(run: Run, tmp_path: Path, folder: Path, f32: GPT2, q4_0: GPT2) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    args = ("eval", "text.txt", "-m", folder / "q4_0.gguf")
    expected = evaluate(q4_0, TEXT, reference=f32)
    done = run(*args, "--reference", folder / "f32.gguf", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "tokens": expected.tokens,
        "nll": expected.nll,
        "perplexity": expected.perplexity,
        "kl_mean": expected.kl_mean,
        "kl_p99": expected.kl_p99,
        "top1_agreement": expected.top1_agreement,
    }
    alone = json.loads(run(*args, "--json", "-c", "8").stdout)
    assert alone.keys() == {"tokens", "nll", "perplexity"}
    assert alone["nll"] == evaluate(q4_0, TEXT, n_ctx=8).nll
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
        ("abc", ["-c", "8", "--keep", "8"], 1, "keep is 8; give 0 to 7, less than the window"),
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
