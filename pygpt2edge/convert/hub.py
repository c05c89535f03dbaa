"""Checkpoints by name, fetched from a Hugging Face hub.

huggingface_hub does the fetching, with its own cache, progress bars and settings (HF_ENDPOINT,
HF_HUB_OFFLINE, HF_TOKEN, ...).
"""

from __future__ import annotations

import errno
import importlib
import re
from pathlib import Path
from typing import Any

from pygpt2edge.convert.model_config import read_hugging_face_config
from pygpt2edge.errors import Gpt2EdgeError, MissingDependencyError
from pygpt2edge.json_file import read_json

# Names from before the hub had owners, which people still type.
_OFFICIAL = {
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "distilgpt2": "distilbert/distilgpt2",
}
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE_SUFFIXES = (".gguf", ".safetensors", ".bin", ".json", ".pt", ".pth", ".index", ".ckpt")

_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")  # the first that a model has
TOKENIZER_FILES = (
    "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "vocab.txt",
    "spiece.model", "tokenizer.model", "sentencepiece.bpe.model",
)  # fmt: skip

# Of this machine's disk, not of the network.
_LOCAL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)


class _UpdatedMeanwhileError(OSError):
    """The hub's branch moved between the first file and the last."""


def hub_name(source: str) -> str | None:
    """owner/name, when `source` reads as a hub name or is one of the official short names."""
    if source in _OFFICIAL:
        return _OFFICIAL[source]
    is_name = _NAME.fullmatch(source) and not source.lower().endswith(_FILE_SUFFIXES)
    return source if is_name else None


def fetch_checkpoint(name: str, revision: str | None = None) -> Path:
    """Fetches the files of a hub model that a conversion needs; returns their folder.

    Without a network, a model fetched before is found in the hub's cache.

    Raises:
      MissingDependencyError: huggingface_hub is not installed.
      OSError: the network, the model, the revision or the permission is missing.
    """
    try:
        import huggingface_hub

        # Every version has the errors here; newer ones document them elsewhere.
        errors: Any = importlib.import_module("huggingface_hub.utils")
    except ImportError as error:
        raise MissingDependencyError(
            f"{name} is a hub name, and fetching it needs huggingface_hub: "
            'pip install "pygpt2edge[hub]"'
        ) from error

    where = f"{name} at {huggingface_hub.HfApi().endpoint}"
    try:
        return _fetch(name, revision, huggingface_hub)
    except errors.GatedRepoError as error:
        raise PermissionError(
            f"{where}: needs its owner's permission; ask for it on the model's page, then log in "
            "with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(f"{where}: has no revision {revision!r}") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise FileNotFoundError(
            f"{where}: no such model (or a private one), and no such folder here"
        ) from error
    except (FileNotFoundError, Gpt2EdgeError, _UpdatedMeanwhileError):
        raise
    # What a missing network raises differs between the versions of huggingface_hub.
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _LOCAL_ERRORS:
            raise
        if folder := _fetched_before(name, revision, huggingface_hub):
            return folder
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise OSError(
            f"{where}: cannot fetch it ({reason}); it was not fetched before. Check the network "
            "and HF_ENDPOINT, and unset HF_HUB_OFFLINE"
        ) from error


def _fetch(name: str, revision: str | None, hub: Any) -> Path:
    siblings = hub.HfApi().model_info(name, revision=revision).siblings or []
    available = {sibling.rfilename for sibling in siblings}

    def download(file: str) -> Path:
        return Path(hub.hf_hub_download(name, file, revision=revision))

    if "config.json" not in available:
        raise FileNotFoundError(f"{name}: the hub's model has no config.json")
    config = download("config.json")
    read_hugging_face_config(config)  # another kind of model is refused before its gigabytes come
    for file in TOKENIZER_FILES:
        if file in available:
            download(file)
    for stem in _SINGLE_FILES:
        index = f"{stem}.index.json"
        if stem in available:
            weights = [stem]
        elif index in available:
            weight_map = read_json(download(index)).get("weight_map")
            names = weight_map.values() if isinstance(weight_map, dict) else ()
            weights = sorted({file for file in names if file in available})
        else:
            continue
        folders = {download(file).parent for file in weights} | {config.parent}
        if len(folders) > 1:
            raise _UpdatedMeanwhileError(f"{name}: was updated while it was fetched; try again")
        return config.parent
    raise FileNotFoundError(
        f"{name}: the hub's model has neither {_SINGLE_FILES[0]} nor {_SINGLE_FILES[1]}"
    )


def _fetched_before(name: str, revision: str | None, hub: Any) -> Path | None:
    config = hub.try_to_load_from_cache(name, "config.json", revision=revision)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    stems = [*_SINGLE_FILES, *(f"{stem}.index.json" for stem in _SINGLE_FILES)]
    return folder if any((folder / stem).is_file() for stem in stems) else None
