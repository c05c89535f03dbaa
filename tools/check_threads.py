"""Runs the C++ tests of threads with Clang's ThreadSanitizer, which tells every data race.

    python tools/check_threads.py [PROGRAM ...] [--seconds N] [--build FOLDER]

A program is one of tests/cpp: test_thread_pool, test_fork, test_text and fuzz_c_api by default, the
last with three threads that make random calls on the same handles for N seconds while a fourth
cancels. The kernels, which have no threads of their own, are built without it. Prints a JSON object
for each; exits with 1 where something was found. Needs Clang and its runtime libraries (Debian:
clang and libclang-rt-dev).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from checkout_build import build_checkout

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("test_thread_pool", "test_fork", "test_text", "fuzz_c_api")
RACES = "WARNING: ThreadSanitizer"


def run(program: Path, seconds: int) -> dict[str, object]:
    arguments = [str(seconds), "1", "3"] if program.stem == "fuzz_c_api" else []
    # A child that starts threads is what test_fork is about.
    environment = os.environ | {"TSAN_OPTIONS": "die_after_fork=0 second_deadlock_stack=1"}
    start = time.monotonic()
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    is_sound = done.returncode == 0 and RACES not in done.stderr
    if not is_sound:
        sys.stderr.write(done.stdout[-5000:] + done.stderr[-20000:])
    return {
        "program": program.stem,
        "seconds": round(time.monotonic() - start, 1),
        "said": done.stdout.splitlines()[-1:],
        "is_sound": is_sound,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", default=PROGRAMS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "tsan")
    given = parser.parse_args()
    build_checkout(
        given.build, given.programs, GPT2EDGE_SANITIZE="thread", GPT2EDGE_SANITIZE_KERNELS="OFF",
        CMAKE_SYSTEM_NAME="Linux", CMAKE_SYSTEM_PROCESSOR="any", CMAKE_CXX_COMPILER="clang++",
    )  # fmt: skip
    all_sound = True
    for name in given.programs:
        found = run(given.build / "tests" / "cpp" / name, given.seconds)
        all_sound = all_sound and bool(found["is_sound"])
        print(json.dumps(found), flush=True)
    sys.exit(not all_sound)


if __name__ == "__main__":
    main()
