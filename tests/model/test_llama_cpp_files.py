"""Files that llama.cpp's quantizer wrote: each of its types is read, and gives its logits."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from llama_cpp_models import (
    FOLDER,
    NARROW,
    NARROW_TYPES,
    WIDE,
    WIDE_TYPES,
    WITH_IMPORTANCES,
    WITHOUT_DATA,
)
from numpy.typing import NDArray
from small_logits import dequantized_copy, logits_of
from tiny_models import TinyModel, draw_weights, some_tokens, write_gguf

from pygpt2edge import FormatError, UnsupportedError, _core

MODELS = {"wide": (WIDE, WIDE_TYPES), "narrow": (NARROW, NARROW_TYPES)}


def error(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The difference in standard deviations of the logits."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


@pytest.mark.parametrize("name", MODELS)
def test_types_are_those_that_llama_cpp_wrote(name: str) -> None:
    types = {t.name: t.type for t in _core.GgufFile(str(FOLDER / f"{name}.gguf")).tensors}
    assert {tensor: types[tensor] for tensor in MODELS[name][1]} == MODELS[name][1]


@pytest.mark.parametrize("name", MODELS)
def test_numbers_are_those_of_the_gguf_package(name: str) -> None:
    file = _core.GgufFile(str(FOLDER / f"{name}.gguf"))
    compared = 0
    for tensor, type in MODELS[name][1].items():
        if type in ("Q1_0", "Q2_0"):  # which the package does not dequantize
            continue
        n_rows = next(t.shape[0] for t in file.tensors if t.name == tensor)
        blocks = file.raw_rows(tensor, 0, n_rows)
        expected = gguf.quants.dequantize(blocks, GGMLQuantizationType[type]).astype(np.float32)
        assert file.read_rows(tensor, 0, n_rows).tobytes() == expected.tobytes()
        compared += 1
    assert compared >= 4


@pytest.mark.parametrize("name", MODELS)
def test_logits(name: str, tmp_path: Path) -> None:
    """What is left is the rounding of activations to 8 bits: here in groups of 32, in llama.cpp for
    some types in groups of 256."""
    path, (model, _) = FOLDER / f"{name}.gguf", MODELS[name]
    golden = np.load(FOLDER / f"{name}.npz")
    found = logits_of(path, golden["tokens"])
    assert error(golden["logits"], found) < 0.05
    copy = dequantized_copy(path, tmp_path / "f32.gguf", model)
    assert 0 < error(logits_of(copy, golden["tokens"]), found) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("ftype", WITHOUT_DATA + WITH_IMPORTANCES)
@pytest.mark.parametrize("model", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_type_that_llama_cpp_makes(model: TinyModel, ftype: str, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    import llama_cpp_peer

    source = write_gguf(tmp_path / "f32.gguf", model, draw_weights(model), merges=("a b",))
    path = llama_cpp_peer.quantize(source, tmp_path / "quantized.gguf", ftype)
    tokens = some_tokens(model, 24)
    assert error(llama_cpp_peer.logits(path, tokens), logits_of(path, tokens)) < 0.05


def test_scales_beside_a_matrix_are_not_left_out(tmp_path: Path) -> None:
    """llama.cpp multiplies by tensors such as blk.0.attn_qkv.scale where a file has them."""
    reader = gguf.GGUFReader(write_gguf(tmp_path / "f32.gguf", NARROW, draw_weights(NARROW)))
    writer = gguf.GGUFWriter(tmp_path / "scaled.gguf", "gpt2")
    for name, field in reader.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")):
            writer.add_key_value(name, field.contents(), field.types[0], *field.types[1:])
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.add_tensor("blk.0.attn_qkv.scale", np.array([0.5], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedError, match=r"blk\.0\.attn_qkv\.scale"):
        _core.Model(str(tmp_path / "scaled.gguf"))


@pytest.mark.parametrize("name", MODELS)
def test_a_file_cut_short_is_refused(name: str, tmp_path: Path) -> None:
    whole = (FOLDER / f"{name}.gguf").read_bytes()
    path = tmp_path / "short.gguf"
    path.write_bytes(whole[: len(whole) - len(whole) // 3])
    with pytest.raises(FormatError, match="short.gguf"):
        _core.Model(str(path))
