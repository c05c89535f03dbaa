"""The texts of the checkout that tests hold to their word: Markdown, and comments in sources."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ["cmake", "csrc", "deploy", "docs", "pygpt2edge", "tests", "tools"]
GENERATED = {"__pycache__", "build", "node_modules", "target"}


def files() -> list[Path]:
    """Of the project, without what building and testing leave behind."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in [*FOLDERS, ".ci", ".github", "examples"]:
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(path for path in found if not GENERATED & set(path.relative_to(ROOT).parts))


def markdown() -> list[Path]:
    return [path for path in files() if path.suffix == ".md"]


def sources() -> list[Path]:
    kinds = {".cpp", ".h", ".py", ".pyi"}
    return [path for path in files() if path.suffix in kinds or path.name == "CMakeLists.txt"]


def comments(path: Path) -> str:
    """What a source says to its readers: comments, and docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".py", ".pyi"):
        return "\n".join([*_docstrings(text), *_python_comments(text)])
    mark = "#" if path.name == "CMakeLists.txt" else "//"
    return "\n".join(re.findall(rf"^[^\"\n]*?{mark}(.*)$", text, re.M))


def _docstrings(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def _python_comments(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


@dataclass(frozen=True)
class Example:
    """A command that a text shows. One that is a mention may have placeholders."""

    where: str
    text: str
    is_mention: bool = False


# What a command in running text, in backticks, begins with.
PROGRAMS = (
    r"\.venv/bin/|bash|build/|cmake|mkdocs|mypy|pip|pre-commit|pygpt2edge|pytest|python3?|ruff|"
    r"tools/"
)


def examples(path: Path) -> list[Example]:
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        found = [Example(name, shown) for block in console_blocks(text) for shown in block]
        running = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        spans = re.findall(rf"`((?:{PROGRAMS})[^`]* [^`]*)`", running)
        return found + [Example(name, " ".join(span.split()), is_mention=True) for span in spans]
    if path.suffix == ".cpp":
        head = re.findall(r"^//   +(.*)$", text, re.M)
        return [Example(name, shown) for shown in head]
    if path.suffix != ".py":
        return []
    if path.is_relative_to(ROOT / "tools"):
        head = ast.get_docstring(ast.parse(text)) or ""
        shown = re.findall(r"^    +(\S.*)$", head, re.M)
        return [Example(name, line, is_mention=True) for line in shown]
    lines = "\n".join(_docstrings(text)).splitlines()
    return [
        Example(name, line.strip()) for line in lines if re.match(r" +(\w.*\| )?pygpt2edge ", line)
    ]


def console_blocks(text: str) -> Iterator[list[str]]:
    """The commands of each block that shows a terminal: "$ " is a user's prompt, "# " root's."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        whole = re.sub(r"\\\n *", "", block)
        yield [line[2:] for line in whole.splitlines() if line.startswith(("$ ", "# "))]


def python_blocks(text: str) -> Iterator[str]:
    yield from re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def python_block(page: str, word: str) -> str:
    """The one of a page that has this word in it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    (found,) = (block for block in python_blocks(text) if word in block)
    return found
