"""POST /v1/suggestions, /v1/next_tokens and /v1/attention: what the page shows of a model."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pygpt2edge.options import SamplingParams
from pygpt2edge.serve.completions.checks import whole_number
from pygpt2edge.serve.completions.prompts import read_prompts
from pygpt2edge.serve.completions.request import Prompt
from pygpt2edge.serve.completions.token_logprobs import token_name
from pygpt2edge.serve.http.body import read_body
from pygpt2edge.serve.http.errors import invalid
from pygpt2edge.serve.http.responses import json_response
from pygpt2edge.serve.service import Service, service_of

_DEFAULT_CANDIDATES = 256


class SuggestionsRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A text whose next words are wanted."""

    model: str | None = None
    text: Annotated[str, msgspec.Meta(description="Up to the cursor.")]
    k: Annotated[int, msgspec.Meta(description="How many words at most.", ge=1, le=24)] = 3


class FoundWord(msgspec.Struct):
    """A word that may come next, what the text lacks of it, and how probable it is."""

    word: str
    completion: str
    probability: float


class Suggestions(msgspec.Struct):
    """The words, the most probable first."""

    suggestions: list[FoundWord]


class NextTokensRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A text, or token ids, whose next token is wanted."""

    model: str | None = None
    prompt: str | list[int]
    allow_special: bool = False
    top: Annotated[
        int | None, msgspec.Meta(description="How many candidates at most. Default: 256.")
    ] = None
    all_logits: Annotated[
        bool,
        msgspec.Meta(description="Give the logits of all tokens too, to sample from them exactly."),
    ] = False


class Candidate(msgspec.Struct):
    """A token that may come next. Its logit is what sampling begins with; its probability is the
    model's own: of the softmax over all logits."""

    id: int
    text: str
    logit: float
    logprob: float
    probability: float


class NextTokens(msgspec.Struct, kw_only=True):
    """The most likely next tokens, best first. `log_sum_exp` is the logarithm of the sum of all
    logits' exponentials: logprob = logit - log_sum_exp. `rest` is the probability of all tokens
    that are not among the candidates, `n_vocab` how many tokens there are. `logits` has them all,
    where they were asked for: float32, little-endian, token 0 first, in base64."""

    tokens: list[int]
    candidates: list[Candidate]
    log_sum_exp: float
    rest: float
    n_vocab: int
    logits: str | None = None


class AttentionRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A text, or token ids, and a layer, from 0 on."""

    model: str | None = None
    prompt: str | list[int]
    allow_special: bool = False
    layer: int
    head: Annotated[
        int | None, msgspec.Meta(description="From 0 on; left out: all heads of the layer.")
    ] = None


class Attention(msgspec.Struct, kw_only=True):
    """How the tokens look at those before them. `weights` has for each head a row for each token:
    its weights of tokens 0 to itself, which sum to 1, with six decimals."""

    tokens: list[int]
    token_strs: list[str]
    layer: int
    heads: list[int]
    weights: list[list[list[float]]]


async def answer_suggestions(request: Request) -> Response:
    """The most probable next words of a text, as for a keyboard."""
    service = service_of(request)
    body = await read_body(request, service.settings, SuggestionsRequest)
    service.check_name(body.model)
    found = await service.look(service.model.suggest, body.text, body.k)
    return json_response(Suggestions([FoundWord(**asdict(each)) for each in found]))


async def answer_next_tokens(request: Request) -> Response:
    """The distribution of the token after a text."""
    service = service_of(request)
    body = await read_body(request, service.settings, NextTokensRequest)
    service.check_name(body.model)
    tokens = await _tokens(service, body)
    n_vocab = service.model.config["n_vocab"]
    top = whole_number(body, "top", min(_DEFAULT_CANDIDATES, n_vocab), 1, n_vocab)
    return json_response(await service.look(_next_tokens, service, tokens, top, body.all_logits))


async def answer_attention(request: Request) -> Response:
    """The attention weights of a layer."""
    service = service_of(request)
    body = await read_body(request, service.settings, AttentionRequest)
    service.check_name(body.model)
    tokens = await _tokens(service, body)
    config, limit = service.model.config, service.settings.max_attention
    whole_number(body, "layer", 0, 0, config["n_layer"] - 1)
    if body.head is not None:
        whole_number(body, "head", 0, 0, config["n_head"] - 1)
    if len(tokens) > limit:
        raise invalid(f"prompt has {len(tokens)} tokens; give {limit} at most", "prompt")
    return json_response(await service.look(_attention, service, tokens, body.layer, body.head))


async def _tokens(service: Service, body: NextTokensRequest | AttentionRequest) -> list[int]:
    prompt: Prompt = [body.prompt]  # a list, lest an empty one be a list of no prompts
    found = await read_prompts(service, prompt, SamplingParams(allow_special=body.allow_special))
    return found[0].tokens


def _next_tokens(service: Service, tokens: list[int], top: int, all_logits: bool) -> NextTokens:
    """In a thread, one at a time: the text before mostly begins as this one does."""
    session = service.looked_at.session_for(tokens) or service.model.session()
    session.append(tokens[len(session) :])
    service.looked_at.add(session)
    _, found = session.top_logprobs(0, top)
    logits = session.logits
    best, best_logprob = found[0]
    log_sum_exp = float(logits[best]) - best_logprob
    candidates = [
        Candidate(
            token,
            token_name(service.model.tokenizer, token),
            float(logits[token]),
            logprob,
            math.exp(logprob),
        )
        for token, logprob in found
    ]
    rest = 1 - math.fsum(candidate.probability for candidate in candidates)
    return NextTokens(
        tokens=tokens,
        candidates=candidates,
        log_sum_exp=log_sum_exp,
        rest=max(rest, 0.0) if len(candidates) < len(logits) else 0.0,
        n_vocab=len(logits),
        logits=base64.b64encode(logits.astype("<f4").tobytes()).decode() if all_logits else None,
    )


def _attention(service: Service, tokens: list[int], layer: int, head: int | None) -> Attention:
    found = service.model.attention(tokens, layers=[layer])[0]
    heads = list(range(len(found))) if head is None else [head]
    return Attention(
        tokens=tokens,
        token_strs=[token_name(service.model.tokenizer, token) for token in tokens],
        layer=layer,
        heads=heads,
        weights=[_rows(found[each].tolist()) for each in heads],
    )


def _rows(weights: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[round(x, 6) for x in row[: i + 1]] for i, row in enumerate(weights)]
