"""The options of a text."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields

from pygpt2edge import _core
from pygpt2edge.loaded_model import LoadedModel

# The core computes the logits of 16 rows together, of which the first is no guess.
MAX_GUESSES = 15


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
        if self.seed is not None and not 0 <= self.seed < 2**64:
            raise ValueError(f"seed is {self.seed}; give 0 to 2^64 - 1, or None to draw one")

    @classmethod
    def of_core(cls, options: _core.TextOptions) -> GenerateOptions:
        """Those of a text that exists."""
        found = {each.name: getattr(options, each.name) for each in fields(cls)}
        if found["keep"] is None:
            found["keep"] = cls.keep
        return cls(**found)

    def for_core(self) -> _core.TextOptions:
        """The same for the core, which draws no seed."""
        seed = secrets.randbits(64) if self.seed is None else self.seed
        # The default is nobody's choice: in a short context, the core takes less.
        keep = None if self.keep == GenerateOptions.keep else self.keep
        return _core.TextOptions(**asdict(self) | {"seed": seed, "keep": keep})


def each_stop(stop: str | Sequence[str]) -> tuple[str, ...]:
    """The stop strings, of which one may come by itself."""
    return (stop,) if isinstance(stop, str) else tuple(stop)


def speculation(
    draft: LoadedModel | None, prompt_lookup: bool, max_guesses: int
) -> _core.SpeculationOptions:
    """What guesses tokens ahead of a text."""
    if draft is None:
        return _core.SpeculationOptions(prompt_lookup=prompt_lookup, max_draft=max_guesses)
    return _core.SpeculationOptions(
        prompt_lookup=prompt_lookup,
        draft=draft.core_model,
        draft_tables=draft.tokenizer.tables,
        draft_contexts=draft.contexts,
        max_draft=max_guesses,
    )
