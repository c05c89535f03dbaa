"""How well a model predicts a text, and how far it is from a reference model.

Perplexity is exp(mean -log p) over the text's tokens. The divergence from a reference is
KL(reference || model) of the next token's distribution, in nats: what the model's own perplexity
hides, since errors that help some tokens and hurt others cancel there but not here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pygpt2edge import _core
from pygpt2edge.model import GPT2
from pygpt2edge.tokenizer import END_OF_TEXT

Floats = NDArray[np.float32]

# Rows of logits held at a time: 26 MB for each model with GPT-2's vocabulary.
_ROWS = 128
_SEPARATOR = re.compile(rf"\n?{re.escape(END_OF_TEXT)}\n?")


@dataclass(frozen=True)
class Evaluation:
    """What a text says about a model. The last three are None without a reference."""

    tokens: int  # scored: all but the first of each window
    nll: float  # mean of -log p, in nats
    perplexity: float  # exp(nll)
    kl_mean: float | None = None  # of KL(reference || model), in nats
    kl_p99: float | None = None  # 99% of the tokens are below
    top1_agreement: float | None = None  # share of tokens where both find the same most likely


def evaluate(
    model: GPT2,
    text: str,
    *,
    reference: GPT2 | None = None,
    n_ctx: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Scores a text in windows of n_ctx tokens that do not overlap.

    Args:
      text: documents, with "<|endoftext|>" between them (the line breaks around it do not count).
        Each is given an end-of-text token in front, and all are strung together before the cut.
      reference: a model of the same vocabulary to compare with, such as the f32 file.
      n_ctx: the window; default, and at most, the smaller context of the models.
      progress: called with (tokens done, tokens in all, "").

    In a window every token but the first is scored, given those before it. Memory beyond the
    models' is bounded by 128 rows of logits each.

    Raises ValueError for a text with nothing to score, a window that does not fit, or models whose
    vocabularies differ.
    """
    n_window = _window(model, reference, n_ctx)
    tokens = _stream(model, text)
    if reference is not None and not np.array_equal(tokens, _stream(reference, text)):
        raise ValueError("the model and its reference cut the text into different tokens: "
                         "only models of one vocabulary can be compared")  # fmt: skip
    nll: list[NDArray[np.float64]] = []
    kl: list[NDArray[np.float64]] = []
    n_agree = 0
    pairs = zip(
        _rows(model, tokens, n_window),
        _rows(reference, tokens, n_window) if reference else _nothing(),
        strict=False,  # one of the two never ends
    )
    done = 0
    for (first, logits), (_, reference_logits) in pairs:
        targets = tokens[first + 1 : first + 1 + len(logits)]
        log_sum = _log_sum_exp(logits)
        nll.append(log_sum - logits[np.arange(len(targets)), targets])
        if reference_logits is not None:
            kl.append(_divergence(reference_logits, logits, log_sum))
            n_agree += int((logits.argmax(axis=1) == reference_logits.argmax(axis=1)).sum())
        done += len(targets)
        if progress is not None:
            progress(first + 1 + len(targets), len(tokens), "")
    if done == 0:
        raise ValueError("there is nothing to score: the text has no token")
    mean = float(np.concatenate(nll).mean())
    # A mean of hundreds of nats is a broken model or text; its perplexity is beyond a float.
    perplexity = math.exp(mean) if mean < 700 else math.inf
    if reference is None:
        return Evaluation(done, mean, perplexity)
    all_kl = np.concatenate(kl)
    return Evaluation(
        done, mean, perplexity, float(all_kl.mean()), float(np.percentile(all_kl, 99)),
        n_agree / done,
    )  # fmt: skip


def _window(model: GPT2, reference: GPT2 | None, n_ctx: int | None) -> int:
    largest = min(m.n_ctx for m in (model, reference) if m is not None)
    n_window = largest if n_ctx is None else n_ctx
    if not 2 <= n_window <= largest:
        raise ValueError(f"the window is {n_window} tokens, expected 2 to {largest}")
    return n_window


def _stream(model: GPT2, text: str) -> NDArray[np.int32]:
    """All documents' tokens, an end-of-text token before each."""
    end = model.tokenizer.eos_token
    start = model.tokenizer.bos_token if end is None else end
    if start is None:
        raise ValueError(f"{model.path}: has no end-of-text token to put before a document")
    tokens: list[int] = []
    for document in _SEPARATOR.split(text):
        if document:
            tokens += [start, *model.tokenizer.encode(document)]
    return np.array(tokens, np.int32)


def _rows(
    model: GPT2, tokens: NDArray[np.int32], n_window: int
) -> Iterator[tuple[int, Floats | None]]:
    """(index of a token, the logits after it and the next ones), for all that have a successor in
    their window."""
    session: _core.Session = model.session()
    for start in range(0, len(tokens), n_window):
        session.truncate(0)
        last = min(start + n_window, len(tokens)) - 1
        for first in range(start, last, _ROWS):
            yield first, session.append_all_logits(tokens[first : min(first + _ROWS, last)])


def _nothing() -> Iterator[tuple[int, None]]:
    while True:
        yield 0, None


def _log_sum_exp(logits: Floats) -> NDArray[np.float64]:
    """Of each row, summed in float64: thousands of small terms count."""
    highest = logits.max(axis=1)
    total = np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64)
    return highest + np.log(total)


def _divergence(
    reference: Floats, logits: Floats, log_sum: NDArray[np.float64]
) -> NDArray[np.float64]:
    """KL(reference || model) of each row: the mean, under the reference, of its log p minus the
    model's. The logits are close, so their difference is exact where p is not tiny."""
    reference_log_sum = _log_sum_exp(reference)
    p = np.exp(reference - reference_log_sum[:, None].astype(np.float32))
    p /= p.sum(axis=1, keepdims=True, dtype=np.float64)
    mean_difference = np.einsum("ij,ij->i", p, reference - logits, dtype=np.float64)
    # Rounding can leave a hair below zero, where no divergence is.
    return np.maximum(mean_difference - (reference_log_sum - log_sum), 0.0)
