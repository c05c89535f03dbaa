"""The engines of docs/scaling.md but Ray: each gives the texts that a model gives alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from documents import ROOT, python_block
from example_folder import environment, fill
from record_files import read_lines, write_lines

from pygpt2edge import GPT2

pytestmark = pytest.mark.slow

PAGE = "docs/scaling.md"
PROMPTS = ["Once upon a time", "It is a truth", "Call me"]  # of the page


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [GPT2().generate(prompt, max_tokens=16, seed=1).text for prompt in PROMPTS]


def run(program: str, folder: Path, **env: str) -> str:
    """What it prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment(folder) | env, check=False,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(find_spec("joblib") is None, reason="needs joblib")
def test_joblib(tmp_path: Path, texts: list[str]) -> None:
    shown = "import json\nprint(json.dumps([text.text for text in texts]))"
    found = run(f"{python_block(PAGE, 'joblib')}\n{shown}", tmp_path)
    assert json.loads(found) == texts


@contextmanager
def dask_program(*words: str, says: str) -> Iterator[str]:
    """Runs until it says this, and gives what stands in the group; then it is stopped."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *words], stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stderr is not None
            log = ""
            for line in process.stderr:
                log += line
                found = re.search(says, line)
                if found:
                    break
            else:
                pytest.fail(log)
            yield found[1]
        finally:
            process.kill()


@pytest.mark.skipif(find_spec("distributed") is None, reason="needs distributed")
def test_dask(tmp_path: Path, texts: list[str]) -> None:
    """A scheduler and two workers, processes of their own."""
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", tmp_path]
    with (
        dask_program(*scheduler, says="Scheduler at: +(tcp:.*)") as address,
        dask_program("worker", address, *options, says="(Registered to)"),
        dask_program("worker", address, *options, says="(Registered to)"),
    ):
        block = python_block(PAGE, "dask").replace("tcp://HEAD:8786", address)
        shown = "import json\nprint(json.dumps([len(client.nthreads()), texts]))"
        found = run(f"{block}\n{shown}", tmp_path)
    assert json.loads(found) == [2, texts]


@pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None,
    reason="needs pyspark, which is large, and Java",
)
def test_spark(tmp_path: Path, texts: list[str]) -> None:
    write_lines(tmp_path / "prompts.jsonl", [{"prompt": prompt} for prompt in PROMPTS])
    run(python_block(PAGE, "pyspark"), tmp_path,
        PYSPARK_SUBMIT_ARGS="--master local[2] pyspark-shell")  # fmt: skip
    rows = [row for part in (tmp_path / "texts").glob("*.json") for row in read_lines(part)]
    assert {row["prompt"]: row["completion"] for row in rows} == dict(
        zip(PROMPTS, texts, strict=True)
    )


ARRAY = """#!/bin/bash
# Does at once what sbatch would do: the script, once for each number of the array.
for i in $(seq 0 3); do SLURM_ARRAY_TASK_ID=$i bash "$2"; done
"""


@pytest.mark.skipif(shutil.which("split") is None, reason="needs split")
def test_parts_joined_are_the_whole(tmp_path: Path) -> None:
    """The jobs of an array, with a hundredth of the records."""
    text = (ROOT / PAGE).read_text(encoding="utf-8").replace("1000", "10")
    (script,) = re.findall(r"^```text\n(#!/bin/bash\n.*?)^```$", text, re.M | re.S)
    (block,) = re.findall(r"^```console\n(\$ split .*?)^```$", text, re.M | re.S)
    fill(tmp_path)
    (tmp_path / "map.sh").write_text(script)
    sbatch = tmp_path / ".venv" / "bin" / "sbatch"
    sbatch.write_text(ARRAY)
    sbatch.chmod(0o755)
    records = [{"prompt": f"{PROMPTS[i % 3]} {i}"} for i in range(36)]
    write_lines(tmp_path / "prompts.jsonl", records)
    whole = "pygpt2edge map prompts.jsonl whole.jsonl -n 16 --seed 1"
    for line in [*re.findall(r"^\$ (.*)$", block, re.M), whole]:
        subprocess.run(["bash", "-ec", line], cwd=tmp_path, env=environment(tmp_path), check=True)
    joined = (tmp_path / "texts.jsonl").read_bytes()
    assert joined.count(b"\n") == 36
    assert joined == (tmp_path / "whole.jsonl").read_bytes()
