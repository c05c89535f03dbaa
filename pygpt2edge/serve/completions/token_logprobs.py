"""Log-probabilities of tokens in the form of OpenAI's completions."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import NamedTuple

from pygpt2edge import _core
from pygpt2edge.generate.results import Completion, TokenLogprob
from pygpt2edge.inspect.scoring import ROWS
from pygpt2edge.serve.completions.response import Logprobs
from pygpt2edge.serve.service import Service
from pygpt2edge.tokenizer import Tokenizer


class Scored(NamedTuple):
    """A token, its log-probability and the most likely ones; the prompt's first has neither. A
    generated token may begin within the prompt."""

    token: int
    logprob: float | None
    top: Sequence[tuple[int, float]]
    n_repeated: int = 0  # its bytes there


def token_name(tokenizer: Tokenizer, token: int, first: int = 0) -> str:
    """A token's text from a byte on, or "bytes:\\x.." where it is no whole character."""
    if token >= tokenizer.n_vocab:  # the model has rows for more
        return f"token:{token}"
    data = tokenizer.token_bytes(token)[first:]
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


class LogprobsWriter:
    """Writes the tokens of one text in order, and knows where each begins in it."""

    def __init__(self, tokenizer: Tokenizer, n_top: int) -> None:
        self._tokenizer, self._n_top = tokenizer, n_top
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def write(self, scored: Sequence[Scored]) -> Logprobs:
        """The next tokens."""
        out = Logprobs([], [], [], [], [])
        for token, logprob, top, n_repeated in scored:
            name = token_name(self._tokenizer, token, n_repeated)
            out.tokens.append(name)
            out.token_logprobs.append(logprob)
            out.text_offset.append(self._offset)
            out.token_ids.append(token)
            out.top_logprobs.append(None if logprob is None else self._top(top) | {name: logprob})
            self._offset += len(self._decoder.decode(self._bytes(token)[n_repeated:]))
        return out

    def _top(self, top: Sequence[tuple[int, float]]) -> dict[str, float]:
        return {
            token_name(self._tokenizer, token): logprob for token, logprob in top[: self._n_top]
        }

    def _bytes(self, token: int) -> bytes:
        tokenizer = self._tokenizer
        if token >= tokenizer.n_vocab or token == tokenizer.eos_token:  # no text
            return b""
        return tokenizer.token_bytes(token)


async def scored_prompt(service: Service, tokens: Sequence[int], n_top: int) -> list[Scored]:
    """The tokens of a prompt. The engine keeps what is computed, all but the last token, for the
    text that follows. Raises ApiError."""
    session = service.model.session()
    before, targets = tokens[:-1], tokens[1:]
    await service.look(session.check, before)
    scored: list[Scored] = [Scored(tokens[0], None, ())]
    for first in range(0, len(before), ROWS):  # a client that hangs up ends it here
        part = slice(first, first + ROWS)
        found = await service.look(
            _core.append_and_rank, session, before[part], targets[part], n_top
        )
        scored += [
            Scored(token, *of_token) for token, of_token in zip(targets[part], found, strict=True)
        ]
    service.engine.keep(session.fork())  # a fork: without the logits
    return scored


def scored_token(found: TokenLogprob) -> Scored:
    """A generated one."""
    return Scored(found.token, found.logprob, found.top, found.n_repeated)


def scored_end(completion: Completion) -> list[Scored]:
    """The end-of-text token, where it ended the text; else nothing."""
    end = completion.end_logprob
    return [] if end is None else [scored_token(end)]
