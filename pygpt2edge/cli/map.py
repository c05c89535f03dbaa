"""`pygpt2edge map`: a task for every record of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.embed import vector_options
from pygpt2edge.cli.generate_options import (
    constraint_files,
    read_constraint_files,
    text_options,
    text_params,
)
from pygpt2edge.cli.options import Run, run_options
from pygpt2edge.cli.output import note, plural, print_json, progress_bar, refuse_existing

if TYPE_CHECKING:
    from pygpt2edge.map import Task
    from pygpt2edge.states.embedding import Pooling

_TASKS = ("generate", "score", "rank", "embed")


@click.command("map")
@click.argument("records", metavar="IN", type=click.Path())
@click.argument("out", metavar="OUT", type=click.Path())
@run_options(
    click.option("--task", type=click.Choice(_TASKS), default="generate", show_default=True,
                 help="What is done with each record."),
    click.option("--field", metavar="NAME",
                 help="The field with the text.  [default: prompt; text for score and embed]"),
    click.option("--candidates", metavar="NAME", default="candidates", show_default=True,
                 help="The field with the candidates of rank, a list of texts."),
    *vector_options,
    click.option("--ray", metavar="ADDRESS",
                 help="Do the task on a Ray cluster: HOST:PORT, or auto for the one that this "
                 "machine belongs to."),
    click.option("--force", is_flag=True, help="Replace OUT if it exists."),
    text_options("length", "sampling"),
    text_options("constrained output"),
    constraint_files,
    text_options("context"),
)  # fmt: skip
def command(
    run: Run,
    records: str,
    out: str,
    task: str,
    field: str | None,
    candidates: str,
    layer: int,
    pooling: Pooling,
    ray: str | None,
    force: bool,
    **given: Any,
) -> None:
    """Generate, score, rank or embed for every record of a file.

    The records of IN go to OUT with the results, in their order.

    IN and OUT are files of JSON Lines (.jsonl, an object on each line), or of Parquet (.parquet,
    which needs pyarrow). A text becomes the fields "completion" and "finish_reason"; a score
    "logprob" and "n_tokens"; a choice "choice", its number from 0, and "logprobs"; a vector
    "embedding". A record that is bad gets a field "error" instead. Record i, from 0, has the seed
    --seed + i; --seed is 0 where it is not given.

    Until OUT is whole, its results are in OUT.journal. A run that was interrupted or killed goes on
    where it stopped when the same command is given again; the bytes of OUT are the same.

    With --ray each node of the cluster computes with all its processors, or several times with
    --threads of them. The nodes read IN and the model by the same paths as this machine.

    \b
    Examples:
      pygpt2edge map prompts.jsonl texts.jsonl -n 64 --seed 1
      pygpt2edge map reviews.jsonl scored.jsonl --task score --field review -m gpt2-q8_0.gguf
      pygpt2edge map people.parquet years.parquet --regex " 1[0-9]{3}"
    """
    from pygpt2edge.map import Embed, map_file

    read_constraint_files(given)
    chosen: Task
    if task == "embed":
        chosen = Embed(field or "text", pooling, layer)
    else:
        chosen = _task(task, field, candidates, text_params(given))
    refuse_existing(out, force=force)
    with progress_bar("Records") as progress:
        report = map_file(run.load(), records, out, chosen, progress, ray=ray)
    if run.as_json:
        print_json({"out": str(report.out), "n_records": report.n_records,
                    "n_before": report.n_before, "n_errors": report.n_errors})  # fmt: skip
    before = f", {report.n_before:,} of them by an earlier run" if report.n_before else ""
    errors = f"; {plural(report.n_errors, 'error')}" if report.n_errors else ""
    note(f"{report.out}: {plural(report.n_records, 'record')}{before}{errors}", run.quiet)


def _task(task: str, field: str | None, candidates: str, params: dict[str, Any]) -> Task:
    from pygpt2edge.map import Generate, Rank, Score
    from pygpt2edge.options import SamplingParams

    if task == "score":
        return Score(field or "text")
    if task == "rank":
        return Rank(field or "prompt", candidates)
    return Generate(SamplingParams(**params), field or "prompt")
