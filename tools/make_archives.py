"""Makes archives of the C library and the command-line program for other systems.

    python tools/make_archives.py [SYSTEM ...] [-o FOLDER] [--check]

A system is a toolchain file of cmake/toolchains that uses Zig's compiler, without its end; all by
default. It needs CMake, Ninja and `pip install ziglang`. Linux's archives have a shared library for
glibc 2.28 and later, and a program for any Linux. --check runs each program that this machine can
run, be it by qemu-user or Wine, and compares its text with that of the installed package.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLCHAINS = ROOT / "cmake" / "toolchains"
PROMPT = "Once upon a time"


def systems() -> list[str]:
    paths = sorted(TOOLCHAINS.glob("*.cmake"))
    zig = [path.stem for path in paths if "zig_target" in path.read_text(encoding="utf-8")]
    return [name for name in zig if not name.endswith("-static") and name != "zig"]


def version() -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.*)"', text, re.M)
    assert found is not None
    return found[1]


def build(toolchain: str, folder: Path, target: str, *options: str) -> None:
    toolchain_file = TOOLCHAINS / f"{toolchain}.cmake"
    configure = [
        "cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(folder), "-DGPT2EDGE_PYTHON=OFF",
        f"-DCMAKE_TOOLCHAIN_FILE={toolchain_file}", *options,
    ]  # fmt: skip
    environment = os.environ | {"ZIG_FOLDER": zig_folder()}
    subprocess.run(configure, check=True, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(folder), "--target", target], check=True)


def zig_folder() -> str:
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        return ""  # the one on the path, if there is one
    return str(Path(spec.origin).parent)


def install(folder: Path, component: str, staged: Path) -> None:
    command = ["cmake", "--install", str(folder), "--component", component, "--prefix", str(staged)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def make(system: str, out: Path) -> Path:
    name = f"gpt2edge-{version()}-{system}"
    with tempfile.TemporaryDirectory() as temporary:
        work, staged = Path(temporary), Path(temporary) / name
        build(system, work / "library", "gpt2edge", "-DGPT2EDGE_STATIC_LIBRARY=OFF")
        install(work / "library", "library", staged)
        static = f"{system}-static"
        if (TOOLCHAINS / f"{static}.cmake").is_file():
            build(static, work / "program", "gpt2edge_program", "-DGPT2EDGE_STATIC_PROGRAM=ON")
            install(work / "program", "program", staged)
        else:
            build(system, work / "library", "gpt2edge_program")
            install(work / "library", "program", staged)
        shutil.copy(ROOT / "LICENSE", staged)
        kind = "zip" if system.startswith("windows") else "gztar"
        return Path(shutil.make_archive(str(out / name), kind, temporary, name))


def runner(system: str) -> list[str] | None:
    """What a program of that system is run by here; None where nothing can."""
    kind, machine = system.split("-", 1)
    if kind == platform.system().lower() and machine == platform.machine():
        return []
    emulators = {
        "linux-aarch64": "qemu-aarch64",
        "linux-armv7": "qemu-arm",
        "windows-x86_64": shutil.which("wine64") or "/usr/lib/wine/wine64",
    }
    found = shutil.which(emulators.get(system, ""))
    return [found] if found else None


def check(system: str, archive: Path) -> str:
    """Runs the program in an archive, and says how that went. Fails where its text is wrong."""
    command = runner(system)
    if command is None:
        return "not run: nothing here can"
    from pygpt2edge import GPT2

    model = GPT2()
    expected = PROMPT + model.generate(PROMPT, max_tokens=20, seed=1).text + "\n"
    with tempfile.TemporaryDirectory() as temporary:
        shutil.unpack_archive(archive, temporary)
        name = "gpt2edge.exe" if system.startswith("windows") else "gpt2edge"
        (program,) = Path(temporary).glob(f"*/bin/{name}")
        arguments = ["generate", PROMPT, "-m", str(model.path), "-n", "20", "--seed", "1"]
        done = subprocess.run(
            [*command, str(program), *arguments], capture_output=True, check=False
        )
    if done.stdout.decode() != expected:
        raise SystemExit(f"{archive}: wrote {done.stdout!r}, {done.stderr!r}; not {expected!r}")
    return f"run{' by ' + Path(command[0]).name if command else ''}: the text of Python"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(systems()))
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build" / "archives")
    parser.add_argument("--check", action="store_true", help="run what this machine can run")
    arguments = parser.parse_args()
    unknown = set(arguments.systems) - set(systems())
    if unknown:
        parser.error(f"there is no {min(unknown)}; give of {', '.join(systems())}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for system in arguments.systems or systems():
        path = make(system, arguments.out)
        said = f"; {check(system, path)}" if arguments.check else ""
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB{said}", file=sys.stderr)


if __name__ == "__main__":
    main()
