"""The results of generation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

FinishReason = Literal["stop", "length", "timeout", "cancelled"]


@dataclass(frozen=True)
class TokenLogprob:
    """A generated token and its probability under the model itself.

    Log-probabilities are natural logarithms of the plain softmax: temperature 1, before any bias,
    penalty or filter.

    Attributes:
      token: its id.
      text: its text; U+FFFD for bytes that are no whole character. Of a token that begins
        within the prompt (token healing), what follows the prompt.
      logprob: its log-probability.
      top: the most likely tokens and their log-probabilities, best first.
      n_repeated: how many of the token's bytes are the prompt's last.
    """

    token: int
    text: str
    logprob: float
    top: list[tuple[int, float]]
    n_repeated: int = 0


@dataclass(frozen=True)
class Piece:
    """One step of a stream.

    Attributes:
      text: may be empty: bytes that could be the start of a stop string or the first part of a
        character wait for the next token.
      token: its id; None where the last piece of a stream carries text without a token.
      logprob: where `logprobs` asked for it.
    """

    text: str
    token: int | None
    logprob: TokenLogprob | None = None


@dataclass
class Timings:
    """Where the time went, in seconds, and how many tokens were computed.

    Attributes:
      load_s: loading the model.
      prefill_tokens, prefill_s: reading the prompt.
      decode_tokens, decode_s: generating tokens after the first, which the prompt's pass gives.
      decode_passes: passes over the weights; fewer than decode_tokens where draft tokens were
        accepted.
      draft_tokens: tokens that were drafted.
      accepted_tokens: draft tokens that the model itself chose.
    """

    load_s: float = 0.0
    prefill_tokens: int = 0
    prefill_s: float = 0.0
    decode_tokens: int = 0
    decode_s: float = 0.0
    decode_passes: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0

    @property
    def acceptance_rate(self) -> float:
        """The share of draft tokens that were accepted; 0 before there were any."""
        return self.accepted_tokens / self.draft_tokens if self.draft_tokens else 0.0

    @property
    def prefill_tokens_per_s(self) -> float:
        """Prompt tokens a second; 0 before there were any."""
        return self.prefill_tokens / self.prefill_s if self.prefill_s > 0 else 0.0

    @property
    def decode_tokens_per_s(self) -> float:
        """Generated tokens a second; 0 before there were any."""
        return self.decode_tokens / self.decode_s if self.decode_s > 0 else 0.0


@dataclass(frozen=True)
class Completion:
    """A generated text.

    Attributes:
      text: the text, without the prompt.
      tokens: as sampled, without the end-of-text token. The first may begin within the prompt,
        where a constrained text has token healing.
      prompt_tokens: the tokens of the prompt, up to the first of those.
      finish_reason: "stop" when the model ended the text or a stop string came up (the text ends
        before it), "length" when max_tokens or the context ran out, "timeout" when max_time did,
        "cancelled" when somebody cancelled it, None while it goes on.
      stop_string: the stop string that ended the text; None where none did.
      seed: give it again, with the same options, for the same text; 0 where nothing is drawn.
      logprobs: one for each token, where `logprobs` asked for them.
      end_logprob: that of the end-of-text token which ended the text, where `logprobs` asked for
        them; None where it did not end so.
      timings: where the time went.
      score: of a beam search: the log-probability of the text, end-of-text token included, divided
        by its number of tokens to the power of length_penalty.
    """

    text: str
    tokens: list[int]
    prompt_tokens: list[int]
    finish_reason: FinishReason | None
    stop_string: str | None
    seed: int
    logprobs: list[TokenLogprob] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)
    score: float | None = None
    end_logprob: TokenLogprob | None = None


@dataclass(frozen=True)
class Suggestion:
    """A word that may come next.

    Attributes:
      word: the whole word.
      completion: what the text lacks of it, with a space before it where there is to be one.
      probability: given the text, what is typed of the word included.
    """

    word: str
    completion: str
    probability: float
