"""POST /v1/embeddings, with the fields of OpenAI's."""

from __future__ import annotations

import base64
import struct
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pygpt2edge.options import SamplingParams
from pygpt2edge.serve.completions.prompts import read_texts
from pygpt2edge.serve.completions.request import Prompt
from pygpt2edge.serve.http.body import read_body
from pygpt2edge.serve.http.disconnect import WhileConnected
from pygpt2edge.serve.http.errors import invalid
from pygpt2edge.serve.http.responses import json_response
from pygpt2edge.serve.service import Service, service_of
from pygpt2edge.states.embedding import Pooling, vectors_of

_MOST_TEXTS = 2048  # as OpenAI's API
_AT_ONCE = 16  # others' texts go on between them


class EmbeddingRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Texts to make vectors of. The fields after `user` are not in OpenAI's API."""

    input: Annotated[
        Prompt,
        msgspec.Meta(description="A text, token ids, or a list of texts or of lists of ids."),
    ]
    model: str | None = None
    encoding_format: Annotated[
        Literal["float", "base64"],
        msgspec.Meta(description="Numbers, or float32, little-endian, in base64."),
    ] = "float"
    dimensions: Annotated[
        int | None,
        msgspec.Meta(description="Refused, unless it is the model's: GPT-2's are not ordered."),
    ] = None
    user: Annotated[str | None, msgspec.Meta(description="Not used.")] = None
    pooling: Pooling = "mean"
    layer: Annotated[
        int, msgspec.Meta(description="Of the hidden states: 0 is the embedding, -1 the last.")
    ] = -1
    normalize: Annotated[bool, msgspec.Meta(description="Make the vectors 1 long.")] = True
    truncate: Annotated[
        bool, msgspec.Meta(description="Take the beginning of texts that are too long.")
    ] = False
    allow_special: Annotated[
        bool, msgspec.Meta(description='Read "<|endoftext|>" as the token, not as text.')
    ] = False


class Embedding(msgspec.Struct, kw_only=True):
    """The vector of the text of this number: numbers, or their bytes in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(msgspec.Struct):
    """How many tokens the texts were."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """A vector for each text, in their order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


async def answer_embeddings(request: Request) -> Response:
    """Texts as vectors, for search and clustering."""
    service = service_of(request)
    fields = await read_body(request, service.settings, EmbeddingRequest)
    service.check_name(fields.model)
    width = service.model.config["n_embd"]
    if fields.dimensions not in (None, width):
        raise invalid(
            f"dimensions is {fields.dimensions}; this model's vectors have {width}, and a part of "
            "them is none",
            "dimensions",
        )
    params = SamplingParams(allow_special=fields.allow_special)
    texts = await read_texts(service, "input", fields.input, _MOST_TEXTS, params)
    most = service.model.n_ctx if fields.truncate else None
    tokens = [text.tokens[:most] for text in texts]
    return WhileConnected(lambda: _answer(service, fields, tokens))


async def _answer(service: Service, fields: EmbeddingRequest, tokens: list[list[int]]) -> Response:
    vectors: list[list[float]] = []
    _check_lengths(service, tokens)
    for first in range(0, len(tokens), _AT_ONCE):
        vectors += await service.look(
            vectors_of, service.model, tokens[first : first + _AT_ONCE],
            fields.layer, fields.pooling, fields.normalize,
        )  # fmt: skip
    write = _in_base64 if fields.encoding_format == "base64" else list
    n_tokens = sum(map(len, tokens))
    return json_response(
        EmbeddingList(
            data=[Embedding(index=i, embedding=write(vector)) for i, vector in enumerate(vectors)],
            model=service.name,
            usage=EmbeddingUsage(n_tokens, n_tokens),
        )
    )


def _check_lengths(service: Service, tokens: list[list[int]]) -> None:
    """Raises ApiError for the first text that is too long, before others are computed."""
    most = service.model.n_ctx
    for i, each in enumerate(tokens):
        if len(each) > most:
            raise invalid(
                f"input {i} has {len(each):,} tokens; the context has {most:,}. Shorten it, or set "
                "truncate",
                "input",
                "context_length_exceeded",
            )


def _in_base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
