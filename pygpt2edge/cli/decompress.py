"""`pygpt2edge decompress`: what `compress` made, back to what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pygpt2edge.cli.compression_job import CompressionJob, job_options, message_option
from pygpt2edge.cli.options import int_option
from pygpt2edge.cli.output import Progress

if TYPE_CHECKING:
    from pygpt2edge.model import GPT2


@click.command("decompress")
@job_options(
    message_option,
    int_option("-np", "--parallel", low=1, high=4096, default=None,
               help="Blocks computed at a time, each with a cache of its own.  "
               "[default: 16, or as many as fit in half of the free memory]"),
)  # fmt: skip
def command(job: CompressionJob, message: bool, parallel: int | None) -> None:
    """Decompress what `pygpt2edge compress` made of a text.

    Writes FILE without its .p2z and keeps FILE; "-", or no FILE, reads stdin and writes to stdout.
    The text is written when its checksum is verified.

    \b
    Examples:
      pygpt2edge decompress book.txt.p2z
      pygpt2edge decompress -m gpt2-xl.gguf book.p2z -o book.txt
      pygpt2edge decompress --message < message.p2z
    """
    from pygpt2edge.compress import SUFFIX, decompress

    def usual_output() -> str:
        if not job.file.endswith(SUFFIX) or job.file == SUFFIX:
            raise click.UsageError(f"{job.file} does not end in {SUFFIX}: give -o OUT")
        return job.file.removesuffix(SUFFIX)

    def work(model: GPT2, data: bytes, name: str, progress: Progress | None) -> bytes:
        return decompress(
            model, data, message=message, n_parallel=parallel, progress=progress, name=name
        )

    job.run("Decompressing", usual_output, work, is_text=True)
