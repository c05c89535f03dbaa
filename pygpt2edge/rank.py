"""Which of several texts is the most probable one after a prompt."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pygpt2edge import _core
from pygpt2edge.errors import ContextLengthError
from pygpt2edge.prefix_cache import n_common
from pygpt2edge.results import Ranked
from pygpt2edge.scoring import logprobs

if TYPE_CHECKING:
    from pygpt2edge.model import GPT2

Text = str | Sequence[int]


def rank(
    model: GPT2, start: int, prompt: Text, candidates: Sequence[Text], allow_special: bool
) -> list[Ranked]:
    """See `GPT2.rank`; `start` is the token before the prompt."""
    if isinstance(candidates, str):
        raise TypeError("candidates is one text: give a list of them")
    if not candidates:
        return []
    encode = functools.partial(model.tokenizer.encode, allow_special=allow_special)
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
    parts = [encode(part) if isinstance(part, str) else part for part in (prompt, candidate)]
    return [int(token) for part in parts for token in part]


def _check(
    model: GPT2, start: int, wholes: Sequence[list[int]], candidates: Sequence[Text]
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
    model: GPT2, context: Sequence[int], ends: Sequence[list[int]]
) -> Iterator[list[float]]:
    """How probable each token of each end is, after a context that all share."""
    shared = model.session()
    shared.append(context)
    logits = shared.logits
    first = {
        token: _core.top_logprobs(logits, token, 0)[0] for token in {end[0] for end in ends if end}
    }
    parts = ((shared.fork(), end[:-1], end[1:]) for end in ends)
    for end, rest in zip(ends, logprobs(parts), strict=True):
        yield [first[end[0]], *rest] if end else []
