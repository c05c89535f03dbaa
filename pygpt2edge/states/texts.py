"""The texts that a model is to read, as tokens."""

from __future__ import annotations

from collections.abc import Sequence

from pygpt2edge.loaded_model import LoadedModel, is_one_prompt

Text = str | Sequence[int]
Texts = Sequence[str] | Sequence[Sequence[int]] | Sequence[str | Sequence[int]]


def listed(texts: Text | Texts) -> tuple[Sequence[Text], bool]:
    """(all texts, whether there was one and no list of them). An empty list has none."""
    if isinstance(texts, (list, tuple)) and not texts:
        return [], False
    if is_one_prompt(texts):
        return [texts], True
    return texts, False


def tokens_of_texts(
    model: LoadedModel, texts: Sequence[Text], *, truncate: bool, allow_special: bool
) -> list[list[int]]:
    """The tokens of each text: the start token for an empty one, and of one that is longer than a
    context its beginning where it may be truncated."""
    name = "text" if len(texts) == 1 else "a text"
    all_tokens = [model.tokens_of(text, allow_special=allow_special, name=name) for text in texts]
    return [tokens[: model.n_ctx] for tokens in all_tokens] if truncate else all_tokens
