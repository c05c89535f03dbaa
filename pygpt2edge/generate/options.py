"""The options of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pygpt2edge import _core

OVERFLOWS = ("stop", "error", "slide")


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
    context_overflow: str = "stop"
    keep: int = 512
    pin: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 0:
            raise ValueError(
                f"max_tokens is {self.max_tokens}; give 0 or more, or None to fill the context"
            )
        if self.logprobs < 0:
            raise ValueError(f"logprobs is {self.logprobs}; give 0 or more")
        if self.seed is not None and not 0 <= self.seed < 2**64:
            raise ValueError(f"seed is {self.seed}; give 0 to 2^64 - 1, or None to draw one")
        if self.context_overflow not in OVERFLOWS:
            raise ValueError(
                f'context_overflow is "{self.context_overflow}"; give "stop", "error" or "slide"'
            )

    def sampler(self, seed: int) -> _core.Sampler:
        """A sampler of these options."""
        return _core.Sampler(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            logit_bias=dict(self.logit_bias),
            seed=seed,
        )


def each_stop(stop: str | Sequence[str]) -> tuple[str, ...]:
    """The stop strings, of which one may come by itself."""
    return (stop,) if isinstance(stop, str) else tuple(stop)
