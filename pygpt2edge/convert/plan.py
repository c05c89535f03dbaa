"""Decides, before anything is written, what type and how many bytes each tensor gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pygpt2edge.convert.checkpoint import Checkpoint
from pygpt2edge.convert.classifier import Classifier
from pygpt2edge.convert.gpt2_names import TensorSpec
from pygpt2edge.convert.stored_tensor import RowSource, row_shape
from pygpt2edge.errors import UnsupportedError


@dataclass(frozen=True)
class OutputType:
    """A type of a GGUF tensor: blocks of `block_size` numbers in `block_bytes` bytes."""

    name: str
    gguf_name: str
    file_type: int  # general.file_type of a file made mostly of it
    block_size: int
    block_bytes: int
    largest: float  # beyond this a number, or the scale of a block, overflows

    def row_bytes(self, n_in: int) -> int:
        return n_in // self.block_size * self.block_bytes


_F16_MAX = 65504.0
_F32_MAX = 3.4028234663852886e38
# Scales are stored as f16: a type reaches that times the magnitude of its greatest code.
OUTPUT_TYPES = {
    kind.name: kind
    for kind in (
        OutputType("f32", "F32", 0, 1, 4, _F32_MAX),
        OutputType("f16", "F16", 1, 1, 2, _F16_MAX),
        OutputType("bf16", "BF16", 32, 1, 2, _F32_MAX),
        OutputType("q8_0", "Q8_0", 7, 32, 34, _F16_MAX * 127),
        OutputType("q6_k", "Q6_K", 18, 256, 210, _F16_MAX * 32),
        OutputType("q5_1", "Q5_1", 9, 32, 24, _F16_MAX),
        OutputType("q5_k", "Q5_K", 17, 256, 176, _F16_MAX * 31),
        OutputType("q5_0", "Q5_0", 8, 32, 22, _F16_MAX * 16),
        OutputType("q4_1", "Q4_1", 3, 32, 20, _F16_MAX),
        OutputType("q4_k", "Q4_K", 15, 256, 144, _F16_MAX * 15),
        OutputType("iq4_nl", "IQ4_NL", 25, 32, 18, _F16_MAX * 127),
        OutputType("q4_0", "Q4_0", 2, 32, 18, _F16_MAX * 8),
        OutputType("iq4_xs", "IQ4_XS", 30, 256, 136, _F16_MAX * 127),
        OutputType("q3_k", "Q3_K", 12, 256, 110, _F16_MAX * 4),
    )
}


def output_type(name: str) -> OutputType:
    """Looks up a type by its name, in any case. Raises ValueError listing the names."""
    try:
        return OUTPUT_TYPES[name.lower()]
    except KeyError:
        raise ValueError(
            f"type {name!r} is unknown, expected one of {', '.join(OUTPUT_TYPES)}"
        ) from None


@dataclass(frozen=True)
class TensorPlan:
    """One tensor of the output: where its rows come from and what becomes of them."""

    spec: TensorSpec
    source: RowSource
    type: OutputType
    # The first `n_scaled_rows` rows are multiplied by `scale`.
    n_scaled_rows: int = 0
    scale: float = 1.0
    rounding: str = "search"

    @property
    def row_bytes(self) -> int:
        return self.type.row_bytes(row_shape(self.spec.shape)[1])

    @property
    def n_rows(self) -> int:
        return row_shape(self.spec.shape)[0]

    @property
    def n_bytes(self) -> int:
        return self.n_rows * self.row_bytes


@dataclass(frozen=True)
class ConversionPlan:
    type: OutputType
    tensors: list[TensorPlan]
    warnings: list[str]

    @property
    def n_bytes(self) -> int:
        return sum(tensor.n_bytes for tensor in self.tensors)

    @property
    def type_counts(self) -> dict[str, int]:
        return dict(Counter(tensor.type.gguf_name for tensor in self.tensors))


def plan_conversion(
    checkpoint: Checkpoint,
    type_name: str,
    allow_requantize: bool,
    rounding: str = "search",
    embedding_type: str | None = None,
    types: Mapping[str, str] | None = None,
) -> ConversionPlan:
    """Chooses the types; `types`, by the names of tensors in a GGUF, come first.

    Raises UnsupportedError for a quantized source without leave.
    """
    kind = output_type(type_name)
    embedding_kind = output_type(embedding_type or type_name)
    if checkpoint.quantized_types and not allow_requantize:
        raise UnsupportedError(
            f"{checkpoint.path}: is quantized already ({', '.join(checkpoint.quantized_types)}), "
            "and quantizing twice adds up both errors; convert the original checkpoint, or allow "
            "it with allow_requantize=True (--allow-requantize)"
        )
    warnings = list(checkpoint.warnings)
    tensors = []
    for spec, source in checkpoint.tensors:
        wanted = kind if spec.layer >= 0 else embedding_kind
        tensor_type = wanted if spec.is_quantized else OUTPUT_TYPES["f32"]
        if types and spec.gguf_name in types:
            wanted = tensor_type = output_type(types[spec.gguf_name])
        if row_shape(spec.shape)[1] % tensor_type.block_size != 0:
            tensor_type = OUTPUT_TYPES["f16"]
            warnings.append(
                f"{spec.gguf_name} is stored as f16: its rows of {spec.shape[1]} do not divide "
                f"into blocks of {wanted.block_size}"
            )
        n_scaled, scale = _query_scale(checkpoint, spec)
        tensors.append(TensorPlan(spec, source, tensor_type, n_scaled, scale, rounding))
    if checkpoint.config.activation_function != "gelu_new":
        warnings.append(_activation_warning(checkpoint.config.activation_function))
    if checkpoint.classifier is not None:
        warnings += _classifier_warnings(checkpoint.classifier)
    return ConversionPlan(kind, tensors, warnings)


def _classifier_warnings(classifier: Classifier) -> list[str]:
    labels = f"{len(classifier.labels)} label{'s' if len(classifier.labels) != 1 else ''}"
    warnings = [
        f"the model classifies {classifier.classifies} by {labels}; llama.cpp does not load a "
        "GPT-2 with such a head"
    ]
    if not classifier.language_model:
        warnings.append(
            "the checkpoint has no head for text: the file classifies and embeds, and does not "
            "generate (without its classifier, by --no-classifier, it would)"
        )
    return warnings


def _activation_warning(activation: str) -> str:
    if activation == "gelu":
        return (
            "the model uses the exact GELU (erf), and the file says so; llama.cpp does not look "
            "and computes the tanh form, which gives slightly different logits there"
        )
    return (
        f"the model's activation function is {activation}, and the file says so; llama.cpp does "
        "not look and computes GELU, which makes another model of it"
    )


def _query_scale(checkpoint: Checkpoint, spec: TensorSpec) -> tuple[int, float]:
    """GGUF has no key for GPT-2's variants of score scaling, and a runtime divides by sqrt(d_head)
    always. Scores are linear in the queries, so the difference is folded into the rows of c_attn
    that make them."""
    config = checkpoint.config
    scale = config.query_scale(spec.layer) if ".attn.c_attn." in spec.name else 1.0
    return (config.n_embd, scale) if scale != 1.0 else (0, 1.0)
