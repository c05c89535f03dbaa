"""`pygpt2edge bench`: what is reported, not how fast it is."""

from __future__ import annotations

import json
import statistics

import pytest

from .conftest import Run, one_line_error


def test_json_is_one_object_on_the_last_line(run: Run) -> None:
    done = run("bench", "--json", "-p", "16,32", "-n", "4", "-t", "1", "--repeat", "2")
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["prefill"].keys() == {"16", "32"}
    assert result["decode"].keys() == {"4"}
    for kind in ("prefill", "decode"):
        for n, speed in result[kind].items():
            assert len(result["runs"][kind][n]) == 2
            assert speed == statistics.median(result["runs"][kind][n])
            assert speed > 0
    assert result["load_s"] > 0
    assert sum(result["memory"].values()) / 1e6 < result["peak_rss_mb"] < 2000
    assert result["n_threads"] == 1


def test_the_table(run: Run) -> None:
    done = run("bench", "-p", "16", "-n", "0", "-r", "1")
    words = [line.split() for line in done.stdout.splitlines()]
    assert words[0] == ["tokens", "tok/s", "slowest", "fastest"]
    assert words[1][:2] == ["prefill", "16"]
    assert not any("decode" in line for line in words)


@pytest.mark.parametrize(
    ("args", "status", "found"),
    [
        (["-p", "many"], 2, "many"),
        (["-p", "16,-4"], 2, "-4"),
        (["-r", "0"], 2, "0"),
        (["-p", "5000"], 1, "5000"),
        (["-p", "0", "-n", "1020"], 1, "1020"),
    ],
)
def test_errors(run: Run, args: list[str], status: int, found: str) -> None:
    assert found in one_line_error(run("bench", *args), status)
