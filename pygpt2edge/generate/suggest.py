"""The words that probably come next, as a keyboard suggests them; the core finds them."""

from __future__ import annotations

from pygpt2edge import _core
from pygpt2edge.generate.results import Suggestion
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.tokenizer import whole_characters


class Suggester:
    """Suggests the next words of a text, quickly while the text changes by a few letters a time.

    `GPT2.suggest` keeps one for its model. Others are for those who want several texts' worth of
    memory, or another limit.

    Args:
      model: what says which words are probable.
      max_passes: how many passes over the weights a search takes at most, each for up to 8
        sequences of tokens, apart from that for text that is new. Where it runs out before the
        search has ended, the words are the best of those found so far.

    What it keeps, so that a letter more or less costs little: the session of the text, 8 pages of
    64 tokens beside it, a second session where the text is longer than half of the context, and
    what follows the 128 sequences of tokens last looked at, 4 bytes for each token of the
    vocabulary (26 MB in all for GPT-2's). `clear` gives it back.
    What it answers depends on the text alone, and its probabilities are the same on every
    processor, to the bit.

    Several threads may use it; their calls take turns. Raises ValueError for max_passes below 1.
    """

    def __init__(self, model: LoadedModel, *, max_passes: int = 3) -> None:
        # The model holds its suggester, and must not be held in turn.
        self._core = _core.Suggester(
            model.core_model, model.tokenizer.core, model.n_ctx, model.kv_type, max_passes
        )

    def suggest(self, text: str, k: int = 3) -> list[Suggestion]:
        """The k most probable next words; see `GPT2.suggest`."""
        return [Suggestion(*found) for found in self._core.suggest(whole_characters(text), k)]

    def clear(self) -> None:
        """Forgets all that was computed, and gives its memory back."""
        self._core.clear()
