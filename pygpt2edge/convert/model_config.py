"""What a checkpoint's configuration says about a GPT-2, checked.

`config.json` (Hugging Face, any age), `hparams.json` (OpenAI), `model_args` (nanoGPT), the header
of an llm.c file and the keys of a GGUF all become one ModelConfig. What this program does not do is
refused here, by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pygpt2edge.convert.torch_pickle import shown
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.json_file import read_json

# The functions that the core computes, each with Hugging Face's other names of it.
_ACTIVATIONS = {
    # 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    "gelu_new": ("gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"),
    "gelu": ("gelu_python",),  # by erf
    "quick_gelu": (),  # x sigmoid(1.702 x)
    "silu": ("swish",),  # x sigmoid(x)
    "relu": (),
    "tanh": (),
}

# GPT2Config's names, each with what other tools write for it, and its default where there is one.
_ALIASES = {
    "n_embd": ("hidden_size",),
    "n_layer": ("num_hidden_layers",),
    "n_head": ("num_attention_heads",),
    "n_positions": ("n_ctx", "max_position_embeddings"),
}
_DEFAULTS = {"n_positions": 1024, "vocab_size": 50257}
_NANOGPT_ARGS = {"n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias", "dropout"}
# What the logits of a classifier mean, in Hugging Face's words.
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
# No dimension of a model that fits a machine comes near; keeps products within 64 bits.
_MAX_DIMENSION = 1 << 24


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a GPT-2 and the choices that change its arithmetic.

    Attributes:
      n_vocab: tokens of the vocabulary.
      n_ctx: positions.
      n_embd: width.
      n_head: attention heads of a layer.
      n_layer: layers.
      n_inner: width of the MLP's hidden layer.
      layer_norm_epsilon: added to the variance.
      activation_function: "gelu_new" (by tanh), "gelu" (by erf), "quick_gelu", "silu", "relu" or
        "tanh".
      scale_attn_weights: divide scores by sqrt(d_head).
      scale_attn_by_inverse_layer_idx: and by the layer's number, from 1.
      tie_word_embeddings: the head has the embedding's weights.
      bos_token_id, eos_token_id, pad_token_id: None where there is none.
      labels: names of a classifier's labels (id2label), none where they are not told.
      problem_type: what a classifier's logits mean, or None.
    """

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_head: int
    n_layer: int
    n_inner: int
    layer_norm_epsilon: float = 1e-5
    activation_function: str = "gelu_new"
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    tie_word_embeddings: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None
    labels: tuple[str, ...] = ()
    problem_type: str | None = None

    @property
    def d_head(self) -> int:
        return self.n_embd // self.n_head

    def query_scale(self, layer: int) -> float:
        """What a layer's queries are multiplied by, so that q.k/sqrt(d_head) gives its scores."""
        scale = 1.0 if self.scale_attn_weights else math.sqrt(self.d_head)
        return scale / (layer + 1) if self.scale_attn_by_inverse_layer_idx else scale


def read_hugging_face_config(path: Path) -> ModelConfig:
    """From a config.json. Raises UnsupportedError naming what is not GPT-2."""
    raw = read_json(path)
    _refuse_other_models(path, raw)
    config = ModelConfig(
        n_vocab=_dimension(path, raw, "vocab_size"),
        n_ctx=_dimension(path, raw, "n_positions"),
        n_embd=_dimension(path, raw, "n_embd"),
        n_head=_dimension(path, raw, "n_head"),
        n_layer=_dimension(path, raw, "n_layer"),
        n_inner=_dimension(path, raw, "n_inner")
        if raw.get("n_inner") is not None
        else 4 * _dimension(path, raw, "n_embd"),
        layer_norm_epsilon=_epsilon(path, raw.get("layer_norm_epsilon", 1e-5)),
        activation_function=_activation(path, raw.get("activation_function", "gelu_new")),
        scale_attn_weights=raw.get("scale_attn_weights", True) is not False,
        scale_attn_by_inverse_layer_idx=raw.get("scale_attn_by_inverse_layer_idx", False) is True,
        tie_word_embeddings=raw.get("tie_word_embeddings", True) is not False,
        bos_token_id=_token_id(raw.get("bos_token_id")),
        eos_token_id=_token_id(raw.get("eos_token_id")),
        pad_token_id=_token_id(raw.get("pad_token_id")),
        labels=_labels(raw.get("id2label")),
        problem_type=_problem_type(path, raw.get("problem_type")),
    )
    _check_heads(path, config)
    return config


def read_openai_config(path: Path) -> ModelConfig:
    """From OpenAI's hparams.json: n_vocab, n_ctx, n_embd, n_head, n_layer."""
    return config_of_hparams(path, read_json(path))


def config_of_hparams(
    path: Path,
    raw: Mapping[str, Any],
    n_vocab: str = "n_vocab",
    n_ctx: str = "n_ctx",
    activation_function: str = "gelu_new",
) -> ModelConfig:
    """A GPT-2 that five numbers tell, of which two go by other names with other trainers."""
    n_embd = _dimension(path, raw, "n_embd")
    config = ModelConfig(
        n_vocab=_dimension(path, raw, n_vocab),
        n_ctx=_dimension(path, raw, n_ctx),
        n_embd=n_embd,
        n_head=_dimension(path, raw, "n_head"),
        n_layer=_dimension(path, raw, "n_layer"),
        n_inner=4 * n_embd,
        activation_function=activation_function,
    )
    _check_heads(path, config)
    return config


def read_nanogpt_config(path: Path, args: dict[str, Any]) -> ModelConfig:
    """From the model_args of nanoGPT's ckpt.pt: n_layer, n_head, n_embd, block_size, vocab_size,
    bias and dropout. Its GELU is the exact one. Refuses what descendants add to change the model.
    """
    for key, value in args.items():
        if key not in _NANOGPT_ARGS and value:
            raise UnsupportedError(
                f"{path}: model_args has {shown(key)} = {shown(value)}, which GPT-2 does not have; "
                "if the model computes the same without it, save it without"
            )
    return config_of_hparams(path, args, "vocab_size", "block_size", "gelu")


def read_gguf_config(path: Path, metadata: dict[str, Any], n_vocab: int) -> ModelConfig:
    """From the metadata of a GGUF whose token_embd has `n_vocab` rows."""
    architecture = metadata.get("general.architecture")
    if architecture != "gpt2":
        raise UnsupportedError(f"{path}: architecture is {architecture!r:.60}, expected 'gpt2'")
    n_embd = _dimension(path, metadata, "gpt2.embedding_length")
    inner_key = "gpt2.feed_forward_length"
    epsilon_key = "gpt2.attention.layer_norm_epsilon"
    config = ModelConfig(
        n_vocab=n_vocab,
        n_ctx=_dimension(path, metadata, "gpt2.context_length"),
        n_embd=n_embd,
        n_head=_dimension(path, metadata, "gpt2.attention.head_count"),
        n_layer=_dimension(path, metadata, "gpt2.block_count"),
        n_inner=_dimension(path, metadata, inner_key) if inner_key in metadata else 4 * n_embd,
        layer_norm_epsilon=_epsilon(path, metadata.get(epsilon_key, 1e-5)),
        activation_function=_activation(
            path, metadata.get("pygpt2edge.activation_function", "gelu_new")
        ),
        bos_token_id=_token_id(metadata.get("tokenizer.ggml.bos_token_id")),
        eos_token_id=_token_id(metadata.get("tokenizer.ggml.eos_token_id")),
        pad_token_id=_token_id(metadata.get("tokenizer.ggml.padding_token_id")),
    )
    _check_heads(path, config)
    return config


def _refuse_other_models(path: Path, raw: dict[str, Any]) -> None:
    model_type = raw.get("model_type", "gpt2")  # the first GPT-2 configurations did not say
    if model_type != "gpt2":
        raise UnsupportedError(
            f"{path}: model_type is {model_type!r:.60}, expected 'gpt2'; only GPT-2 and its "
            "fine-tunes can be converted"
        )
    if raw.get("add_cross_attention"):
        raise UnsupportedError(
            f"{path}: add_cross_attention is set: a decoder of an encoder-decoder model, "
            "which is not supported"
        )
    if raw.get("quantization_config"):
        raise UnsupportedError(
            f"{path}: quantization_config is set: the weights are quantized already; "
            "convert the original checkpoint"
        )


def _activation(path: Path, name: object) -> str:
    for activation, others in _ACTIVATIONS.items():
        if name == activation or name in others:
            return activation
    names = [name for known, others in _ACTIVATIONS.items() for name in (known, *others)]
    raise UnsupportedError(
        f"{path}: activation_function is {name!r:.60}, expected one of {', '.join(names)}"
    )


def _dimension(path: Path, raw: Mapping[str, Any], key: str) -> int:
    names = (key, *_ALIASES.get(key, ()))
    value = next((raw[name] for name in names if raw.get(name) is not None), _DEFAULTS.get(key))
    if value is None:
        raise FormatError(f"{path}: has no {key!r}; a GPT-2 configuration needs it")
    if type(value) is not int or not 0 < value <= _MAX_DIMENSION:
        raise FormatError(
            f"{path}: {key} is {shown(value)}, expected a whole number from 1 to {_MAX_DIMENSION}"
        )
    return value


def _epsilon(path: Path, value: object) -> float:
    if isinstance(value, int | float) and 0 < value < 1:
        return float(value)
    raise FormatError(f"{path}: layer_norm_epsilon is {value!r:.60}, expected a number in (0, 1)")


def _labels(by_id: object) -> tuple[str, ...]:
    """Names by ids, which JSON has as texts; none of what is no such list."""
    if not isinstance(by_id, dict):
        return ()
    names = [by_id.get(str(i)) for i in range(len(by_id))]
    return tuple(name for name in names if isinstance(name, str)) if None not in names else ()


def _problem_type(path: Path, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and value in PROBLEM_TYPES:
        return value
    raise UnsupportedError(
        f"{path}: problem_type is {value!r:.60}, expected one of {', '.join(PROBLEM_TYPES)}"
    )


def _token_id(value: object) -> int | None:
    """Newer configurations may list several; the first is the one that ends a text."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if type(value) is int else None


def _check_heads(path: Path, config: ModelConfig) -> None:
    if config.n_embd % config.n_head != 0:
        raise FormatError(
            f"{path}: n_embd {config.n_embd} is not a multiple of n_head {config.n_head}"
        )
