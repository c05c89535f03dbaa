"""What `compress` and `decompress` have in common: where bytes come from and where they go."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.options import (
    MAX_THREADS,
    Decorator,
    Function,
    ModelSource,
    Run,
    Runtime,
    group,
    int_option,
    model_options,
)
from pygpt2edge.cli.output import Progress, note, progress_bar

if TYPE_CHECKING:
    from pygpt2edge.model import GPT2

Work = Callable[["GPT2", bytes, str, "Progress | None"], bytes]


@dataclass(frozen=True)
class CompressionJob:
    """One file, or stdin, and the options that both commands know."""

    source: ModelSource
    file: str
    output: str | None
    to_stdout: bool
    force: bool
    remove: bool
    threads: int | None
    quiet: bool

    @property
    def _is_stdin(self) -> bool:
        return self.file == "-"

    def run(self, label: str, usual_output: Callable[[], str], work: Work, is_text: bool) -> None:
        """Reads all, calls work(model, data, name, progress), and writes what it returns, whole or
        not at all. `usual_output` is asked for the path where none was given."""
        out = self._target(usual_output, is_text)
        data = sys.stdin.buffer.read() if self._is_stdin else Path(self.file).read_bytes()
        model = Run(self.source, Runtime(self.threads), False, self.quiet).load()
        with progress_bar(label) as progress:
            done = work(model, data, "stdin" if self._is_stdin else self.file, progress)
        if out is None:
            sys.stdout.buffer.write(done)
            sys.stdout.buffer.flush()
        else:
            self._write(out, done)
            note(f"{self.file}: {len(data):,} bytes to {len(done):,}, {out}", self.quiet)
        if self.remove and not self._is_stdin:
            Path(self.file).unlink()

    def _target(self, usual_output: Callable[[], str], is_text: bool) -> Path | None:
        """The file to write, or None for stdout; refused before the work begins."""
        from pygpt2edge.output_file import check_target

        if self.to_stdout and self.output is not None:
            raise click.UsageError("give --stdout or --output, not both")
        if self.to_stdout or self.output == "-" or (self._is_stdin and self.output is None):
            if not is_text and not self.force and sys.stdout.isatty():
                raise click.UsageError(
                    "compressed bytes would go to the terminal: give -o FILE, or --force"
                )
            return None
        out = Path(usual_output() if self.output is None else self.output)
        if out.exists() and not self.force:
            raise FileExistsError(f"{out} exists already: --force overwrites it")
        check_target(out, 0)
        return out

    def _write(self, out: Path, data: bytes) -> None:
        from pygpt2edge.output_file import replaced_when_whole

        with replaced_when_whole(out, len(data)) as temporary:
            temporary.write_bytes(data)


_OPTIONS = (
    click.option("-o", "--output", metavar="OUT", type=click.Path(),
                 help='The file to write; "-" is stdout.'),
    click.option("-c", "--stdout", "to_stdout", is_flag=True, help="Write to stdout."),
    click.option("-f", "--force", is_flag=True,
                 help="Overwrite a file, and write compressed bytes to a terminal."),
    click.option("-k", "--keep/--rm", "keep", default=True,
                 help="Keep FILE, or remove it when all is written.  [default: keep]"),
    int_option("-t", "--threads", low=1, high=MAX_THREADS, default=None,
               help="Threads that compute.  [default: one per physical core]"),
    click.option("-q", "--quiet", is_flag=True, help="No notes on stderr."),
)  # fmt: skip
message_option = click.option(
    "--message", is_flag=True,
    help="The shortest form, for texts of some hundred bytes; at most 65,536.",
)  # fmt: skip


def job_options(*own: Decorator) -> Decorator:
    """FILE and the options of a CompressionJob, given to the command as `job`."""

    def decorate(command: Function) -> Function:
        @click.argument("file", metavar="[FILE]", default="-")
        @group(*own, *_OPTIONS)
        @functools.wraps(command)
        def wrapped(
            source: ModelSource, file: str, output: str | None, to_stdout: bool, force: bool,
            keep: bool, threads: int | None, quiet: bool, **rest: Any,
        ) -> Any:  # fmt: skip
            job = CompressionJob(source, file, output, to_stdout, force, not keep, threads, quiet)
            return command(job=job, **rest)

        return model_options(wrapped)

    return decorate
