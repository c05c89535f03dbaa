"""Tests the package with the lowest versions of what it depends on.

    python tools/check_lowest_versions.py [--python PYTHON] [--wheel WHEEL] [--highest] [TEST ...]

pyproject.toml gives a range for each run-time dependency, those of the extras too. uv takes the
lowest version of each, and the newest of what these need, into a virtual environment of its own;
there the package is installed, of WHEEL or of the checkout, and pytest runs the tests that concern
them, or those named. With --highest it takes the newest versions. PYTHON is an interpreter or a
version that uv finds, the one that runs this by default. Prints the versions; exits with pytest's
status.

It needs `pip install uv`, and the network (or an index). Ray's extra is left out: what it needs
asks for a newer numpy than the lowest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ["constrain", "hub", "parquet", "plot", "serve", "tokenizers"]
# What runs the tests: of the newest version that goes with the rest.
RUNNERS = [
    "cffi", "httpx", "hypothesis", "joblib", "jsonschema", "openai", "psutil", "pytest",
]  # fmt: skip
TESTS = [
    "tests/cli", "tests/constrain", "tests/convert", "tests/inspect", "tests/map", "tests/serve",
    "tests/tokenizer",
]  # fmt: skip
SLOW = ["tests/convert/test_hub.py", "tests/serve/test_openai_client.py"]


def run(*command: str | Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return done.stdout


def install(folder: Path, python: str, wheel: Path | None, resolution: str) -> str:
    """Makes the environment; returns the versions of what the package depends on."""
    uv = [sys.executable, "-m", "uv"]
    extras = [argument for extra in EXTRAS for argument in ("--extra", extra)]
    chosen = folder / "chosen.txt"
    environment = folder / "venv"
    run(*uv, "venv", "-q", "--python", python, environment)
    interpreter = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(*uv, "pip", "compile", "-q", "--no-header", "--no-annotate", "--resolution", resolution,
        "--python", interpreter, *extras, "-o", chosen, ROOT / "pyproject.toml")  # fmt: skip
    within = ("--python", interpreter)
    run(*uv, "pip", "install", "-q", *within, "-r", chosen, "-c", chosen, *RUNNERS)
    run(*uv, "pip", "install", "-q", *within, "--no-deps", wheel or ROOT)
    return chosen.read_text(encoding="utf-8")


def test(folder: Path, tests: list[str]) -> int:
    environment = folder / "venv"
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    # Versions that are years apart warn each other of what is going to change.
    command = [programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o",
               "filterwarnings=default"]  # fmt: skip
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*command, *tests], cwd=ROOT, env=variables | {"PATH": path}, check=False
    )  # fmt: skip
    return done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tests", nargs="*", metavar="TEST")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--wheel", type=Path, help="in place of a build of the checkout")
    parser.add_argument(
        "--highest", action="store_true", help="the newest versions, not the lowest"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = given.wheel and given.wheel.resolve()
        resolution = "highest" if given.highest else "lowest-direct"
        print(install(folder, given.python, wheel, resolution), flush=True)
        if given.tests:
            sys.exit(test(folder, given.tests))
        sys.exit(test(folder, ["-m", "not slow", *TESTS]) or test(folder, SLOW))


if __name__ == "__main__":
    main()
