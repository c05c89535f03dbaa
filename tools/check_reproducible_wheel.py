"""Shows that a wheel is reproducible: builds it twice from a source distribution, and compares.

    python tools/check_reproducible_wheel.py dist/pygpt2edge-0.1.0.tar.gz

The two builds differ in all that must not matter: the folder, the times of the files, the umask,
the time zone, the language and the number of compilers at a time. No compiler's cache is used.
Prints the wheel's SHA-256, or what differs, and then exits with 1. Needs a compiler, and the
network (or an index) for what the build needs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# What differs: the folder below the temporary one, the umask, and variables of the environment.
BUILDS = [
    ("a", 0o022, {"TZ": "UTC", "LC_ALL": "C", "CMAKE_BUILD_PARALLEL_LEVEL": "1"}),
    ("another/and longer one", 0o077,
     {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "CMAKE_BUILD_PARALLEL_LEVEL": "2"}),
]  # fmt: skip
DAY = 86_400


def build(sdist: Path, folder: Path, umask: int, variables: dict[str, str]) -> Path:
    """The wheel, built from the source distribution in that folder."""
    folder.mkdir(parents=True)
    shutil.unpack_archive(sdist, folder)
    (source,) = folder.iterdir()
    for path in source.rglob("*"):
        if path.is_file():
            state = path.stat()
            os.utime(path, (state.st_atime, state.st_mtime - umask * DAY))
    left_out = ("CMAKE_CXX_COMPILER_LAUNCHER", "SOURCE_DATE_EPOCH", "PYTHONPATH")
    outside = {name: value for name, value in os.environ.items() if name not in left_out}
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-cache-dir"]
    done = subprocess.run(
        [*command, "-w", folder / "wheels", source],
        env=outside | variables, umask=umask, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"{sdist.name}: no wheel came of it: {done.stdout}")
    (wheel,) = (folder / "wheels").glob("*.whl")
    return wheel


def differences(first: Path, second: Path) -> list[str]:
    """What differs between two wheels that have not the same bytes."""
    if first.name != second.name:
        return [f"the name: {first.name}, {second.name}"]
    with zipfile.ZipFile(first) as a, zipfile.ZipFile(second) as b:
        if a.namelist() != b.namelist():
            return ["the files, or their order"]
        return [
            name for name in a.namelist()
            if a.read(name) != b.read(name) or _attributes(a, name) != _attributes(b, name)
        ] or ["how it is packed"]  # fmt: skip


def _attributes(archive: zipfile.ZipFile, name: str) -> tuple[object, ...]:
    info = archive.getinfo(name)
    return info.date_time, info.external_attr, info.compress_type


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sdist", type=Path)
    sdist = parser.parse_args().sdist.resolve()
    with tempfile.TemporaryDirectory() as folder:
        first, second = (
            build(sdist, Path(folder) / name, umask, variables) for name, umask, variables in BUILDS
        )
        if first.read_bytes() != second.read_bytes():
            sys.exit(f"{first.name}: differs in {', '.join(differences(first, second))}")
        digest = hashlib.sha256(first.read_bytes()).hexdigest()
        print(f"{first.name}: the same bytes twice, SHA-256 {digest}")


if __name__ == "__main__":
    main()
