"""GGUF files that are sound: what is written is read, and asking for what is not there says so."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
from patched_gguf import patched_gguf
from tiny_models import MODELS, draw_weights, write_gguf

from pygpt2edge import FormatError, UnsupportedError, _core

MODEL = MODELS["narrow-heads"]
QUANTIZABLE = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
SUPER_BLOCKS = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ3_S", "IQ4_XS"]

Fill = Callable[[GGUFWriter], None]


def written(path: Path, fill: Fill, alignment: int | None = None) -> Path:
    """A file made by the gguf package; fill adds keys and tensors."""
    writer = GGUFWriter(path, "gpt2")
    if alignment is not None:
        writer.add_custom_alignment(alignment)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def small(writer: GGUFWriter) -> None:
    writer.add_array("a.strings", ["one", "zwei", ""])
    writer.add_array("a.integers", [1, -2, 3])
    writer.add_tensor("matrix", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.add_tensor("vector", np.array([1.5, -2.5], np.float32))


@pytest.fixture
def file(tmp_path: Path) -> _core.GgufFile:
    return _core.GgufFile(written(tmp_path / "small.gguf", small))


def test_tensors(file: _core.GgufFile) -> None:
    assert [(t.name, t.type, t.shape, t.n_bytes) for t in file.tensors] == [
        ("matrix", "F32", (3, 4), 48),
        ("vector", "F32", (2,), 8),
    ]
    assert file.read_rows("matrix", 1, 2).tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert file.read_rows("matrix", 3, 0).shape == (0, 4)
    assert file.read_rows("vector", 0, 1).tolist() == [[1.5, -2.5]]
    assert file.raw_rows("vector", 0, 1).tobytes() == struct.pack("<2f", 1.5, -2.5)


def test_offsets_count_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "small.gguf", small)
    for tensor in _core.GgufFile(path).tensors:
        content = path.read_bytes()[tensor.offset :][: tensor.n_bytes]
        rows = _core.GgufFile(path).raw_rows(tensor.name, 0, max(1, len(tensor.shape) * 3 - 3))
        assert content == rows.tobytes()


def test_released_tensors_read_the_same_again(file: _core.GgufFile) -> None:
    before = file.read_rows("matrix", 0, 3)
    file.release("matrix")
    assert np.array_equal(before, file.read_rows("matrix", 0, 3))


@pytest.mark.parametrize("type", QUANTIZABLE)
def test_every_type_the_reference_writes(type: str, tmp_path: Path) -> None:
    kind = GGMLQuantizationType[type]
    values = np.random.default_rng(1).standard_normal((5, 96)).astype(np.float32)
    blocks = gguf.quants.quantize(values, kind)

    def fill(writer: GGUFWriter) -> None:
        writer.add_tensor("w", blocks, raw_dtype=kind)

    file = _core.GgufFile(written(tmp_path / "w.gguf", fill))
    assert [(t.type, t.shape, t.n_bytes) for t in file.tensors] == [(type, (5, 96), blocks.nbytes)]
    assert np.array_equal(file.read_rows("w", 0, 5), gguf.quants.dequantize(blocks, kind))
    assert file.raw_rows("w", 2, 3).tobytes() == blocks[2:].tobytes()


@pytest.mark.parametrize("type", SUPER_BLOCKS)
def test_every_super_block_type(type: str, tmp_path: Path) -> None:
    kind = GGMLQuantizationType[type]
    n_bytes = 2 * gguf.GGML_QUANT_SIZES[kind][1]
    blocks = np.random.default_rng(2).integers(0, 60, (3, n_bytes), dtype=np.uint8)

    def fill(writer: GGUFWriter) -> None:
        writer.add_tensor("w", blocks, raw_dtype=kind)

    file = _core.GgufFile(written(tmp_path / "w.gguf", fill))
    assert file.tensors[0].shape == (3, 512)
    assert np.array_equal(file.read_rows("w", 0, 3), gguf.quants.dequantize(blocks, kind))


def test_metadata(tmp_path: Path) -> None:
    kinds: dict[str, tuple[object, GGUFValueType]] = {
        "n.u8": (200, GGUFValueType.UINT8),
        "n.i8": (-100, GGUFValueType.INT8),
        "n.u16": (60000, GGUFValueType.UINT16),
        "n.i16": (-30000, GGUFValueType.INT16),
        "n.u32": (2**32 - 1, GGUFValueType.UINT32),
        "n.i32": (-(2**31), GGUFValueType.INT32),
        "n.u64": (2**64 - 1, GGUFValueType.UINT64),
        "n.i64": (-(2**63), GGUFValueType.INT64),
        "x.f32": (0.5, GGUFValueType.FLOAT32),
        "x.f64": (0.1, GGUFValueType.FLOAT64),
        "is.true": (True, GGUFValueType.BOOL),
        "is.false": (False, GGUFValueType.BOOL),
        "text": ("Grüße 🙂", GGUFValueType.STRING),
    }

    def fill(writer: GGUFWriter) -> None:
        for key, (value, kind) in kinds.items():
            writer.add_key_value(key, value, kind)
        writer.add_array("some.languages", ["en", "de"])
        writer.add_array("some.flags", [True, False])
        writer.add_array("tokenizer.ggml.tokens", ["Ġthe", "x"])

    file = _core.GgufFile(written(tmp_path / "keys.gguf", fill))
    found = file.metadata
    assert {key: found[key] for key in kinds} == {key: value for key, (value, _) in kinds.items()}
    assert found["is.true"] is True
    assert (found["some.languages"], found["some.flags"]) == (["en", "de"], [True, False])
    assert "tokenizer.ggml.tokens" not in found
    assert file.strings("tokenizer.ggml.tokens") == ["Ġthe", "x"]
    assert (file.has("text"), file.has("texts")) == (True, False)


def test_arrays(file: _core.GgufFile) -> None:
    assert file.strings("a.strings") == ["one", "zwei", ""]
    assert file.integers("a.integers") == [1, -2, 3]
    assert (file.n_array("a.strings"), file.n_array("a.none")) == (3, 0)
    with pytest.raises(FormatError, match=r"a\.strings is not an array of .*integers"):
        file.integers("a.strings")
    with pytest.raises(FormatError, match=r"a\.integers is not an array of strings"):
        file.strings("a.integers")
    with pytest.raises(FormatError, match=r"general\.architecture is not an array"):
        file.strings("general.architecture")
    with pytest.raises(FormatError, match=r"no metadata key a\.none"):
        file.integers("a.none")


def test_reading_what_is_not_there(file: _core.GgufFile) -> None:
    with pytest.raises(KeyError, match="no tensor nothing"):
        file.read_rows("nothing", 0, 1)
    for first, n in ((2, 2), (4, 0), (-1, 1), (0, -1), (0, 2**62), (2**62, 2**62)):
        with pytest.raises(IndexError, match=f"matrix has rows 0 to 2, asked for {n} from {first}"):
            file.read_rows("matrix", first, n)
        with pytest.raises(IndexError, match="matrix"):
            file.raw_rows("matrix", first, n)


def test_version_2_differs_in_its_number_only(tmp_path: Path) -> None:
    path = written(tmp_path / "v2.gguf", small)
    path.write_bytes(b"GGUF\2\0\0\0" + path.read_bytes()[8:])
    file = _core.GgufFile(path)
    assert file.version == 2
    assert file.read_rows("matrix", 2, 1).tolist() == [[8, 9, 10, 11]]


@pytest.mark.parametrize("alignment", [1, 8, 64, 4096])
def test_other_alignments(alignment: int, tmp_path: Path) -> None:
    path = written(tmp_path / "aligned.gguf", small, alignment)
    file = _core.GgufFile(path)
    assert [t.offset % alignment for t in file.tensors] == [0, 0]
    assert file.read_rows("matrix", 0, 1).tolist() == [[0, 1, 2, 3]]


def test_no_tensors_and_no_padding(tmp_path: Path) -> None:
    path = tmp_path / "keys.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    assert (_core.GgufFile(path).tensors, _core.GgufFile(path).metadata) == ([], {})


@pytest.mark.skipif(os.name != "posix", reason="paths that are not text exist on POSIX only")
def test_paths_of_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff mod\xc3\xa8le.gguf")
    file = _core.GgufFile(written(path, small))
    assert file.read_rows("vector", 0, 1).tolist() == [[1.5, -2.5]]
    path.write_bytes(b"")
    with pytest.raises(FormatError, match=r"modèle\.gguf: the file is empty"):
        _core.GgufFile(path)


# ---- whole models with something wrong in them ----


def patched(path: Path, change: dict[str, object], drop: tuple[str, ...] = ()) -> Path:
    """A tiny model's file with keys changed and keys or tensors left out."""
    source = write_gguf(path.with_suffix(".tmp"), MODEL, draw_weights(MODEL))
    return patched_gguf(source, path, change, drop)


WRONG_MODELS = {
    "another architecture": ({"general.architecture": "llama"}, (), '"llama"'),
    "no layers": ({"gpt2.block_count": 0}, (), "block_count is 0"),
    "a layer too many": ({"gpt2.block_count": 3}, (), r"no tensor blk\.2"),
    "absurd width": ({"gpt2.embedding_length": 2**31}, (), "embedding_length is 2147483648"),
    "heads that do not divide": ({"gpt2.attention.head_count": 7}, (), "does not divide into"),
    "epsilon": ({"gpt2.attention.layer_norm_epsilon": float("nan")}, (), "layer_norm_epsilon"),
    "more positions than rows": ({"gpt2.context_length": 51}, (), r"position_embd.*\[50, 80\].*51"),
    "no key": ({}, ("gpt2.embedding_length",), "no metadata key gpt2.embedding_length"),
    "no tensor": ({}, ("blk.1.ffn_up.bias",), r"no tensor blk\.1\.ffn_up\.bias"),
    "wrong shape": (
        {"blk.0.attn_qkv.weight": np.zeros((80, 240), np.float32)},
        (),
        r"attn_qkv\.weight has shape \[80, 240\].*\[240, 80\]",
    ),
}


@pytest.mark.parametrize("case", WRONG_MODELS)
def test_inconsistent_model(case: str, tmp_path: Path) -> None:
    change, drop, expected = WRONG_MODELS[case]
    path = patched(tmp_path / "wrong.gguf", dict(change), drop)
    with pytest.raises((FormatError, UnsupportedError), match=expected) as caught:
        _core.Model(str(path))
    assert str(path) in str(caught.value)


def test_a_part_of_a_split_model(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "gpt2")
    writer.add_key_value("split.count", 3, gguf.GGUFValueType.UINT16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedError, match=r"part\.gguf: one of 3 parts.*--merge"):
        _core.Model(str(tmp_path / "part.gguf"))
