"""What POST /v1/chat/completions takes and answers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pygpt2edge.serve.completions.option_fields import with_options
from pygpt2edge.serve.completions.request import GenerationFields
from pygpt2edge.serve.completions.response import FinishReason, Usage


class TextPart(msgspec.Struct, forbid_unknown_fields=True):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message of a chat. What roles there are, the model's template says."""

    role: str
    content: str | list[TextPart]
    name: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ChatFields(GenerationFields, kw_only=True):
    """The fields that only chats have."""

    messages: list[Message]
    max_completion_tokens: Annotated[
        int | None, msgspec.Meta(description="What max_tokens is, by its newer name.")
    ] = None
    logprobs: Annotated[
        bool | None, msgspec.Meta(description="Give the log-probability of each token.")
    ] = None
    top_logprobs: Annotated[
        int | None, msgspec.Meta(description="And of so many most likely ones.")
    ] = None


ChatRequest = with_options("ChatRequest", ChatFields, "A request for the answer to a chat.")


class LikelyToken(msgspec.Struct):
    """A token that was likely: its text, or "bytes:" and its bytes, and its log-probability."""

    token: str
    logprob: float
    bytes: list[int]


class ChatToken(msgspec.Struct):
    """A token of the answer, and the most likely ones there."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[LikelyToken]


class ChatLogprobs(msgspec.Struct):
    """Of each token."""

    content: list[ChatToken]


class Answer(msgspec.Struct):
    """The message that answers."""

    role: Literal["assistant"]
    content: str


class ChatChoice(msgspec.Struct):
    """An answer."""

    index: int
    message: Answer
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatResponse(msgspec.Struct, kw_only=True):
    """The answers."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(msgspec.Struct, omit_defaults=True):
    """What is new of an answer."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(msgspec.Struct):
    """The next piece of an answer."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatChunk(msgspec.Struct, kw_only=True):
    """An event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
