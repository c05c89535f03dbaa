"""Writes a GPT-2 as GGUF version 3: metadata and tensor list by the gguf package, then the data.

Keys and their order are those of llama.cpp's convert_hf_to_gguf.py for this architecture, so that
either program reads the other's files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pygpt2edge.convert.calibration import Calibration
from pygpt2edge.convert.classifier import (
    CLASSIFIES_KEY,
    LANGUAGE_MODEL_KEY,
    PROBLEM_TYPE_KEY,
    Classifier,
)
from pygpt2edge.convert.model_config import ModelConfig
from pygpt2edge.convert.plan import ConversionPlan
from pygpt2edge.convert.quantizing import quantize_tensors
from pygpt2edge.convert.vocabulary import END_OF_TEXT, Vocabulary

if TYPE_CHECKING:
    from gguf import GGUFWriter

_ALIGNMENT = 32
_QUANTIZATION_VERSION = 2
_F32_MAX = float(np.finfo(np.float32).max)
ACTIVATION_KEY = "pygpt2edge.activation_function"


def write_head(
    path: Path, plan: ConversionPlan, config: ModelConfig, vocabulary: Vocabulary,
    name: str, carried: dict[str, Any], classifier: Classifier | None = None,
) -> None:  # fmt: skip
    """Everything but the tensors' data."""
    import gguf

    writer = gguf.GGUFWriter(path, "gpt2")
    try:
        _add_model(writer, plan, config, name)
        if classifier is not None:
            _add_classifier(writer, classifier)
        for key, value in carried.items():
            if key not in writer.kv_data[0]:
                _add_carried(writer, key, value)
        _add_tokenizer(writer, config, vocabulary)
        for tensor in plan.tensors:
            kind = gguf.GGMLQuantizationType[tensor.type.gguf_name]
            # Any dtype but uint8: then the shape is taken as it is, in numbers and not in bytes.
            writer.add_tensor_info(
                tensor.spec.gguf_name, tensor.spec.shape, np.dtype(np.float32), tensor.n_bytes, kind
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    finally:
        writer.close()


def append_tensors(
    path: Path,
    plan: ConversionPlan,
    n_threads: int | None,
    report: Callable[[int, str], None],
    calibration: Calibration | None = None,
) -> None:
    """The tensors' data, each aligned; report(n_bytes, tensor) after every write."""
    with path.open("ab") as file:
        file.write(bytes(-file.tell() % _ALIGNMENT))
        written = 0
        for tensor, data in quantize_tensors(plan.tensors, n_threads, calibration):
            file.write(memoryview(data).cast("B"))
            written += data.nbytes
            if written == tensor.n_bytes:
                file.write(bytes(-written % _ALIGNMENT))
                written = 0
            report(data.nbytes, tensor.spec.gguf_name)


def _add_model(writer: GGUFWriter, plan: ConversionPlan, config: ModelConfig, name: str) -> None:
    from gguf.utility import size_label

    n_params = sum(tensor.spec.n_elements for tensor in plan.tensors)
    writer.add_type("model")
    writer.add_name(name)
    writer.add_size_label(size_label(n_params, n_params, 0, 0))
    writer.add_block_count(config.n_layer)
    writer.add_context_length(config.n_ctx)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.n_inner)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_file_type(plan.type.file_type)
    writer.add_quantization_version(_QUANTIZATION_VERSION)
    if config.activation_function != "gelu_new":
        writer.add_string(ACTIVATION_KEY, config.activation_function)


def _add_classifier(writer: GGUFWriter, classifier: Classifier) -> None:
    writer.add_classifier_output_labels(classifier.labels)
    writer.add_string(CLASSIFIES_KEY, classifier.classifies)
    if classifier.problem_type is not None:
        writer.add_string(PROBLEM_TYPE_KEY, classifier.problem_type)
    if not classifier.language_model:
        writer.add_bool(LANGUAGE_MODEL_KEY, False)


def _add_tokenizer(writer: GGUFWriter, config: ModelConfig, vocabulary: Vocabulary) -> None:
    keys: dict[str, Any] = {
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.add_bos_token": False,
    } | vocabulary.keys
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(keys.pop("tokenizer.ggml.pre"))
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.model == "gpt2":
        writer.add_token_merges(vocabulary.merges)
    end_of_text = vocabulary.id_of(END_OF_TEXT)
    n_vocab = len(vocabulary.tokens)
    ids = (
        (writer.add_bos_token_id, config.bos_token_id, "bos", end_of_text),
        (writer.add_eos_token_id, config.eos_token_id, "eos", end_of_text),
        (writer.add_pad_token_id, config.pad_token_id, "padding", None),
    )
    for add, token_id, name, otherwise in ids:
        default = keys.pop(f"tokenizer.ggml.{name}_token_id", otherwise)
        # Configurations of small vocabularies often keep the default, 50256, which is no token.
        is_token = token_id is not None and 0 <= token_id < n_vocab
        chosen = token_id if is_token else default
        if chosen is not None:
            add(chosen)
    for key, value in keys.items():
        _add_carried(writer, key, value)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)


def _add_carried(writer: GGUFWriter, key: str, value: Any) -> None:
    """A key of a source GGUF. The reader gives Python values, so a whole number gets the type most
    keys have, if it fits. Of lists only texts, bytes and numbers with a point are carried: nothing
    else is known to be one."""
    from gguf import GGUFValueType

    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        fits = {GGUFValueType.UINT32: (0, 1 << 32), GGUFValueType.INT64: (-(1 << 63), 1 << 63)}
        kinds = (kind for kind, (low, high) in fits.items() if low <= value < high)
        writer.add_key_value(key, value, next(kinds, GGUFValueType.UINT64))
    elif isinstance(value, float):
        is_single = abs(value) < _F32_MAX and float(np.float32(value)) == value
        (writer.add_float32 if is_single else writer.add_float64)(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, bytes) or (
        isinstance(value, list) and any(all(isinstance(x, t) for x in value) for t in (str, float))
    ):
        writer.add_array(key, value)
