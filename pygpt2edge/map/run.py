"""Runs a task over a file, from where the last run stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.map.journal import Journal
from pygpt2edge.map.tables import Table, open_table
from pygpt2edge.map.tasks import Result, Task
from pygpt2edge.output_file import check_target, replaced_when_whole

JOURNAL_SUFFIX = ".journal"


@dataclass(frozen=True)
class MapReport:
    """What a run did.

    Attributes:
      out: the file.
      n_records: in all.
      n_before: those that an earlier run had done.
      n_errors: those with an "error" in the place of a result.
    """

    out: Path
    n_records: int
    n_before: int
    n_errors: int


def map_file(
    model: LoadedModel,
    source: str | Path,
    out: str | Path,
    task: Task,
    progress: Callable[[int, int, str], None] | None = None,
    *,
    ray: str | None = None,
) -> MapReport:
    """Does a task for each record of a file, and writes the records with what came of them.

    Args:
      source: a .jsonl file of objects, or a .parquet file (which needs pyarrow).
      out: a file of the same kind, with all records in their order; replaced if it exists. It
        appears when it is whole. Until then the results are in a journal beside it, and the same
        call goes on with that, also after the process was killed.
      task: Generate, Score, Rank or Embed.
      progress: called with (records done, in all, "") after every record.
      ray: the address of a Ray cluster, "HOST:PORT" or "auto" (which needs the [ray] extra): its
        nodes do the task, and read the model and the input by the same paths.

    A record that the task cannot be done for gets a field "error" and no result. The file's bytes
    depend on the records, the model and the task only.

    Raises:
      OSError: a file cannot be read or written, or the cluster cannot be reached.
      FormatError: the journal belongs to another run, or the input is damaged.
      ValueError: a name of another kind, or options that make no sense.
      MissingDependencyError: a .parquet file without pyarrow, or a cluster without ray.
    """
    source, out = Path(source), Path(out)
    table = open_table(source, out)
    check_target(out, 0)
    if out.exists() and out.samefile(source):
        raise ValueError(f"{out}: is the input itself; give the output another name")
    n_records = table.count()
    state = source.stat()
    journal = Journal(
        out.with_name(out.name + JOURNAL_SUFFIX),
        {
            "input": [str(source.absolute()), state.st_size, state.st_mtime_ns],
            "model": model.core_model.fingerprint,
            "task": task.description(),
        },
    )
    with closing(journal):
        n_before = journal.n_results
        for result in _results(model, table, task, n_before, ray):
            journal.add(result)
            if progress is not None:
                progress(journal.n_results, n_records, "")
        n_errors = sum("error" in result for result in journal.results())
        with replaced_when_whole(out, journal.path.stat().st_size) as temporary:
            table.write_joined(temporary, journal.results(), task.columns)
    journal.path.unlink()
    return MapReport(out, n_records, n_before, n_errors)


def _results(
    model: LoadedModel, table: Table, task: Task, first: int, ray: str | None
) -> Iterator[Result]:
    """Of the records from this number on, in their order."""
    if ray is None:
        return task.results(model, islice(table.records(), first, None), first)
    from pygpt2edge.map.on_ray import results_on_ray

    return results_on_ray(ray, model, table, task, first)
