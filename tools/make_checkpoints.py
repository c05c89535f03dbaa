"""Makes the tiny checkpoints in tests/data/convert with the programs that make real ones.

    python tools/make_checkpoints.py hugging-face     # needs torch, transformers, tokenizers
    python tools/make_checkpoints.py openai           # needs tensorflow
    python tools/make_checkpoints.py nanogpt          # needs torch
    python tools/make_checkpoints.py lora             # needs torch, transformers, peft

One GPT-2, stored in every format. Its weights are small multiples of a power of two, so float16 and
bfloat16 hold them exactly and all conversions must agree to the bit.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "convert"

N_LAYER, N_HEAD, N_EMBD, N_INNER, N_CTX = 2, 4, 32, 128, 16
N_MERGES = 32
END_OF_TEXT = "<|endoftext|>"
SPECIAL, PLAIN = "<|user|>", "hello world"
N_TOKENS = 256 + N_MERGES + 1  # without the added ones
N_VOCAB = 296  # bytes, merges, end of text, two added tokens, five rows of padding
TOKENS = [1, 288, 40, 7, 255, 100, 270, 3]

CONFIG = {
    "vocab_size": N_VOCAB, "n_positions": N_CTX, "n_embd": N_EMBD, "n_layer": N_LAYER,
    "n_head": N_HEAD, "bos_token_id": 288, "eos_token_id": 288,
}  # fmt: skip
# Same weights, other arithmetic: what each of these changes is folded into the file.
VARIANTS = {
    "standard": {},
    "gelu": {"activation_function": "gelu"},
    "inverse_layer": {"scale_attn_by_inverse_layer_idx": True},
    "unscaled": {"scale_attn_weights": False},
    "all": {
        "activation_function": "gelu",
        "scale_attn_by_inverse_layer_idx": True,
        "scale_attn_weights": False,
        "reorder_and_upcast_attn": True,
    },
    "untied": {"tie_word_embeddings": False},
}


def make_weights() -> dict[str, np.ndarray]:
    """Hugging Face names without `transformer.`; Conv1D weights are (n_in, n_out)."""
    generator = np.random.default_rng(2)

    def small(*shape: int) -> np.ndarray:
        return (generator.integers(-127, 128, shape) * 2.0**-9).astype(np.float32)

    weights = {"wte.weight": small(N_VOCAB, N_EMBD), "wpe.weight": small(N_CTX, N_EMBD)}
    matrices = {
        "attn.c_attn": (N_EMBD, 3 * N_EMBD),
        "attn.c_proj": (N_EMBD, N_EMBD),
        "mlp.c_fc": (N_EMBD, N_INNER),
        "mlp.c_proj": (N_INNER, N_EMBD),
    }
    norms = ["ln_f", *(f"h.{i}.{name}" for i in range(N_LAYER) for name in ("ln_1", "ln_2"))]
    for norm in norms:
        gain = 1 + generator.integers(-32, 33, N_EMBD) * 2.0**-7
        weights[f"{norm}.weight"] = gain.astype(np.float32)
        weights[f"{norm}.bias"] = small(N_EMBD)
    for i in range(N_LAYER):
        for name, shape in matrices.items():
            weights[f"h.{i}.{name}.weight"] = small(*shape)
            weights[f"h.{i}.{name}.bias"] = small(shape[1])
    return weights


def make_hugging_face() -> None:
    import torch
    import transformers
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = OUT / "hugging_face"
    shutil.rmtree(folder, ignore_errors=True)
    weights = {name: torch.from_numpy(value) for name, value in make_weights().items()}
    logits = {}
    for variant, changes in VARIANTS.items():
        model = GPT2LMHeadModel(GPT2Config(**CONFIG, **changes)).eval()
        missing, unexpected = model.transformer.load_state_dict(weights, strict=False)
        assert not unexpected, unexpected
        assert all(name.endswith("attn.bias") for name in missing), missing
        if variant == "untied":
            model.lm_head.weight = torch.nn.Parameter(weights["wte.weight"].flip(0).clone())
        with torch.no_grad():
            logits[variant] = model(torch.tensor([TOKENS])).logits[0, -2:].numpy()
        if variant == "standard":
            model.half().save_pretrained(folder)
    np.savez_compressed(OUT / "logits.npz", tokens=np.array(TOKENS), **logits)
    (OUT / "variants.json").write_text(json.dumps(VARIANTS, indent=1) + "\n")
    make_tokenizer(folder)
    make_torch_files(weights)
    print("transformers", transformers.__version__, "torch", torch.__version__)


def make_tokenizer(folder: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2TokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + N_MERGES, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    text = ["the cat sat on the mat and the hat", "then they went to the other theatre where",
            "nobody knew what the weather would bring"] * 9  # fmt: skip
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.model.save(str(folder))  # vocab.json and merges.txt
    fast = GPT2TokenizerFast(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"),
        bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, unk_token=END_OF_TEXT,
    )  # fmt: skip
    fast.add_special_tokens({"additional_special_tokens": [SPECIAL]})
    fast.add_tokens([AddedToken(PLAIN)])
    fast.save_pretrained(folder)  # tokenizer.json and tokenizer_config.json
    # OpenAI's vocabulary holds the end of text; the trainer's does not.
    path = folder / "vocab.json"
    vocab = json.loads(path.read_text(encoding="utf-8")) | {END_OF_TEXT: N_TOKENS - 1}
    path.write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    assert fast.convert_tokens_to_ids([END_OF_TEXT, SPECIAL, PLAIN]) == [288, 289, 290]


def make_torch_files(weights: dict) -> None:
    """As people's files are: with masks, prefixes, tied heads and tensors that are views."""
    import torch

    folder = OUT / "torch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def state_dict(dtype: torch.dtype) -> dict:
        state = {f"transformer.{name}": value.to(dtype) for name, value in weights.items()}
        for i in range(N_LAYER):
            mask = torch.ones(N_CTX, N_CTX, dtype=torch.uint8).tril()[None, None]
            state[f"transformer.h.{i}.attn.bias"] = mask
            state[f"transformer.h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
        state["lm_head.weight"] = state["transformer.wte.weight"]
        return state

    state = state_dict(torch.float16)
    name = "transformer.h.0.mlp.c_fc.weight"
    state[name] = state[name].t().contiguous().t()  # as when an nn.Linear was turned round
    name = "transformer.h.1.attn.c_attn.weight"
    state[name] = torch.cat([torch.zeros(3, 96).half(), state[name]])[3:]  # starts inside
    name = "transformer.h.1.mlp.c_proj.weight"
    state[name] = torch.stack([state[name], state[name] + 1], dim=-1)[..., 0]  # every other number
    name = "transformer.ln_f.weight"
    state[name] = torch.nn.Parameter(state[name])
    torch.save(state, folder / "zip.bin")
    torch.save(
        state_dict(torch.bfloat16), folder / "legacy.bin", _use_new_zipfile_serialization=False
    )


def make_nanogpt() -> None:
    """What nanoGPT saves of a compiled model, and a Lightning checkpoint of the same."""
    import torch

    linear = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
    state = {}
    for name, value in make_weights().items():
        tensor = torch.from_numpy(value).half()
        is_linear = name.endswith(linear)
        state[f"transformer.{name}"] = tensor.t().contiguous() if is_linear else tensor
    state["lm_head.weight"] = state["transformer.wte.weight"]
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.ones(3)
    optimizer.step()
    checkpoint = {
        "model": {f"_orig_mod.{name}": value for name, value in state.items()},
        "optimizer": optimizer.state_dict(),
        "model_args": {"n_layer": N_LAYER, "n_head": N_HEAD, "n_embd": N_EMBD, "block_size": N_CTX,
                       "bias": True, "vocab_size": N_VOCAB, "dropout": 0.0},
        "iter_num": 2000,
        "best_val_loss": torch.tensor(2.5),
        "config": {"out_dir": "out", "learning_rate": 6e-4},
    }  # fmt: skip
    torch.save(checkpoint, OUT / "torch" / "nanogpt.pt")
    # A trainer's own classes stand beside the weights.
    trained = {
        "epoch": 3,
        "state_dict": {f"model.{name}": value for name, value in state.items()},
        "hyper_parameters": argparse.Namespace(path=Path("data"), learning_rate=1e-4),
    }
    torch.save(trained, OUT / "torch" / "lightning.ckpt")
    print("torch", torch.__version__)


ADAPTERS = {
    "lora": {"target_modules": ["c_attn", "c_proj", "c_fc"], "bias": "all"},
    "rslora": {"target_modules": ["c_attn", "wte"], "use_rslora": True, "rank_pattern": {"wte": 3},
               "alpha_pattern": {"h.1.attn.c_attn": 2}, "modules_to_save": ["ln_f", "wpe"]},
    "dora": {"target_modules": ["c_attn", "c_proj"], "use_dora": True},
}  # fmt: skip


def make_lora() -> None:
    """Adapters of the folder `hugging_face`, with the logits of what merge_and_unload makes."""
    import peft
    import torch
    from transformers import GPT2LMHeadModel

    folder = OUT / "lora"
    shutil.rmtree(folder, ignore_errors=True)
    generator = torch.Generator().manual_seed(4)
    logits = {}

    def logits_of(model: torch.nn.Module) -> np.ndarray:
        with torch.no_grad():
            return model(torch.tensor([TOKENS])).logits[0, -2:].numpy()

    for name, options in ADAPTERS.items():
        base = GPT2LMHeadModel.from_pretrained(OUT / "hugging_face", dtype=torch.float32).eval()
        config = peft.LoraConfig(r=4, lora_alpha=6, fan_in_fan_out=True, task_type="CAUSAL_LM",
                                 **options)  # fmt: skip
        model = peft.get_peft_model(base, config).eval()
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randint(-32, 33, parameter.shape, generator=generator) * 2.0**-8
                parameter.data += noise
        model.save_pretrained(folder / name)
        (folder / name / "README.md").unlink()
        logits[name] = logits_of(model.merge_and_unload())
    base = GPT2LMHeadModel.from_pretrained(OUT / "hugging_face", dtype=torch.float32).eval()
    for name in ("lora", "dora"):
        base = peft.PeftModel.from_pretrained(base, folder / name).merge_and_unload()
    logits["lora and dora"] = logits_of(base.eval())
    np.savez_compressed(folder / "logits.npz", **logits)
    print("peft", peft.__version__, "torch", torch.__version__)


def make_openai() -> None:
    import tensorflow as tf

    folder = OUT / "openai"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    suffix = {"weight": "w", "bias": "b"}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in make_weights().items():
            *modules, kind = name.split(".")
            if modules[0] == "h":
                modules[:2] = [f"h{modules[1]}"]
            parts = ["model", *modules]
            if modules[-1].startswith("ln"):
                parts.append("g" if kind == "weight" else "b")
            elif modules[0].startswith("h"):
                parts.append(suffix[kind])
            is_matrix = parts[-1] == "w"
            initial = value[None] if is_matrix else value
            tf.compat.v1.get_variable("/".join(parts), initializer=initial)
        tf.compat.v1.get_variable("global_step", initializer=np.int64(1000))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(save_relative_paths=True)
        saver.save(session, str(folder / "model.ckpt"), write_meta_graph=False)
    hparams = {"n_vocab": N_VOCAB, "n_ctx": N_CTX, "n_embd": N_EMBD, "n_head": N_HEAD,
               "n_layer": N_LAYER}  # fmt: skip
    (folder / "hparams.json").write_text(json.dumps(hparams))
    shutil.copy(OUT / "hugging_face" / "vocab.json", folder / "encoder.json")
    shutil.copy(OUT / "hugging_face" / "merges.txt", folder / "vocab.bpe")
    print("tensorflow", tf.__version__)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("format", choices=["hugging-face", "openai", "nanogpt", "lora"])
    make = {
        "hugging-face": make_hugging_face,
        "openai": make_openai,
        "nanogpt": make_nanogpt,
        "lora": make_lora,
    }
    make[parser.parse_args().format]()
