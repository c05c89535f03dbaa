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

from pygpt2edge.inspect.scoring import ROWS
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.tokenizer import END_OF_TEXT

Floats = NDArray[np.float32]

_SEPARATOR = re.compile(rf"\n?{re.escape(END_OF_TEXT)}\n?")


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model on a text. The last three are None without a reference.

    Attributes:
      tokens: how many were scored.
      nll: mean of -log p, in nats.
      perplexity: exp(nll).
      kl_mean: mean of KL(reference || model), in nats.
      kl_p99: the divergence that 99% of the tokens are below.
      top1_agreement: share of tokens where both models find the same token most likely.
    """

    tokens: int
    nll: float
    perplexity: float
    kl_mean: float | None = None
    kl_p99: float | None = None
    top1_agreement: float | None = None


def evaluate(
    model: LoadedModel,
    text: str,
    *,
    reference: LoadedModel | None = None,
    n_ctx: int | None = None,
    stride: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Scores a text in windows of n_ctx tokens.

    Args:
      text: documents, with "<|endoftext|>" between them (the line breaks around it do not count).
        Each is given an end-of-text token in front, and all are strung together before the cut.
      reference: a model of the same vocabulary to compare with, such as the f32 file.
      n_ctx: the window; default, and at most, the smaller context of the models.
      stride: how many tokens a window is further on in the text than the one before; default the
        whole window, so that none overlap, as most published figures have it. With less, a window
        begins with the last tokens of the one before, and the model sees what it sees of a text
        that slides with `discard=stride` (`context_overflow="slide"`).
      progress: called with (tokens done, tokens in all, "").

    In a window every token is scored, given those before it there, but for the first one and those
    that an earlier window has scored.
    Memory beyond the models' is bounded by 128 rows of logits each.

    Raises ValueError for a text with nothing to score, a window that does not fit, models whose
    vocabularies differ, or one whose weights are no numbers.
    """
    n_window = _window(model, reference, n_ctx)
    step = n_window if stride is None else stride
    if not 1 <= step <= n_window:
        raise ValueError(f"stride is {stride}; give 1 to {n_window}, the window")
    tokens = _stream(model, text)
    if reference is not None and not np.array_equal(tokens, _stream(reference, text)):
        raise ValueError(
            "the model and its reference cut the text into different tokens: only models of one "
            "vocabulary can be compared"
        )
    if len(tokens) < 2:
        raise ValueError("there is nothing to score: the text has no token")
    scores = Scores()
    sequences = [each.session() for each in (model, reference) if each is not None]
    for known, first, last in _chunks(len(tokens), n_window, step):
        for each in sequences if known is not None else ():
            each.truncate(0)
            each.append(tokens[known:first])
        inputs, targets = tokens[first:last], tokens[first + 1 : last + 1]
        logits, *expected = [each.append_all_logits(inputs) for each in sequences]
        scores.add(targets, logits, expected[0] if expected else None)
        if progress is not None:
            progress(last + 1, len(tokens), "")
    return scores.evaluation()


def _window(model: LoadedModel, reference: LoadedModel | None, n_ctx: int | None) -> int:
    largest = min(m.n_ctx for m in (model, reference) if m is not None)
    n_window = largest if n_ctx is None else n_ctx
    if not 2 <= n_window <= largest:
        raise ValueError(f"the window is {n_window} tokens, expected 2 to {largest}")
    return n_window


def _stream(model: LoadedModel, text: str) -> NDArray[np.int32]:
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


def _chunks(n_tokens: int, n_window: int, stride: int) -> Iterator[tuple[int | None, int, int]]:
    """(known, first, last): the tokens first .. last - 1 are to be computed and predict first + 1
    .. last; where a window begins, it does so with the tokens known .. first - 1, which predict
    nothing new. A window's last token predicts none."""
    done = 0  # tokens that need not be predicted any more, but for the first
    for start in range(0, n_tokens, stride):
        end = min(start + n_window, n_tokens) - 1
        begin = max(start, done - 1)
        for first in range(begin, end, ROWS):
            yield start if first == begin else None, first, min(first + ROWS, end)
        done = end + 1


class Scores:
    """Gathers what each row of logits says about its target. Sums over the vocabulary are made in
    float64: tens of thousands of small terms count."""

    def __init__(self) -> None:
        self._nll: list[NDArray[np.float64]] = []
        self._kl: list[NDArray[np.float64]] = []
        self._n_agree = 0

    def add(self, targets: NDArray[np.int32], logits: Floats, reference: Floats | None) -> None:
        """Rows of logits (n, n_vocab), those of the reference, and the n tokens that came."""
        _, log_sum = _softmax_parts(logits)
        self._nll.append(log_sum - logits[np.arange(len(targets)), targets])
        if reference is None:
            return
        self._n_agree += int((logits.argmax(axis=1) == reference.argmax(axis=1)).sum())
        # KL(reference || model) is the mean, under the reference, of its log p minus the model's.
        # The logits are close, so that their differences are exact where they matter.
        weights, reference_log_sum = _softmax_parts(reference)
        total = weights.sum(axis=1, dtype=np.float64)
        weights *= reference - logits
        difference = weights.sum(axis=1, dtype=np.float64) / total
        kl = difference - (reference_log_sum - log_sum)
        # Rounding can make it slightly negative.
        self._kl.append(np.maximum(kl, 0.0))

    def evaluation(self) -> Evaluation:
        nll = np.concatenate(self._nll)
        mean = float(nll.mean())
        if not mean < 700:  # exp() of more overflows; nan fails too
            raise ValueError(
                f"the model's loss is {mean:.1f} nats a token, and that of uniform "
                "probabilities is 10.8: its weights are damaged"
            )
        perplexity = math.exp(mean)
        if not self._kl:
            return Evaluation(len(nll), mean, perplexity)
        kl = np.concatenate(self._kl)
        return Evaluation(
            len(nll), mean, perplexity,
            kl_mean=float(kl.mean()), kl_p99=float(np.percentile(kl, 99)),
            top1_agreement=self._n_agree / len(nll),
        )  # fmt: skip


def _softmax_parts(logits: Floats) -> tuple[Floats, NDArray[np.float64]]:
    """exp(logits - the row's highest), and the logarithm of the sum of exp(logits)."""
    highest = logits.max(axis=1)
    weights = logits - highest[:, None]
    np.exp(weights, out=weights)
    return weights, highest + np.log(weights.sum(axis=1, dtype=np.float64))
