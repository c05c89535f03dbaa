"""The texts of the checkout that tests hold to their word: Markdown, and comments in sources."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ["csrc", "docs", "pygpt2edge", "tests", "tools"]
GENERATED = {"__pycache__", "build"}


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
