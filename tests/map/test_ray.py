"""A task on a Ray cluster: the bytes of a local run, whatever happens to workers and to the run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT, python_block
from example_folder import environment, fill
from ray_cluster import Cluster, ray_cluster, wait_for
from record_files import read_lines, write_lines

from pygpt2edge import GPT2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray[data]"),
]

WORDS = ["Once upon a time", "It is a truth", "Call me", "The sea"]
RECORDS = [{"prompt": f"{word} {i}"} for i, word in enumerate(WORDS * 60)]
RECORDS[50] = "{not json"
RECORDS[200] = {"prompt": 3}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("records") / "in.jsonl", RECORDS)


@pytest.fixture(scope="module")
def whole(source: Path) -> bytes:
    """What a run on this machine writes."""
    out = source.with_name("whole.jsonl")
    subprocess.run(map_command(source, out), check=True)
    return out.read_bytes()


def map_command(source: Path, out: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "pygpt2edge", "map", str(source), str(out), "-q"]
    return [*command, "-n", "12", "--seed", "7", *options]


def has_results(journal: Path) -> bool:
    """After its first line, which says what they belong to."""
    return journal.exists() and journal.read_bytes().count(b"\n") > 1


def test_killed_and_begun_again_it_ends_with_every_record_once(
    tmp_path: Path, cluster: Cluster, source: Path, whole: bytes
) -> None:
    """One worker; the cluster goes on with it, or this machine alone."""
    out, other = tmp_path / "out.jsonl", tmp_path / "other.jsonl"
    journal = tmp_path / "out.jsonl.journal"
    on_cluster = ("--ray", cluster.address)
    with subprocess.Popen(map_command(source, out, *on_cluster)) as running:
        wait_for(lambda: has_results(journal) or running.poll() is not None)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    assert not out.exists()
    shutil.copy(journal, tmp_path / "other.jsonl.journal")
    for path, options in ((out, on_cluster), (other, ())):
        command = map_command(source, path, "--json", *options)
        done = subprocess.run(command, check=True, capture_output=True)
        assert json.loads(done.stdout)["n_before"] > 0
        assert path.read_bytes() == whole


def test_a_worker_that_dies_is_replaced(
    tmp_path: Path, cluster: Cluster, source: Path, whole: bytes
) -> None:
    """Two workers, on two nodes; one is killed while it does a piece."""
    cluster.add_node()
    out, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    with subprocess.Popen(map_command(source, out, "--ray", cluster.address)) as running:
        wait_for(lambda: has_results(journal) and cluster.workers())
        cluster.workers()[0].kill()
    assert running.returncode == 0
    assert out.read_bytes() == whole
    assert ["error" in row for row in read_lines(out)] == [i in (50, 200) for i in range(240)]


def test_an_input_that_changes_ends_the_run(
    tmp_path: Path, cluster: Cluster, source: Path, run_python: Callable[..., Any]
) -> None:
    changed = shutil.copy(source, tmp_path / "in.jsonl")
    done = run_python(CHANGES_ITS_INPUT, changed, tmp_path / "out.jsonl", cluster.address)
    message = done.stderr.splitlines()[-1]
    assert message.startswith("OSError: a worker of the Ray cluster failed on "), done.stderr
    assert "in.jsonl: has " in message
    assert not (tmp_path / "out.jsonl").exists()


CHANGES_ITS_INPUT = """
import sys
from pathlib import Path
from pygpt2edge import GPT2
from pygpt2edge.map import Score, map_file

source, out, address = sys.argv[1:]

def change(done, *_):
    if done == 1:
        with Path(source).open("a") as file:
            file.write("{}")

map_file(GPT2(), source, out, Score("prompt"), change, ray=address)
"""


def test_what_the_page_shows_runs(tmp_path: Path, cluster: Cluster) -> None:
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\$ (pygpt2edge map .* --ray auto)$", page, re.M)
    block = python_block("docs/scaling.md", "import ray").replace("concurrency=2", "concurrency=1")
    fill(tmp_path)
    for program in (shlex.split(command), [sys.executable, "-c", block]):
        words = [word.replace("auto", cluster.address) for word in program]
        words = [word.replace("/data/", f"{tmp_path}/") for word in words]
        subprocess.run(words, cwd=tmp_path, env=environment(tmp_path), check=True)
    text = GPT2().generate("Born in the year", max_tokens=16, seed=1).text
    assert read_lines(tmp_path / "texts.jsonl")[0]["completion"] == text
    from pyarrow import parquet

    rows = parquet.read_table(tmp_path / "texts").to_pylist()
    assert [row["completion"] for row in rows] == [text, text]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ray", "nowhere"], "'nowhere' is no address of a Ray cluster, expected HOST:PORT or"),
        (["--ray", "127.0.0.1:9"], "no Ray cluster at 127.0.0.1:9: Connection refused"),
        (["-t", "2"], "2 threads for a worker, but the nodes of the Ray cluster have at most 1"),
        (["--regex", "("], "regex"),
    ],
)
def test_what_makes_no_sense_is_told(
    tmp_path: Path, cluster: Cluster, source: Path, options: list[str], message: str
) -> None:
    command = map_command(source, tmp_path / "out.jsonl", "--ray", cluster.address, *options)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert message in done.stderr
