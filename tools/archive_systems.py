"""The systems that archives are made for: by which compiler, and what runs their programs here."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLCHAINS = ROOT / "cmake" / "toolchains"
NATIVE = "native"  # this machine's system, by its own compiler

# What runs programs of other systems: the emulator, and where Debian's cross compilers keep the
# libraries that such programs load.
EMULATORS = {
    "linux-aarch64": ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
    "linux-armv7": ["qemu-arm", "-L", "/usr/arm-linux-gnueabihf"],
    "windows-x86_64": [shutil.which("wine64") or "/usr/lib/wine/wine64"],
}


def systems() -> list[str]:
    names = [path.stem for path in sorted(TOOLCHAINS.glob("*.cmake"))]
    return [name for name in names if not name.endswith("-static") and name != "zig"]


def kind(system: str) -> str:
    """linux, windows or macos."""
    if system != NATIVE:
        return system.partition("-")[0]
    return {"Darwin": "macos"}.get(platform.system(), platform.system().lower())


def zig_folder() -> str:
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        return ""  # the one on the path, if there is one
    return str(Path(spec.origin).parent)


def c_compiler(system: str) -> list[str]:
    if system == NATIVE:
        return ["cc"]
    text = (TOOLCHAINS / f"{system}.cmake").read_text(encoding="utf-8")
    (target,) = re.findall(r"^set\(zig_target (\S+)\)$", text, re.M)
    zig = shutil.which("zig", path=zig_folder()) or shutil.which("zig")
    if zig is None:
        raise SystemExit("there is no zig; to install: pip install ziglang")
    # As cmake/toolchains/zig.cmake has it: Zig builds its C++ library anew for other flags.
    return [zig, "cc", "-target", target, "-g0", "-s"]


def runner(system: str) -> list[str] | None:
    """What programs of a system are run by here; None where nothing can."""
    own = f"{kind(NATIVE)}-{platform.machine().lower()}".replace("arm64", "aarch64")
    if system in (NATIVE, own):
        return []
    emulator = EMULATORS.get(system, [])
    return emulator if emulator and shutil.which(emulator[0]) else None
