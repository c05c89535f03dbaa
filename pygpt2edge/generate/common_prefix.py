"""The common prefix of two texts."""

from __future__ import annotations

from collections.abc import Sequence


def n_common(a: Sequence[int], b: Sequence[int]) -> int:
    """The length of the common prefix."""
    n = min(len(a), len(b))
    for i in range(n):
        if a[i] != b[i]:
            return i
    return n
