"""The command line: one subcommand a module, each loaded when it is called for.

Text and results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong
usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import NoReturn

try:
    import click
except ModuleNotFoundError:
    sys.exit(
        "pygpt2edge: error: the command line needs click, which is not installed: pip install click"
    )

from pygpt2edge import __version__
from pygpt2edge.cli import output

# Command -> its module. The modules import what is slow (numpy, the core) inside their
# functions, so that --help is there at once.
_MODULES = {
    "generate": "generate",
    "serve": "serve",
    "suggest": "suggest",
    "compress": "compress",
    "decompress": "decompress",
    "convert": "convert",
    "calibrate": "calibrate",
    "inspect": "inspect",
    "rank": "rank",
    "embed": "embed",
    "classify": "classify",
    "map": "map",
    "tokenize": "tokenize",
    "eval": "evaluate",
    "attention": "attention",
    "bench": "bench",
    "doctor": "doctor",
}


class _UnknownCommandError(click.ClickException):
    exit_code = output.WRONG_USAGE

    def __init__(self, name: str) -> None:
        from difflib import get_close_matches

        close = get_close_matches(name.lower(), _MODULES, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(_MODULES)}"
        super().__init__(f'there is no command "{name:.60}"; {hint}')


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"pygpt2edge.cli.{_MODULES[cmd_name]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _MODULES and not name.startswith("-"):  # unknown options are click's
            raise _UnknownCommandError(name)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            output.drop_stdout()


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="pygpt2edge")
@click.pass_context
def cli(ctx: click.Context, /) -> None:
    """GPT-2 text generation on any CPU, with no network and no GPU.

    \b
    pygpt2edge generate "Once upon a time"             the demo model, no download
    pygpt2edge generate -m openai-community/gpt2 "..."  fetched and converted once
    pygpt2edge convert openai-community/gpt2-xl gpt2-xl.gguf --type q4_0

    PYGPT2EDGE_DEBUG=1 shows where an error came from.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(output.WRONG_USAGE)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """The `pygpt2edge` command. Exits with the status that the module's docstring lists."""
    output.prepare_streams()
    run = partial(cli.main, args, prog_name="pygpt2edge", standalone_mode=False)
    sys.exit(output.exit_status(run))
