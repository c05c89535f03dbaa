"""One text being generated: the core's text (csrc/generate/text.h) as Python's iterator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from pygpt2edge import _core
from pygpt2edge.generate.results import Completion, Piece, Timings, TokenLogprob
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import LANGUAGES, SamplingParams
from pygpt2edge.output_file import check_target, replaced_when_whole
from pygpt2edge.tokenizer import Tokenizer


class Generation(Iterator[Piece]):
    """Yields pieces of text as they are generated; `completion()` returns the text so far.

    Iterating computes the next tokens.

    Attributes:
      core_text: the core's text, for what computes many at once.
    """

    def __init__(
        self,
        model: LoadedModel,
        core_text: _core.Text,
        params: SamplingParams | None = None,
    ) -> None:
        self.core_text = core_text
        self._tokenizer = model.tokenizer
        self._load_s = model.load_s
        self._has_given_logprob = False
        self._constrained = {
            name: getattr(params, name) for name in (*LANGUAGES, "token_healing") if params
        }

    def __next__(self) -> Piece:
        return self._piece(self.core_text.next())

    @property
    def params(self) -> SamplingParams:
        """The options of the text without those of speculative decoding; the seed is the drawn one
        where none was given."""
        core = self.core_text.options
        names = [each.name for each in fields(SamplingParams) if hasattr(core, each.name)]
        known: dict[str, Any] = {name: getattr(core, name) for name in names}
        return SamplingParams(**known | self._constrained)

    def pieces(self) -> list[Piece]:
        """The pieces that are computed and not taken yet."""
        return [self._piece(piece) for piece in self.core_text.pieces()]

    def result(self) -> Completion:
        """Computes the rest of the text, and returns all of it."""
        self.core_text.run()
        return self.completion()

    def cancel(self) -> None:
        """Ends the text, within one layer of the current pass. May be called from any thread."""
        self.core_text.cancel()

    def completion(self, *, logprobs: bool = True) -> Completion:
        """The text so far, with its tokens and timings. It takes less time without the tokens'
        log-probabilities."""
        state = self.core_text.state()
        tokenizer, end = self._tokenizer, state.end_logprob
        return Completion(
            text=state.text,
            tokens=state.tokens,
            prompt_tokens=state.prompt,
            finish_reason=state.finish_reason,
            stop_string=state.stop_string,
            seed=self.core_text.options.seed,
            # Without end-of-text, a log-probability comes with every token.
            logprobs=[
                _token_logprob(tokenizer, token, logprob, n_repeated)
                for token, logprob, n_repeated in zip(
                    state.tokens, state.logprobs, chain([state.n_repeated], repeat(0)), strict=False
                )
            ]
            if logprobs
            else [],
            end_logprob=end and _token_logprob(tokenizer, tokenizer.eos_token or 0, end),
            timings=Timings(load_s=self._load_s, **state.timings),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves the text and its whole state to a file, from which `GPT2.resume` continues exactly.

        The file appears whole or not at all. It holds the keys and values computed so far: a few
        tens of kilobytes for each token. Its format is in csrc/generate/saved_text.h.

        Raises ValueError for a finished text (but not after "length"), OSError.
        """
        out = Path(path)
        n_bytes = self.core_text.saved_bytes()
        check_target(out, n_bytes)
        with replaced_when_whole(out, n_bytes) as temporary, temporary.open("wb") as file:
            self.core_text.save(file.write)

    def _piece(
        self, piece: tuple[str, int | None, tuple[float, list[tuple[int, float]]] | None]
    ) -> Piece:
        text, token, logprob = piece
        if logprob is None or token is None:
            return Piece(text, token)
        n_repeated = 0 if self._has_given_logprob else self.core_text.state().n_repeated
        self._has_given_logprob = True
        return Piece(text, token, _token_logprob(self._tokenizer, token, logprob, n_repeated))


def _token_logprob(
    tokenizer: Tokenizer,
    token: int,
    logprob: tuple[float, list[tuple[int, float]]],
    n_repeated: int = 0,
) -> TokenLogprob:
    text = tokenizer.decode_bytes([token])[n_repeated:].decode("utf-8", "replace")
    return TokenLogprob(token, text, *logprob, n_repeated)
