"""POST /tokenize and /detokenize, with the fields of vLLM's and llama.cpp's."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pygpt2edge.serve.completions.token_logprobs import token_name
from pygpt2edge.serve.http.body import read_body
from pygpt2edge.serve.http.errors import invalid
from pygpt2edge.serve.http.responses import json_response
from pygpt2edge.serve.http.threads import beside
from pygpt2edge.serve.service import service_of


class TokenizeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A text to cut into tokens: `prompt` as vLLM calls it, or `content` as llama.cpp does."""

    model: str | None = None
    prompt: str | None = None
    content: str | None = None
    add_special_tokens: Annotated[
        bool,
        msgspec.Meta(
            description="With the tokens that the model's tokenizer puts around a text. GPT-2's "
            "has none."
        ),
    ] = True
    add_special: Annotated[bool, msgspec.Meta(description="The same.")] = True
    allow_special: Annotated[
        bool, msgspec.Meta(description='Read "<|endoftext|>" as the token, not as text.')
    ] = False


class Tokens(msgspec.Struct, kw_only=True):
    """The tokens' ids, and the text of each, or "bytes:" and its bytes where it is no whole
    character."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str]


class DetokenizeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Ids to make a text of."""

    model: str | None = None
    tokens: list[int]


class TokensText(msgspec.Struct):
    """The text, under vLLM's name and under llama.cpp's."""

    prompt: str
    content: str


async def answer_tokenize(request: Request) -> Response:
    """The tokens of a text."""
    service = service_of(request)
    body = await read_body(request, service.settings, TokenizeRequest)
    service.check_name(body.model)
    text = body.content if body.prompt is None else body.prompt
    if text is None:
        raise invalid("the field 'prompt' is missing", "prompt")
    tokenizer = service.model.tokenizer
    encode = partial(
        tokenizer.encode,
        text,
        allow_special=body.allow_special,
        add_special_tokens=body.add_special_tokens and body.add_special,
    )
    ids = await beside(len(text), encode)
    names = [token_name(tokenizer, token) for token in ids]
    return json_response(
        Tokens(count=len(ids), max_model_len=service.model.n_ctx, tokens=ids, token_strs=names)
    )


async def answer_detokenize(request: Request) -> Response:
    """The text of tokens."""
    service = service_of(request)
    body = await read_body(request, service.settings, DetokenizeRequest)
    service.check_name(body.model)
    try:
        text = service.model.tokenizer.decode(body.tokens)
    except ValueError as error:
        raise invalid(str(error), "tokens") from None
    return json_response(TokensText(text, text))
