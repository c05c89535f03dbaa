"""Draws how far files are from the exact model, against what they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pygpt2edge.convert import inspect_checkpoint
from pygpt2edge.errors import require
from pygpt2edge.inspect.scores import Evaluation

_COLORS, _MARKERS = 10, "osD^v"  # colors come again after so many: then with another marker


def bits_per_weight(path: Path) -> float:
    info = inspect_checkpoint(path)
    return 8 * info.n_bytes / info.n_params


def plot_divergences(
    paths: Sequence[Path], found: Sequence[Evaluation], out: str | Path, title: str | None = None
) -> None:
    """Writes a picture: a point for each file, at its bits per weight and its mean KL divergence.

    Raises MissingDependencyError without matplotlib, ValueError for a kind of picture that it does
    not write.
    """
    require("matplotlib", "a picture")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for i, (path, each) in enumerate(zip(paths, found, strict=True)):
        marker = _MARKERS[i // _COLORS % len(_MARKERS)]
        axes.plot(bits_per_weight(path), each.kl_mean or 0.0, marker, label=path.stem)
    axes.set_yscale("log")
    axes.set_xlabel("bits per weight")
    axes.set_ylabel("KL divergence from the reference (nats a token)")
    axes.grid(which="both", alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    if title is not None:
        axes.set_title(title)
    figure.savefig(out)
