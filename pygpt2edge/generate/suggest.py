"""Next-word suggestions, as for a keyboard; the search is in the core."""

from __future__ import annotations

from pygpt2edge import _core
from pygpt2edge.generate.results import Suggestion
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.tokenizer import whole_characters


class Suggester:
    """Suggests the next words of a text. Results are cached for texts that change by a few letters.

    `GPT2.suggest` has one for its model. Make others for several texts at a time, or for another
    limit.

    Args:
      model: the loaded model.
      max_passes: how many passes over the weights a search takes at most, each for up to 8
        sequences of tokens, apart from that for text that is new. Where it runs out before the
        search has ended, the words are the best of those found so far.

    The cache has the session of the text, 8 pages of 64 tokens beside it, a second session where
    the text is longer than half of the context, and the distributions after the last 128 sequences
    of tokens, 4 bytes for each token of the vocabulary (26 MB in all for GPT-2's). `clear` frees
    it.
    Results depend on the text alone, and probabilities are bit-identical on every processor.

    Several threads may use it; their calls take turns. Raises ValueError for max_passes below 1.
    """

    def __init__(
        self, model: LoadedModel, *, max_passes: int = _core.Suggester.usual_passes()
    ) -> None:
        # The model holds its suggester, and must not be held in turn.
        self._core = _core.Suggester(
            model.core_model, model.tokenizer.core, model.n_ctx, model.kv_type, max_passes
        )

    def suggest(self, text: str, k: int = 3) -> list[Suggestion]:
        """The k most probable next words; see `GPT2.suggest`."""
        return [Suggestion(*found) for found in self._core.suggest(whole_characters(text), k)]

    def clear(self) -> None:
        """Drops the cache and frees its memory."""
        self._core.clear()
