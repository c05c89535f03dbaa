"""Opens any checkpoint: finds out what it is, and hands it to who can read that."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pygpt2edge.convert.checkpoint import Checkpoint
from pygpt2edge.convert.from_gguf import open_gguf
from pygpt2edge.convert.from_hugging_face import Read, open_hugging_face
from pygpt2edge.convert.from_llm_c import is_llm_c, open_llm_c
from pygpt2edge.convert.from_nanogpt import is_nanogpt, open_nanogpt
from pygpt2edge.convert.from_openai import open_openai
from pygpt2edge.convert.other_files import (
    refuse_other_contents,
    refuse_other_folder,
    refuse_other_name,
)
from pygpt2edge.convert.safetensors_reader import read_safetensors
from pygpt2edge.convert.tf_reader import checkpoint_prefix
from pygpt2edge.convert.torch_reader import read_torch, read_torch_file
from pygpt2edge.errors import FormatError

VALID_SOURCES = (
    "a Hugging Face folder (config.json, model.safetensors or pytorch_model.bin, and a tokenizer) "
    "or the weights' file in it, "
    "an OpenAI folder (hparams.json, model.ckpt.index, model.ckpt.data-00000-of-00001, "
    "encoder.json, vocab.bpe), nanoGPT's ckpt.pt or the folder it is in, a .bin of llm.c, "
    "a GGUF file, or a hub name such as openai-community/gpt2"
)

# In order of preference; safetensors first, because it needs no pickle.
_HF_WEIGHTS: tuple[tuple[str, str, Read], ...] = (
    ("model.safetensors", "Hugging Face safetensors", read_safetensors),
    ("pytorch_model.bin", "Hugging Face PyTorch", read_torch),
)
_NANOGPT_FILE = "ckpt.pt"
_TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
_SHARD = re.compile(r"-\d+-of-\d+\.\w+$")


def open_checkpoint(source: Path) -> Checkpoint:
    """Opens a folder or a file, whatever it holds.

    Raises FileNotFoundError when it is missing or nothing known, FormatError when it is damaged or
    incomplete, UnsupportedError when it is a model this program does not run.
    """
    if source.is_file():
        return _open_file(source)
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: no such file or folder; expected {VALID_SOURCES}")
    for stem, kind, read in _HF_WEIGHTS:
        if (source / stem).is_file() or (source / f"{stem}.index.json").is_file():
            return open_hugging_face(source, stem, kind, read)
    if prefix := checkpoint_prefix(source):
        return open_openai(source, prefix)
    if (source / _NANOGPT_FILE).is_file():
        return _open_file(source / _NANOGPT_FILE)
    if ggufs := sorted(source.glob("*.gguf")):
        raise FormatError(f"{source}: a folder; to convert a GGUF name the file: {ggufs[0]}")
    refuse_other_folder(source)
    raise FileNotFoundError(f"{source}: holds no checkpoint; expected {VALID_SOURCES}")


def is_weights_file(path: Path) -> bool:
    """Whether it is, by its name, a checkpoint's file of weights."""
    is_named_so = path.suffix in (".safetensors", *_TORCH_SUFFIXES)
    return is_named_so and path.is_file() and not _is_gguf(path)


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def _open_file(path: Path) -> Checkpoint:
    if _is_gguf(path):
        return open_gguf(path)
    refuse_other_name(path)
    refuse_other_contents(path)
    if is_llm_c(path):
        return open_llm_c(path)
    if not is_weights_file(path):
        raise FormatError(
            f"{path}: not a GGUF file; to convert a checkpoint name its folder; expected "
            f"{VALID_SOURCES}"
        )
    folder = path.absolute().parent
    if _SHARD.search(path.name):
        raise FormatError(f"{path}: one part of a checkpoint; name its folder: {folder}")
    kind, read = _HF_WEIGHTS[0][1:]
    if path.suffix in _TORCH_SUFFIXES:
        kind, read = _HF_WEIGHTS[1][1:]
        # nanoGPT writes no config.json; who has one knows more of the model.
        if not (folder / "config.json").is_file() and is_nanogpt(file := read_torch_file(path)):
            return open_nanogpt(path, file)
    return replace(open_hugging_face(folder, path.name, kind, read), path=path)
