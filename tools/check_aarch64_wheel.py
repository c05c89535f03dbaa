"""Builds an AArch64 wheel, installs it into an arm64 Python and compares what it computes with x86.

    python tools/check_aarch64_wheel.py [--work build/aarch64] [--core cortex-a72 ...]

Needs root, Debian's g++-aarch64-linux-gnu, mmdebstrap and qemu-user, and a network for Debian's and
Python's packages. The arm64 Python is Debian bookworm's, in a folder of its own under --work, so
this must run with Python 3.11, whose compiled files have the same names; nothing else is changed.

Under each emulated core the command line converts a checkpoint of Hugging Face's and one of
TensorFlow's, quantizes the demo model and writes text with it. The bytes of the files, the tokens
and the logits must be those that the same commands give here.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORES = ["cortex-a72", "cortex-a76", "max"]
PACKAGES = "python3,python3-pip,libpython3-dev,libstdc++6"
EXTENSION = ".cpython-311-aarch64-linux-gnu.so"

# Runs on both sides, in a folder of its own, and prints one JSON object: what was done -> result.
PROBE = r"""
import hashlib, json, sys
from pathlib import Path
from pygpt2edge import GPT2, demo_model_path

data = Path(sys.argv[1])
results = {"kernels": GPT2().isa}

def run(*arguments):
    from click.testing import CliRunner
    from pygpt2edge.cli import cli
    done = CliRunner().invoke(cli, [str(a) for a in arguments])
    if done.exit_code != 0:
        sys.exit(f"{arguments}: {done.output} {done.exception}")
    return done.stdout

def convert(name, source, type):
    out = Path(f"{name}-{type}.gguf")
    run("convert", source, out, "--type", type, "--force", "--allow-requantize")
    results[f"{name} to {type}"] = hashlib.sha256(out.read_bytes()).hexdigest()
    return out

convert("hugging face", data / "hugging_face", "f32")
convert("openai", data / "openai", "q4_0")
convert("openai", data / "openai", "q8_0")
# The demo model is in Q4_0.
for model in [demo_model_path(), convert("demo", demo_model_path(), "q8_0")]:
    for kv_type in ("f16", "int8"):
        what = f"{model.stem}, {kv_type} cache"
        gpt2 = GPT2(model, kv_type=kv_type)
        prompt = "It is a truth universally acknowledged, that a single man in possession of a "
        text = gpt2.generate(prompt * 3, max_tokens=16, seed=7)
        results[f"tokens of {what}"] = text.tokens
        session = gpt2.session()
        session.append(text.prompt_tokens + text.tokens)
        logits = session.logits.tobytes()
        results[f"logits of {what}"] = hashlib.sha256(logits).hexdigest()
text = run("generate", "Once upon a time", "-n", "12", "--seed", "1")
results["text of the command line"] = text
print(json.dumps(results))
"""


def run(*command: str | Path, **environment: str) -> str:
    print("+", shlex.join(map(str, command)), file=sys.stderr)
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout


def make_root(root: Path) -> Path:
    """A folder with Debian's arm64 Python; returns the interpreter."""
    if not root.exists():
        run(
            "mmdebstrap", "--arch=arm64", "--variant=extract", f"--include={PACKAGES}",
            "bookworm", root, "http://deb.debian.org/debian",
        )  # fmt: skip
    return root / "usr/bin/python3.11"


def make_host(folder: Path) -> Path:
    """A virtual environment with the package built for this machine, and the tools to build it."""
    python = folder / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
        build = ["scikit-build-core>=1.0", "pybind11>=2.13", "cmake>=3.18", "ninja>=1.11", "pip"]
        run(python, "-m", "pip", "install", "-q", "-U", *build)
    run(python, "-m", "pip", "install", "-q", ROOT)
    return python


def build_wheel(python: Path, root: Path, folder: Path) -> Path:
    """Compiles the package here, against the arm64 Python's headers."""
    headers = root / "usr/include"
    options = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_CXX_COMPILER": "aarch64-linux-gnu-g++",
        "CMAKE_CXX_FLAGS": f"-idirafter {headers}",
        "Python_INCLUDE_DIR": headers / "python3.11",
    }
    run(
        python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT,
        CMAKE_ARGS=shlex.join(f"-D{name}={value}" for name, value in options.items()),
        SETUPTOOLS_EXT_SUFFIX=EXTENSION,
        _PYTHON_HOST_PLATFORM="linux-aarch64",
        PATH=f"{python.parent}:{os.environ['PATH']}",
    )  # fmt: skip
    (wheel,) = folder.glob("*_aarch64.whl")
    return wheel


def probe(folder: Path, *interpreter: str | Path, **environment: str) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "probe.py").write_text(PROBE)
    out = run(
        "env", "-C", folder, *interpreter, folder / "probe.py", ROOT / "tests/data/convert",
        **environment,
    )  # fmt: skip
    found: dict[str, object] = json.loads(out.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "aarch64")
    parser.add_argument("--core", nargs="+", default=CORES, help=f"[default: {' '.join(CORES)}]")
    args = parser.parse_args()
    if sys.version_info[:2] != (3, 11):
        sys.exit("this needs Python 3.11, as bookworm's arm64 Python is")
    work: Path = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)

    arm_python = make_root(work / "root")
    emulator = ("qemu-aarch64", "-L", work / "root")
    python = make_host(work / "host")
    for old in work.glob("*.whl"):
        old.unlink()
    wheel = build_wheel(python, work / "root", work)
    site = work / "site"
    run(*emulator, arm_python, "-m", "pip", "install", "-q", "--upgrade", "--target", site, wheel)

    expected = probe(work / "x86", python)
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
    print(f"| core | kernels | of {len(expected) - 1} results, as with {expected['kernels']} |")
    print("|---|---|---|")
    all_same = True
    for core in args.core:
        found = probe(
            work / core, *emulator, "-cpu", core, arm_python, PYTHONPATH=str(site),
            PYTHONNOUSERSITE="1",
        )  # fmt: skip
        names = [name for name in expected if name != "kernels"]
        different = [name for name in names if found.get(name) != expected[name]]
        print(f"| {core} | {found['kernels']} | {len(names) - len(different)} |")
        for name in different:
            print(f"{core}: {name} differs", file=sys.stderr)
        all_same = all_same and not different
    sys.exit(0 if all_same else 1)


if __name__ == "__main__":
    main()
