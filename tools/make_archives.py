"""Makes archives of the C library and the command-line program for other systems.

    python tools/make_archives.py [SYSTEM ...] [-o FOLDER] [-D NAME=VALUE] [--check]

A system is a toolchain file of cmake/toolchains that uses Zig's compiler, without its end; all by
default. `native` is this machine's, by its own compiler. It needs CMake, Ninja and, for all but
native, `pip install ziglang`. Linux's archives have libraries for glibc 2.28 and later, and a
program for any Linux. --check looks at each archive as tools/check_archive.py does.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from archive_systems import NATIVE, ROOT, TOOLCHAINS, kind, systems, zig_folder

sys.path.append(str(ROOT / "tests"))
from checkout_build import JOINED_SOURCES, build_folder

LIBRARIES = ("gpt2edge", "gpt2edge_static")
PROGRAM = "gpt2edge_program"


def version() -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.*)"', text, re.M)
    assert found is not None
    return found[1]


def build(toolchain: str, folder: Path, targets: tuple[str, ...], options: list[str]) -> None:
    defines = [
        "GPT2EDGE_PYTHON=OFF", "CMAKE_INSTALL_LIBDIR=lib",
        *(f"{name}={value}" for name, value in JOINED_SOURCES.items()), *options,
    ]  # fmt: skip
    if toolchain != NATIVE:
        defines.append(f"CMAKE_TOOLCHAIN_FILE={TOOLCHAINS / toolchain}.cmake")
    configure = ["cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(folder)]
    configure += [f"-D{each}" for each in defines]
    environment = os.environ | {"ZIG_FOLDER": zig_folder()}
    subprocess.run(configure, check=True, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(folder), "--target", *targets], check=True)


def install(system: str, folder: Path, component: str, staged: Path) -> None:
    # What Zig links is stripped already, and its systems' tools for that are not here.
    command = ["cmake", "--install", str(folder), "--component", component, "--prefix", str(staged)]
    if system == NATIVE:
        command.append("--strip")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def make(system: str, out: Path, options: list[str]) -> Path:
    name = f"gpt2edge-{version()}-{system}"
    # Apple's systems have no libraries for static programs, and Windows' are always there.
    is_static = "GPT2EDGE_STATIC_PROGRAM=" + ("ON" if kind(system) == "linux" else "OFF")
    with tempfile.TemporaryDirectory() as temporary, build_folder() as work:
        staged = Path(temporary) / name
        folders = dict.fromkeys(("library", "program"), work)
        static = f"{system}-static"
        if (TOOLCHAINS / f"{static}.cmake").is_file():
            folders["program"] = work / "static"
            build(system, work, LIBRARIES, options)
            build(static, folders["program"], (PROGRAM,), [is_static, *options])
        else:
            build(system, work, (*LIBRARIES, PROGRAM), [is_static, *options])
        for component, folder in folders.items():
            install(system, folder, component, staged)
        shutil.copy(ROOT / "LICENSE", staged)
        form = "zip" if kind(system) == "windows" else "gztar"
        return Path(shutil.make_archive(str(out / name), form, temporary, name))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*systems(), NATIVE]
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(known))
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build" / "archives")
    parser.add_argument("-D", dest="options", action="append", default=[], metavar="NAME=VALUE",
                        help="an option of CMake's")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="needs `pip install lief`, too")
    arguments = parser.parse_args()
    unknown = set(arguments.systems) - set(known)
    if unknown:
        parser.error(f"there is no {min(unknown)}; give of {', '.join(known)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for system in arguments.systems or systems():
        path = make(system, arguments.out, arguments.options)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
        if arguments.check:
            from check_archive import check

            check(path)


if __name__ == "__main__":
    main()
