"""Whether two texts are the same in all that a user sees."""

from __future__ import annotations

from pygpt2edge import Completion

_SEEN = ("text", "tokens", "prompt_tokens", "finish_reason", "stop_string", "logprobs")


def same(found: Completion, expected: Completion) -> bool:
    return all(getattr(found, name) == getattr(expected, name) for name in _SEEN)
