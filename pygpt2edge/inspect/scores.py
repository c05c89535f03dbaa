"""What rows of logits say of the tokens that came, and of a reference's predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_FIRST_RANGE = 64  # positions; each range after it ends at twice the one before


@dataclass(frozen=True)
class PositionRange:
    """The tokens that have `first` to `last` others before them in their window.

    Attributes:
      first, last: numbers of tokens before the one that is scored.
      tokens: how many were scored.
      nll: mean of -log p, in nats.
      kl_mean: mean divergence, or None without a reference.
    """

    first: int
    last: int
    tokens: int
    nll: float
    kl_mean: float | None


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model on a text. What begins with kl and top1 is None without a
    reference.

    Attributes:
      tokens: how many were scored.
      nll: mean of -log p, in nats.
      perplexity: exp(nll).
      kl_mean: mean of KL(reference || model), in nats.
      kl_p99: the divergence that 99% of the tokens are below.
      kl_max: the greatest divergence.
      top1_agreement: share of tokens where both models find the same token most likely.
      by_position: the same by how many tokens came before in the window.
    """

    tokens: int
    nll: float
    perplexity: float
    kl_mean: float | None = None
    kl_p99: float | None = None
    kl_max: float | None = None
    top1_agreement: float | None = None
    by_position: tuple[PositionRange, ...] = ()


class Expected:
    """A reference's predictions, computed once for all models that are compared with it."""

    def __init__(self, logits: Floats) -> None:
        self.logits = logits
        self.weights, self.total, self.log_sum = _softmax_parts(logits)
        self.best = logits.argmax(axis=1)

    def move_to(self, logits: Floats, weights: Floats) -> None:
        """Copies what is a row of the vocabulary each, such as to a file, and frees its own."""
        logits[:], weights[:] = self.logits, self.weights
        self.logits, self.weights = logits, weights


class Scores:
    """Gathers what each row of logits says about its target. Sums over the vocabulary are made in
    float64: tens of thousands of small terms count."""

    def __init__(self) -> None:
        self._nll: list[NDArray[np.float64]] = []
        self._kl: list[NDArray[np.float64]] = []
        self._before: list[NDArray[np.int64]] = []
        self._n_agree = 0

    def add(
        self, targets: NDArray[np.int32], logits: Floats, expected: Expected | None, n_before: int
    ) -> None:
        """Rows of logits (n, n_vocab), the reference's predictions, and the n tokens that came, of
        which the first has n_before others before it in its window."""
        _, _, log_sum = _softmax_parts(logits)
        self._nll.append(log_sum - logits[np.arange(len(targets)), targets])
        self._before.append(np.arange(n_before, n_before + len(targets)))
        if expected is None:
            return
        self._n_agree += int((logits.argmax(axis=1) == expected.best).sum())
        # KL(reference || model) is the mean, under the reference, of its log p minus the model's.
        # The logits are close, so that their differences are exact where they matter.
        weighted = expected.logits - logits
        weighted *= expected.weights
        difference = weighted.sum(axis=1, dtype=np.float64) / expected.total
        kl = difference - (expected.log_sum - log_sum)
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
        kl = np.concatenate(self._kl) if self._kl else None
        ranges = tuple(self._ranges(nll, kl))
        if kl is None:
            return Evaluation(len(nll), mean, perplexity, by_position=ranges)
        return Evaluation(
            len(nll), mean, perplexity,
            kl_mean=float(kl.mean()), kl_p99=float(np.percentile(kl, 99)), kl_max=float(kl.max()),
            top1_agreement=self._n_agree / len(nll), by_position=ranges,
        )  # fmt: skip

    def _ranges(
        self, nll: NDArray[np.float64], kl: NDArray[np.float64] | None
    ) -> Iterator[PositionRange]:
        before = np.concatenate(self._before)
        first, end = 0, _FIRST_RANGE
        while first <= before.max():
            here = (before >= first) & (before < end)
            if here.any():
                mean = None if kl is None else float(kl[here].mean())
                nll_mean = float(nll[here].mean())
                yield PositionRange(first, end - 1, int(here.sum()), nll_mean, mean)
            first, end = end, 2 * end


def _softmax_parts(logits: Floats) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]:
    """exp(logits - the row's highest), their sum, and the logarithm of the sum of exp(logits)."""
    highest = logits.max(axis=1)
    weights = logits - highest[:, None]
    np.exp(weights, out=weights)
    total = weights.sum(axis=1, dtype=np.float64)
    return weights, total, highest + np.log(total)
