"""Checks archives of tools/make_archives.py: the files, what they need, and what they write.

    python tools/check_archive.py ARCHIVE ...

Programs of this machine's system are run, those of others by qemu-user or Wine: the program's
commands, and examples/c compiled with the archive's header and linked with its shared and its
static library. All write what the installed Python package writes. It needs `pip install lief`,
and a C compiler for the archive's system, which is Zig's except for native ones.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import lief
from archive_systems import ROOT, c_compiler, kind, runner

PROMPT, SEED, N_TOKENS = "Once upon a time", 1, 20
TYPED = "How is the wea"
EXAMPLES = ROOT / "examples" / "c"

# What each kind of system has its libraries called, and which of its own they may load.
LIBRARIES = {
    "linux": ("lib/libgpt2edge.so", "lib/libgpt2edge.a"),
    "macos": ("lib/libgpt2edge.dylib", "lib/libgpt2edge.a"),
    "windows": ("bin/gpt2edge.dll", "lib/libgpt2edge_static.a"),
}
SYSTEM_LIBRARIES = {
    "linux": r"(libc|libm|libpthread|libdl|librt|ld-linux[\w-]*)\.so\.\d",
    "macos": r"/usr/lib/libSystem\.B\.dylib|/usr/lib/libc\+\+\.1\.dylib",
    "windows": r"(?i:kernel32|shell32|ntdll|advapi32|api-ms-win-crt-[\w-]+)\.dll",
}
NEEDED = ["LICENSE", "include/gpt2edge.h", "lib/pkgconfig/gpt2edge.pc",
          "lib/cmake/gpt2edge/gpt2edge-config.cmake"]  # fmt: skip
LINKER_OWN = {"_mh_dylib_header", "__dso_handle"}  # what Zig gives out in each library for macOS
OLDEST_GLIBC = (2, 28)
OLDEST_MACOS = [11, 0, 0]
MACHINES = {
    "linux-x86_64": lief.ELF.ARCH.X86_64,
    "linux-aarch64": lief.ELF.ARCH.AARCH64,
    "linux-armv7": lief.ELF.ARCH.ARM,
    "macos-x86_64": lief.MachO.Header.CPU_TYPE.X86_64,
    "macos-aarch64": lief.MachO.Header.CPU_TYPE.ARM64,
    "windows-x86_64": lief.PE.Header.MACHINE_TYPES.AMD64,
}


@dataclass(frozen=True)
class Archive:
    system: str
    folder: Path

    @property
    def kind(self) -> str:
        return kind(self.system)

    @property
    def program(self) -> Path:
        return self.folder / "bin" / ("gpt2edge.exe" if self.kind == "windows" else "gpt2edge")

    @property
    def shared(self) -> Path:
        return self.folder / LIBRARIES[self.kind][0]

    @property
    def static(self) -> Path:
        return self.folder / LIBRARIES[self.kind][1]

    def declared(self) -> set[str]:
        header = (self.folder / "include" / "gpt2edge.h").read_text(encoding="utf-8")
        return set(re.findall(r"GPT2EDGE_API [^;]*?(gpt2edge_\w+)\(", header))


class Wrong(Exception):  # noqa: N818
    """What is wrong with an archive."""


def require(holds: bool, said: str) -> None:
    if not holds:
        raise Wrong(said)


# ---- what the files are ------------------------------------------------------------------------


def parse(path: Path) -> lief.Binary:
    lief.logging.disable()
    binary = lief.parse(str(path))
    require(binary is not None, f"{path.name} is no binary that lief can read")
    assert isinstance(binary, lief.Binary)
    return binary


def machine(binary: lief.Binary) -> object:
    if isinstance(binary, lief.ELF.Binary):
        return binary.header.machine_type
    if isinstance(binary, lief.MachO.Binary):
        return binary.header.cpu_type
    assert isinstance(binary, lief.PE.Binary)
    return binary.header.machine


def exported(binary: lief.Binary) -> set[str]:
    names = {str(function.name) for function in binary.exported_functions}
    if isinstance(binary, lief.MachO.Binary):
        names = {name.removeprefix("_") for name in names}
    return names - LINKER_OWN


def loaded(binary: lief.Binary) -> list[str]:
    """The libraries that a file needs where it runs."""
    if isinstance(binary, lief.MachO.Binary):
        own = lief.MachO.LoadCommand.TYPE.ID_DYLIB
        return [str(each.name) for each in binary.libraries if each.command != own]
    return [str(each) for each in binary.libraries]


def check_binary(archive: Archive, path: Path) -> None:
    binary = parse(path)
    if archive.system in MACHINES:
        found, expected = machine(binary), MACHINES[archive.system]
        require(found == expected, f"{path.name} is for {found}, not {expected}")
    if archive.system in MACHINES:  # the compiler of a native one has its C++ library shared
        known = SYSTEM_LIBRARIES[archive.kind]
        strangers = [name for name in loaded(binary) if not re.fullmatch(known, name)]
        require(not strangers, f"{path.name} loads {', '.join(strangers)}")
        if isinstance(binary, lief.ELF.Binary):
            check_glibc(path, binary)
    if isinstance(binary, lief.MachO.Binary):
        found = binary.build_version.minos if binary.build_version else None
        require(found == OLDEST_MACOS, f"{path.name} needs macOS {found}, not {OLDEST_MACOS}")
        # Apple's own processors run nothing without one. Zig gives them one, and none to Intel's.
        is_signed = binary.has_code_signature or machine(binary) != MACHINES["macos-aarch64"]
        require(is_signed, f"{path.name} has no signature, and arm64 wants one")


def check_glibc(path: Path, binary: lief.ELF.Binary) -> None:
    required = [str(each.name) for one in binary.symbols_version_requirement
                for each in one.get_auxiliary_symbols()]  # fmt: skip
    found = [re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", name) for name in required]
    newest = max(((int(m[1]), int(m[2])) for m in found if m), default=(0, 0))
    require(newest <= OLDEST_GLIBC, f"{path.name} needs glibc {newest}, not {OLDEST_GLIBC}")


def check_names(archive: Archive) -> None:
    """What the shared library is called and what it gives out."""
    binary = parse(archive.shared)
    given, declared = exported(binary), archive.declared()
    if isinstance(binary, lief.MachO.Binary):
        # Zig's linker for macOS takes no list of names. What is there of the C++ library is hidden
        # but for `operator new` and `delete`, which are weak: the system's take their place.
        given = {name for name in given if not re.match("_Z(n|d)[wal]", name)}
    require(given == declared, f"the shared library's names differ: {sorted(given ^ declared)}")
    version = re.search(r"-(\d+\.\d+)\.", archive.folder.name)
    assert version is not None
    if isinstance(binary, lief.ELF.Binary):
        found = str(binary[lief.ELF.DynamicEntry.TAG.SONAME].name)
        require(found == f"libgpt2edge.so.{version[1]}", f"the soname is {found}")
    elif isinstance(binary, lief.MachO.Binary):
        (found,) = (str(each.name) for each in binary.libraries
                    if each.command == lief.MachO.LoadCommand.TYPE.ID_DYLIB)  # fmt: skip
        expected = f"@rpath/libgpt2edge.{version[1]}.dylib"
        require(found == expected, f"the install name is {found}, not {expected}")


def check_files(archive: Archive) -> None:
    for name in [*NEEDED, *LIBRARIES[archive.kind]]:
        require((archive.folder / name).is_file(), f"there is no {name}")
    for path in (archive.program, archive.shared):
        check_binary(archive, path)
    check_names(archive)
    if archive.kind == "linux":
        program = parse(archive.program)
        assert isinstance(program, lief.ELF.Binary)
        require(not program.has_interpreter, "the program is not static")


# ---- what the files write ----------------------------------------------------------------------


@cache
def expected() -> dict[str, str]:
    """The text, the words and the shape of the demo model, by the installed Python package."""
    from pygpt2edge import GPT2

    model = GPT2()
    words = model.suggest(TYPED)
    shape = model.config
    return {
        "model": str(model.path),
        "text": model.generate(PROMPT, max_tokens=N_TOKENS, seed=SEED).text,
        "words": "\t".join(word.word for word in words) + "\n",
        "table": "".join(
            f"{100 * word.probability:6.2f}%  {word.word}\t{word.completion}\n" for word in words
        ),
        "shape": f"{shape['n_layer']} layers of {shape['n_embd']}, ",
    }


class Runs:
    """Runs programs of a system, and compares what they write."""

    def __init__(self, archive: Archive, emulator: list[str], work: Path) -> None:
        self.archive, self.emulator, self.work = archive, emulator, work
        libraries = archive.shared.parent
        # The emulators hand LD_LIBRARY_PATH on to the program; they themselves need none of it.
        self.environment = os.environ | {
            "WINEDEBUG": "-all",
            "WINEPREFIX": str(work / "wine"),
            "LD_LIBRARY_PATH": str(libraries),
            "DYLD_LIBRARY_PATH": str(libraries),
        }

    def run(self, command: list[str], stdin: str = "") -> str:
        done = subprocess.run(
            [*self.emulator, *command], env=self.environment, cwd=self.work, check=False,
            input=stdin.encode(), capture_output=True,
        )  # fmt: skip
        said = done.stderr.decode(errors="replace")
        require(done.returncode == 0, f"{command} failed with {done.returncode}: {said}")
        return done.stdout.decode().replace("\r\n", "\n")

    def compare(self, what: str, found: str, wanted: str) -> None:
        require(found == wanted, f"{what} wrote {found!r}, not {wanted!r}")

    def program(self) -> None:
        program, known = str(self.archive.program), expected()
        options = ["-n", str(N_TOKENS), "--seed", str(SEED)]
        found = self.run([program, "generate", PROMPT, "-m", known["model"], *options])
        self.compare("generate", found, f"{PROMPT}{known['text']}\n")
        found = self.run([program, "suggest", TYPED, "-m", known["model"]])
        self.compare("suggest", found, known["table"])
        found = self.run([program, "inspect", known["model"]])
        require(found.startswith(known["shape"]), f"inspect wrote {found!r}")

    def examples(self, form: str, flags: list[str]) -> None:
        known = expected()
        arguments = {"generate": [known["model"], PROMPT, str(SEED), str(N_TOKENS)],
                     "suggest": [known["model"]]}  # fmt: skip
        wanted = {"generate": known["text"], "suggest": known["words"]}
        for name, given in arguments.items():
            built = compile_example(self.archive, name, self.work / form, flags)
            if form == "shared" and self.archive.kind == "windows":
                shutil.copy(self.archive.shared, built.parent)  # where programs look for it
            found = self.run([str(built), *given], f"{TYPED}\n")
            self.compare(f"{name}.c with the {form} library", found, wanted[name])


def compile_example(archive: Archive, name: str, folder: Path, flags: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    built = folder / (f"{name}.exe" if archive.kind == "windows" else name)
    command = [*c_compiler(archive.system), "-std=c11", "-Wall", "-Wextra", "-Werror",
               f"-I{archive.folder / 'include'}", str(EXAMPLES / f"{name}.c"), *flags,
               "-o", str(built)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"{command}: {done.stderr}")
    return built


def linking(archive: Archive) -> dict[str, list[str]]:
    """The compiler's flags for each form of the library, as docs/embedding.md has them."""
    package = (archive.folder / "lib" / "pkgconfig" / "gpt2edge.pc").read_text(encoding="utf-8")
    private = re.findall(r"^Libs.private: (.*)$", package, re.M)[0].split()
    return {
        "shared": [f"-L{archive.folder / 'lib'}", "-lgpt2edge"],
        "static": ["-DGPT2EDGE_STATIC", str(archive.static), *private],
    }


def check_runs(archive: Archive, work: Path) -> str:
    """Runs what can be run, links the rest, and says how far that went."""
    emulator = runner(archive.system)
    if emulator is None:
        for form, flags in linking(archive).items():
            compile_example(archive, "generate", work / form, flags)
        return "linked with both libraries; nothing here runs it"
    runs = Runs(archive, emulator, work)
    runs.program()
    for form, flags in linking(archive).items():
        runs.examples(form, flags)
    by = f" by {Path(emulator[0]).name}" if emulator else ""
    return f"run{by}: the texts of Python"


def sizes(archive: Archive) -> str:
    paths = {"program": archive.program, "shared": archive.shared, "static": archive.static}
    return ", ".join(f"{name} {path.stat().st_size / 1e6:.1f} MB" for name, path in paths.items())


def check(path: Path) -> None:
    """Ends the program where something is wrong."""
    with tempfile.TemporaryDirectory() as temporary:
        shutil.unpack_archive(path, temporary)
        (folder,) = Path(temporary).glob("gpt2edge-*")
        archive = Archive(re.sub(r"^gpt2edge-[\d.]+-", "", folder.name), folder)
        try:
            check_files(archive)
            said = check_runs(archive, Path(temporary))
        except Wrong as wrong:
            raise SystemExit(f"{path}: {wrong}") from None
        print(f"{path.name}: {sizes(archive)}; {said}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    for path in parser.parse_args().archives:
        check(path)


if __name__ == "__main__":
    main()
