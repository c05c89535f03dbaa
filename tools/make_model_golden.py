"""Makes tests/data/model/*.npz: Hugging Face's logits for the models of tests/tiny_models.py.

pip install torch transformers . && python tools/make_model_golden.py
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from tiny_models import MODELS, TinyModel, draw_weights, some_tokens  # noqa: E402


def reference_model(model: TinyModel) -> GPT2LMHeadModel:
    """Hugging Face's model with the drawn weights."""
    config = GPT2Config(
        vocab_size=model.n_vocab,
        n_positions=model.n_ctx,
        n_embd=model.n_embd,
        n_layer=model.n_layer,
        n_head=model.n_head,
        n_inner=model.n_inner,
        activation_function=model.activation_function,
        tie_word_embeddings=model.tied,
    )
    reference = GPT2LMHeadModel(config).eval()
    state = {f"transformer.{k}": torch.from_numpy(v) for k, v in draw_weights(model).items()}
    if not model.tied:
        state["lm_head.weight"] = state.pop("transformer.lm_head.weight")
    missing, unexpected = reference.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert set(missing) <= {"lm_head.weight"}, missing
    reference.tie_weights()
    return reference


def reference_logits(model: TinyModel, tokens: np.ndarray) -> np.ndarray:
    inputs = torch.from_numpy(tokens[None].astype(np.int64))
    with torch.no_grad():
        return reference_model(model)(inputs).logits[0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="which models; all where none is named")
    names = parser.parse_args().names or list(MODELS)
    folder = ROOT / "tests" / "data" / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for model in (MODELS[name] for name in names):
        tokens = some_tokens(model, min(40, model.n_ctx))
        np.savez_compressed(
            folder / f"{model.name}.npz", tokens=tokens, logits=reference_logits(model, tokens)
        )


if __name__ == "__main__":
    main()
