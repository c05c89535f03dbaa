"""The tensors of a GPT-2: their names in a checkpoint and in a GGUF, and their shapes.

The canonical name is Hugging Face's without `transformer.`: `h.0.attn.c_attn.weight`. OpenAI's
checkpoints store the Conv1D weights as (in, out), and so does Hugging Face; others store the
Linear weights of torch as (out, in). This list says which tensors differ so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pygpt2edge.convert.model_config import ModelConfig

# Canonical module -> GGUF's, inside a layer.
_LAYER_MODULES = {
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}

# Stored beside the weights, and needed by none of them: the causal mask and what it is filled with.
_BUFFERS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
# Heads of fine-tunes for other tasks, on a trunk that generates text all the same.
_OTHER_HEADS = re.compile(
    r"(score|classifier|qa_outputs|multiple_choice_head|v_head)\.[\w.]*(weight|bias)"
)
# What an optimizer keeps beside OpenAI's variables.
_OPTIMIZER = re.compile(r"(.*/Adam(_1)?|beta[12]_power|.*global_step)")
_OPENAI_NAME = re.compile(r"model/(?:h(\d+)/)?([\w/]+?)(?:/([gbw]))?")


@dataclass(frozen=True)
class TensorSpec:
    """One tensor the model needs. Shapes are (n_out, n_in), or (n,)."""

    name: str
    gguf_name: str
    shape: tuple[int, ...]
    is_conv1d: bool = False  # some checkpoints store it as (n_in, n_out)
    is_quantized: bool = False  # takes the type the user asked for; others stay f32
    layer: int = -1

    @property
    def n_elements(self) -> int:
        return math.prod(self.shape)

    @property
    def is_bias(self) -> bool:
        return self.name.endswith(".bias")


def needed_tensors(config: ModelConfig, *, has_output: bool) -> list[TensorSpec]:
    """Every tensor of the model, in the order a GGUF stores them."""
    n_embd, n_inner = config.n_embd, config.n_inner
    specs = [
        TensorSpec("wte.weight", "token_embd.weight", (config.n_vocab, n_embd), is_quantized=True),
        # Positions are never quantized: an error there is an error in every layer's input.
        TensorSpec("wpe.weight", "position_embd.weight", (config.n_ctx, n_embd)),
    ]
    matrices = {
        "attn.c_attn": (3 * n_embd, n_embd),
        "attn.c_proj": (n_embd, n_embd),
        "mlp.c_fc": (n_inner, n_embd),
        "mlp.c_proj": (n_embd, n_inner),
    }
    for layer in range(config.n_layer):
        for module, gguf_module in _LAYER_MODULES.items():
            name, gguf_name = f"h.{layer}.{module}", f"blk.{layer}.{gguf_module}"
            matrix = matrices.get(module)
            weight_shape = matrix or (n_embd,)
            specs += [
                TensorSpec(
                    f"{name}.weight", f"{gguf_name}.weight", weight_shape,
                    is_conv1d=matrix is not None, is_quantized=matrix is not None, layer=layer,
                ),
                TensorSpec(f"{name}.bias", f"{gguf_name}.bias", weight_shape[:1], layer=layer),
            ]  # fmt: skip
    specs += [
        TensorSpec("ln_f.weight", "output_norm.weight", (n_embd,)),
        TensorSpec("ln_f.bias", "output_norm.bias", (n_embd,)),
    ]
    if has_output:
        specs.append(
            TensorSpec(
                "lm_head.weight", "output.weight", (config.n_vocab, n_embd), is_quantized=True
            )
        )
    return specs


def is_embedding(name: object) -> bool:
    """Whether it is the name of the tokens' embedding, behind whatever prefix."""
    return isinstance(name, str) and f".{name}".endswith(".wte.weight")


def prefixes(names: Iterable[str]) -> tuple[str, str]:
    """(what precedes the names of the trunk, what precedes that of the head) in a state dict.

    The trunk is `transformer.` in models with a head, nothing in those without. Before both stands
    what a wrapper has added: `module.` by DataParallel, `_orig_mod.` by torch.compile.
    """
    trunks = sorted(name.removesuffix("wte.weight") for name in names if is_embedding(name))
    trunk = trunks[-1] if trunks else ""
    return trunk, trunk.removesuffix("transformer.")


def is_ignored_buffer(name: str) -> bool:
    return _BUFFERS.fullmatch(name) is not None


def is_other_head(name: str) -> bool:
    return _OTHER_HEADS.fullmatch(name) is not None


def is_optimizer_state(name: str) -> bool:
    return _OPTIMIZER.fullmatch(name) is not None


def canonical_openai_name(name: str) -> str:
    """model/h0/attn/c_attn/w -> h.0.attn.c_attn.weight; what does not fit is left as it is."""
    match = _OPENAI_NAME.fullmatch(name)
    if match is None:
        return name
    layer, module, kind = match.groups()
    prefix = "" if layer is None else f"h.{int(layer)}."
    suffix = "bias" if kind == "b" else "weight"
    return f"{prefix}{module.replace('/', '.')}.{suffix}"
