"""One text being generated: the loop from logits to tokens to text."""

from __future__ import annotations

import codecs
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pygpt2edge import _core
from pygpt2edge.errors import ContextLengthError
from pygpt2edge.generate import saved
from pygpt2edge.generate.options import GenerateOptions
from pygpt2edge.generate.results import Completion, FinishReason, Piece, Timings, TokenLogprob
from pygpt2edge.generate.speculation import Speculation
from pygpt2edge.generate.window import Window
from pygpt2edge.loaded_model import LoadedModel


class Generation(Iterator[Piece]):
    """Yields pieces of text as they come; `completion()` sums up what there is so far.

    Iterating computes as it goes. What computes many texts at once drives each by hand instead:
    while it is not `finished`, the window is given the `pending` tokens, with logits after
    `n_logits` of them, and then `advance()` chooses the next one, or several where the last of the
    pending ones are guesses.
    """

    def __init__(
        self, model: LoadedModel, window: Window, prompt: Sequence[int], options: GenerateOptions
    ) -> None:
        self.window = window
        self.pending: list[int] = list(prompt)
        self._n_guesses = 0  # of the pending tokens, the last ones
        self.speculation: Speculation | None = None  # may be set before the text has begun
        self._model = model
        self._tokenizer = model.tokenizer
        self.options = options
        self._seed = secrets.randbits(64) if options.seed is None else options.seed
        self._sampler = options.sampler(self._seed)
        self._matcher = _core.StopMatcher([stop.encode() for stop in options.stop])
        self._prompt = list(prompt)
        self._tokens: list[int] = []
        self._text: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish_reason: FinishReason | None = None
        self._timings = Timings(load_s=model.load_s)
        self._pass_s = self._sampling_s = 0.0
        self._pieces = self._run()
        for token in prompt:
            self._sampler.accept(token)

    def __next__(self) -> Piece:
        return next(self._pieces)

    @property
    def has_begun(self) -> bool:
        """Whether there is a token after the prompt."""
        return bool(self._tokens)

    @property
    def n_logits(self) -> int:
        """After how many of the pending tokens, the last ones, logits are needed."""
        return 1 + self._n_guesses

    @property
    def finished(self) -> bool:
        """Whether the text has ended."""
        return self._finish_reason is not None

    def completion(self) -> Completion:
        """The text so far, with its tokens and timings."""
        stop = self._matcher.stop_string
        return Completion(
            text="".join(self._text),
            tokens=list(self._tokens),
            prompt_tokens=self._prompt,
            finish_reason=self._finish_reason,
            stop_string=None if stop is None else stop.decode(),
            seed=self._seed,
            logprobs=list(self._logprobs),
            timings=self._timings,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves the text and all that it takes to go on; `GPT2.resume` does, another day.

        The file appears whole or not at all. It holds the keys and values computed so far: a few
        tens of kilobytes for each token.

        Raises ValueError for a text that has come to its end ("length" is none), OSError.
        """
        text = self._prompt + self._tokens
        if self.window.n_tokens == len(text) or self._matcher.stopped:
            raise ValueError("the text has come to its end: there is nothing to go on with")
        header = {
            "model": self._model.fingerprint,
            "model_name": self._model.path.name,
            "kv_type": self._model.kv_type,
            "n_ctx": self.window.session.n_ctx,
            "code_bias": self._model.code_bias,
            "options": asdict(self.options) | {"logit_bias": list(self.options.logit_bias.items())},
            "seed": self._seed,
            "prompt": self._prompt,
            "tokens": self._tokens,
            "logprobs": [asdict(logprob) for logprob in self._logprobs],
        }
        saved.write(Path(path), header, self.window.sessions)

    def replay(self, tokens: Sequence[int], logprobs: Sequence[TokenLogprob]) -> None:
        """Writes tokens that were chosen before; the window has all of the text but the last."""
        for token in tokens:
            self._tokens.append(token)
            self._piece(token, None)
            self._sampler.accept(token)
        self._logprobs += logprobs
        self._sampler.draw_index = len(self._tokens)
        self.pending = [self._tokens[-1]] if tokens else self.pending

    def _run(self) -> Iterator[Piece]:
        while not self.finished:
            start = time.perf_counter()
            self.window.append(self.pending, self.n_logits)
            self.note_computed(time.perf_counter() - start)
            yield from self.advance()

    def note_computed(self, seconds: float) -> None:
        """The pending tokens took so long."""
        self._pass_s = seconds
        if self._tokens:
            self._timings.decode_tokens += len(self.pending) - self._n_guesses
            self._timings.decode_passes += 1
            self._timings.decode_s += seconds + self._sampling_s
        else:
            self._timings.prefill_tokens += len(self.pending)
            self._timings.prefill_s += seconds

    def advance(self) -> list[Piece]:
        """Chooses the next token, once the window's logits are those after the pending ones, and
        those after it as far as the guesses were right.

        Raises ContextLengthError where the text is to go on and its context is full, if the options
        say so.
        """
        start = time.perf_counter()
        guesses = self.pending[len(self.pending) - self._n_guesses :]
        right = 0
        try:
            pieces = self._choose(len(guesses))
            while not self.finished and guesses[right : right + 1] == self._tokens[-1:]:
                right += 1
                pieces += self._choose(len(guesses) - right)
        finally:
            self._settle(len(guesses), right)
        if not self.finished:
            self._look_ahead()
        self._sampling_s = time.perf_counter() - start
        return pieces

    def _choose(self, n_later: int) -> list[Piece]:
        """Chooses a token, n_later tokens before the end of what the window has."""
        limit = self.options.max_tokens
        if len(self._tokens) == limit:
            return self._finish("length")
        session = self.window.session
        place = len(session) - n_later
        token = session.sample(self._sampler, place)
        if token == self._tokenizer.eos_token and not self.options.ignore_eos:
            return self._finish("stop")
        self._tokens.append(token)
        piece = self._piece(token, self._logprob(token, place))
        if self._matcher.stopped:
            self._finish_reason = "stop"
            return [piece]
        if len(self._tokens) == limit:
            return [piece, *self._finish("length")]
        if self.window.room + n_later < 1:
            if self.options.context_overflow == "error":
                raise ContextLengthError(
                    f"the context of {session.n_ctx} tokens is full: shorten the prompt, lower "
                    'max_tokens, or let it slide (context_overflow="slide")'
                )
            return [piece, *self._finish("length")]
        self._sampler.accept(token)
        return [piece]

    def _settle(self, n_guesses: int, n_right: int) -> None:
        """The first guesses were right: the others are no part of the text."""
        self.window.take_back(n_guesses - n_right)
        self._timings.decode_tokens += n_right
        self._timings.guessed_tokens += n_guesses
        self._timings.accepted_tokens += n_right
        if self.speculation is not None and self._timings.decode_passes:
            self.speculation.note_pass(n_guesses, n_right, self._pass_s)

    def _look_ahead(self) -> None:
        """What is to be computed next: the token that was chosen, and guesses of those after it."""
        self.pending, self._n_guesses = self._tokens[-1:], 0
        if self.speculation is None:
            return
        limit = self.window.revocable(1)
        if self.options.max_tokens is not None:
            limit = min(limit, self.options.max_tokens - len(self._tokens) - 1)
        text = self._prompt + self._tokens
        guesses = self.speculation.guesses(text, limit, self._sampler)
        self.pending += guesses
        self._n_guesses = len(guesses)

    def _finish(self, reason: FinishReason) -> list[Piece]:
        rest = self._decoded(self._matcher.finish())
        self._finish_reason = "stop" if self._matcher.stopped else reason
        return [Piece(rest, None)] if rest else []

    def _piece(self, token: int, logprob: TokenLogprob | None) -> Piece:
        if logprob is not None:
            self._logprobs.append(logprob)
        text = self._decoded(self._matcher.push(self._tokenizer.token_bytes(token)))
        return Piece(text, token, logprob)

    def _decoded(self, data: bytes) -> str:
        # The matcher releases whole characters, so what does not decode never will.
        text = codecs.decode(data, "utf-8", "replace")
        self._text.append(text)
        return text

    def _logprob(self, token: int, place: int) -> TokenLogprob | None:
        """Of a token that was chosen after the window's first `place` tokens."""
        n_top = self.options.logprobs
        if n_top == 0:
            return None
        logits = self.window.session.logits_after(place)
        chosen, top = _core.top_logprobs(logits, token, n_top)
        return TokenLogprob(token, self._tokenizer.decode([token]), chosen, top)
