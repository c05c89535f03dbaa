"""What can go wrong, by kind. The core's exceptions arrive as these too.

A file that the system cannot give raises ``OSError`` (``FileNotFoundError`` and so on), a wrong
argument ``ValueError``, and too little memory ``MemoryError``, as elsewhere in Python.
"""

from __future__ import annotations

from importlib import import_module


class Gpt2EdgeError(Exception):
    """The base of this package's own exceptions."""


class FormatError(Gpt2EdgeError, ValueError):
    """A file's bytes are not what they claim to be: damaged, truncated or inconsistent."""


class UnsupportedError(Gpt2EdgeError, ValueError):
    """A sound file that asks for something this package does not do."""


class ContextLengthError(Gpt2EdgeError, ValueError):
    """More tokens than the model or the session has positions for."""


class MissingDependencyError(Gpt2EdgeError, ImportError):
    """A feature needs a package that is not installed; the message says which."""


def require(package: str, what: str) -> None:
    """Raises MissingDependencyError where a package that something needs was left out."""
    try:
        import_module(package)
    except ImportError as error:
        raise MissingDependencyError(not_installed(package, what)) from error


def not_installed(package: str, what: str) -> str:
    return f"{what} needs {package}, which is not installed: pip install {package}"
