"""What the presets configure for phones, without the NDK and Xcode: CMake is given the name of the
system and stand-ins for its tools, and says what it would build and install."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRESETS = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))["configurePresets"]
# Nothing is compiled, so that any compiler will do.
NOT_TRIED = ["-DCMAKE_CXX_COMPILER=c++", "-DCMAKE_CXX_COMPILER_FORCED=ON",
             "-DCMAKE_HAVE_LIBC_PTHREAD=ON",
             f"-DCMAKE_INSTALL_NAME_TOOL={shutil.which('true')}"]  # fmt: skip
NDK = """\
set(CMAKE_SYSTEM_NAME Android)
set(CMAKE_SYSTEM_VERSION 1)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
message("given ${ANDROID_ABI} ${ANDROID_PLATFORM} ${ANDROID_STL}")
"""

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="needs c++")


def configure(preset: str, folder: Path, *options: str, **variables: str) -> str:
    """Configures, and returns what CMake printed."""
    command = ["cmake", "--preset", preset, "-S", str(ROOT), "-B", str(folder), *options]
    done = subprocess.run(
        [*command, *NOT_TRIED], cwd=ROOT, env=os.environ | variables, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def files_of_default_build(folder: Path) -> list[str]:
    """The libraries and programs that a build without a target makes."""
    text = (folder / "build.ninja").read_text(encoding="utf-8")
    made = re.findall(r"^build (\S*gpt2edge\S*): CXX_\w+_LINKER", text, re.M)
    return [Path(name).name for name in made]


def test_each_toolchain_has_a_preset() -> None:
    listed = subprocess.run(
        ["cmake", "--list-presets"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    names = re.findall(r'^  "(.*?)" ', listed, re.M)
    assert names == [preset["name"] for preset in PRESETS if not preset.get("hidden")]
    toolchains = {path.stem for path in (ROOT / "cmake" / "toolchains").glob("*.cmake")}
    own = {name for name in toolchains if name != "zig" and not name.endswith("-static")}
    assert own < set(names)


@pytest.fixture
def android(tmp_path: Path) -> Path:
    """A folder that `android-arm64` is configured in, by an NDK that is a stand-in."""
    toolchain = tmp_path / "ndk" / "build" / "cmake" / "android.toolchain.cmake"
    toolchain.parent.mkdir(parents=True)
    toolchain.write_text(NDK)
    said = configure("android-arm64", tmp_path / "build", ANDROID_NDK=str(tmp_path / "ndk"))
    assert "given arm64-v8a android-24 c++_static" in said
    return tmp_path / "build"


def test_android(android: Path) -> None:
    """An APK takes in files whose name ends in .so, and loads them by that name."""
    ninja = (android / "build.ninja").read_text(encoding="utf-8")
    assert "SONAME = libgpt2edge.so\n" in ninja
    assert "libgpt2edge.so.0" not in ninja
    assert "-z,max-page-size=16384" in ninja
    assert "kernels_neon_i8mm.cpp" in ninja


def test_ios(tmp_path: Path) -> None:
    """A static library, a module map, and kernels for Arm although CMake knows no processor."""
    sysroot = tmp_path / "iPhoneOS.sdk"
    sysroot.mkdir()
    build = tmp_path / "build"
    configure("ios-arm64", build, f"-DCMAKE_OSX_SYSROOT={sysroot}")
    ninja = (build / "build.ninja").read_text(encoding="utf-8")
    assert "kernels_neon_i8mm.cpp" in ninja
    assert "libgpt2edge.a" in files_of_default_build(build)
    assert "gpt2edge_program" not in ninja
    installed = (build / "csrc" / "c_api" / "cmake_install.cmake").read_text(encoding="utf-8")
    assert "module.modulemap" in installed
    assert "dylib" not in installed


def test_two_architectures_at_once_are_refused(tmp_path: Path) -> None:
    sysroot = tmp_path / "iPhoneOS.sdk"
    sysroot.mkdir()
    with pytest.raises(AssertionError, match="give one, and join"):
        configure("ios-arm64", tmp_path / "build", f"-DCMAKE_OSX_SYSROOT={sysroot}",
                  "-DCMAKE_OSX_ARCHITECTURES=arm64;x86_64")  # fmt: skip
