"""Hidden states of texts, and texts as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pygpt2edge import _core
from pygpt2edge.errors import require
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.states.texts import Text, Texts, listed, tokens_of_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pooling = Literal["mean", "last", "weighted"]


def hidden_states(
    model: LoadedModel, texts: Text | Texts, layer: int, *, truncate: bool, allow_special: bool
) -> NDArray[np.float32] | list[NDArray[np.float32]]:
    """See `GPT2.hidden_states`."""
    several, is_one = listed(texts)
    tokens = tokens_of_texts(model, several, truncate=truncate, allow_special=allow_special)
    state = _state(model, layer)
    found = _core.hidden_states(model.core_model, model.contexts, tokens, state)
    return found[0] if is_one else found


def embed(
    model: LoadedModel, texts: Text | Texts, layer: int, pooling: Pooling, normalize: bool,
    *, truncate: bool, allow_special: bool,
) -> NDArray[np.float32]:  # fmt: skip
    """See `GPT2.embed`."""
    require("numpy", "an array of numbers")
    import numpy as np  # so late: a server's answers need none

    several, is_one = listed(texts)
    tokens = tokens_of_texts(model, several, truncate=truncate, allow_special=allow_special)
    vectors = np.array(vectors_of(model, tokens, layer, pooling, normalize), np.float32)
    return vectors[0] if is_one else vectors.reshape(len(several), model.config["n_embd"])


def vectors_of(
    model: LoadedModel,
    tokens: Sequence[Sequence[int]],
    layer: int = -1,
    pooling: Pooling = "mean",
    normalize: bool = True,
) -> list[list[float]]:
    """A vector for each list of tokens, as lists of float32 numbers, which need no numpy."""
    state = _state(model, layer)
    return _core.embed(model.core_model, model.contexts, tokens, state, pooling, normalize)


def _state(model: LoadedModel, layer: int) -> int:
    n_layer: int = model.config["n_layer"]
    if not -n_layer - 1 <= layer <= n_layer:
        raise ValueError(
            f"layer is {layer}; this model has the hidden states 0 (the embedding) to {n_layer}, "
            f"which are also -{n_layer + 1} to -1"
        )
    return layer % (n_layer + 1)
