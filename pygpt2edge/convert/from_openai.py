"""OpenAI's own checkpoint: hparams.json, a TensorFlow checkpoint, encoder.json and vocab.bpe."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pygpt2edge.convert.checkpoint import Checkpoint, bind
from pygpt2edge.convert.gpt2_names import canonical_openai_name, is_optimizer_state
from pygpt2edge.convert.model_config import read_openai_config
from pygpt2edge.convert.tf_reader import read_tf_checkpoint
from pygpt2edge.convert.vocabulary import read_openai_vocabulary


def open_openai(folder: Path, prefix: Path) -> Checkpoint:
    """Opens the folder's checkpoint; `prefix` is the path of its files without their suffixes."""
    if not (folder / "hparams.json").is_file():
        raise FileNotFoundError(f"{folder / 'hparams.json'}: missing; an OpenAI checkpoint has it")
    config = read_openai_config(folder / "hparams.json")
    by_name = {}
    for name, tensor in read_tf_checkpoint(prefix).items():
        if not is_optimizer_state(name):
            # Conv1D weights carry the width of their convolution: (1, n_in, n_out).
            is_conv1d = len(tensor.shape) == 3 and tensor.shape[0] == 1
            by_name[canonical_openai_name(name)] = (
                tensor.without_leading_one() if is_conv1d else tensor
            )
    read_vocabulary = partial(read_openai_vocabulary, folder, config.n_vocab)
    return bind("OpenAI TensorFlow", folder, config, by_name, read_vocabulary)
