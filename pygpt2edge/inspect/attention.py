"""The attention weights of a pass over a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pygpt2edge import _core
from pygpt2edge.loaded_model import LoadedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def attention(
    model: LoadedModel, text: str | Sequence[int], layers: Sequence[int] | None
) -> NDArray[np.float32]:
    """See `GPT2.attention`."""
    tokens = model.tokens_of(text)
    chosen = list(range(model.config["n_layer"]) if layers is None else layers)
    session = model.session()
    session.check(tokens)
    _check_weights_fit(len(chosen), model.config["n_head"], len(tokens))
    return session.append_attention(tokens, chosen)


def _check_weights_fit(n_layers: int, n_head: int, n_tokens: int) -> None:
    layer_bytes = 4 * n_head * n_tokens**2
    available = _core.available_memory()
    if n_layers * layer_bytes <= available:
        return
    fitting = available // layer_bytes
    fewer = f"ask for at most {fitting} of the layers, or for " if fitting else "ask for "
    raise MemoryError(
        f"the attention weights of {n_tokens} tokens in {n_layers} layers take "
        f"{n_layers * layer_bytes / 1e6:.0f} MB of memory, and {available / 1e6:.0f} MB are "
        f"available: {fewer}those of a shorter text"
    )
