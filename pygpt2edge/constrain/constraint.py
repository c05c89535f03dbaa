"""A text's place in its language: which tokens may come next, and which must.

The core asks (csrc/generate/constraint.h); llguidance answers. Masks are computed in a thread of
their own while the core computes the pass that they are for.

A text may begin by writing the prompt's last tokens again (healing.py). Until the prompt's end, the
next of those is allowed, and tokens that go on behind the end into the language.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate

from pygpt2edge.constrain.healing import repeated_tokens
from pygpt2edge.constrain.language import Language, matcher_of
from pygpt2edge.constrain.vocabulary import end_token, n_tokens, prefixes_of
from pygpt2edge.options import SamplingParams
from pygpt2edge.tokenizer import Tokenizer

_WORD_BITS = 32


def constraint_for(
    tokenizer: Tokenizer, params: SamplingParams, prompt: Sequence[int] = ()
) -> Constraint | None:
    """What the options ask for, or None. Of the prompt, the text may write the last tokens again:
    those are `Constraint.repeated`, and not to be computed before it.

    Raises ValueError for a language that makes no sense, MissingDependencyError where llguidance is
    not installed.
    """
    if params.language is None:
        return None
    language = Language(*params.language)
    return Constraint(tokenizer, language, repeated_tokens(tokenizer, language, prompt))


class Constraint:
    """`pygpt2edge._core._Constraint`, of one text.

    Attributes:
      repeated: the prompt's last tokens, which the text may write again.
      n_repeated: how many bytes they have.
    """

    def __init__(
        self, tokenizer: Tokenizer, language: Language, repeated: Sequence[int] = ()
    ) -> None:
        self.repeated = tuple(repeated)
        text = tokenizer.decode_bytes(repeated)
        self.n_repeated = len(text)
        self._option = language.option
        self._matcher = matcher_of(language, tokenizer, text.decode())
        # The rest of the prompt, with the bytes from each of its tokens on.
        ends = accumulate((len(tokenizer.token_bytes(token)) for token in repeated), initial=0)
        self._rest = [(token, text[end:]) for token, end in zip(repeated, ends, strict=False)]
        self._prefixes = prefixes_of(tokenizer) if repeated else None
        self._end = end_token(tokenizer)
        self._n_tokens = n_tokens(tokenizer)
        self._masks: Future[list[bytes]] | None = None

    def start(self) -> tuple[list[int], bool]:
        """The tokens that the text must begin with, and whether it ends with them."""
        return ([], False) if self._rest else self._forced()

    def accept(self, token: int) -> tuple[list[int], bool]:
        """Adds a token, and those that must follow it."""
        if not self._matcher.consume_token(token):
            raise ValueError(
                f"token {token} is not allowed by {self._option}: forced_first_token or "
                "logits_processor chose it"
            )
        self._rest = self._rest[1:] if self._rest and self._rest[0][0] == token else []
        return ([], False) if self._rest else self._forced()

    def count_allowed(self, draft: list[int]) -> int:
        """How many of the draft tokens may follow the text, its end not counted."""
        n = draft.index(self._end) if self._end in draft else len(draft)
        return self._matcher.validate_tokens(draft[:n])

    def begin_masks(self, draft: list[int]) -> None:
        """Begins to compute the masks after the text and after each of the draft tokens."""
        if self._masks is not None:
            self._masks.exception()  # of a pass that was interrupted
        self._masks = _worker().submit(self._compute_masks, draft)

    def masks(self) -> list[bytes]:
        """The masks, when they are computed."""
        if self._masks is None:
            raise RuntimeError("masks were not begun")
        return self._masks.result()

    def _forced(self) -> tuple[list[int], bool]:
        tokens = self._matcher.compute_ff_tokens()
        if tokens:
            self._matcher.consume_tokens(tokens)
        self._check()
        # A grammar can name the end, but a text ends with it.
        if any(token == self._end or token >= self._n_tokens for token in tokens):
            raise ValueError(self._no_text())
        return tokens, self._matcher.is_stopped()

    def _compute_masks(self, draft: list[int]) -> list[bytes]:
        masks = [self._mask()]
        n_consumed = 0
        for token in draft:
            self._matcher.consume_token(token)
            n_consumed += 1
            if self._matcher.is_stopped():  # a text that ends here needs no mask
                break
            masks.append(self._mask())
        if n_consumed > 0:
            self._matcher.rollback(n_consumed)
        self._check()
        return masks

    def _mask(self) -> bytes:
        mask = self._of_tokens(self._matcher.compute_bitmask())
        self._check()
        if self._rest:
            return self._within_prompt(mask)
        if self._matcher.is_accepting():
            return mask
        inner = bytearray(mask)  # where nothing may follow, llguidance would allow the end
        inner[self._end // 8] &= ~(1 << self._end % 8) & 0xFF
        if not any(inner):
            raise ValueError(self._no_text())
        return bytes(inner)

    def _of_tokens(self, mask: bytes) -> bytes:
        """The mask without tokens that are llguidance's only."""
        n = self._n_tokens
        if 8 * len(mask) < n + 32:  # it has none: this is what fills the last word
            return mask
        kept = int.from_bytes(mask[: n // 8 + 1], "little") & ((1 << n) - 1)
        return kept.to_bytes(-(-n // 32) * 4, "little")

    def _within_prompt(self, mask: bytes) -> bytes:
        """Of the tokens that the matcher allows, those that end behind the prompt; and the next of
        its own."""
        own, rest = self._rest[0]
        assert self._prefixes is not None
        allowed = int.from_bytes(mask, "little") & self._prefixes.longer(rest).mask | 1 << own
        return allowed.to_bytes(len(mask), "little")

    def _check(self) -> None:
        if not self._matcher.is_error():
            return
        error = self._matcher.get_error().splitlines()[0]
        if error.startswith("NoExtension"):
            raise ValueError(self._no_text())
        raise ValueError(f"{self._option} has become too complex to follow: {error:.200}")

    def _no_text(self) -> str:
        return f"{self._option}: it has no text that begins so"


_workers: list[ThreadPoolExecutor] = []


def _worker() -> ThreadPoolExecutor:
    """One thread for all texts: masks are needed in the order in which they are begun."""
    if not _workers:
        _workers.append(ThreadPoolExecutor(1, "pygpt2edge-masks"))
    return _workers[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.clear)
