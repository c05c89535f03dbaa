"""The tiny checkpoints, and ways to bend them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

DATA = Path(__file__).resolve().parent.parent / "data" / "convert"
NUMPY_TYPES = {"f32": np.float32, "f16": np.float16, "f64": np.float64}


@pytest.fixture(scope="session")
def weights() -> dict[str, np.ndarray]:
    """The fixtures' one model: canonical Hugging Face names, float32, Conv1D as (n_in, n_out)."""
    stored = load_file(DATA / "hugging_face" / "model.safetensors")
    return {k.removeprefix("transformer."): v.astype(np.float32) for k, v in stored.items()}


@pytest.fixture
def hf_folder(tmp_path: Path) -> Path:
    """A copy of the Hugging Face fixture that a test may damage."""
    return shutil.copytree(DATA / "hugging_face", tmp_path / "hugging_face")


@pytest.fixture
def openai_folder(tmp_path: Path) -> Path:
    return shutil.copytree(DATA / "openai", tmp_path / "openai")


@pytest.fixture
def torch_folder(hf_folder: Path) -> Callable[[str], Path]:
    """The Hugging Face fixture with one of the PyTorch files as its weights."""

    def make(name: str) -> Path:
        (hf_folder / "model.safetensors").unlink(missing_ok=True)
        shutil.copy(DATA / "torch" / name, hf_folder / "pytorch_model.bin")
        return hf_folder

    return make


def write_safetensors(path: Path, header: dict[str, Any], numbers: bytes) -> None:
    """A file with that header, whether or not it is true of the numbers."""
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)


@pytest.fixture(name="write_safetensors")
def write_safetensors_fixture() -> Callable[[Path, dict[str, Any], bytes], None]:
    return write_safetensors


def store_safetensors(path: Path, tensors: dict[str, np.ndarray], dtype: str = "f32") -> None:
    if dtype != "bf16":
        save_file({k: v.astype(NUMPY_TYPES[dtype]) for k, v in tensors.items()}, path)
        return
    # numpy has no such type: the upper halves of float32.
    header, numbers = {}, b""
    for name, value in tensors.items():
        halves = (value.view(np.uint32) >> 16).astype("<u2").tobytes()
        place = [len(numbers), len(numbers) + len(halves)]
        header[name] = {"dtype": "BF16", "shape": value.shape, "data_offsets": place}
        numbers += halves
    write_safetensors(path, header, numbers)


@pytest.fixture(name="store_safetensors")
def store_safetensors_fixture() -> Callable[..., None]:
    return store_safetensors


@pytest.fixture
def change_json() -> Callable[..., None]:
    """change_json(path, key=value, other=None): sets keys, and removes those that are None."""

    def change(path: Path, **changes: Any) -> None:
        content = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))

    return change


class Gguf:
    """An output, read by the gguf package."""

    def __init__(self, path: Path) -> None:
        self.reader = gguf.GGUFReader(path)
        self.types = {t.name: t.tensor_type.name for t in self.reader.tensors}
        self.blocks = {t.name: np.array(t.data) for t in self.reader.tensors}
        self.metadata = {k: f.contents() for k, f in self.reader.fields.items()}
        self.kinds = {k: [t.name for t in f.types] for k, f in self.reader.fields.items()}

    def values(self, name: str) -> np.ndarray:
        kind = gguf.GGMLQuantizationType[self.types[name]]
        return gguf.quants.dequantize(self.blocks[name], kind)


@pytest.fixture
def read_gguf() -> Callable[[Path], Gguf]:
    return Gguf


@pytest.fixture
def expected_tensors(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a GGUF of the fixtures' model holds in float32, each matrix (n_out, n_in)."""
    names = {
        "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
    }  # fmt: skip
    expected = {
        "token_embd.weight": weights["wte.weight"],
        "position_embd.weight": weights["wpe.weight"],
        "output_norm.weight": weights["ln_f.weight"],
        "output_norm.bias": weights["ln_f.bias"],
    }
    for name, value in weights.items():
        if name.startswith("h."):
            _, layer, rest = name.split(".", 2)
            module, kind = rest.rsplit(".", 1)
            expected[f"blk.{layer}.{names[module]}.{kind}"] = value.T
    return expected


@pytest.fixture
def convert_exactly(tmp_path, read_gguf, expected_tensors):
    """Converts to f32, and compares every tensor with the fixtures' weights to the bit."""
    from pygpt2edge.convert import convert

    def convert_exactly(source: Path, **changed: np.ndarray):
        report = convert(source, tmp_path / "out.gguf", "f32")
        out = read_gguf(tmp_path / "out.gguf")
        expected = expected_tensors | changed
        assert out.blocks.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(out.blocks[name], value, err_msg=name)
        return report, out

    return convert_exactly
