"""python -m pygpt2edge.config: where the C library is."""

from __future__ import annotations

import argparse
import sys

from pygpt2edge import config


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pygpt2edge.config",
        description="Prints where the C library of this package is, on one line.",
        epilog="example: cc app.c $(python -m pygpt2edge.config --cflags --libs)",
    )
    parser.add_argument(
        "--cflags", action="append_const", dest="wanted", const=config.cflags,
        help="what compiles a program that includes gpt2edge.h",
    )  # fmt: skip
    parser.add_argument(
        "--libs", action="append_const", dest="wanted", const=config.libs,
        help="what links it with the shared library",
    )  # fmt: skip
    parser.add_argument(
        "--cmakedir", action="append_const", dest="wanted", const=config.cmake_dir,
        help="the folder for CMake's gpt2edge_DIR",
    )  # fmt: skip
    wanted = parser.parse_args(arguments).wanted
    if not wanted:
        parser.error("say what to print: --cflags, --libs, --cmakedir")
    try:
        print(*(each() for each in wanted))
    except FileNotFoundError as error:
        print(f"pygpt2edge: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
