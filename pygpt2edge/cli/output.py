"""What the commands say besides their results: errors, notes, progress, sizes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from pygpt2edge.errors import Gpt2EdgeError, not_installed

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

Progress = Callable[[int, int, str], None]


def prepare_streams() -> None:
    """Makes characters that the terminal's encoding lacks come out as "?", not as an error."""
    # Python has no streams where the shell closed them (>&-).
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def exit_status(command: Callable[[], int | None]) -> int:
    """Runs a command. What goes wrong becomes one line on stderr and a status."""
    try:
        return command() or 0
    except click.UsageError as error:
        place = error.ctx.command_path if error.ctx else "pygpt2edge"
        return _failed(f'{error.format_message().rstrip(".")} (see "{place} --help")', WRONG_USAGE)
    except click.ClickException as error:
        return _failed(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("pygpt2edge: interrupted", err=True)
        return INTERRUPTED
    except (Gpt2EdgeError, OSError, ValueError, MemoryError, ModuleNotFoundError) as error:
        if os.environ.get("PYGPT2EDGE_DEBUG", "") not in ("", "0"):
            raise
        return _failed(explain(error))


def refuse_existing(out: str, *, force: bool) -> None:
    """Raises FileExistsError for an output that is there and may not be replaced."""
    if Path(out).is_file() and not force:
        raise FileExistsError(errno.EEXIST, "exists; --force replaces it", out)


def drop_stdout() -> None:
    """Stops output whose reader (`head`, say) has all it wants. Python flushes stdout once more at
    its end, and would complain if that still led to the closed pipe."""
    with _nowhere() as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


def explain(error: BaseException) -> str:
    """An exception as one line for people."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, MemoryError):
        text = str(error) or "not enough memory"
    elif isinstance(error, ModuleNotFoundError) and error.name is not None:
        text = not_installed(error.name.split(".")[0], "this command")
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.splitlines())


def _failed(message: str, status: int = FAILED) -> int:
    click.echo(f"pygpt2edge: error: {' '.join(message.splitlines())}", err=True)
    return status


def note(message: str, quiet: bool = False) -> None:
    """A remark on stderr, dim where the terminal can."""
    if not quiet:
        click.secho(message, err=True, dim=True)


def warn(message: str) -> None:
    click.echo(f"pygpt2edge: warning: {message}", err=True)


def print_json(value: dict[str, Any]) -> None:
    """One object on one line, in ASCII, so that no encoding on the way can spoil it."""
    import json

    click.echo(json.dumps(value, allow_nan=False))


def print_table(rows: Sequence[Sequence[str]], align: str, err: bool = False) -> None:
    """Columns as wide as their widest cell, each to the left ("<") or right (">")."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip(), err=err)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress | None]:
    """A function to call with (done, in all, what) that draws a bar; None unless on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = click.progressbar(
        length=1, label=label, file=sys.stderr, item_show_func=lambda what: what or ""
    )
    with bar:

        def report(done: int, total: int, what: str) -> None:
            bar.length = total
            bar.update(done - bar.pos, what)

        yield report


def megabytes(n_bytes: float) -> str:
    """A size in MB (10^6 bytes), with a decimal when it is small; a tiny one in kB."""
    if n_bytes < 1e5:
        return f"{n_bytes / 1e3:.1f} kB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e8 else f"{n_bytes / 1e6:,.0f} MB"


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def memory_line(memory: dict[str, int]) -> str:
    """ "24.0 MB (weights 11.0, cache 6.3, workspace 6.2)" """
    parts = ", ".join(f"{name} {size / 1e6:,.1f}" for name, size in memory.items())
    return f"{megabytes(sum(memory.values()))} ({parts})"
