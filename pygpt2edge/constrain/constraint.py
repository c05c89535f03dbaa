"""A text's place in its language: which tokens may come next, and which must.

The core asks (csrc/generate/constraint.h); llguidance answers. Masks are computed in a thread of
their own while the core computes the pass that they are for.

A text may begin by writing the prompt's last tokens again (healing.py). Until the prompt's end, the
next of those is allowed, and tokens that go on behind the end into the language.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate, takewhile

from pygpt2edge.constrain.endless import forced_text_of
from pygpt2edge.constrain.healing import repeated_tokens
from pygpt2edge.constrain.language import Language, matcher_of
from pygpt2edge.constrain.vocabulary import end_token, n_tokens, prefixes_of
from pygpt2edge.constrain.worker import Task, mask_worker
from pygpt2edge.options import SamplingParams
from pygpt2edge.tokenizer import Tokenizer


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
      language: of the text.
    """

    def __init__(
        self, tokenizer: Tokenizer, language: Language, repeated: Sequence[int] = ()
    ) -> None:
        self.repeated = tuple(repeated)
        text = tokenizer.decode_bytes(repeated)
        self.n_repeated = len(text)
        self.language = language
        self._option = language.option
        self._matcher = matcher_of(language, tokenizer, text.decode())
        # The rest of the prompt, with the bytes from each of its tokens on.
        ends = accumulate((len(tokenizer.token_bytes(token)) for token in repeated), initial=0)
        self._rest = [(token, text[end:]) for token, end in zip(repeated, ends, strict=False)]
        self._prefixes = prefixes_of(tokenizer) if repeated else None
        self._end = end_token(tokenizer)
        self._token_bytes = tokenizer.token_bytes
        self._n_tokens = n_tokens(tokenizer)
        self._forced_text = forced_text_of(tokenizer, language)
        self._masks: Task[list[bytes]] | None = None
        self._read: list[int] = []  # tokens of the text, and those that must follow it
        self._ahead: list[int] = []  # draft tokens that the matcher has read behind them
        self._waiting: list[int] | None = None  # of `_read`, what a text that goes on has not yet

    def start(self) -> tuple[list[int], bool]:
        """The tokens that the text must begin with, and whether it ends with them."""
        if self._waiting is not None:
            return self._waiting, self._matcher.is_stopped()
        return ([], False) if self._rest else self._forced()

    def accept(self, token: int) -> tuple[list[int], bool]:
        """Adds a token, and those that must follow it."""
        self._return_to_text()
        self._check()  # draft tokens may have made it fail
        if not self._matcher.consume_token(token):
            raise ValueError(
                f"token {token} is not allowed by {self._option}: forced_first_token or "
                "logits_processor chose it"
            )
        self._read.append(token)
        self._write_prompt(token)
        return ([], False) if self._rest else self._forced()

    def count_allowed(self, draft: list[int]) -> int:
        """How many of the draft tokens may follow the text, its end not counted."""
        self._return_to_text()
        n = draft.index(self._end) if self._end in draft else len(draft)
        return self._matcher.validate_tokens(draft[:n])

    def begin_masks(self, draft: list[int], first: int) -> None:
        """Begins to compute the masks after the first `first` of the draft tokens, after one more
        of them, and so on, to that after all of them."""
        self._masks = mask_worker().begin(lambda: self._compute_masks(draft, first))

    def masks(self) -> list[bytes]:
        """The masks, when they are computed; fewer where nothing may follow one of the tokens."""
        if self._masks is None:
            raise RuntimeError("masks were not begun")
        return self._masks.result()

    def saved(self) -> str:
        """For saving.py."""
        option, source = self.language
        fields = {"option": option, "source": source, "repeated": self.repeated}
        return json.dumps(fields | {"tokens": self._read})

    def go_on(self, prompt: Sequence[int], tokens: Sequence[int], read: list[int]) -> None:
        """Takes a new constraint to the end of a text, which had read these tokens. Raises
        ValueError for others than can be."""
        n_written = 0  # of the prompt's tokens, again
        for token in read:
            is_own = bool(self._rest) and self._rest[0][0] == token
            n_written += is_own
            self._write_prompt(token)
        n_text = n_written + len(tokens)
        again = list(prompt[len(prompt) - n_written :])
        if n_written > len(prompt) or read[:n_text] != again + list(tokens):
            raise ValueError("its tokens are not those of the text")
        self.n_repeated -= sum(len(self._token_bytes(token)) for token in again)
        if tokens and len(self._token_bytes(tokens[0])) < self.n_repeated:
            raise ValueError("its tokens do not write the prompt's end")
        if not self._matcher.consume_tokens(read):
            raise ValueError(f"its tokens are not of the {self._option}")
        self._read = list(read)
        if read:
            self._waiting = read[n_text:]

    def _write_prompt(self, token: int) -> None:
        """The token is the next one, or goes on behind the prompt."""
        self._rest = self._rest[1:] if self._rest and self._rest[0][0] == token else []

    def _return_to_text(self) -> None:
        """Takes the matcher from draft tokens to the end of the text."""
        if self._masks is not None:
            self._masks.wait()  # an interrupt may have left them to the worker
        self._read_ahead([])

    def _forced(self) -> tuple[list[int], bool]:
        self._check_end()
        tokens = self._matcher.compute_ff_tokens()
        if tokens:
            self._matcher.consume_tokens(tokens)
            self._read += tokens
        self._check()
        # A grammar can name the end, but a text ends with it.
        if any(token == self._end or token >= self._n_tokens for token in tokens):
            raise ValueError(self._no_text())
        return tokens, self._matcher.is_stopped()

    def _compute_masks(self, draft: list[int], first: int) -> list[bytes]:
        masks = []
        for n in range(first, len(draft) + 1):
            self._read_ahead(draft[:n])
            if n > 0 and self._matcher.is_stopped():  # a text that ends here needs no mask
                break
            masks.append(self._mask())
        self._check()
        return masks

    def _read_ahead(self, draft: list[int]) -> None:
        """Takes the matcher to the place after these draft tokens."""
        pairs = zip(self._ahead, draft, strict=False)
        n = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if n < len(self._ahead):
            self._matcher.rollback(len(self._ahead) - n)
        for token in draft[n:]:
            self._matcher.consume_token(token)
        self._ahead = draft

    def _mask(self) -> bytes:
        self._check_end()
        mask = self._of_tokens(self._matcher.compute_bitmask())
        self._check()
        if self._rest:
            return self._within_prompt(mask)
        if self._matcher.is_accepting():
            return mask
        inner = bytearray(mask)  # where nothing may follow, llguidance would allow the end
        inner[self._end // 8] &= ~(1 << self._end % 8) & 0xFF
        if inner.count(0) == len(inner):
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

    def _check_end(self) -> None:
        if self._forced_text is not None:
            self._forced_text.check(self._matcher)

    def _check(self) -> None:
        if not self._matcher.is_error():
            return
        error = self._matcher.get_error().splitlines()[0]
        if error.startswith("NoExtension"):
            raise ValueError(self._no_text())
        raise ValueError(f"{self._option} has become too complex to follow: {error:.200}")

    def _no_text(self) -> str:
        return f"{self._option}: it has no text that begins so"
