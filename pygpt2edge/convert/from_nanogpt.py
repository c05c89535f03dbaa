"""The ckpt.pt that nanoGPT's training saves, and its descendants'.

A dictionary saved by torch.save: `model` (a state dict, whose names begin with `_orig_mod.` if the
model was compiled), `model_args`, and what training goes on from. There is no tokenizer: it is
GPT-2's, and the vocabulary is padded to 50,304. Source: github.com/karpathy/nanoGPT.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from pygpt2edge.convert.checkpoint import Checkpoint, bind, without_prefixes
from pygpt2edge.convert.model_config import read_nanogpt_config
from pygpt2edge.convert.official_vocabulary import rows_without_padding, vocabulary_beside
from pygpt2edge.convert.torch_reader import TorchFile


def is_nanogpt(file: TorchFile) -> bool:
    return isinstance(file.beside.get("model_args"), dict)


def open_nanogpt(path: Path, file: TorchFile) -> Checkpoint:
    """Opens the file as it was read from `path`."""
    args = file.beside["model_args"]
    config = read_nanogpt_config(path, args)
    by_name, warnings = without_prefixes(path, file.tensors)
    n_vocab = rows_without_padding(path, config.n_vocab)
    for name in ("wte.weight", "lm_head.weight"):
        if name in by_name and by_name[name].shape[:1] == (config.n_vocab,):
            by_name[name] = by_name[name].first_rows(n_vocab)
    config = replace(config, n_vocab=n_vocab)
    read_vocabulary = partial(vocabulary_beside, path, config.n_vocab)
    return bind(
        "nanoGPT", path, config, by_name, read_vocabulary,
        warnings=warnings, biases=args.get("bias") is not False,
    )  # fmt: skip
