"""Chooses a type for each tensor: the least cost within a number of bytes.

Each tensor takes one of several types, each with its bytes and its cost. That is the knapsack
problem with multiple choices, solved by going through the tensors and keeping, for every number of
bytes, the least cost so far. Bytes are counted in units, rounded up; what rounding leaves over is
given to the tensors that gain most by it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNITS = 1 << 15
_SIZE_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9,
               "kib": 2**10, "mib": 2**20, "gib": 2**30}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """A type for a tensor: its name, its bytes and its cost."""

    type: str
    n_bytes: int
    cost: float


def parse_size(text: str) -> int:
    """ "900MB" -> 900000000. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?i?b?)\s*", text, re.IGNORECASE)
    unit = match and _SIZE_UNITS.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError(
            f"size {text!r} is not understood: give bytes, or a number with kB, MB or GB, "
            "such as 900MB"
        )
    return int(float(match[1]) * unit)


def least_bytes(tensors: Sequence[Sequence[Choice]]) -> int:
    return sum(min(choice.n_bytes for choice in choices) for choices in tensors)


def least_cost(tensors: Sequence[Sequence[Choice]], n_bytes: int) -> list[Choice]:
    """One choice a tensor, together at most n_bytes, which is at least least_bytes()."""
    smallest = [min(choices, key=lambda choice: choice.n_bytes) for choices in tensors]
    spare = n_bytes - least_bytes(tensors)
    picked = _by_units(tensors, smallest, spare) if spare > 0 else smallest
    return _use_rest(tensors, picked, n_bytes - sum(choice.n_bytes for choice in picked))


def _by_units(
    tensors: Sequence[Sequence[Choice]], smallest: list[Choice], spare: int
) -> list[Choice]:
    unit = max(1, -(-spare // _UNITS))
    n = spare // unit + 1
    costs = np.zeros(n)  # the least so far, with 0 .. n - 1 units more than the smallest
    steps: list[NDArray[np.int8]] = []
    for choices, least in zip(tensors, smallest, strict=True):
        best, picked = np.full(n, np.inf), np.zeros(n, np.int8)
        for i, choice in enumerate(choices):
            shift = -(-(choice.n_bytes - least.n_bytes) // unit)
            if shift >= n:
                continue
            found = costs[: n - shift] + choice.cost
            better = found < best[shift:]
            best[shift:][better] = found[better]
            picked[shift:][better] = i
        costs = best
        steps.append(picked)
    out, at = [], n - 1
    for choices, least, picked in zip(reversed(tensors), reversed(smallest), reversed(steps),
                                      strict=True):  # fmt: skip
        choice = choices[int(picked[at])]
        out.append(choice)
        at -= -(-(choice.n_bytes - least.n_bytes) // unit)
    return out[::-1]


def _use_rest(
    tensors: Sequence[Sequence[Choice]], picked: list[Choice], spare: int
) -> list[Choice]:
    """Takes the replacement that gains most, as long as one fits."""
    picked = list(picked)
    while True:
        best: tuple[float, int, Choice] | None = None
        for i, choices in enumerate(tensors):
            for choice in choices:
                gain = picked[i].cost - choice.cost
                fits = choice.n_bytes - picked[i].n_bytes <= spare
                if fits and gain > 0 and (best is None or gain > best[0]):
                    best = gain, i, choice
        if best is None:
            return picked
        _, i, choice = best
        spare -= choice.n_bytes - picked[i].n_bytes
        picked[i] = choice
