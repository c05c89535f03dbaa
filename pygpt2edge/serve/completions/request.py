"""What POST /v1/completions takes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pygpt2edge.serve.completions.constraints import ConstraintFields
from pygpt2edge.serve.completions.option_fields import with_options


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """How a stream ends."""

    include_usage: Annotated[
        bool, msgspec.Meta(description="A last event with the numbers of tokens.")
    ] = False


Prompt = str | list[str | int | list[int]]


class GenerationFields(ConstraintFields, kw_only=True):
    """What requests for texts have in common, the options of a text apart."""

    model: Annotated[
        str | None, msgspec.Meta(description="The name that GET /v1/models tells; may be left out.")
    ] = None
    n: Annotated[
        int | None, msgspec.Meta(description="Texts of each prompt. Text i has the seed + i.")
    ] = None
    stream: Annotated[
        bool | None, msgspec.Meta(description="Send the text piece by piece, as events.")
    ] = None
    stream_options: StreamOptions | None = None
    user: Annotated[str | None, msgspec.Meta(description="Not used.")] = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with the numbers of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionFields(GenerationFields, kw_only=True):
    """The fields that only completions have."""

    prompt: Annotated[
        Prompt,
        msgspec.Meta(description="A text, token ids, or a list of texts or of lists of ids."),
    ] = ""
    best_of: Annotated[
        int | None,
        msgspec.Meta(
            description="Generate so many texts of each prompt, and give the n whose tokens are "
            "the most probable on average."
        ),
    ] = None
    echo: Annotated[bool | None, msgspec.Meta(description="Give the prompt before the text.")] = (
        None
    )
    logprobs: Annotated[
        int | None,
        msgspec.Meta(
            description="Give the log-probability of each token, and of so many most likely ones. "
            "With echo, those of the prompt too."
        ),
    ] = None
    suffix: Annotated[str | None, msgspec.Meta(description="Refused: GPT-2 cannot insert.")] = None
    num_beams: Annotated[
        int | None,
        msgspec.Meta(description="Search with so many beams; texts come best first."),
    ] = None
    length_penalty: Annotated[
        float | None, msgspec.Meta(description="Of a beam search: above 0 favours long texts.")
    ] = None
    early_stopping: Annotated[
        bool | str | None,
        msgspec.Meta(description='Of a beam search: true, false or "never".'),
    ] = None


CompletionRequest = with_options(
    "CompletionRequest", CompletionFields, "A request for texts that continue prompts."
)
