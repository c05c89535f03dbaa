"""The stub of the compiled core names what the core has, and nothing else."""

from __future__ import annotations

import ast
from importlib import resources

from pygpt2edge import _core

STUB = ast.parse((resources.files("pygpt2edge") / "_core.pyi").read_text(encoding="utf-8"))


def public(names: list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def defined(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {node.name: node for node in body if isinstance(node, kinds)}


def test_names_of_the_module() -> None:
    assert public(dir(_core)) == public(list(defined(STUB.body)))


def test_names_of_the_classes() -> None:
    for name, node in defined(STUB.body).items():
        if isinstance(node, ast.ClassDef) and not name.startswith("_"):  # those are the stub's own
            assert public(dir(getattr(_core, name))) == public(list(defined(node.body))), name


def test_names_of_the_parameters() -> None:
    """pybind11 writes each signature into the docstring."""
    for name, node in defined(STUB.body).items():
        if isinstance(node, ast.FunctionDef):
            documented = str(getattr(_core, name).__doc__)
            for argument in node.args.args:
                assert f"{argument.arg}:" in documented, f"{name}({argument.arg})"
