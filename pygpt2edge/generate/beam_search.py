"""Beam search: the most probable texts, by extending the num_beams best hypotheses.

The search, its scores and its end are those of Hugging Face's transformers
(`generate(num_beams=..., do_sample=False)`), so that results can be compared. The length penalty is
that of Wu et al., "Google's Neural Machine Translation System", 2016, section 7, without the
constant.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from pygpt2edge import _core
from pygpt2edge.generate.results import Completion, FinishReason, Timings
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import LANGUAGES, hint, texts

EarlyStopping = bool | Literal["never"]

# A text's length to this power, and its inverse, is finite for every possible context.
_MAX_PENALTY = 50


def check_names(others: Collection[str]) -> None:
    """Raises TypeError for names that are no options of `GPT2.beam_search`."""
    for name in others:
        if name in LANGUAGES:
            raise TypeError(
                f"beam_search() has no option {name!r}: hypotheses are compared by the model's own "
                "probabilities, not by those of a constraint; generate() has it"
            )
        names = [each.name for each in fields(BeamOptions)]
        raise TypeError(f"beam_search() has no option {name!r}{hint(name, names)}")


@dataclass(frozen=True)
class BeamOptions:
    """The options of `GPT2.beam_search`, which documents them."""

    num_beams: int = 4
    n: int = 1
    max_tokens: int | None = 64
    length_penalty: float = 1.0
    early_stopping: EarlyStopping = False
    stop: Sequence[str] = ()
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        if self.num_beams < 1:
            raise ValueError(f"num_beams is {self.num_beams}; give 1 or more")
        if not 1 <= self.n <= self.num_beams:
            raise ValueError(f"n is {self.n}; give 1 to num_beams, which is {self.num_beams}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(
                f"max_tokens is {self.max_tokens}; give 1 or more, or None to fill the context"
            )
        if not -_MAX_PENALTY <= self.length_penalty <= _MAX_PENALTY:
            raise ValueError(
                f"length_penalty is {self.length_penalty}; give {-_MAX_PENALTY} to {_MAX_PENALTY}"
            )
        if not isinstance(self.early_stopping, bool) and self.early_stopping != "never":
            raise ValueError(
                f'early_stopping is {self.early_stopping!r}; give True, False or "never"'
            )


@dataclass(frozen=True)
class _Beam:
    """An open hypothesis. Its session lacks the last token until the next pass."""

    session: _core.Session
    tokens: list[int]
    logprob: float  # of all tokens together


@dataclass(frozen=True)
class _Finished:
    """A finished hypothesis."""

    tokens: list[int]
    score: float
    reason: FinishReason


def beam_search(
    model: LoadedModel,
    prompt: str | Sequence[int],
    *,
    stop: str | Sequence[str],
    allow_special: bool,
    add_special_tokens: bool,
    **others: Any,
) -> list[Completion]:
    """See `GPT2.beam_search`; `others` are fields of BeamOptions."""
    options = BeamOptions(stop=texts("stop", stop), **others)
    tokens = model.tokens_of(
        prompt, allow_special=allow_special, add_special_tokens=add_special_tokens
    )
    return BeamSearch(model, tokens, options).run()


class BeamSearch:
    """One search: `run` it once."""

    def __init__(self, model: LoadedModel, prompt: Sequence[int], options: BeamOptions) -> None:
        self._model, self._prompt, self._options = model, list(prompt), options
        self._beams: list[_Beam] = []  # best first
        self._finished: list[_Finished] = []  # best first
        self._timings = Timings(load_s=model.load_s)
        # The last token of a text needs no position: nothing is computed from it.
        room = model.n_ctx - len(self._prompt) + 1
        self._limit = room if options.max_tokens is None else min(options.max_tokens, room)
        self._stops = [stop.encode() for stop in options.stop]
        _core.StopMatcher(self._stops)  # raises for invalid stop strings
        eos = None if options.ignore_eos else model.tokenizer.eos_token
        self._eos = -1 if eos is None else eos
        self._is_cancelled = False

    def cancel(self) -> None:
        """Ends the search after its current step. May be called from any thread."""
        self._is_cancelled = True

    def run(self) -> list[Completion]:
        """The best texts, best first. Raises what `Session.append` does."""
        start = time.perf_counter()
        session = self._model.session()
        session.append(self._prompt)
        self._beams = [_Beam(session, [], 0.0)]
        del session  # a beam's memory is freed with the beam
        self._timings.prefill_tokens = len(self._prompt)
        self._timings.prefill_s = time.perf_counter() - start
        start = time.perf_counter()
        for length in range(1, self._limit + 1):
            self._beams = self._step(length)
            if self._is_cancelled or self._is_over(length):
                break
            self._compute()
        self._beams.clear()
        self._timings.decode_s = time.perf_counter() - start
        return [self._completion(ended) for ended in self._finished[: self._options.n]]

    def _step(self, length: int) -> list[_Beam]:
        """Chooses the beams of the next step, and collects the hypotheses that finish now."""
        num_beams = self._options.num_beams
        kept: list[tuple[_Beam, int, float]] = []
        for rank, (parent, token, logprob) in enumerate(self._candidates()):
            reason = self._reason(parent, token, length)
            if reason is None:
                kept.append((parent, token, logprob))
            elif rank < num_beams:
                score = logprob / length**self._options.length_penalty
                tokens = parent.tokens if token == self._eos else [*parent.tokens, token]
                self._finished.append(_Finished(tokens, score, reason))
        self._finished.sort(key=lambda ended: -ended.score)
        del self._finished[num_beams:]
        return _with_sessions(kept[:num_beams])

    def _candidates(self) -> list[tuple[_Beam, int, float]]:
        """The best hypotheses with one token more, best first: (beam, token, logprob).

        There are two for each beam, so that enough stay open when every beam may finish. Of equal
        ones the lower token is first, then that of the better beam.
        """
        n = 2 * self._options.num_beams
        found = [
            (-(beam.logprob + logprob), token, rank)
            for rank, beam in enumerate(self._beams)
            for token, logprob in beam.session.top_logprobs(0, n)[1]
        ]
        best = heapq.nsmallest(n, found)
        return [(self._beams[rank], token, -loss) for loss, token, rank in best]

    def _reason(self, beam: _Beam, token: int, length: int) -> FinishReason | None:
        """The reason to end the text with this token, or None."""
        if token == self._eos or self._completes_stop(beam, token):
            return "stop"
        return "length" if length == self._limit else None

    def _completes_stop(self, beam: _Beam, token: int) -> bool:
        longest = max(map(len, self._stops), default=0)
        if longest == 0:
            return False
        # Every token has a byte at least, so that no stop string begins before these.
        last = [*beam.tokens[-longest:], token]
        text = self._model.tokenizer.decode_bytes(last)
        return any(stop in text for stop in self._stops)

    def _is_over(self, length: int) -> bool:
        """Whether no better text can be found, by the rules of `early_stopping`."""
        options = self._options
        if not self._beams:
            return True
        if len(self._finished) < options.num_beams:
            return False
        if options.early_stopping is True:
            return True
        if options.early_stopping == "never" and options.length_penalty > 0:
            length = self._limit
        best_possible: float = self._beams[0].logprob / length**options.length_penalty
        return best_possible <= self._finished[-1].score

    def _compute(self) -> None:
        """One pass over the weights for the last token of every beam."""
        _core.append_together([(beam.session, beam.tokens[-1:]) for beam in self._beams])
        self._timings.decode_tokens += len(self._beams)

    def _completion(self, ended: _Finished) -> Completion:
        matcher = _core.StopMatcher(self._stops)
        pieces = [matcher.push(self._model.tokenizer.token_bytes(token)) for token in ended.tokens]
        text = b"".join([*pieces, matcher.finish()])
        stop = matcher.stop_string
        return Completion(
            text=text.decode("utf-8", "replace"),
            tokens=ended.tokens,
            prompt_tokens=list(self._prompt),
            finish_reason=ended.reason,
            stop_string=None if stop is None else stop.decode(),
            seed=0,
            timings=replace(self._timings),
            score=ended.score,
        )


def _with_sessions(chosen: Sequence[tuple[_Beam, int, float]]) -> list[_Beam]:
    """Beams with one token more. Those of one parent share its memory: the last of them takes over
    its session, the others fork it."""
    left = Counter(id(parent) for parent, _, _ in chosen)
    beams = []
    for parent, token, logprob in chosen:
        left[id(parent)] -= 1
        session = parent.session.fork() if left[id(parent)] else parent.session
        beams.append(_Beam(session, [*parent.tokens, token], logprob))
    return beams
