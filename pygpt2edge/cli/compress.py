"""`pygpt2edge compress`: a text to a file of a few bits a character."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pygpt2edge.cli.compression_job import CompressionJob, job_options, message_option
from pygpt2edge.cli.options import int_option
from pygpt2edge.cli.output import Progress

if TYPE_CHECKING:
    from pygpt2edge.model import GPT2


@click.command("compress")
@job_options(
    message_option,
    int_option("-B", "--block-size", low=1, high=1 << 24, default=None,
               help="Most bytes of text in a block. Blocks are decompressed several at a time: "
               "smaller ones faster, longer ones become shorter.  [default: 32768]"),
)  # fmt: skip
def command(job: CompressionJob, message: bool, block_size: int | None) -> None:
    """Compress FILE by a model's predictions, without loss.

    Writes FILE.p2z and keeps FILE; "-", or no FILE, reads stdin and writes to stdout. What the
    model predicts well becomes much shorter than other programs make it, and takes longer. Any
    bytes can be compressed; what is no text is stored as it is. Decompressing needs the same model,
    on whatever machine.

    \b
    Examples:
      pygpt2edge compress book.txt
      pygpt2edge compress -m gpt2-xl.gguf book.txt -o book.p2z
      printf 'See you at the harbour at nine.' | pygpt2edge compress --message > message.p2z
    """
    from pygpt2edge.compress import SUFFIX, compress

    if message and block_size is not None:
        raise click.UsageError("a message has no blocks: leave --block-size out")

    def work(model: GPT2, data: bytes, _name: str, progress: Progress | None) -> bytes:
        return compress(model, data, message=message, block_size=block_size, progress=progress)

    job.run("Compressing", lambda: job.file + SUFFIX, work, is_text=False)
