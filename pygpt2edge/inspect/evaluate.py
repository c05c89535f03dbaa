"""How well a model predicts a text, and how far it is from a reference model.

Perplexity is exp(mean -log p) over the text's tokens. The divergence from a reference is
KL(reference || model) of the next token's distribution, in nats: what the model's own perplexity
hides, since errors that help some tokens and hurt others cancel there but not here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pygpt2edge.inspect.scores import Evaluation, Expected, Scores
from pygpt2edge.inspect.scoring import ROWS
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.tokenizer import END_OF_TEXT

_SEPARATOR = re.compile(rf"\n?{re.escape(END_OF_TEXT)}\n?")


# (known, first, last), see _chunks.
Chunk = tuple[int | None, int, int]

PROTOCOLS = ("documents", "llama.cpp")


def evaluate(
    model: LoadedModel,
    text: str,
    *,
    reference: LoadedModel | None = None,
    n_ctx: int | None = None,
    stride: int | None = None,
    protocol: str = "documents",
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Scores a text in windows of n_ctx tokens.

    Args:
      text: documents, with "<|endoftext|>" between them (the line breaks around it do not count).
        Each is given an end-of-text token in front, and all are strung together before the cut.
      reference: a model of the same vocabulary to compare with, such as the f32 file.
      n_ctx: the window; default, and at most, the smaller context of the models.
      stride: how many tokens a window is further on in the text than the one before; default the
        whole window, so that none overlap, as most published figures have it. With less, a window
        begins with the last tokens of the one before, and the model sees what it sees of a text
        that slides with `discard=stride` (`context_overflow="slide"`).
      protocol: "documents" is that. "llama.cpp" is what its perplexity tool does: the text is one,
        with nothing put in front and the marks of documents as plain text; only the second half of
        each window is scored, and a window that is not full not at all.
      progress: called with (tokens done, tokens in all, "").

    In a window every token is scored, given those before it there, but for the first one and those
    that an earlier window has scored.
    Memory beyond the models' is bounded by 128 rows of logits each.

    Raises ValueError for a text with nothing to score, a window that does not fit, models whose
    vocabularies differ, or one whose weights are no numbers.
    """
    (found,) = evaluate_several(
        [model], text, reference=reference, n_ctx=n_ctx, stride=stride, protocol=protocol,
        progress=progress,
    )  # fmt: skip
    return found


def evaluate_several(
    models: Sequence[LoadedModel],
    text: str,
    *,
    reference: LoadedModel | None = None,
    n_ctx: int | None = None,
    stride: int | None = None,
    protocol: str = "documents",
    max_windows: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Evaluation]:
    """As `evaluate`, of several models that are all in memory: the reference runs once.

    Of a long text `max_windows` takes so many full windows, evenly spread over it.
    """
    compared = [*models, *([reference] if reference is not None else [])]
    n_window = _window(compared, n_ctx)
    tokens, chunks = _text_chunks(compared, text, n_window, stride, protocol)
    if max_windows is not None:
        chunks = _spread(list(chunks), max_windows)
    scores = [Scores() for _ in models]
    sessions = [each.session() for each in compared]
    start = 0  # of the window
    for known, first, last in chunks:
        if known is not None:
            start = known
            for each in sessions:
                each.truncate(0)
                each.append(tokens[known:first])
        inputs, targets = tokens[first:last], tokens[first + 1 : last + 1]
        expected = None
        if reference is not None:
            expected = Expected(sessions[-1].append_all_logits(inputs))
        for found, session in zip(scores, sessions, strict=False):
            logits = session.append_all_logits(inputs)
            found.add(targets, logits, expected, n_before=first + 1 - start)
        if progress is not None:
            progress(last + 1, len(tokens), "")
    return [each.evaluation() for each in scores]


def _text_chunks(
    models: list[LoadedModel], text: str, n_window: int, stride: int | None, protocol: str
) -> tuple[NDArray[np.int32], Iterator[Chunk]]:
    """The tokens, and which of them to score together."""
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"protocol {protocol!r} is unknown, expected one of {', '.join(PROTOCOLS)}"
        )
    step = n_window if stride is None else stride
    if not 1 <= step <= n_window:
        raise ValueError(f"stride is {stride}; give 1 to {n_window}, the window")
    stream = _stream if protocol == "documents" else _one_text
    tokens = stream(models[0], text)
    for other in models[1:]:
        if not np.array_equal(tokens, stream(other, text)):
            raise ValueError(
                "the models cut the text into different tokens: only models of one vocabulary can "
                "be compared"
            )
    if len(tokens) < 2:
        raise ValueError("there is nothing to score: the text has no token")
    if protocol == "documents":
        return tokens, _chunks(len(tokens), n_window, step)
    if stride is not None:
        raise ValueError("the llama.cpp protocol has windows that do not overlap: give no stride")
    if len(tokens) < n_window:
        raise ValueError(
            f"the text has {len(tokens)} tokens and the window {n_window}, of which the llama.cpp "
            "protocol scores only full ones: give a longer text or a smaller window"
        )
    return tokens, _second_halves(len(tokens), n_window)


def _spread(chunks: list[Chunk], max_windows: int) -> Iterator[Chunk]:
    """Those of so many windows. The last of the text, which may not be full, is left out where
    others are."""
    starts = [i for i, (known, _, _) in enumerate(chunks) if known is not None]
    ends = [*starts[1:], len(chunks)]
    windows = [chunks[start:end] for start, end in zip(starts, ends, strict=True)]
    if len(windows) > max_windows:
        places = np.linspace(0, len(windows) - 2, max_windows).astype(int)
        windows = [windows[place] for place in places]
    return itertools.chain.from_iterable(windows)


def _window(models: list[LoadedModel], n_ctx: int | None) -> int:
    largest = min(model.n_ctx for model in models)
    n_window = largest if n_ctx is None else n_ctx
    if not 2 <= n_window <= largest:
        raise ValueError(f"the window is {n_window} tokens, expected 2 to {largest}")
    return n_window


def _stream(model: LoadedModel, text: str) -> NDArray[np.int32]:
    """All documents' tokens, an end-of-text token before each."""
    end = model.tokenizer.eos_token
    start = model.tokenizer.bos_token if end is None else end
    if start is None:
        raise ValueError(f"{model.path}: has no end-of-text token to put before a document")
    tokens: list[int] = []
    for document in _SEPARATOR.split(text):
        if document:
            tokens += [start, *model.encoded(document)]
    return np.array(tokens, np.int32)


def _one_text(model: LoadedModel, text: str) -> NDArray[np.int32]:
    return np.array(model.encoded(text), np.int32)


def _second_halves(n_tokens: int, n_window: int) -> Iterator[Chunk]:
    """As _chunks, for full windows, whose first half is only read."""
    for start in range(0, n_tokens - n_window + 1, n_window):
        middle, end = start + n_window // 2, start + n_window - 1
        for first in range(middle, end, ROWS):
            yield start if first == middle else None, first, min(first + ROWS, end)


def _chunks(n_tokens: int, n_window: int, stride: int) -> Iterator[Chunk]:
    """(known, first, last): the tokens first .. last - 1 are to be computed and predict first + 1
    .. last; where a window begins, it does so with the tokens known .. first - 1, which predict
    nothing new. A window's last token predicts none."""
    done = 0  # tokens that need not be predicted any more, but for the first
    for start in range(0, n_tokens, stride):
        end = min(start + n_window, n_tokens) - 1
        begin = max(start, done - 1)
        for first in range(begin, end, ROWS):
            yield start if first == begin else None, first, min(first + ROWS, end)
        done = end + 1
