"""Models by name, converted once and kept.

huggingface_hub is needed for the first use of a model only: what it fetched becomes a GGUF in this
package's cache folder, and later uses need neither it nor a network.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from pygpt2edge.convert.conversion import convert
from pygpt2edge.convert.file_lock import locked
from pygpt2edge.convert.hub import TOKENIZER_FILES, hub_name
from pygpt2edge.convert.plan import output_type
from pygpt2edge.output_file import TEMPORARY_SUFFIX


def cache_folder() -> Path:
    """Where converted models are kept: $PYGPT2EDGE_CACHE, or the platform's place for caches."""
    if folder := os.environ.get("PYGPT2EDGE_CACHE"):
        return Path(folder).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = os.environ.get("XDG_CACHE_HOME") or "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "pygpt2edge"


def cached_gguf(
    name: str,
    type: str = "q8_0",
    *,
    progress: Callable[[int, int, str], None] | None = None,
    revision: str | None = None,
) -> Path:
    """The GGUF of a model, fetched and converted on the first call, at once on later ones.

    A hub name's file is kept for good, even when the hub's main branch moves on; delete it from
    `cache_folder()` or give a `revision` for another. A local checkpoint is converted again when
    its files change. Several processes may ask at once: one converts, the others wait for it.

    Raises what `convert` raises.
    """
    kind = output_type(type).name
    if Path(name).exists():
        folder, stem = "local", _fingerprint(Path(name))
    elif repository := hub_name(name):
        folder, stem = repository.replace("/", "--"), quote(revision or "main", safe="")
    else:
        raise FileNotFoundError(
            f"{name}: no such file or folder, and not a hub name such as openai-community/gpt2"
        )
    path = cache_folder() / folder / f"{stem}-{kind}.gguf"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        if not path.is_file():
            # Only a process that was killed outright leaves these, and none is writing now.
            for leftover in path.parent.glob(f".{path.name}.*{TEMPORARY_SUFFIX}"):
                leftover.unlink(missing_ok=True)
            convert(name, path, kind, progress=progress, revision=revision)
    return path


def _fingerprint(source: Path) -> str:
    """A name for a local checkpoint that changes with its place and its files."""
    if source.is_file():
        # Not where a link leads: the hub's cache has the files' links in one folder, and what a
        # file of weights needs stands beside its link.
        source = source.parent.resolve() / source.name
        beside = [source.with_name(name) for name in ("config.json", *TOKENIZER_FILES)]
        files = [source, *(file for file in beside if file.is_file())]
    else:
        source = source.resolve()
        files = sorted(source.iterdir())
    digest = hashlib.sha256(str(source).encode())
    for file in files:
        state = file.stat()
        digest.update(f"{file.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return f"{source.stem if source.is_file() else source.name}-{digest.hexdigest()[:16]}"
