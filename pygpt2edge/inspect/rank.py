"""Ranks candidate continuations of a prompt."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pygpt2edge.errors import ContextLengthError
from pygpt2edge.generate.common_prefix import n_common
from pygpt2edge.inspect.scoring import logprobs
from pygpt2edge.loaded_model import LoadedModel, token_ids

Text = str | Sequence[int]


@dataclass(frozen=True)
class Ranked:
    """A candidate, and how probable it is as what follows a prompt.

    Attributes:
      text: the candidate's text.
      index: its place among the candidates as they were given.
      logprob: natural logarithm of the probability of all `tokens` together; 0 when there are none.
      tokens: those that were scored. They begin where the tokens of any candidate's whole text
        first differ from the prompt's own, which may be before the prompt's end: " wor" and "ld"
        are other tokens than " world".
      logprobs: of each of them.
    """

    text: str
    index: int
    logprob: float
    tokens: list[int]
    logprobs: list[float]

    @property
    def logprob_per_token(self) -> float:
        """The mean of `logprobs`, for candidates of different lengths; 0 without any."""
        return self.logprob / len(self.logprobs) if self.logprobs else 0.0


def rank(
    model: LoadedModel, prompt: Text, candidates: Sequence[Text], allow_special: bool
) -> list[Ranked]:
    """See `GPT2.rank`."""
    if isinstance(candidates, str):
        raise TypeError("candidates is one text: give a list of them")
    if not candidates:
        return []
    start = model.start_token
    encode = functools.partial(
        model.tokenizer.encode, allow_special=allow_special, add_special_tokens=False
    )
    prompt_tokens = _joined("", prompt, encode)
    wholes = [_joined(prompt, candidate, encode) for candidate in candidates]
    _check(model, start, wholes, candidates)
    n_shared = min(n_common(prompt_tokens, whole) for whole in wholes)
    ends = [whole[n_shared:] for whole in wholes]
    scores = _scores(model, [start, *prompt_tokens[:n_shared]], ends)
    found = [
        Ranked(
            text=candidate if isinstance(candidate, str) else model.tokenizer.decode(candidate),
            index=index,
            logprob=math.fsum(of_tokens),
            tokens=end,
            logprobs=of_tokens,
        )
        for index, (candidate, end, of_tokens) in enumerate(
            zip(candidates, ends, scores, strict=True)
        )
    ]
    return sorted(found, key=lambda ranked: -ranked.logprob)


def _joined(prompt: Text, candidate: Text, encode: Callable[[str], list[int]]) -> list[int]:
    """The tokens of both together; text next to text is encoded as one."""
    if isinstance(prompt, str) and isinstance(candidate, str):
        return encode(prompt + candidate)
    ids = [
        encode(part) if isinstance(part, str) else token_ids(part, name)
        for part, name in ((prompt, "prompt"), (candidate, "a candidate"))
    ]
    return [*ids[0], *ids[1]]


def _check(
    model: LoadedModel, start: int, wholes: Sequence[list[int]], candidates: Sequence[Text]
) -> None:
    empty = model.session()
    for index, (whole, candidate) in enumerate(zip(wholes, candidates, strict=True)):
        try:
            empty.check([start, *whole][:-1])  # the last token is only looked up
            empty.check(whole[-1:])
        except ContextLengthError as error:
            what = f'"{candidate:.40}"' if isinstance(candidate, str) else "token ids"
            raise ContextLengthError(f"candidate {index}, {what}: {error}") from None


def _scores(
    model: LoadedModel, context: Sequence[int], ends: Sequence[list[int]]
) -> Iterator[list[float]]:
    """How probable each token of each end is, after a context that all share."""
    shared = model.session()
    shared.append(context)
    first = {token: shared.top_logprobs(token, 0)[0] for token in {end[0] for end in ends if end}}
    parts = ((shared.fork(), end[:-1], end[1:]) for end in ends)
    for end, rest in zip(ends, logprobs(parts), strict=True):
        yield [first[end[0]], *rest] if end else []
