"""Attention weights of a text, and a page or a picture of them."""

from __future__ import annotations

import base64
import html
import io
import json
import warnings
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pygpt2edge.errors import MissingDependencyError
from pygpt2edge.inspect.attention import attention
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.output_file import check_target, replaced_when_whole

SUFFIXES = (".html", ".png")

# What a browser still opens at once. All layers and heads of the 124M model come to it at 440
# tokens, a layer of the 1.5B one within its whole context.
MAX_PAGE_BYTES = 20_000_000

# Of a picture: labels that can still be read, and inches.
_MAX_LABELS = 80
_LABEL_INCHES = 0.19


@dataclass(frozen=True)
class AttentionMap:
    """The attention weights of a text, in some of the layers and heads of a model."""

    model: str
    tokens: list[int]
    pieces: list[str]  # the tokens' texts; what is no whole character stands as \\xe2
    layers: list[int]
    heads: list[int]
    weights: NDArray[np.float32]  # (len(layers), len(heads), len(tokens), len(tokens))

    @property
    def title(self) -> str:
        """What `mean` is of: "layer 3, mean of 12 heads"."""
        layers, heads = _which("layer", self.layers), _which("head", self.heads)
        return f"{layers}, {heads}"

    def mean(self) -> NDArray[np.float32]:
        """The weights, (n_tokens, n_tokens), over all these layers and heads."""
        mean: NDArray[np.float32] = self.weights.mean(axis=(0, 1))
        return mean


def attention_map(
    model: LoadedModel, text: str, layer: int | None = None, head: int | None = None
) -> AttentionMap:
    """Looks at a text, in one layer or all, with one head or all.

    Raises what GPT2.attention does, and ValueError for a head that is not there.
    """
    n_head = model.config["n_head"]
    if head is not None and not 0 <= head < n_head:
        raise ValueError(f"head {head} is not there: this model has heads 0 to {n_head - 1}")
    tokens = model.tokens_of(text)
    layers = list(range(model.config["n_layer"])) if layer is None else [layer]
    heads = list(range(n_head)) if head is None else [head]
    weights = attention(model, tokens, layers)
    pieces = [
        model.tokenizer.token_bytes(token).decode("utf-8", "backslashreplace") for token in tokens
    ]
    shown = weights if head is None else weights[:, head : head + 1]
    return AttentionMap(model.path.name, tokens, pieces, layers, heads, shown)


def check_can_write(out: Path) -> None:
    """Raises what `write` would before it draws: OSError, or for a missing package
    MissingDependencyError."""
    check_target(out, 0)
    if out.suffix.lower() == ".png":
        _matplotlib()


def write(shown: AttentionMap, out: Path) -> int:
    """Draws a page (.html) or a picture (.png), whole or not at all; returns its size in bytes.

    Raises OSError, MissingDependencyError, and ValueError for a page that would be too large.
    """
    data = picture(shown) if out.suffix.lower() == ".png" else page(shown).encode()
    check_target(out, len(data))
    with replaced_when_whole(out, len(data)) as temporary:
        temporary.write_bytes(data)
    return len(data)


def page(shown: AttentionMap) -> str:
    """One HTML file that needs nothing else: words to point at, and selectors of what is shown."""
    n_bytes = 4 * len(shown.layers) * len(shown.heads) * _map_bytes(len(shown.tokens)) // 3
    if n_bytes > MAX_PAGE_BYTES:
        raise ValueError(
            f"a page of {len(shown.tokens)} tokens in {len(shown.layers)} layers would take "
            f"{n_bytes / 1e6:.0f} MB, and {MAX_PAGE_BYTES / 1e6:.0f} are allowed: choose a layer "
            "(--layer) or shorten the text"
        )
    source = resources.files("pygpt2edge") / "data" / "attention.html"
    return Template(source.read_text(encoding="utf-8")).substitute(
        title=html.escape(shown.title),
        model=html.escape(shown.model),
        words="".join(_word(i, piece) for i, piece in enumerate(shown.pieces)),
        selectors=_selector("layer", shown.layers) + _selector("head", shown.heads),
        shape=json.dumps([len(shown.layers), len(shown.heads), len(shown.tokens)]),
        codes=base64.b64encode(_codes(shown.weights).tobytes()).decode(),
    )


def picture(shown: AttentionMap) -> bytes:
    """A PNG: a row for each token, a column for each that it may look at."""
    matplotlib = _matplotlib()
    weights, n = shown.mean(), len(shown.tokens)
    step = -(-n // _MAX_LABELS)
    places = range(0, n, step)
    labels = [visible(shown.pieces[i]) for i in places]
    inches = max(3.0, _LABEL_INCHES * len(labels))
    figure = matplotlib.figure.Figure(figsize=(inches + 2.4, inches + 1.6), layout="constrained")
    axes = figure.add_subplot()
    # Most weights are small: their square roots spread over the colours.
    scale = matplotlib.colors.PowerNorm(0.5, vmin=0, vmax=1)
    unseen = np.triu(np.ones((n, n), bool), 1)
    image = axes.imshow(np.ma.array(weights, mask=unseen), cmap="magma_r", norm=scale)
    # A dollar sign is a dollar sign, not the start of a formula.
    style = {"fontsize": 8, "parse_math": False}
    axes.set_xticks(places, labels, rotation=90, **style)
    axes.set_yticks(places, labels, **style)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("looks at")
    axes.set_ylabel("token")
    axes.set_title(f"{shown.title}\n{shown.model}", fontsize=10, parse_math=False)
    figure.colorbar(image, ax=axes, label="weight", shrink=0.7, aspect=30)
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # characters that the font lacks
        figure.savefig(out, format="png", dpi=110)
    return out.getvalue()


def visible(piece: str) -> str:
    """A piece as a label: the spaces and line breaks that it is made of can be seen."""
    if not piece.strip(" "):
        return "\N{OPEN BOX}" * len(piece)
    return "".join(_VISIBLE.get(c, c) if c.isprintable() else _shown(c) for c in piece.strip(" "))


_VISIBLE = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "\t": "\N{RIGHTWARDS ARROW TO BAR}"}


def _shown(c: str) -> str:
    return _VISIBLE.get(c) or c.encode("unicode_escape").decode()


def _which(noun: str, numbers: list[int]) -> str:
    return f"{noun} {numbers[0]}" if len(numbers) == 1 else f"mean of {len(numbers)} {noun}s"


def _map_bytes(n_tokens: int) -> int:
    return 2 * n_tokens + n_tokens * (n_tokens + 1) // 2


def _codes(weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Every layer's and head's rows, one after the other, as bytes for the page.

    A row is its largest weight, in two bytes of 1/65535, then each weight it has, as a share of the
    largest in 255 steps.
    """
    n_layers, n_heads, n, _ = weights.shape
    codes = np.empty((n_layers, n_heads, _map_bytes(n)), np.uint8)
    at = 0
    for i in range(n):
        row = weights[:, :, i, : i + 1]
        largest = row.max(axis=2, keepdims=True)
        top = np.rint(largest * 65535).astype("<u2")
        codes[:, :, at : at + 2] = top.view(np.uint8)
        codes[:, :, at + 2 : at + 3 + i] = np.rint(row / largest * 255)
        at += 3 + i
    return codes


def _word(i: int, piece: str) -> str:
    """A token that can be pointed at. Spaces before a word stand outside of it."""
    text = piece.lstrip(" ") or piece
    space = " " * (len(piece) - len(text))
    shown = html.escape(visible(text))
    ends_line = "<br>" if "\n" in piece else ""
    return f'{space}<span role="option" id="t{i}" tabindex="-1">{shown}</span>{ends_line}'


def _selector(noun: str, numbers: list[int]) -> str:
    if len(numbers) == 1:
        return ""
    options = ['<option value="">mean</option>']
    options += [f'<option value="{i}">{number}</option>' for i, number in enumerate(numbers)]
    return f'<label>{noun} <select id="{noun}">{"".join(options)}</select></label>'


def _matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.colors
        import matplotlib.figure
    except ImportError as error:
        raise MissingDependencyError(
            'a picture needs matplotlib: pip install "pygpt2edge[plot]"; a page (.html) does not'
        ) from error
    return matplotlib
