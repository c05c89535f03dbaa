"""Checkpoints of programs that train GPT-2s and are neither OpenAI's nor Hugging Face's."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pygpt2edge import GPT2
from pygpt2edge.convert import convert, inspect_checkpoint
from pygpt2edge.errors import FormatError, UnsupportedError

LINEAR = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
ARGS = {"n_layer": 2, "n_head": 4, "n_embd": 32, "block_size": 16, "bias": True, "dropout": 0.1}


@pytest.fixture
def linear_weights(weights) -> dict[str, np.ndarray]:
    """As torch's Linear has them: (n_out, n_in)."""
    return {n: v.T.copy() if n.endswith(LINEAR) else v for n, v in weights.items()}


@pytest.fixture
def tokenizer_folder(tmp_path, data) -> Path:
    folder = tmp_path / "trained"
    folder.mkdir()
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(data / "hugging_face" / name, folder)
    return folder


# ---- any one prefix throughout ----


@pytest.mark.parametrize("head", ["module.", "_orig_mod.", "module._orig_mod.", "model."])
@pytest.mark.parametrize("trunk", ["", "transformer."])
def test_a_prefix_is_taken_off_and_said(
    convert_exactly, hf_folder, weights, store_safetensors, head, trunk
):
    stored = {f"{head}{trunk}{name}": value for name, value in weights.items()}
    stored[f"{head}lm_head.weight"] = weights["wte.weight"].copy()
    store_safetensors(hf_folder / "model.safetensors", stored)
    report, _ = convert_exactly(hf_folder)
    taken = head + trunk.replace("transformer.", "")
    assert report.warnings == [
        f"the names of the tensors begin with {taken!r}, which was taken off"
    ]


def test_two_prefixes_are_no_prefix(hf_folder, weights, store_safetensors):
    stored = {f"module.{name}": value for name, value in weights.items()}
    stored["wpe.weight"] = weights["wpe.weight"]
    store_safetensors(hf_folder / "model.safetensors", stored)
    with pytest.raises(FormatError, match=r"both wpe.weight and module\.wpe.weight"):
        inspect_checkpoint(hf_folder)


def test_linear_weights_need_no_transposition(
    convert_exactly, hf_folder, linear_weights, store_safetensors
):
    store_safetensors(hf_folder / "model.safetensors", linear_weights)
    convert_exactly(hf_folder)


# ---- nanoGPT, made by torch ----


def test_nanogpt_has_the_same_weights(convert_exactly, tokenizer_folder, data):
    shutil.copy(data / "torch" / "nanogpt.pt", tokenizer_folder / "ckpt.pt")
    report, out = convert_exactly(tokenizer_folder)
    assert report.source_kind == "nanoGPT"
    assert out.metadata["pygpt2edge.activation_function"] == "gelu"  # the exact one
    assert out.metadata["gpt2.context_length"] == 16
    assert any("_orig_mod." in line for line in report.warnings)
    convert_exactly(tokenizer_folder / "ckpt.pt")


def test_a_lightning_checkpoint_beside_a_config(convert_exactly, hf_folder, data):
    path = shutil.copy(data / "torch" / "lightning.ckpt", hf_folder / "epoch=3.ckpt")
    convert_exactly(Path(path))


def test_a_lightning_checkpoint_alone_asks_for_a_config(tmp_path, data):
    path = shutil.copy(data / "torch" / "lightning.ckpt", tmp_path / "last.ckpt")
    with pytest.raises(FileNotFoundError, match=r"config.json: missing; .* beside last.ckpt"):
        inspect_checkpoint(path)


# ---- nanoGPT, assembled here ----


def pickled_tensor(key: int, shape: tuple[int, ...]) -> bytes:
    """What torch writes into a pickle for a contiguous float32 tensor."""

    def integers(values):
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    size = int(np.prod(shape))
    storage = b"(Vstorage\nctorch\nFloatStorage\nV%d\nVcpu\nI%d\ntQ" % (key, size)
    arguments = b"(" + storage + b"I0\n" + integers(shape) + integers(strides)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n"
        + arguments
        + b"I00\nccollections\nOrderedDict\n(tRtR"
    )


def store_torch(path: Path, tensors: dict[str, np.ndarray], model_args: dict) -> None:
    state = b"".join(
        b"V" + name.encode() + b"\n" + pickled_tensor(key, value.shape) + b"s"
        for key, (name, value) in enumerate(tensors.items())
    )
    args = pickle.dumps(model_args, 2)[2:-1]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(
            "ckpt/data.pkl", b"\x80\x02}Vmodel\n}" + state + b"sVmodel_args\n" + args + b"s."
        )
        for key, value in enumerate(tensors.values()):
            archive.writestr(f"ckpt/data/{key}", value.astype("<f4").tobytes())


def test_biases_may_be_absent(convert_exactly, tokenizer_folder, linear_weights, expected_tensors):
    path = tokenizer_folder / "ckpt.pt"
    stored = {n: v for n, v in linear_weights.items() if not n.endswith(".bias")}
    store_torch(path, stored, ARGS | {"bias": False, "vocab_size": 296})
    zeros = {n: np.zeros_like(v) for n, v in expected_tensors.items() if n.endswith(".bias")}
    convert_exactly(path, **zeros)


def test_padding_of_the_official_vocabulary_is_left_out(tmp_path, linear_weights):
    rows = np.zeros((50304, 32), np.float32)
    rows[:, 0] = np.arange(50304) / 50304
    store_torch(
        tmp_path / "ckpt.pt",
        linear_weights | {"wte.weight": rows, "lm_head.weight": rows},
        ARGS | {"vocab_size": 50304},
    )
    report = convert(tmp_path, tmp_path / "out.gguf", "f16")
    model = GPT2(report.out)
    assert model.config["n_vocab"] == 50257
    assert model.tokenizer.encode("Once upon a time") == GPT2().tokenizer.encode("Once upon a time")
    assert report.n_params == 50257 * 32 + sum(
        v.size for n, v in linear_weights.items() if n != "wte.weight"
    )


def test_other_tokens_need_their_tokenizer(tmp_path, linear_weights):
    store_torch(tmp_path / "ckpt.pt", linear_weights, ARGS | {"vocab_size": 296})
    with pytest.raises(UnsupportedError, match=r"vocabulary of 296 tokens.*vocab\.json"):
        convert(tmp_path, tmp_path / "out.gguf")


def test_what_descendants_change_is_refused(tmp_path, linear_weights):
    args = ARGS | {"vocab_size": 296, "use_rmsnorm": True, "flash": False}
    store_torch(tmp_path / "ckpt.pt", linear_weights, args)
    with pytest.raises(UnsupportedError, match="model_args has 'use_rmsnorm' = True, which GPT-2"):
        inspect_checkpoint(tmp_path)


# ---- llm.c ----


def store_llm_c(path: Path, weights: dict[str, np.ndarray], version: int, n_rows: int) -> None:
    """As llm.c's training in Python writes it."""
    n_vocab = len(weights["wte.weight"])
    header = np.zeros(256, "<i4")
    header[:8] = [20240326, version, 16, n_vocab, 2, 4, 32, n_rows]
    modules = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    order = [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]
    padded = np.zeros((n_rows, 32), np.float32)
    padded[:n_vocab] = weights["wte.weight"]
    parts = [padded, weights["wpe.weight"]]
    parts += [weights[f"h.{layer}.{name}"] for name in order for layer in range(2)]
    parts += [weights["ln_f.weight"], weights["ln_f.bias"]]
    numbers = np.concatenate([part.ravel() for part in parts]).astype("<f4")
    stored = numbers if version == 3 else (numbers.view("<u4") >> 16).astype("<u2")
    path.write_bytes(header.tobytes() + stored.tobytes())


@pytest.mark.parametrize("version", [3, 5])
def test_llm_c_has_the_same_weights(convert_exactly, tokenizer_folder, linear_weights, version):
    path = tokenizer_folder / "model.bin"
    store_llm_c(path, linear_weights, version, 384)
    report, out = convert_exactly(path)
    assert report.source_kind == "llm.c"
    assert out.metadata.get("pygpt2edge.activation_function") is None  # GPT-2's own


def test_damaged_llm_c_files(tokenizer_folder, linear_weights):
    path = tokenizer_folder / "model.bin"
    store_llm_c(path, linear_weights, 3, 384)
    whole = path.read_bytes()
    for words, content in (
        ("truncated", whole[:100]),
        ("truncated or damaged", whole[:-1]),
        ("truncated or damaged", whole + b"x"),
        ("version 1 of llm.c", whole[:4] + b"\1" + whole[5:]),
        ("n_embd is -1", whole[:24] + b"\xff" * 4 + whole[28:]),
        ("rows of the embedding for 296", whole[:28] + bytes(4) + whole[32:]),
        ("n_embd 32 is not a multiple of n_head 5", whole[:20] + b"\5" + whole[21:]),
    ):
        path.write_bytes(content)
        with pytest.raises((FormatError, UnsupportedError), match=words):
            inspect_checkpoint(path)
