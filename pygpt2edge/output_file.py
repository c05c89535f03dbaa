"""A file that appears whole or not at all.

It is written beside its target under a temporary name, flushed to the disk, and renamed. Whatever
ends the work early (an error, Ctrl-C, SIGTERM, a full disk) removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

TEMPORARY_SUFFIX = ".part"


class _Terminated(BaseException):
    """SIGTERM arrived. Not an Exception, so that nothing on the way handles it."""


def check_target(out: Path, n_bytes: int) -> None:
    """Raises OSError when `out` cannot be made: no folder, a folder itself, too little space."""
    folder = out.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "folder of the output is missing; create it first", str(folder)
        )
    if out.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, "output is a folder; give the name of a file", str(out)
        )
    if out.exists() and not out.is_file():
        raise OSError(errno.EINVAL, "output is not a regular file", str(out))
    free = _free(folder)
    if free < n_bytes:
        raise _disk_full(out, n_bytes, free)


def _free(folder: Path) -> int:
    """Bytes of the disk."""
    import shutil  # so late: it loads what packs files

    return shutil.disk_usage(folder).free


@contextlib.contextmanager
def replaced_when_whole(out: Path, n_bytes: int) -> Iterator[Path]:
    """The temporary path to write `n_bytes` to; renamed to `out` when the block ends well."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.{os.urandom(4).hex()}{TEMPORARY_SUFFIX}")
    with _sigterm_raises():
        try:
            yield temporary
            _flush(temporary)
            temporary.replace(out)
        except BaseException as error:
            free = _free(out.parent)
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _disk_full(out, n_bytes, free) from error
            raise
    _flush_folder(out.parent)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Makes the new name last through a power cut. Windows has no such call."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _disk_full(out: Path, n_bytes: int, free: int) -> OSError:
    return OSError(
        errno.ENOSPC,
        f"not enough space: needs {n_bytes / 1e6:.1f} MB, {free / 1e6:.1f} MB are free",
        str(out),
    )


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turns a SIGTERM that would kill the process at once into an exception, then dies of it.

    Only in the main thread, where Python allows it, and only if the program has no handler of its
    own.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return

    def handler(_signal: int, _frame: FrameType | None) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, handler)
    try:
        yield
    except _Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
