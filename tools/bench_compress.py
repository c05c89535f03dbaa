"""Measures compression: sizes, speed and memory, beside other programs.

  python tools/bench_compress.py files TEXT [-m MODEL] [--bytes N]
  python tools/bench_compress.py blocks TEXT [-m MODEL] [--bytes N]
  python tools/bench_compress.py messages TEXT [-m MODEL] [--count N]

`files` compresses the beginning of a text by pygpt2edge and by what it finds of zstd, xz and
brotli; `blocks` tries block sizes; `messages` cuts pieces of 20 to 200 characters at words. All
that this package compresses is decompressed and compared.
"""

from __future__ import annotations

import argparse
import functools
import lzma
import random
import resource
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from pygpt2edge import GPT2

LENGTHS = (20, 50, 100, 160, 200)


def others() -> dict[str, Callable[[bytes], bytes]]:
    """The compressors that this machine has, each as strong as it can be."""
    found: dict[str, Callable[[bytes], bytes]] = {
        "zlib -9": lambda data: zlib.compress(data, 9),
        "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
    }
    try:
        import zstandard

        found["zstd -19"] = lambda data: zstandard.ZstdCompressor(level=19).compress(data)
    except ImportError:
        print("without zstd: pip install zstandard")
    try:
        import brotli

        found["brotli -q 11"] = lambda data: brotli.compress(data, quality=11, lgwin=24)
    except ImportError:
        print("without brotli: pip install brotli")
    return found


def timed(work: Callable[[], bytes]) -> tuple[bytes, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def show(name: str, data: bytes, n_bytes: int, *seconds: float) -> None:
    characters = len(data.decode())
    speeds = "".join(f"{len(data) / s / 1000:12.2f} kB/s" for s in seconds)
    print(f"{name:26} {n_bytes:9,} bytes {8 * n_bytes / characters:7.3f} bits/char{speeds}")


def show_pair(model: GPT2, name: str, data: bytes, block_size: int | None) -> None:
    compressed, packing = timed(lambda: model.compress(data, block_size=block_size))
    text, unpacking = timed(lambda: model.decompress(compressed))
    assert text == data
    show(name, data, len(compressed), packing, unpacking)


def files(model: GPT2, data: bytes) -> None:
    for name, compress in others().items():
        compressed, seconds = timed(functools.partial(compress, data))
        show(name, data, len(compressed), seconds)
    show_pair(model, "pygpt2edge", data, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"peak memory {peak:.0f} MB")


def blocks(model: GPT2, data: bytes) -> None:
    for block_size in (4096, 8192, 16384, 32768, 65536, 1 << 17, 1 << 19):
        show_pair(model, f"blocks of {block_size:,}", data, block_size)


def messages(model: GPT2, data: bytes, count: int) -> None:
    text, chosen = data.decode(), random.Random(1)
    for length in LENGTHS:
        sums: dict[str, int] = {}
        n_bytes = entropy = 0.0
        seconds = 0.0
        for _ in range(count):
            start = text.find(" ", chosen.randrange(len(text) - 2 * length)) + 1
            message = " ".join(text[start : start + length].split()).encode()
            n_bytes += len(message)
            entropy -= float(model.score(message.decode()).sum()) / 0.6931471805599453 / 8
            compressed, spent = timed(functools.partial(model.compress, message, message=True))
            seconds += spent
            assert model.decompress(compressed, message=True) == message
            sums["pygpt2edge"] = sums.get("pygpt2edge", 0) + len(compressed)
            for name, compress in others().items():
                sums[name] = sums.get(name, 0) + len(compress(message))
        print(f"{n_bytes / count:.1f} bytes in the mean, {1000 * seconds / count:.1f} ms")
        print(f"  {'-log2 p / 8':14} {entropy / count:7.1f} bytes")
        for name, total in sums.items():
            print(f"  {name:14} {total / count:7.1f} bytes {total / n_bytes:8.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("files", "blocks", "messages"))
    parser.add_argument("text", type=Path)
    parser.add_argument("-m", "--model")
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    model, data = GPT2(args.model), args.text.read_bytes()[: args.bytes]
    data = data.decode(errors="ignore").encode()
    if args.what == "files":
        files(model, data)
    elif args.what == "blocks":
        blocks(model, data)
    else:
        messages(model, data, args.count)


if __name__ == "__main__":
    main()
