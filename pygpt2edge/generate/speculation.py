"""Guesses of the tokens to come, which one pass over the weights then checks together.

Writing one token reads all weights; computing a few rows more beside it costs little. So what is
likely to come is guessed, computed in one pass, and kept as far as the sampler, with the logits and
the random numbers it would have had anyway, chooses the same tokens. The text is the plain one, bit
for bit: a wrong guess costs time and nothing else.
Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023;
there the distribution is kept, here the text is: the draft draws with the same random numbers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from pygpt2edge import _core
from pygpt2edge.generate.common_prefix import n_common
from pygpt2edge.generate.options import GenerateOptions
from pygpt2edge.generate.window import Window, window_for
from pygpt2edge.loaded_model import LoadedModel

# The core computes the logits of 16 rows together, of which the first is no guess.
MAX_GUESSES = 15


class Guesser(Protocol):
    """Something that guesses how a text goes on."""

    def guess(self, text: Sequence[int], n: int, sampler: _core.Sampler) -> list[int]:
        """Up to n tokens after the text, which `sampler` will choose among next.

        It is called with texts of which each begins with the one before.
        """


class PromptLookup:
    """Guesses that the text goes on as it did where its last few tokens stood before.

    Source: Saxena, "Prompt Lookup Decoding", 2023.
    """

    LONGEST, SHORTEST = 4, 2  # tokens that must be the same

    def __init__(self) -> None:
        self._n = 0  # tokens of the text that are known
        self._after: dict[tuple[int, ...], int] = {}  # where each run of tokens last ended

    def guess(self, text: Sequence[int], n: int, sampler: _core.Sampler) -> list[int]:
        """See `Guesser`."""
        self._note_all_but_the_end(text)
        place = self._place(text)
        if place is None:
            return []
        guesses: list[int] = []
        for i in range(place - len(text), place - len(text) + n):
            guesses.append(guesses[i] if i >= 0 else text[i])  # what repeats, goes on repeating
        return guesses

    def _place(self, text: Sequence[int]) -> int | None:
        """After the last place where the text's end stood before, or None."""
        for length in range(self.LONGEST, self.SHORTEST - 1, -1):
            place = self._after.get(tuple(text[-length:]))
            if place is not None:
                return place
        return None

    def _note_all_but_the_end(self, text: Sequence[int]) -> None:
        for end in range(self._n + 1, len(text)):
            for length in range(self.SHORTEST, min(self.LONGEST, end) + 1):
                self._after[tuple(text[end - length : end])] = end
        self._n = max(self._n, len(text) - 1)


class Draft:
    """Guesses what another, smaller model of the same vocabulary would write."""

    def __init__(self, window: Window) -> None:
        self._window = window  # of the other model
        self._guessed: list[int] = []  # its last tokens, which nobody has confirmed

    def guess(self, text: Sequence[int], n: int, sampler: _core.Sampler) -> list[int]:
        """See `Guesser`."""
        window = self._window
        self._take_back_wrong(text)
        missing = list(text[window.n_tokens :])
        if len(missing) > window.room:
            return []  # the draft's context is shorter, and full
        window.append(missing)
        own = sampler.copy()  # the same random numbers, on the draft's own logits
        guesses: list[int] = []
        n = int(min(n, window.revocable() + 1))
        while len(guesses) < n:
            guesses.append(window.session.sample(own))
            own.accept(guesses[-1])
            if len(guesses) < n:
                window.append(guesses[-1:])
        self._guessed = guesses[:-1]
        return guesses

    def _take_back_wrong(self, text: Sequence[int]) -> None:
        n_sure = self._window.n_tokens - len(self._guessed)
        right = n_common(self._guessed, text[n_sure:-1])  # the last token's logits are needed
        self._window.take_back(len(self._guessed) - right)
        self._guessed = []


class Pace:
    """How many guesses pay, from what guesses and passes took and how often guesses were right.

    Times change how fast a text comes, never what it says.
    """

    _WEIGHT = 0.15  # of the newest figure in its mean
    _LONGEST_REST = 128  # passes without guesses before the next attempt
    _PASSES = 4  # for which a choice stands: making it takes time, too

    def __init__(self, max_guesses: int) -> None:
        self._max = max_guesses
        self._right = 0.7  # the probability that a guess is right, given those before it are
        self._pass_s: dict[int, float] = {}  # seconds of a pass, by its number of guesses
        self._guess_s = 0.0  # seconds of a guess
        self._is_behind = True  # the guesser may have much of the text to read first
        self._rest = 2  # passes without guesses, where they do not pay
        self._n, self._left = 0, 0  # guesses for so many passes more

    def n_guesses(self) -> int:
        """How many guesses to make now."""
        if self._left == 0:
            self._choose()
        self._left -= 1
        return self._n

    def _choose(self) -> None:
        if 0 not in self._pass_s:
            self._n, self._left = 0, 1  # the plain pass is what all others are measured by
            return
        # What was never measured is tried in small steps.
        most = min(self._max, 2 + max(self._pass_s))
        best = max(range(most + 1), key=self._tokens_per_s)
        if best > 0:
            self._n, self._left, self._rest = best, self._PASSES, 2
        elif self._n > 0:
            self._n, self._left = 0, self._rest
            self._rest = min(4 * self._rest, self._LONGEST_REST)
            self._is_behind = True
        else:
            self._n, self._left = min(2, self._max), 1

    def note_guesses(self, n: int, seconds: float) -> None:
        """So many guesses took so long to make."""
        if not self._is_behind:
            self._guess_s = self._mean(self._guess_s or seconds / n, seconds / n)
        self._is_behind = False

    def note_pass(self, n_guesses: int, n_right: int, seconds: float) -> None:
        """A pass with so many guesses, of which the first were right, took so long."""
        self._pass_s[n_guesses] = self._mean(self._pass_s.get(n_guesses, seconds), seconds)
        for i in range(min(n_right + 1, n_guesses)):
            self._right = self._mean(self._right, float(i < n_right))
        if n_guesses > 0 and n_right == 0:
            self._left = 0  # a good time to think again

    def _mean(self, mean: float, value: float) -> float:
        return mean + self._WEIGHT * (value - mean)

    def _tokens_per_s(self, n: int) -> float:
        right = min(self._right, 0.999)
        tokens = (1 - right ** (n + 1)) / (1 - right)  # the first wrong guess still gives a token
        return tokens / (self._seconds(n) + n * self._guess_s)

    def _seconds(self, n: int) -> float:
        """Of a pass with n guesses: as measured, or in line with the nearest that were."""
        if n in self._pass_s:
            return self._pass_s[n]
        below = max(k for k in self._pass_s if k < n)
        above = min((k for k in self._pass_s if k > n), default=None)
        if above is not None:
            share = (n - below) / (above - below)
            return self._pass_s[below] + share * (self._pass_s[above] - self._pass_s[below])
        # An optimistic tenth of a pass for each row more: it will be tried, and measured.
        return self._pass_s[below] + (n - below) * 0.1 * self._pass_s[0]


class Speculation:
    """The guessers of one text, the one that is asked first first, each with its own pace."""

    def __init__(self, guessers: Sequence[Guesser], max_guesses: int) -> None:
        if not 1 <= max_guesses <= MAX_GUESSES:
            raise ValueError(f"max_guesses is {max_guesses}; give 1 to {MAX_GUESSES}")
        self._guessers = [(guesser, Pace(max_guesses)) for guesser in guessers]
        self._pace: Pace | None = None  # whose guesses are being checked

    def guesses(self, text: Sequence[int], limit: float, sampler: _core.Sampler) -> list[int]:
        """What may follow the text: at most `limit` tokens, as many as are likely to pay."""
        self._pace = None
        for guesser, pace in self._guessers:
            n = min(pace.n_guesses(), int(min(limit, MAX_GUESSES)))
            if n < 1:
                continue
            start = time.perf_counter()
            found = guesser.guess(text, n, sampler)
            if found:
                pace.note_guesses(len(found), time.perf_counter() - start)
                self._pace = pace
                return found
        return []

    def note_pass(self, n_guesses: int, n_right: int, seconds: float) -> None:
        """A pass with so many guesses, of which the first were right, took so long."""
        if self._pace is not None:
            self._pace.note_pass(n_guesses, n_right, seconds)
        elif n_guesses == 0:
            for _, pace in self._guessers:
                pace.note_pass(0, 0, seconds)


def speculation(
    model: LoadedModel,
    options: GenerateOptions,
    *,
    draft: LoadedModel | None,
    prompt_lookup: bool,
    max_guesses: int,
) -> Speculation | None:
    """The guessers that were asked for, or None. Raises ValueError where they do not fit."""
    guessers: list[Guesser] = [PromptLookup()] if prompt_lookup else []
    if draft is not None:
        if not model.tokenizer.is_same_as(draft.tokenizer):
            raise ValueError(
                f"the draft {draft.path.name} has another vocabulary than {model.path.name}: only "
                "a model of the same vocabulary can guess its tokens"
            )
        guessers.append(Draft(window_for(draft, options)))
    return Speculation(guessers, max_guesses) if guessers else None
