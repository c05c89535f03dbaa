"""What two texts have in common."""

from __future__ import annotations

from collections.abc import Sequence


def n_common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two texts have in common at their beginnings."""
    n = min(len(a), len(b))
    for i in range(n):
        if a[i] != b[i]:
            return i
    return n
