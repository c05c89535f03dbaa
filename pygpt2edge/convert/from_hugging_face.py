"""A Hugging Face checkpoint: config.json, safetensors or PyTorch's files, and a tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pygpt2edge.convert.checkpoint import Checkpoint, bind, without_prefixes
from pygpt2edge.convert.model_config import read_hugging_face_config
from pygpt2edge.convert.other_files import refuse_other_contents, refuse_quantized
from pygpt2edge.convert.stored_tensor import StoredTensor
from pygpt2edge.convert.tokenizer_files import read_hugging_face_vocabulary
from pygpt2edge.errors import FormatError
from pygpt2edge.json_file import read_json

Read = Callable[[Path], dict[str, StoredTensor]]


def open_hugging_face(folder: Path, stem: str, kind: str, read: Read) -> Checkpoint:
    """Opens the folder's checkpoint whose weights are in `stem`, or where its index says."""
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder / 'config.json'}: missing; it is needed beside {stem}")
    config = read_hugging_face_config(folder / "config.json")
    if (folder / stem).is_file():
        path = folder / stem
        stored = _read(path, read)
    else:
        path = folder / f"{stem}.index.json"
        stored = _read_shards(path, read)
    by_name, warnings = without_prefixes(path, stored)
    read_vocabulary = partial(read_hugging_face_vocabulary, folder, config.n_vocab)
    return bind(kind, folder, config, by_name, read_vocabulary, warnings=warnings)


def _read(path: Path, read: Read) -> dict[str, StoredTensor]:
    refuse_other_contents(path)
    tensors = read(path)
    refuse_quantized(path, tensors)
    return tensors


def _read_shards(index: Path, read: Read) -> dict[str, StoredTensor]:
    """The tensors of all files that an index names, each looked up where the index says."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise FormatError(f"{index}: has no weight_map of tensor: file")
    shards: dict[str, dict[str, StoredTensor]] = {}
    tensors = {}
    for name, file_name in weight_map.items():
        if not isinstance(file_name, str) or Path(file_name).name != file_name:
            raise FormatError(f"{index}: file of {name!r} is {file_name!r:.80}, expected a name")
        if file_name not in shards:
            path = index.parent / file_name
            if not path.is_file():
                raise FileNotFoundError(f"{path}: missing; {index.name} says {name!r} is in it")
            shards[file_name] = _read(path, read)
        if name not in shards[file_name]:
            raise FormatError(f"{index.parent / file_name}: lacks {name!r}, which {index.name} "
                              "says is in it")  # fmt: skip
        tensors[name] = shards[file_name][name]
    return tensors
