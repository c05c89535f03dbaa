"""Heads of fine-tunes that classify: kept with their labels, as llama.cpp names such tensors."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from classifier_models import CLASSIFIERS, DATA, TRUNK, write_checkpoint
from safetensors.numpy import load_file

from pygpt2edge import GPT2, FormatError, UnsupportedError
from pygpt2edge.convert import convert, inspect_checkpoint


@pytest.fixture
def folder(tmp_path):
    return lambda name, **config: write_checkpoint(tmp_path / name, name, **config)


def test_keys_and_tensors_of_texts(tmp_path, folder, read_gguf):
    report = convert(folder("topics"), tmp_path / "out.gguf", "q8_0")
    out = read_gguf(report.out)
    assert out.metadata["gpt2.classifier.output_labels"] == ["art", "sea", "war"]
    assert out.metadata["pygpt2edge.classifier.classifies"] == "texts"
    assert out.metadata["pygpt2edge.classifier.problem_type"] == "multi_label_classification"
    assert out.metadata["pygpt2edge.language_model"] is False
    assert out.types["cls.output.weight"] == "F32"
    head = np.array(CLASSIFIERS["topics"]["head"]["weight"], np.float32)
    np.testing.assert_array_equal(out.blocks["cls.output.weight"], head)
    assert "cls.output.bias" not in out.blocks
    assert any("classifies texts by 3 labels" in line for line in report.warnings)
    assert any("no head for text" in line for line in report.warnings)


def test_keys_and_tensors_of_tokens(tmp_path, folder, read_gguf):
    out = read_gguf(convert(folder("names"), tmp_path / "out.gguf", "f16").out)
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert out.metadata["gpt2.classifier.output_labels"] == labels
    assert out.metadata["pygpt2edge.classifier.classifies"] == "tokens"
    assert "pygpt2edge.classifier.problem_type" not in out.metadata
    bias = np.array(CLASSIFIERS["names"]["head"]["bias"], np.float32)
    np.testing.assert_array_equal(out.blocks["cls.output.bias"], bias)


@pytest.mark.parametrize("name", ["topics", "names"])
def test_a_gguf_converts_to_another_with_all_of_it(tmp_path, folder, read_gguf, name):
    first = read_gguf(convert(folder(name), tmp_path / "first.gguf", "f32").out)
    report = convert(tmp_path / "first.gguf", tmp_path / "again.gguf", "f32")
    again = read_gguf(report.out)
    assert first.blocks.keys() == again.blocks.keys()
    for key in first.metadata.keys() | again.metadata.keys():
        if not key.startswith("GGUF."):
            assert first.metadata[key] == again.metadata[key], key


def test_labels_without_names_are_numbered(tmp_path, folder, read_gguf):
    out = read_gguf(convert(folder("unnamed"), tmp_path / "out.gguf", "f32").out)
    names = ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert out.metadata["gpt2.classifier.output_labels"] == names


def test_labels_for_another_head_are_refused(folder):
    with pytest.raises(FormatError, match=r"score\.weight has 2 rows, config\.json 1 label"):
        inspect_checkpoint(folder("sentiment", id2label={"0": "only"}))


def test_an_unknown_problem_type_is_refused(folder):
    with pytest.raises(UnsupportedError, match="problem_type is 'ranking', expected one of"):
        inspect_checkpoint(folder("sentiment", problem_type="ranking"))


def test_a_classifier_does_not_generate(tmp_path, folder):
    out = convert(folder("sentiment"), tmp_path / "out.gguf", "f32").out
    model = GPT2(out)
    for use in (
        lambda: model.generate("the", max_tokens=2),
        lambda: model.score("the cat"),
        lambda: model.logits("the cat"),
        lambda: model.rank("the", [" cat", " mat"]),
    ):
        with pytest.raises(UnsupportedError, match=r"out\.gguf: was fine-tuned to classify"):
            use()
    assert model.attention("the cat").shape[0] == 2


def test_without_its_classifier_it_does(tmp_path, folder, read_gguf):
    report = convert(folder("sentiment"), tmp_path / "out.gguf", "f32", classifier=False)
    assert not report.warnings
    out = read_gguf(report.out)
    assert not any(name.startswith("cls.") for name in out.blocks)
    model = GPT2(report.out)
    assert len(model.generate("the", max_tokens=2, ignore_eos=True).tokens) == 2
    with pytest.raises(UnsupportedError, match="has no classifier; convert a checkpoint of"):
        model.classify("the")


def test_a_head_for_text_beside_it_generates(tmp_path, folder, weights, store_safetensors):
    source = folder("sentiment")
    head = {"score.weight": np.array(CLASSIFIERS["sentiment"]["head"]["weight"], np.float32)}
    stored = {f"transformer.{name}": value for name, value in weights.items()} | head
    stored["lm_head.weight"] = weights["wte.weight"]
    store_safetensors(source / "model.safetensors", stored)
    model = GPT2(convert(source, tmp_path / "out.gguf", "f32").out)
    assert len(model.generate("the", max_tokens=2, ignore_eos=True).tokens) == 2
    assert [found.label for found in model.classify("the", top_k=None)]


def test_the_head_of_an_adapter(tmp_path, store_safetensors):
    """PEFT stores the head that an adapter was trained with beside the thin matrices."""
    folder = shutil.copytree(DATA / "convert" / "lora" / "lora", tmp_path / "adapter")
    head = np.array(CLASSIFIERS["unnamed"]["head"]["weight"], np.float32)
    stored = load_file(folder / "adapter_model.safetensors")
    stored["base_model.model.score.weight"] = head
    store_safetensors(folder / "adapter_model.safetensors", stored)
    model = GPT2(convert(TRUNK, tmp_path / "out.gguf", "f32", lora=[folder]).out)
    raw = {label.label: label.score for label in model.classify("the cat", None, "none")}
    expected = head @ model.hidden_states("the cat")[-1]
    found = [raw[f"LABEL_{i}"] for i in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    plain = convert(TRUNK, tmp_path / "plain.gguf", "f32", lora=[folder], classifier=False)
    assert GPT2(plain.out).generate("the", max_tokens=1, ignore_eos=True).tokens
