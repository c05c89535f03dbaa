"""Log-probabilities of tokens in the form of OpenAI's completions."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from pygpt2edge.generate.results import Completion, TokenLogprob
from pygpt2edge.inspect.scoring import ranked
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.serve.completions.response import Logprobs
from pygpt2edge.tokenizer import Tokenizer

# A token, its log-probability and the most likely ones; the prompt's first has neither.
Scored = tuple[int, float | None, Sequence[tuple[int, float]]]


def token_name(tokenizer: Tokenizer, token: int) -> str:
    """A token's text, or "bytes:\\x.." where it is no whole character."""
    if token >= tokenizer.n_vocab:  # the model has rows for more
        return f"token:{token}"
    data = tokenizer.token_bytes(token)
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
        for token, logprob, top in scored:
            name = token_name(self._tokenizer, token)
            out.tokens.append(name)
            out.token_logprobs.append(logprob)
            out.text_offset.append(self._offset)
            out.token_ids.append(token)
            out.top_logprobs.append(None if logprob is None else self._top(top) | {name: logprob})
            self._offset += len(self._decoder.decode(self._bytes(token)))
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


def scored_prompt(model: LoadedModel, tokens: Sequence[int], n_top: int) -> list[Scored]:
    """The tokens of a prompt. Raises ContextLengthError."""
    found = ranked(model, tokens[:-1], tokens[1:], n_top)
    rest = [(t, logprob, top) for t, (logprob, top) in zip(tokens[1:], found, strict=True)]
    return [(tokens[0], None, ()), *rest]


def scored_token(found: TokenLogprob) -> Scored:
    """A generated one."""
    return found.token, found.logprob, found.top


def scored_end(model: LoadedModel, completion: Completion, n_top: int) -> list[Scored]:
    """The end-of-text token, where it ended the text within one context; else nothing."""
    eos = model.tokenizer.eos_token
    before = [*completion.prompt_tokens, *completion.tokens]
    by_eos = completion.finish_reason == "stop" and completion.stop_string is None
    if not by_eos or eos is None or len(before) > model.n_ctx:
        return []
    session = model.session()
    session.append(before)
    logprob, top = session.top_logprobs(eos, n_top)
    return [(eos, logprob, top)]
