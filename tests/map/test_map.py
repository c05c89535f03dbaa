"""A task for every record: in order, resumable, the same bytes however it was done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from record_files import read_lines, write_lines

from pygpt2edge import GPT2, SamplingParams
from pygpt2edge.errors import FormatError
from pygpt2edge.map import Embed, Generate, Rank, Score, map_file
from pygpt2edge.map.tables import open_table

WORDS = ["Once upon a time", "It is a truth", "Call me", "The sea", "In the beginning", "Long ago"]
PARAMS = SamplingParams(max_tokens=6, seed=7)


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2()


def test_texts_are_those_of_generate(tmp_path: Path, model: GPT2) -> None:
    records = [{"id": i, "prompt": f"{word} {i}"} for i, word in enumerate(WORDS * 8)]
    source = write_lines(tmp_path / "in.jsonl", records)
    report = map_file(model, source, tmp_path / "out.jsonl", Generate(PARAMS))
    assert (report.n_records, report.n_before, report.n_errors) == (48, 0, 0)
    rows = read_lines(tmp_path / "out.jsonl")
    assert [row["id"] for row in rows] == list(range(48))
    for i in (0, 1, 17, 47):
        alone = model.generate(records[i]["prompt"], max_tokens=6, seed=7 + i)
        assert (rows[i]["completion"], rows[i]["finish_reason"]) == (alone.text, "length")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_scores_and_choices(tmp_path: Path, model: GPT2) -> None:
    records = [{"prompt": "It is", "candidates": [" xylophones", " a"], "text": "It is a truth"}]
    source = write_lines(tmp_path / "in.jsonl", records)
    map_file(model, source, tmp_path / "score.jsonl", Score())
    (row,) = read_lines(tmp_path / "score.jsonl")
    scores = model.score("It is a truth").tolist()
    assert (row["logprob"], row["n_tokens"]) == (sum(scores), len(scores))
    map_file(model, source, tmp_path / "rank.jsonl", Rank())
    (row,) = read_lines(tmp_path / "rank.jsonl")
    assert row["choice"] == 1
    assert row["logprobs"][1] > row["logprobs"][0]


@pytest.mark.parametrize("pooling", ["mean", "weighted"])
def test_vectors_are_those_of_embed(tmp_path: Path, model: GPT2, pooling: str) -> None:
    texts = [f"{word} {i}" for i, word in enumerate(WORDS * 4)]
    records = [{"text": text} for text in texts]
    records[3:3] = [{"text": 3}, {"text": "long " * 2000}]
    source = write_lines(tmp_path / "in.jsonl", records)
    report = map_file(model, source, tmp_path / "out.jsonl", Embed(pooling=pooling, layer=2))
    assert (report.n_records, report.n_errors) == (26, 2)
    rows = read_lines(tmp_path / "out.jsonl")
    assert "is 3, expected a text" in rows[3]["error"]
    assert "do not fit a context" in rows[4]["error"]
    found = [row["embedding"] for row in rows if "error" not in row]
    assert found == model.embed(texts, 2, pooling).tolist()
    with pytest.raises(ValueError, match="layer is 99"):
        map_file(model, source, tmp_path / "no.jsonl", Embed(layer=99))


def test_bad_records_are_errors_in_their_rows(tmp_path: Path, model: GPT2) -> None:
    source = write_lines(
        tmp_path / "in.jsonl",
        [{"prompt": "Call me"}, "{not json", {"other": 1}, "", {"prompt": 3}, "[1]",
         {"prompt": "long " * 2000}, {"prompt": "Call me", "keep": "this"}],
    )  # fmt: skip
    report = map_file(model, source, tmp_path / "out.jsonl", Generate(PARAMS))
    rows = read_lines(tmp_path / "out.jsonl")
    assert (report.n_records, report.n_errors, len(rows)) == (7, 5, 7)
    words = [None, "line 2 is not JSON", "no field 'prompt'", "is 3, expected a text",
             "line 6 is [1]", "do not fit a context", None]  # fmt: skip
    for row, expected in zip(rows, words, strict=True):
        assert ("error" in row) == (expected is not None)
        assert expected is None or expected in row["error"]
    assert rows[6]["keep"] == "this"
    assert rows[6]["completion"] == model.generate("Call me", max_tokens=6, seed=7 + 6).text


def test_options_that_make_no_sense_are_no_records_fault(tmp_path: Path, model: GPT2) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"prompt": "Call me"}])
    with pytest.raises(ValueError, match="regex"):
        map_file(model, source, tmp_path / "out.jsonl", Generate(SamplingParams(regex="(")))
    assert not (tmp_path / "out.jsonl").exists()


def test_killed_at_any_moment_it_ends_with_every_record_once(tmp_path: Path) -> None:
    records = [{"prompt": f"{word} {i}"} for i, word in enumerate(WORDS * 30)]
    source = write_lines(tmp_path / "in.jsonl", records)
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "pygpt2edge", "map", str(source), "-n", "6", "--seed", "7"]
    subprocess.run([*command, str(whole), "-q"], check=True)
    journal = tmp_path / "out.jsonl.journal"
    n_kills = 0
    while not out.exists():
        before = journal.stat().st_size if journal.exists() else 0
        running = subprocess.Popen([*command, str(out), "-q", "-t", str(1 + n_kills % 3)])
        while running.poll() is None and n_kills < 4:
            time.sleep(0.01)
            if journal.exists() and journal.stat().st_size > before + 1500 + 700 * n_kills:
                os.kill(running.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else 9)
                n_kills += 1
                break
        assert running.wait() in (0, -9)
    assert n_kills >= 3
    assert out.read_bytes() == whole.read_bytes()
    assert not journal.exists()


def test_a_half_written_result_is_done_again(tmp_path: Path, model: GPT2) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"prompt": word} for word in WORDS])
    map_file(model, source, tmp_path / "whole.jsonl", Generate(PARAMS))

    class StoppedError(Exception):
        pass

    def stop(done: int, _total: int, _what: str) -> None:
        if done == 3:
            raise StoppedError

    out, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    with pytest.raises(StoppedError):
        map_file(model, source, out, Generate(PARAMS), stop)
    journal.write_bytes(journal.read_bytes()[:-9])
    report = map_file(model, source, out, Generate(PARAMS))
    assert report.n_before == 2
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("changed", ["input", "task", "model"])
def test_a_journal_of_another_run_is_refused(
    tmp_path: Path, model: GPT2, demo_in_f32: Path, changed: str
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"prompt": word} for word in WORDS])
    out, task = tmp_path / "out.jsonl", Generate(PARAMS)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_file(model, source, out, task, stop)
    if changed == "input":
        write_lines(source, [{"prompt": "another"}])
    if changed == "task":
        task = Generate(SamplingParams(max_tokens=7, seed=7))
    if changed == "model":
        model = GPT2(demo_in_f32)
    with pytest.raises(FormatError, match=rf"out\.jsonl\.journal: .* another {changed};"):
        map_file(model, source, out, task)


@pytest.mark.parametrize(
    ("source", "out", "words"),
    [("in.csv", "out.csv", r"\.jsonl or \.parquet"), ("in.jsonl", "out.parquet", r"in \.jsonl"),
     ("in.jsonl", "in.jsonl", "is the input itself")],
)  # fmt: skip
def test_names_that_make_no_sense(
    tmp_path: Path, model: GPT2, source: str, out: str, words: str
) -> None:
    write_lines(tmp_path / source, [])
    with pytest.raises(ValueError, match=words):
        map_file(model, tmp_path / source, tmp_path / out, Score())


def test_parquet(tmp_path: Path, model: GPT2) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table({"prompt": [*WORDS, None], "when": pa.array(range(7), pa.timestamp("ms"))})
    parquet.write_table(table, tmp_path / "in.parquet")
    report = map_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", Generate(PARAMS))
    assert (report.n_records, report.n_errors) == (7, 1)
    made = parquet.read_table(tmp_path / "out.parquet")
    assert made.column_names == ["prompt", "when", "completion", "finish_reason", "error"]
    assert made.select(["prompt", "when"]).equals(table)
    alone = [model.generate(w, max_tokens=6, seed=7 + i).text for i, w in enumerate(WORDS)]
    assert made["completion"].to_pylist() == [*alone, None]
    assert "is None, expected a text" in made["error"][6].as_py()
    with pytest.raises(FormatError, match="has a column 'completion' already"):
        map_file(model, tmp_path / "out.parquet", tmp_path / "b.parquet", Generate(PARAMS))
    (tmp_path / "bad.parquet").write_bytes(b"PAR0")
    with pytest.raises(FormatError, match=r"bad\.parquet: not a Parquet file"):
        map_file(model, tmp_path / "bad.parquet", tmp_path / "c.parquet", Score())


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_pieces_are_the_records(tmp_path: Path, ending: str) -> None:
    """From any record on, in any size, with the same messages about lines."""
    path = tmp_path / f"in.{ending}"
    if ending == "jsonl":
        records = [{"id": i} if i % 5 else f"{i}: not JSON" for i in range(40)]
        write_lines(path, [line for record in records for line in (record, "")])
    else:
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pa.table({"id": list(range(40))}), path, row_group_size=7)
    table = open_table(path, path)
    every = list(map(repr, table.records()))
    assert len(every) == 40
    for first, size in [(0, 1), (0, 7), (3, 8), (14, 40), (39, 5), (40, 5)]:
        pieces = list(table.pieces(first, size))
        assert all(piece.n_records == size for piece in pieces[:-1])
        found = [repr(record) for piece in pieces for record in table.records(piece)]
        assert found == every[first:]
