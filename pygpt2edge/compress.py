"""Lossless compression by a model's probabilities; the coder is in the core, csrc/compress."""

from __future__ import annotations

from collections.abc import Callable

from pygpt2edge import _core
from pygpt2edge.loaded_model import LoadedModel

Progress = Callable[[int, int, str], None]

SUFFIX = ".p2z"
MAX_MESSAGE_BYTES = _core.Compressor.most_message()


def compress(
    model: LoadedModel,
    data: bytes | str,
    *,
    message: bool = False,
    block_size: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """See `GPT2.compress`."""
    text = data.encode() if isinstance(data, str) else _as_bytes(data)
    if message:
        if block_size is not None:
            raise ValueError(f"block_size is {block_size!r}: a message has no blocks, leave it out")
        return _compressor(model).compress_message(text)
    if block_size is None:
        block_size = _core.Compressor.usual_block()
    if block_size < 1:  # not every integer is a size_t
        raise ValueError(f"block_size is {block_size}, expected 1 or more")
    return _compressor(model).compress(text, block_size, _told(progress))


def decompress(
    model: LoadedModel,
    data: bytes,
    *,
    message: bool = False,
    n_parallel: int | None = None,
    progress: Progress | None = None,
    name: str = "data",
) -> bytes:
    """See `GPT2.decompress`. `name` is what a message calls the data, usually a path."""
    compressed = _as_bytes(data)
    if n_parallel is not None and n_parallel < 1:
        raise ValueError(f"n_parallel is {n_parallel}, expected 1 or more")
    if message:
        return _compressor(model).decompress_message(name, compressed)
    return _compressor(model).decompress(name, compressed, n_parallel or 0, _told(progress))


def _compressor(model: LoadedModel) -> _core.Compressor:
    return _core.Compressor(model.core_model, model.tokenizer.core, model.n_ctx)


def _told(progress: Progress | None) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(done, total, "")


def _as_bytes(data: bytes) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data is {data!r:.60}, expected bytes")
    return bytes(data)
