"""Builds the fuzzers of the core by Clang, with its sanitizers, and runs them and the readers'.

    python tools/fuzz.py [TARGET ...] [--seconds N] [--timeout N] [--build PATH] [--corpus PATH]

A target is a fuzz_*.cpp of tests/cpp without its end, or one of tools/fuzz_readers.py and
tools/fuzz_serving.py; all by default. Each runs for N seconds, from the inputs of its folder in
tests/cpp/corpus on, or the tests' checkpoints; what is new is kept in PATH/TARGET, where the next
campaign goes on from it. Prints a JSON object for each: executions, coverage (edges), seconds, and
how it ended. Inputs that crash it, leak or take too long are in PATH too. Exits with 1 where
there are any.

The core's need Clang and its runtime libraries (Debian: clang and libclang-rt-dev), the others
`pip install atheris`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "tests" / "cpp"
# Bytes of an input at most.
LONGEST = {"fuzz_gguf": 20_000, "fuzz_saved_text": 40_000, "fuzz_c_api": 2000}
OTHERWISE_LONGEST = 500
# Sound files for the readers, within tests/data/convert.
READERS = {
    "read_safetensors": ["hugging_face/model.safetensors"],
    "read_torch": ["torch/zip.bin", "torch/legacy.bin", "torch/nanogpt.pt"],
    "read_tensorflow": ["openai/model.ckpt.index"],
    "read_llm_c": [],
    "read_config": ["hugging_face/config.json", "openai/hparams.json"],
    "read_tokenizer": ["hugging_face/tokenizer.json"],
}
# Those of tools/fuzz_serving.py, and how long their inputs are at most.
SERVING = {
    "serve_body": 4000, "chat_template": 4000,
    "constrain_regex": 2000, "constrain_schema": 4000, "constrain_grammar": 4000,
}  # fmt: skip
IN_PYTHON = [*READERS, *SERVING]
MOST_MEMORY = 500  # MB, of a target in Python, the interpreter's own included


def core_targets() -> list[str]:
    return sorted(path.stem for path in SOURCES.glob("fuzz_*.cpp"))


def configure(folder: Path, compiler: str) -> None:
    """With the plain kernels, and AddressSanitizer alone for them: they are soon compiled."""
    options = {
        "GPT2EDGE_PYTHON": "OFF", "GPT2EDGE_FUZZ": "ON", "GPT2EDGE_WERROR": "ON",
        "GPT2EDGE_SANITIZE_KERNELS": "OFF", "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "any", "CMAKE_CXX_COMPILER": compiler,
        # Many files compiled as one take half the time.
        "CMAKE_UNITY_BUILD": "ON", "CMAKE_UNITY_BUILD_BATCH_SIZE": "8",
    }  # fmt: skip
    command = ["cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(folder)]
    run([*command, *(f"-D{name}={value}" for name, value in options.items())])


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def program(target: str, build: Path, seeds: Path) -> list[object]:
    """The command that runs it from its first inputs on; what is new goes to `seeds`."""
    dictionary = SOURCES / "corpus" / f"{target}.dict"
    words = [f"-dict={dictionary}"] if dictionary.exists() else []
    inputs = SOURCES / "corpus" / target
    kept = [seeds, inputs] if inputs.exists() else [seeds]
    if target not in IN_PYTHON:
        longest = LONGEST.get(target, OTHERWISE_LONGEST)
        return [build / "tests" / "cpp" / target, f"-max_len={longest}", *words, *kept]
    for path in READERS.get(target, ()):
        shutil.copy(ROOT / "tests" / "data" / "convert" / path, seeds)
    tool = ROOT / "tools" / ("fuzz_readers.py" if target in READERS else "fuzz_serving.py")
    limits = [f"-rss_limit_mb={MOST_MEMORY}", f"-max_len={SERVING.get(target, 200_000)}"]
    return [sys.executable, tool, target, *limits, *words, *kept]


def fuzz(target: str, build: Path, corpus: Path, seconds: int, timeout: int) -> dict[str, object]:
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        *program(target, build, folder), f"-max_total_time={seconds}", f"-timeout={timeout}",
        "-seed=1", "-print_final_stats=1", f"-artifact_prefix={folder}-",
    ]  # fmt: skip
    environment = os.environ | {"TMPDIR": str(corpus)}
    begin = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=environment
    )
    covered = re.findall(r"^#\d+\s.* cov: (\d+) ", done.stderr, re.M)
    ran = re.search(r"^stat::number_of_executed_units: (\d+)$", done.stderr, re.M)
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-5000:] + done.stderr[-5000:])
    return {
        "target": target,
        "executions": int(ran[1]) if ran else 0,
        "coverage": int(covered[-1]) if covered else 0,
        "seconds": round(time.monotonic() - begin),
        "is_sound": done.returncode == 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument(
        "--timeout", type=int, default=20, help="seconds that one input may take; 20 by default"
    )
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--corpus", type=Path, default=ROOT / "build" / "corpus")
    parser.add_argument("--compiler", default="clang++")
    given = parser.parse_args()
    known = [*core_targets(), *IN_PYTHON]
    unknown = set(given.targets) - set(known)
    if unknown:
        parser.error(f"no fuzzer is named {', '.join(sorted(unknown))}: {', '.join(known)}")
    chosen = given.targets or known
    if built := [target for target in chosen if target not in IN_PYTHON]:
        configure(given.build, given.compiler)
        run(["cmake", "--build", str(given.build), "--target", *built])
    all_sound = True
    for target in chosen:
        found = fuzz(target, given.build, given.corpus, given.seconds, given.timeout)
        all_sound = all_sound and bool(found["is_sound"])
        print(json.dumps(found), flush=True)
    sys.exit(not all_sound)


if __name__ == "__main__":
    main()
