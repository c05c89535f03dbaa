"""The noise of tokens at a draw, from its definition, by NumPy alone.

Philox4x32-10 (Salmon et al., SC 2011) has the seed as key and (draw, stream, index) as counter. Of
each block of 64 tokens, stream 0 gives the least noise and whose it is; stream 2 what the noise of
each other token exceeds it by.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOW = np.uint64(0xFFFFFFFF)
_BLOCK = 64


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> list[Any]:
    """The four words, each an array of the counters' common shape."""
    c = list(np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter)))
    k = list(key)
    half = np.uint64(32)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            b >> half ^ c[1] ^ np.uint64(k[0]), b & _LOW,
            a >> half ^ c[3] ^ np.uint64(k[1]), a & _LOW,
        ]  # fmt: skip
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def _words(seed: int, draws: Any, stream: int, index: Any) -> list[Any]:
    draws = np.asarray(draws, np.uint64)
    counter = (draws & _LOW, draws >> np.uint64(32), stream, index)
    return philox(counter, (seed & 0xFFFFFFFF, seed >> 32))


def _exponential(words: list[Any]) -> NDArray[np.float64]:
    bits = words[1] << np.uint64(32) | words[0]
    return -np.log1p(-(np.minimum(bits.astype(np.float64), 2.0**64 - 2048) + 0.5) * 2.0**-64)


def token_noise(seed: int, draws: Any, tokens: Any) -> NDArray[np.float64]:
    """Shape (draws, tokens), or what of it is no scalar."""
    draws, tokens = np.asarray(draws, np.uint64)[..., None], np.asarray(tokens, np.uint64)
    block = tokens // np.uint64(_BLOCK)
    words = _words(seed, draws, 0, block)
    least = _exponential(words) / _BLOCK
    owner = block * np.uint64(_BLOCK) + words[2] % np.uint64(_BLOCK)
    excess = _exponential(_words(seed, draws, 2, tokens))
    return np.where(owner == tokens, least, least + excess)


def race(noise: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[Any, Any]:
    """Who wins along the last axis, and by which share of their time the next is behind."""
    with np.errstate(divide="ignore"):
        times = noise / weights
    if times.shape[-1] == 1:
        return np.zeros(times.shape[:-1], int), np.ones(times.shape[:-1])
    first, second = np.moveaxis(np.partition(times, 1, axis=-1)[..., :2], -1, 0)
    return times.argmin(axis=-1), 1 - first / second
