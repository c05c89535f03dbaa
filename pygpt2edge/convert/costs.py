"""What each type costs each tensor, in KL divergence from the exact model (nats a token).

Costs add up: errors of different tensors are small and hardly correlated. So a mixture of types is
as far from the exact model as the sum of its tensors' costs says, and can be chosen by them.

`calibrate --sensitivities` measures them for a model. Without such a file they are estimated from
what was measured for the demo model: the share of each kind of matrix, in the first layer and
spread over the others, times the error that a type leaves of normal numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from pygpt2edge.convert.gpt2_names import TensorSpec
from pygpt2edge.convert.plan import OUTPUT_TYPES
from pygpt2edge.convert.stored_tensor import row_shape

# Squared error of normal numbers, relative to their squares (tests/formats/test_quantize.py).
# What a mixture is made of, too: not f32, which is f16 in effect, nor bf16 and q4_0, which are
# worse than others of their sizes.
RELATIVE_ERRORS = {
    "f16": 4e-8, "q8_0": 2.2e-5, "q6_k": 2.7e-4, "q5_1": 1.10e-3, "q5_k": 1.17e-3, "q5_0": 1.6e-3,
    "q4_1": 4.8e-3, "q4_k": 4.9e-3, "iq4_nl": 5.4e-3, "iq4_xs": 5.5e-3, "q3_k": 2.06e-2,
}  # fmt: skip

# KL per relative squared error, of the demo model (18 million parameters, 6 layers), measured by
# `calibrate --sensitivities`: of the first layer's matrix, and of the others' together. What the
# first layer's attention gets wrong, all others build on.
_SENSITIVITIES = {
    "attn_qkv": (1.13, 0.27),
    "attn_output": (0.69, 0.034),
    "ffn_up": (0.052, 0.046),
    "ffn_down": (0.044, 0.037),
}
_OTHER_SENSITIVITIES = {"token_embd": 1.82, "output": 1.82, "position_embd": 0.56}

Costs = Mapping[str, float]  # by the names of types


def has_costs(spec: TensorSpec) -> bool:
    """Whether the tensor's type may be chosen: matrices, and the positions."""
    return spec.is_quantized or spec.gguf_name == "position_embd.weight"


def possible_types(spec: TensorSpec) -> list[str]:
    """Those whose blocks divide the tensor's rows."""
    n_in = row_shape(spec.shape)[1]
    return [name for name in RELATIVE_ERRORS if n_in % OUTPUT_TYPES[name].block_size == 0]


def estimated_costs(spec: TensorSpec, n_layers: int) -> Costs:
    """Of a tensor of a model of which nothing was measured."""
    kind = spec.gguf_name.removesuffix(".weight").split(".")[-1]
    if spec.layer < 0:
        share = _OTHER_SENSITIVITIES[kind]
    else:
        first, others = _SENSITIVITIES[kind]
        share = first if spec.layer == 0 else others / (n_layers - 1)
    return {name: share * RELATIVE_ERRORS[name] for name in possible_types(spec)}
