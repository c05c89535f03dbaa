"""Shows that a source distribution is complete: builds a wheel from it alone, installs and runs it.

    python tools/check_sdist.py dist/pygpt2edge-0.1.0.tar.gz

Works in a folder and a virtual environment of its own, away from any checkout; needs a compiler and
the network (or an index) for the packages that the project depends on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

# Besides what the build itself needs.
NEEDED = ["LICENSE", "README.md", "CHANGELOG.md", "docs/performance.md", "tests/conftest.py",
          "tests/data/convert/variants.json", "tools/check_wheel.py"]  # fmt: skip


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed: {done.stdout}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sdist", type=Path)
    help = "unpack there and leave it: a compiler cache knows files by their paths"
    parser.add_argument("--source", type=Path, metavar="FOLDER", help=help)
    args = parser.parse_args()
    sdist = args.sdist.resolve()
    if args.source is not None and args.source.exists():
        parser.error(f"--source: {args.source} exists")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.unpack_archive(sdist, work)
        (source,) = work.iterdir()
        if args.source is not None:
            source = Path(shutil.move(source, args.source.resolve()))
        missing = [name for name in NEEDED if not (source / name).exists()]
        if missing:
            sys.exit(f"{sdist.name}: lacks {', '.join(missing)}")

        venv.create(work / "venv", with_pip=True)
        scripts = work / "venv" / ("Scripts" if os.name == "nt" else "bin")
        run(scripts / "pip", "wheel", "-q", "--no-deps", "-w", "wheels", source, cwd=work)
        (wheel,) = (work / "wheels").glob("*.whl")
        print(run(sys.executable, source / "tools/check_wheel.py", wheel, cwd=work), end="")
        run(scripts / "pip", "install", "-q", wheel, cwd=work)
        prompt = "It is a truth"
        command = (scripts / "pygpt2edge", "generate", prompt, "-n", "8", "--seed", "1")
        text = run(*command, cwd=work)
        if not text.startswith(prompt):
            sys.exit(f"{wheel.name}: generated {text!r}")
        print(f"{sdist.name}: {sdist.stat().st_size / 1e6:.1f} MB, complete; it wrote {text!r}")


if __name__ == "__main__":
    main()
