"""What tells PyInstaller how the package goes into an app; it asks by itself, by an entry point."""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """The folder of the hooks."""
    return [str(Path(__file__).resolve().parent / "hooks")]
