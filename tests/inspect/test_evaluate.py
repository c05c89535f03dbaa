"""Perplexity and divergence, against the same sums written out in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pygpt2edge import GPT2
from pygpt2edge.convert import convert
from pygpt2edge.inspect.evaluate import evaluate

SOURCE = Path(__file__).parents[1] / "data" / "convert" / "hugging_face"  # n_ctx is 16
DOCUMENTS = [
    "It is a truth universally acknowledged, that a single man in possession of a good fortune",
    "In the beginning God created the heaven and the earth.\n",
]
TEXT = "\n<|endoftext|>\n".join(DOCUMENTS)


def _converted(folder: Path, kind: str) -> GPT2:
    return GPT2(convert(SOURCE, folder / "model.gguf", kind).out)


@pytest.fixture(scope="module")
def f32(tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    return _converted(tmp_path_factory.mktemp("f32"), "f32")


@pytest.fixture(scope="module")
def q4_0(tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    return _converted(tmp_path_factory.mktemp("q4_0"), "q4_0")


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
@pytest.mark.parametrize(("size", "stride"), [(16, 15), (16, 1), (7, 4), (250, 120)])
def test_windows_that_overlap(size: int, stride: int) -> None:
    model = GPT2(n_ctx=256)
    text = "It is a truth universally acknowledged. " * 60
    (stream,) = _windows(model, 10**6, [text])
    losses = [*_nll(model, stream[:size])]
    overlap = size - stride
    for start in range(stride, len(stream) - overlap, stride):
        losses += [*_nll(model, stream[start : start + size])[overlap - 1 :]]
    assert len(losses) == len(stream) - 1
    result = evaluate(model, text, n_ctx=size, stride=stride, reference=model)
    assert result.tokens == len(losses)
    assert result.nll == pytest.approx(np.mean(losses), rel=1e-6)
    assert result.top1_agreement == 1


@pytest.mark.parametrize("stride", [0, 17])
def test_a_stride_that_leaves_tokens_out(f32: GPT2, stride: int) -> None:
    with pytest.raises(ValueError, match=f"stride is {stride}; give 1 to 16, the window"):
        evaluate(f32, TEXT, stride=stride)
    assert evaluate(f32, TEXT, stride=16) == evaluate(f32, TEXT)


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


def test_figures_by_position(f32: GPT2, q4_0: GPT2) -> None:
    model = GPT2(n_ctx=200)
    text = "And God said, Let there be light: and there was light. " * 40
    result = evaluate(model, text, reference=model)
    windows = [_nll(model, w) for w in _windows(model, 200, [text])]
    late = np.concatenate([losses[127:] for losses in windows])  # after 128 others or more
    assert [(r.first, r.last) for r in result.by_position] == [(0, 63), (64, 127), (128, 255)]
    assert sum(r.tokens for r in result.by_position) == result.tokens
    assert result.by_position[-1].tokens == len(late)
    assert result.by_position[-1].nll == pytest.approx(late.mean(), rel=1e-6)
    worst = evaluate(q4_0, TEXT, reference=f32)
    assert worst.kl_max >= worst.kl_p99 >= worst.kl_mean


def test_second_halves_of_full_windows(f32: GPT2) -> None:
    tokens = f32.tokenizer.encode(TEXT)
    windows = [tokens[i : i + 16] for i in range(0, len(tokens) - 15, 16)]
    losses = np.concatenate([_nll(f32, window)[8:] for window in windows])
    result = evaluate(f32, TEXT, protocol="llama.cpp")
    assert result.tokens == len(losses)
    assert result.nll == pytest.approx(losses.mean(), rel=1e-6)


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
