# ruff: noqa: E501  (lines of Markdown are longer)
"""Makes docs/reference/command-line.md of the commands and the help that they have.

    python tools/make_command_line_page.py [--out FILE]

Run it after a change of a command or an option.
"""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

import click

from pygpt2edge.cli import cli

OUT = Path(__file__).resolve().parent.parent / "docs" / "reference" / "command-line.md"

HEAD = """\
# Command line

Made by `tools/make_command_line_page.py` of the commands themselves: change it there. `pygpt2edge COMMAND --help` says the same.

Text and results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
`python -m pygpt2edge` does what `pygpt2edge` does.
"""


def described(text: str) -> str:
    """A command's help in Markdown: what click is to leave as it is, after a line "\\b", is a block
    where it has lines of its own."""
    parts = [part.removeprefix("\b\n") for part in inspect.cleandoc(text).split("\n\n")]
    return "\n\n".join(f"```text\n{part}\n```" if "\n  " in part else part for part in parts)


def usage(command: click.Command, name: str) -> str:
    arguments = []
    for each in command.params:
        if isinstance(each, click.Argument):
            shown = each.metavar or str(each.name).upper()
            optional = not each.required and not shown.startswith("[")
            arguments.append(f"[{shown}]" if optional else shown)
            if each.nargs == -1 and not shown.endswith("."):
                arguments[-1] += "..."
    return " ".join(["pygpt2edge", name, "[OPTIONS]", *arguments])


def value(option: click.Option) -> str:
    """What stands after the option's name."""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " " + "\\|".join(map(str, option.type.choices))
    return f" {option.metavar or option.type.name.upper()}"


def default(option: click.Option) -> str:
    if not option.show_default:
        return ""
    if isinstance(option.show_default, str):
        return option.show_default
    if option.is_flag and option.secondary_opts:
        names = option.opts if option.default else option.secondary_opts
        return f"`{names[0]}`"
    return f"`{option.default}`"


def row(option: click.Option) -> str:
    names = [f"`{name}`" for name in (*option.opts, *option.secondary_opts)]
    meaning = " ".join((option.help or "").split()).replace("|", "\\|")
    return f"| {', '.join(names)}{value(option)} | {default(option)} | {meaning} |\n"


def section(name: str, command: click.Command) -> str:
    text = (
        f"\n## {name}\n\n```text\n{usage(command, name)}\n```\n\n{described(command.help or '')}\n"
    )
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        text += "\n| option | default | meaning |\n|---|---|---|\n" + "".join(map(row, options))
    return text


def page() -> str:
    context = click.Context(cli, info_name="pygpt2edge")
    text = HEAD
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None, name
        text += section(name, command)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT)
    parser.parse_args().out.write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
