"""Kills a command that fetches and converts a model of a hub at every step, and fills its disk.

    python tools/inject_hub_faults.py [--every N]

`pygpt2edge generate -m someone/tiny` fetches a model from a hub on localhost into huggingface_hub's
cache, and converts it into this package's. It runs undisturbed first, and the operations on its
files are counted: opening, renaming, making folders, linking, locking, removing. Then it runs once
more for each of them (or each Nth), and is killed there; again, and the disk is full from there on;
and for several sizes the first write that makes a file larger kills it, or fails. After each, no
file may have its final name and other bytes, an older converted file must be there, an error must
be told in one line, and the same command, run again, must come to the same bytes and leave no
temporary file in this package's cache.

Each run is a fork of this process, which has imported all that is needed. Prints a JSON object: how
many runs there were, and how many of them ended how. Needs Linux and huggingface_hub.
"""

from __future__ import annotations

import argparse
import collections
import errno
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))
CHECKPOINT = ROOT / "tests" / "data" / "convert" / "hugging_face"
NAME = "someone/tiny"
COMMAND = ["generate", "-q", "-m", NAME, "-n", "1", "--seed", "1", "It is"]
OLD = b"what was there before"
# What Python says before it does it.
OPERATIONS = ("open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
              "os.symlink", "os.truncate", "os.utime")  # fmt: skip
NEED_SPACE = ("os.link", "os.mkdir", "os.rename", "os.symlink")
IMPORTED = ("huggingface_hub.file_download", "huggingface_hub.hf_api", "pygpt2edge.cli",
            "pygpt2edge.cli.generate", "pygpt2edge.convert.cached")  # fmt: skip
SIZES = [0, 1, 20, 100, 150, 300, 500, 1000, 3000, 5000, 7000, 10_000, 40_000, 70_000]


@dataclass(frozen=True)
class Fault:
    """What goes wrong: from the Nth operation on, or at a write beyond so many bytes."""

    kind: str  # "killed" or "no space"
    operation: int | None = None
    size: int | None = None


class Place:
    """The caches of a run, and what may be in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = folder / "hf" / "hub" / "models--someone--tiny"
        self.cache = folder / "cache" / "someone--tiny"
        self.older = self.cache / "v1-q8_0.gguf"

    def clear(self) -> None:
        for name in ("hf", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.cache.mkdir(parents=True)
        self.older.write_bytes(OLD)

    def converted(self) -> dict[str, bytes]:
        files = self.cache.glob("[!.]*.gguf")
        return {path.name: path.read_bytes() for path in files if path != self.older}

    def check(self, whole: dict[str, bytes]) -> None:
        """Nothing has a final name but what is whole."""
        assert self.older.read_bytes() == OLD, "the older file is another"
        found = self.converted()
        assert found in ({}, whole), f"converted in part: {sorted(found)}"
        blobs = [path for path in self.hub.glob("blobs/*") if len(path.name) == 64]
        for path in blobs:  # the hub of the tests names a file by its SHA-256
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert digest == path.name, f"fetched in part: {path}"
        for path in self.hub.glob("snapshots/*/*"):
            assert path.resolve() in blobs, f"{path} leads to no whole file"


@dataclass(frozen=True)
class Ended:
    status: int  # below zero for a signal
    n_operations: int
    said: str  # on stderr


def run(place: Place, fault: Fault | None = None) -> Ended:
    """The command, in a fork. What it says goes through a pipe, which is no file on a full disk."""
    counting, counted = os.pipe()
    hearing, said = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(said, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _be_command(place, fault, counted)
    os.close(counted)
    os.close(said)
    with os.fdopen(counting, "rb") as operations, os.fdopen(hearing, "rb") as words:
        n_operations, text = len(operations.read()), words.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended(status, n_operations, text)


def _be_command(place: Place, fault: Fault | None, counted: int) -> None:
    """Ends the process."""
    from pygpt2edge.cli import main

    sys.stdout, sys.stderr = (open(number, "w") for number in (1, 2))  # noqa: PTH123, SIM115
    sys.argv = ["pygpt2edge", *COMMAND]
    sys.addaudithook(_hook(str(place.folder), fault, counted))
    if fault is not None and fault.size is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.size, fault.size))
        ends = fault.kind == "killed"
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if ends else signal.SIG_IGN)
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 99
    sys.stderr.flush()
    os._exit(status)


def _hook(
    folder: str, fault: Fault | None, counted: int
) -> Callable[[str, tuple[object, ...]], None]:
    numbers = iter(range(1, 1_000_000))

    def concerns(event: str, arguments: tuple[object, ...]) -> bool:
        if event == "fcntl.flock":
            return True
        paths = [str(value) for value in arguments[:2] if isinstance(value, str | os.PathLike)]
        return event in OPERATIONS and any(path.startswith(folder) for path in paths)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not concerns(event, arguments):
            return
        number = next(numbers)
        os.write(counted, b".")
        if fault is None or fault.operation is None or number < fault.operation:
            return
        if fault.kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        makes_a_file = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        )
        if makes_a_file or event in NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return hook


def outcome(place: Place, fault: Fault, whole: dict[str, bytes]) -> str:
    """What the run with this fault came to. Raises AssertionError where that may not be."""
    place.clear()
    ended = run(place, fault)
    try:
        place.check(whole)
        if ended.status == 0:
            assert place.converted() == whole, "success, and no file"
        elif ended.status > 0:
            assert "Traceback" not in ended.said, "a traceback"
            # Not by huggingface_hub, which may warn in lines of its own.
            told = [line for line in ended.said.splitlines() if line.startswith("pygpt2edge: ")]
            assert len(told) == 1, "not told in one line"
        else:
            assert fault.kind == "killed", "killed by itself"
        again = run(place)
        assert again.status == 0, f"again: {again}"
        place.check(whole)
        assert place.converted() == whole, "again: another file"
        left = list(place.cache.glob(".*"))
        assert not left, f"again: {left} is left"
    except AssertionError as error:
        raise AssertionError(f"{fault}: {ended}: {error}") from error
    if ended.status < 0:
        return "killed"
    return "an error" if ended.status else "no error"


def faults(n_operations: int, every: int) -> Iterator[Fault]:
    for kind in ("killed", "no space"):
        for number in range(1, n_operations + 1, every):
            yield Fault(kind, operation=number)
        for size in SIZES[:: min(every, 5)]:
            yield Fault(kind, size=size)


def inject(folder: Path, every: int) -> dict[str, object]:
    from hub_server import environment, serving_hub

    shutil.copytree(CHECKPOINT, folder / "served" / NAME)
    with serving_hub(folder / "served") as hub:
        os.environ.update(environment(hub, folder), HF_HUB_DISABLE_PROGRESS_BARS="1")
        os.environ["PYGPT2EDGE_THREADS"] = "1"
        for module in IMPORTED:
            importlib.import_module(module)
        place = Place(folder)
        place.clear()
        undisturbed = run(place)
        assert undisturbed.status == 0, undisturbed
        whole = place.converted()
        assert len(whole) == 1, whole
        ends = collections.Counter(
            outcome(place, fault, whole) for fault in faults(undisturbed.n_operations, every)
        )
    return {"operations": undisturbed.n_operations, "runs": ends.total(), **ends}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each Nth operation")
    every = parser.parse_args().every
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(inject(Path(folder).resolve(), every)))


if __name__ == "__main__":
    main()
