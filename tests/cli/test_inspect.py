"""`pygpt2edge inspect`: of a model file and of a checkpoint's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pygpt2edge import GPT2, _core, demo_model_path

from .conftest import Run, one_line_error

DATA = Path(__file__).parents[1] / "data" / "convert"


def test_a_model_file(run: Run) -> None:
    model = GPT2()
    file = _core.GgufFile(str(demo_model_path()))
    result = json.loads(run("inspect", demo_model_path(), "--json").stdout)
    assert result["architecture"] == "gpt2"
    assert result["kind"] == "GGUF"
    assert result["config"]["n_layer"] == model.config["n_layer"]
    assert result["memory"] == model.memory
    assert [tensor["name"] for tensor in result["tensors"]] == [t.name for t in file.tensors]
    n_bytes = sum(tensor.n_bytes for tensor in file.tensors)
    assert result["tensor_bytes"] == n_bytes
    assert sum(kind["bytes"] for kind in result["types"].values()) == n_bytes
    assert result["bits_per_weight"] == pytest.approx(8 * n_bytes / result["n_params"])

    text = run("inspect", demo_model_path()).stdout
    assert f"{result['n_params']:,}" in text
    assert f"{result['bits_per_weight']:.2f} bits per weight" in text
    assert "memory" in text
    assert "blk.0.attn_qkv.weight" not in text


def test_the_list_of_tensors(run: Run) -> None:
    lines = run("inspect", demo_model_path(), "--tensors").stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("blk.0.attn_qkv.weight")]
    info = _core.GgufFile(str(demo_model_path())).tensors
    (tensor,) = [t for t in info if t.name == "blk.0.attn_qkv.weight"]
    shape = " x ".join(map(str, tensor.shape))
    assert line.split(None, 2)[1] == tensor.type.lower()
    assert shape in line
    assert line.endswith(f"{tensor.n_bytes:,}")


def test_context_and_cache_type_change_the_memory(run: Run) -> None:
    def cache(*args: str) -> int:
        memory = json.loads(run("inspect", demo_model_path(), "--json", *args).stdout)["memory"]
        return int(memory["cache"])

    assert cache("-c", "256") * 4 == cache()
    assert cache("--kv-type", "f32") == 2 * cache("--kv-type", "f16")
    assert cache("--kv-type", "int8") < 0.6 * cache("--kv-type", "f16")
    message = one_line_error(run("inspect", demo_model_path(), "-c", "5000"), 2)
    assert "5000" in message
    assert "1024" in message


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("hugging_face", "Hugging Face safetensors"), ("openai", "OpenAI TensorFlow")],
)
def test_a_checkpoint_tells_the_memory_of_every_type(
    run: Run, tmp_path: Path, folder: str, kind: str
) -> None:
    result = json.loads(run("inspect", DATA / folder, "--json").stdout)
    assert result["kind"] == kind
    assert run("convert", DATA / folder, "out.gguf", "--type", "f16").returncode == 0
    real = GPT2(tmp_path / "out.gguf").memory
    expected = result["memory_by_type"]["f16"]
    # Only the last panel's padding and the ends of cache lines are not counted.
    assert expected["weights"] <= real["weights"] < 1.2 * expected["weights"]
    assert expected["cache"] <= real["cache"]
    text = run("inspect", DATA / folder).stdout
    assert kind in text
    assert "Memory after converting" in text


@pytest.mark.parametrize("name", ["missing.gguf", "text.txt", "."])
def test_errors(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.txt").write_text("not a model")
    assert name in one_line_error(run("inspect", name), 1)
