"""`pygpt2edge`, and `python -m pygpt2edge`, where no script of that name is on the path."""

from __future__ import annotations

import signal


def main() -> None:
    """The command line. Ctrl-C ends the process at once while its code is being loaded."""
    earlier = signal.getsignal(signal.SIGINT)
    if earlier is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pygpt2edge.cli import main as run

    signal.signal(signal.SIGINT, earlier)
    run()


if __name__ == "__main__":
    main()
