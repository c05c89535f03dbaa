"""Lets the system calls of commands fail, one after another, and looks at what is left.

    python tools/inject_faults.py [CASE ...] [--quick]

Each command runs undisturbed first, and its calls are counted. Then it runs once for each of them:
the call fails with an error of the system, or the process is killed as it makes the call. The old
file must be there whole, or the new one; an error must be told in one line, and nothing may lie
beside the file but, after a kill, what the same command takes up or a temporary file. Where a
command goes on from what is left, it is run again, and must come to the same bytes.

--quick takes the first and the last call of each kind, of those of inputs the middle one. Needs
Linux and strace. Prints a JSON object for each command: how many runs there were, and how many of
them ended how.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLD = b"what was there before"

# The calls that make a file, and the errors that each may give.
OUTPUT_CALLS = {
    "write": ("ENOSPC", "EIO", "EINTR"),
    "pwrite64": ("ENOSPC", "EINTR"),
    "fallocate": ("ENOSPC",),
    "ftruncate": ("ENOSPC",),
    "fsync": ("EIO", "EINTR"),
    "rename": ("EIO",),
    "renameat2": ("EIO",),
    "mkdir": ("EACCES",),
}
# The calls that read one, seen only where they concern the input.
INPUT_CALLS = {
    "openat": ("EMFILE", "EACCES"),
    "read": ("EIO", "EINTR"),
    "pread64": ("EIO", "EINTR"),
    "mmap": ("ENOMEM",),
    "fstat": ("EIO",),
    "lseek": ("EIO",),
}


@dataclass(frozen=True)
class Case:
    """A command that makes `out` in the folder where it runs."""

    name: str
    arguments: tuple[str, ...]
    source: Path  # copied to the folder, under its own name
    out: str
    goes_on: bool = False  # after a kill or an error, by what lies beside the output


def cases(folder: Path) -> list[Case]:
    checkpoint = ROOT / "tests" / "data" / "convert" / "hugging_face"
    text = folder / "text.txt"
    text.write_text("It was the best of times, it was the worst of times. " * 20)
    packed = folder / "text.p2z"
    run_package("compress", "-q", str(text), "-o", str(packed))
    records = folder / "records.jsonl"
    records.write_text("".join(json.dumps({"prompt": f"Chapter {i}"}) + "\n" for i in range(4)))
    convert = ("convert", "hugging_face", "out.gguf", "--force", "-q")
    generate = ("generate", "-q", "--save", "out.p2e", "-n", "4", "--seed", "1", "It is")
    map_records = ("map", "--force", "-q", "-n", "4", "records.jsonl", "out.jsonl")
    return [
        Case("convert", convert, checkpoint, "out.gguf"),
        Case("compress", ("compress", "-q", "-f", "text.txt", "-o", "out.p2z"), text, "out.p2z"),
        Case("decompress", ("decompress", "-q", "-f", "text.p2z", "-o", "text"), packed, "text"),
        Case("generate", generate, text, "out.p2e"),
        Case("map", map_records, records, "out.jsonl", goes_on=True),
    ]


def run_package(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pygpt2edge", *arguments], check=True)


@dataclass(frozen=True)
class Fault:
    call: str
    number: int  # from 1, among the calls of this name
    error: str  # of errno, or SIGKILL
    path: Path | None  # within the folder; only calls that concern it are seen

    def options(self, folder: Path) -> list[str]:
        what = "signal=SIGKILL" if self.error == "SIGKILL" else f"error={self.error}"
        seen = _seen([self.call], self.path and folder / self.path)
        return [*seen, f"-einject={self.call}:{what}:when={self.number}"]

    def __str__(self) -> str:
        return f"{self.call} {self.number} {self.error}" + (f" of {self.path}" if self.path else "")


def _seen(calls: list[str], path: Path | None) -> list[str]:
    return [f"-etrace={','.join(calls)}", *(["-P", str(path)] if path else [])]


class Trial:
    """A folder with the command's input and an older output, and what became of it."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.folder = case, folder
        self.out = folder / case.out
        self.source = folder / case.source.name
        copy = shutil.copytree if case.source.is_dir() else shutil.copyfile
        copy(case.source, self.source)
        self.out.write_bytes(OLD)
        self.before = self.names()

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    def run(self, strace: list[str]) -> subprocess.CompletedProcess[str]:
        names = {self.case.out, self.source.name}
        arguments = [str(self.folder / x) if x in names else x for x in self.case.arguments]
        command = [sys.executable, "-m", "pygpt2edge", *arguments]
        if strace:
            command = ["strace", "-f", "-o", "/dev/null", *strace, *command]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYGPT2EDGE_THREADS": "1"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def count(self, calls: list[str], path: Path | None) -> dict[str, int]:
        """How often an undisturbed run makes each of the calls."""
        with tempfile.NamedTemporaryFile("r") as log:
            done = self.run([*_seen(calls, path and self.folder / path), "-o", log.name])
            assert done.returncode == 0, done.stderr
            names = re.findall(r"^\d+ +(\w+)\(", log.read(), flags=re.M)
        return dict(collections.Counter(names))


def faults(trial: Trial, quick: bool) -> Iterator[Fault]:
    source = trial.case.source
    files = [path for path in sorted(source.rglob("*")) if path.is_file()] or [source]
    for path in (None, *(path.relative_to(source.parent) for path in files)):
        errors = INPUT_CALLS if path else OUTPUT_CALLS
        for call, n in trial.count(list(errors), path).items():
            few = [(n + 1) // 2] if path else sorted({1, n})
            numbers = few if quick else range(1, n + 1)
            kinds = errors[call] if path else (*errors[call], "SIGKILL")
            for number, error in itertools.product(numbers, kinds):
                yield Fault(call, number, error, path)


def outcome(trial: Trial, fault: Fault, whole: bytes) -> str:
    """What the run with this fault came to. Raises AssertionError where that may not be."""
    done = trial.run(fault.options(trial.folder))
    left = trial.names() - trial.before
    found = trial.out.read_bytes()
    what = (
        f"{trial.case.name}, {fault}: exit {done.returncode}, {done.stderr[-2000:]!r}, left {left}"
    )
    temporary = re.compile(rf"\.{re.escape(trial.case.out)}\..*\.part")
    assert found in (OLD, whole), f"{what}: the output is neither the old one nor the new one"
    if fault.error == "SIGKILL":
        assert done.returncode == -signal.SIGKILL, what
        for name in left:
            is_known = trial.case.goes_on or temporary.fullmatch(name)
            assert is_known, f"{what}: {name} is left"
    elif done.returncode == 0:
        assert found == whole, f"{what}: success, and no output"
        assert not left, what
    else:
        assert fault.error != "EINTR", f"{what}: a signal that concerns nobody ended it"
        assert "Traceback" not in done.stderr, what
        assert done.stderr.strip(), f"{what}: nothing was said"
        assert trial.case.goes_on or not left, what
    if trial.case.goes_on and found != whole:
        again = trial.run([])
        assert again.returncode == 0, f"{what}; then {again.stderr}"
        assert trial.out.read_bytes() == whole, f"{what}: another output when run again"
        more = trial.names() - trial.before
        assert all(temporary.fullmatch(name) for name in more), f"{what}; then {more}"
    if fault.error == "SIGKILL":
        return "killed, " + ("the new file" if found == whole else "the old file")
    return "no error" if done.returncode == 0 else "an error"


def inject(case: Case, folder: Path, quick: bool) -> dict[str, object]:
    numbers = itertools.count()

    def new_folder() -> Path:
        made = folder / f"{case.name}{next(numbers)}"
        made.mkdir()
        return made

    undisturbed = Trial(case, new_folder())
    done = undisturbed.run([])
    assert done.returncode == 0, done.stderr
    whole = undisturbed.out.read_bytes()
    ends: collections.Counter[str] = collections.Counter()
    for fault in faults(Trial(case, new_folder()), quick):
        made = new_folder()
        ends[outcome(Trial(case, made), fault, whole)] += 1
        shutil.rmtree(made)
    return {"command": case.name, "runs": ends.total(), **ends}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        known = cases(folder)
        unknown = set(given.cases) - {case.name for case in known}
        if unknown:
            parser.error(f"no command is named {', '.join(sorted(unknown))}")
        for case in known:
            if not given.cases or case.name in given.cases:
                print(json.dumps(inject(case, folder, given.quick)), flush=True)


if __name__ == "__main__":
    main()
