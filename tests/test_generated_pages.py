"""The pages of docs/ that a tool makes say what the program says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

from pygpt2edge import SamplingParams
from pygpt2edge.cli import cli

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = [f"| `{each.name}` |" for each in fields(SamplingParams)]
COMMANDS = [f"\n## {name}\n" for name in cli.list_commands(click.Context(cli))]


@pytest.mark.parametrize(
    ("tool", "page", "has"),
    [
        ("make_options_page.py", "options.md", OPTIONS),
        ("make_command_line_page.py", "reference/command-line.md", COMMANDS),
    ],
)
def test_the_page_is_up_to_date(tmp_path: Path, tool: str, page: str, has: list[str]) -> None:
    out = tmp_path / "page.md"
    subprocess.run([sys.executable, ROOT / "tools" / tool, "--out", out], check=True)
    made = out.read_text(encoding="utf-8")
    assert [each for each in has if each not in made] == []
    found = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert found == made, f"run python tools/{tool}"
