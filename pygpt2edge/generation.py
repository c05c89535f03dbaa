"""One text being generated: the loop from logits to tokens to text."""

from __future__ import annotations

import codecs
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pygpt2edge import _core
from pygpt2edge.results import Completion, FinishReason, Piece, Timings, TokenLogprob
from pygpt2edge.tokenizer import Tokenizer


@dataclass(frozen=True)
class GenerateOptions:
    """The options of `GPT2.generate`, which documents them."""

    max_tokens: int | None = 64
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    stop: Sequence[str] = ()
    logprobs: int = 0
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 0:
            raise ValueError(
                f"max_tokens is {self.max_tokens}; give 0 or more, or None to fill the context"
            )
        if self.logprobs < 0:
            raise ValueError(f"logprobs is {self.logprobs}; give 0 or more")
        if self.seed is not None and not 0 <= self.seed < 2**64:
            raise ValueError(f"seed is {self.seed}; give 0 to 2^64 - 1, or None to draw one")


class Generation(Iterator[Piece]):
    """Yields pieces of text as they come; `completion()` sums up what there is so far."""

    def __init__(
        self,
        session: _core.Session,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        options: GenerateOptions,
        load_s: float = 0.0,
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._options = options
        self._seed = secrets.randbits(64) if options.seed is None else options.seed
        self._sampler = _core.Sampler(
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            min_p=options.min_p,
            repetition_penalty=options.repetition_penalty,
            logit_bias=dict(options.logit_bias),
            seed=self._seed,
        )
        self._matcher = _core.StopMatcher([stop.encode() for stop in options.stop])
        self._prompt = list(prompt)
        self._tokens: list[int] = []
        self._text: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish_reason: FinishReason | None = None
        self._timings = Timings(load_s=load_s)
        self._pieces = self._run()

    def __next__(self) -> Piece:
        return next(self._pieces)

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

    def _run(self) -> Iterator[Piece]:
        self._prefill()
        limit = self._options.max_tokens
        while limit is None or len(self._tokens) < limit:
            start = time.perf_counter()
            token = self._session.sample(self._sampler)
            sampling_s = time.perf_counter() - start
            if token == self._tokenizer.eos_token and not self._options.ignore_eos:
                self._finish_reason = "stop"
                break
            self._tokens.append(token)
            yield self._piece(token, self._logprob(token))
            if self._matcher.stopped:
                self._finish_reason = "stop"
                return
            if len(self._session) == self._session.n_ctx or len(self._tokens) == limit:
                break
            start = time.perf_counter()  # not before: the caller has had the piece for a while
            self._sampler.accept(token)
            self._session.append([token])
            self._timings.decode_tokens += 1
            self._timings.decode_s += sampling_s + time.perf_counter() - start
        self._finish_reason = self._finish_reason or "length"
        rest = self._decoded(self._matcher.finish())
        if rest:
            yield Piece(rest, None)
        if self._matcher.stopped:
            self._finish_reason = "stop"

    def _prefill(self) -> None:
        start = time.perf_counter()
        for token in self._prompt:
            self._sampler.accept(token)
        self._session.append(self._prompt)
        self._timings.prefill_tokens = len(self._prompt)
        self._timings.prefill_s = time.perf_counter() - start

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

    def _logprob(self, token: int) -> TokenLogprob | None:
        n_top = self._options.logprobs
        if n_top == 0:
            return None
        chosen, top = _core.top_logprobs(self._session.logits, token, n_top)
        return TokenLogprob(token, self._tokenizer.decode([token]), chosen, top)
