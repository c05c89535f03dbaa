"""`pygpt2edge`, and `python -m pygpt2edge`, where no script of that name is on the path."""

from __future__ import annotations

import signal


def main() -> None:
    """The command line. While its code is loaded and while its threads end, Ctrl-C ends the process
    at once, by the signal."""
    earlier = signal.getsignal(signal.SIGINT)
    is_usual = earlier is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pygpt2edge.cli import main as run

    try:
        if is_usual:
            signal.signal(signal.SIGINT, earlier)
        run()
    finally:
        if is_usual:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
