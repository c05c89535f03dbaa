"""What a request for completions asks for, and its texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pygpt2edge.generate.results import Completion
from pygpt2edge.options import SamplingParams
from pygpt2edge.serve.completions.checks import whole_number
from pygpt2edge.serve.completions.option_fields import sampling_params
from pygpt2edge.serve.completions.prompts import Prompt, read_prompts
from pygpt2edge.serve.completions.request import CompletionFields
from pygpt2edge.serve.completions.texts import Text, submit
from pygpt2edge.serve.completions.token_logprobs import Scored, scored_prompt
from pygpt2edge.serve.http.errors import invalid
from pygpt2edge.serve.service import Service


@dataclass(frozen=True)
class CompletionJob:
    """A request that has been checked.

    Attributes:
      n: texts to give of each prompt.
      best_of: texts to generate of each, among which they are chosen.
      n_top: how many likely tokens to give of each token; None where no log-probabilities are.
      wants_usage: whether a stream is to end with the numbers of tokens.
    """

    service: Service
    prompts: Sequence[Prompt]
    params: SamplingParams
    n: int
    best_of: int
    n_top: int | None
    echo: bool
    wants_usage: bool

    @property
    def n_prompt_tokens(self) -> int:
        return sum(len(prompt.tokens) for prompt in self.prompts)

    async def submit(self) -> list[Text]:
        """The texts, best_of for each prompt in order."""
        tokens = [prompt.tokens for prompt in self.prompts]
        return await submit(self.service, tokens, self.best_of, self.params)

    async def scored_prompts(self) -> list[list[Scored]]:
        """The tokens of each prompt, where the request asks for them."""
        if not self.echo or self.n_top is None:
            return [[] for _ in self.prompts]
        return [
            await scored_prompt(self.service, prompt.tokens, self.n_top) if prompt.text else []
            for prompt in self.prompts
        ]

    def chosen(self, completions: Sequence[Completion]) -> list[Completion]:
        """The n best of one prompt's texts."""
        if self.n == self.best_of:
            return list(completions)
        return sorted(completions, key=_mean_logprob, reverse=True)[: self.n]


def _mean_logprob(completion: Completion) -> float:
    found = [token.logprob for token in completion.logprobs]
    return math.fsum(found) / len(found) if found else -math.inf


async def completion_job(service: Service, fields: CompletionFields) -> CompletionJob:
    """The job of a request. Raises ApiError."""
    settings = service.settings
    if fields.suffix:
        raise invalid("suffix: GPT-2 continues texts and cannot insert into them", "suffix")
    n = whole_number(fields, "n", 1, 1, settings.max_texts)
    best_of = whole_number(fields, "best_of", n, n, settings.max_texts)
    if fields.stream and best_of > n:
        raise invalid("best_of above n cannot be streamed: all texts must be there", "best_of")
    params = sampling_params(fields, settings, service.model.config["n_vocab"])
    n_top = None
    if fields.logprobs is not None:
        n_top = whole_number(fields, "logprobs", 0, 0, settings.max_logprobs)
    if n_top is not None or best_of > n:
        params = replace(params, logprobs=max(n_top or 0, 1))
    prompts = await read_prompts(service, fields.prompt, params)
    params = params.for_prompt(
        fields.prompt if isinstance(fields.prompt, str) else fields.prompt[0]
    )
    if len(prompts) * best_of > settings.max_texts:
        raise invalid(
            f"{len(prompts)} prompts and best_of {best_of} are {len(prompts) * best_of} texts; "
            f"this server gives {settings.max_texts} at most",
            "n" if fields.best_of is None else "best_of",
        )
    return CompletionJob(
        service, prompts, params, n, best_of, n_top, bool(fields.echo), fields.wants_usage
    )
