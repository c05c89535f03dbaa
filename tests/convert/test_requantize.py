"""A GGUF as a source."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from pygpt2edge.convert import convert, inspect_checkpoint
from pygpt2edge.errors import FormatError, UnsupportedError


@pytest.fixture
def made(tmp_path, data):
    """made(kind) -> a GGUF of the fixtures' model."""
    return lambda kind: convert(data / "hugging_face", tmp_path / f"{kind}.gguf", kind).out


@pytest.mark.parametrize("source", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("kind", ["f32", "f16", "q8_0", "q4_0"])
def test_through_a_float_file_equals_direct(tmp_path, made, data, read_gguf, source, kind):
    convert(data / "hugging_face", tmp_path / "direct.gguf", kind)
    report = convert(made(source), tmp_path / "out.gguf", kind)
    assert report.source_kind == "GGUF"
    out, direct = read_gguf(report.out), read_gguf(tmp_path / "direct.gguf")
    assert out.types == direct.types
    for name, blocks in direct.blocks.items():
        np.testing.assert_array_equal(out.blocks[name], blocks, err_msg=name)
    assert out.metadata.keys() == direct.metadata.keys()
    for key in direct.metadata:
        if not key.startswith("GGUF."):
            assert (out.metadata[key], out.kinds[key]) == (direct.metadata[key], direct.kinds[key])


def test_quantized_source_needs_leave(tmp_path, made):
    with pytest.raises(UnsupportedError, match=r"q8_0.*--allow-requantize"):
        convert(made("q8_0"), tmp_path / "out.gguf", "q4_0")
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize("kind", ["f32", "q4_0"])
def test_requantized_with_leave(tmp_path, made, read_gguf, kind):
    source = made("q8_0")
    convert(source, tmp_path / "out.gguf", kind, allow_requantize=True, rounding="reference")
    out, before = read_gguf(tmp_path / "out.gguf"), read_gguf(source)
    name = "blk.1.ffn_up.weight"
    values = before.values(name)
    if kind == "q4_0":
        blocks = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q4_0)
        np.testing.assert_array_equal(out.blocks[name], blocks)
    else:
        np.testing.assert_array_equal(out.blocks[name], values)


def test_same_type_is_copied_without_a_second_rounding(tmp_path, made, read_gguf):
    source = made("q4_0")
    convert(source, tmp_path / "out.gguf", "q4_0", allow_requantize=True)
    out, before = read_gguf(tmp_path / "out.gguf"), read_gguf(source)
    for name, blocks in before.blocks.items():
        np.testing.assert_array_equal(out.blocks[name], blocks, err_msg=name)


def rewrite(source, out, *, extra=(), skip=(), keys=()):
    """A copy of a GGUF with other tensors or keys, written by the gguf package."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(out, "gpt2")
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture" and key not in dict(keys):
            writer.add_key_value(key, field.contents(), field.types[0])
    for key, value in keys:
        if value is not None:
            kind = gguf.GGUFValueType
            is_large = isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 31
            is_double = isinstance(value, float) and abs(value) > 1e38
            inferred = kind.get_type(value)
            chosen = kind.UINT64 if is_large else kind.FLOAT64 if is_double else inferred
            writer.add_key_value(key, value, chosen)
    for tensor in reader.tensors:
        if tensor.name not in skip:
            writer.add_tensor(tensor.name, np.array(tensor.data))
    for name, value in extra:
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def test_a_duplicate_head_of_older_converters_is_dropped(tmp_path, made, weights, read_gguf):
    extra = [("output.weight", weights["wte.weight"])]
    source = rewrite(made("f32"), tmp_path / "old.gguf", extra=extra)
    out = read_gguf(convert(source, tmp_path / "out.gguf", "q8_0").out)
    assert "output.weight" not in out.types


def test_other_metadata_is_carried_over(tmp_path, made, read_gguf):
    keys = [("general.license", "mit"), ("general.tags", ["a", "b"]), ("my.count", 3),
            ("my.share", 0.5), ("my.flag", True), ("my.large", 2**64 - 1), ("my.double", 1e300),
            ("my.debt", -7)]  # fmt: skip
    source = rewrite(made("f32"), tmp_path / "more.gguf", keys=keys)
    out = read_gguf(convert(source, tmp_path / "out.gguf", "q8_0").out)
    assert {key: out.metadata[key] for key, _ in keys} == dict(keys)


def test_missing_and_extra_tensors(tmp_path, made):
    lacking = rewrite(made("f32"), tmp_path / "lacks.gguf", skip=["blk.1.ffn_up.bias"])
    with pytest.raises(FormatError, match=r"lacks\.gguf.*blk\.1\.ffn_up\.bias is missing"):
        inspect_checkpoint(lacking)
    extra = [("blk.0.attn_q.weight", np.zeros((32, 32), np.float32))]
    more = rewrite(made("f32"), tmp_path / "more.gguf", extra=extra)
    with pytest.raises(UnsupportedError, match=r"more\.gguf.*attn_q.weight"):
        inspect_checkpoint(more)


def test_tokens_that_do_not_fit_the_embedding(tmp_path, made):
    keys = [("tokenizer.ggml.tokens", ["a"] * 30), ("tokenizer.ggml.token_type", [1] * 30)]
    path = rewrite(made("f32"), tmp_path / "few.gguf", keys=keys)
    with pytest.raises(FormatError, match=r"few\.gguf"):
        convert(path, tmp_path / "out.gguf")


def test_file_without_a_tokenizer(tmp_path, made):
    keys = [(f"tokenizer.ggml.{name}", None) for name in ("model", "tokens", "token_type")]
    path = rewrite(made("f32"), tmp_path / "bare.gguf", keys=keys)
    with pytest.raises(FormatError, match=r"bare\.gguf.*tokenizer\.ggml"):
        convert(path, tmp_path / "out.gguf")


def test_another_architecture_is_refused_by_name(tmp_path, made):
    path = made("f32")
    path.write_bytes(path.read_bytes().replace(b"gpt2", b"bert", 1))
    with pytest.raises(UnsupportedError, match="bert"):
        convert(path, tmp_path / "out.gguf")


def test_output_over_the_source_is_refused(made):
    path = made("f32")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is the source itself"):
        convert(path, path, "q8_0")
    assert path.read_bytes() == before
