"""Measures how far each type's logits are from Hugging Face's, as a Markdown table.

    pip install torch transformers . && python tools/measure_accuracy.py CHECKPOINT TEXT

CHECKPOINT is a Hugging Face folder with trained weights, TEXT a file whose first 1,024 tokens it
reads. The second model has the width of the 1.5B, two layers, and drawn weights with outlier
channels (tests/tiny_models.py). For each type: the largest error of a logit, in standard deviations
of the logits; the mean and 99th percentile of KL(Hugging Face || ours) in nats; and how often both
find the same token most likely.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GPT2Config, GPT2LMHeadModel

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from tiny_models import TinyModel, draw_weights, some_tokens, write_gguf  # noqa: E402

from pygpt2edge import GPT2  # noqa: E402
from pygpt2edge.convert import convert  # noqa: E402

TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0"]
WIDE = TinyModel("wide", 2, 25, 1600, 6400, n_ctx=1024, n_vocab=50257)


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def reference_logits(model: GPT2LMHeadModel, tokens: NDArray[np.int32]) -> NDArray[np.float32]:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(tokens[None].astype(np.int64))).logits[0].numpy()


def report(
    title: str, path: Path, tokens: NDArray[np.int32], expected: NDArray[np.float32]
) -> None:
    found = GPT2(path).logits(tokens.tolist())
    p, q = log_softmax(expected), log_softmax(found)
    kl = (np.exp(p) * (p - q)).sum(axis=1)
    largest = np.abs(found - expected).max() / expected.std()
    same = (p.argmax(axis=1) == q.argmax(axis=1)).mean()
    print(
        f"| {title} | {largest:.1e} | {kl.mean():.1e} | {np.quantile(kl, 0.99):.1e} | {same:.1%} |",
        flush=True,
    )


def wide_model() -> tuple[dict[str, NDArray[np.float32]], GPT2LMHeadModel]:
    weights = draw_weights(WIDE)
    model = GPT2LMHeadModel(GPT2Config(n_embd=1600, n_layer=2, n_head=25))
    state = {f"transformer.{name}": torch.from_numpy(value) for name, value in weights.items()}
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    return weights, model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("text", type=Path, metavar="TEXT")
    args = parser.parse_args()
    checkpoint, text = args.checkpoint, args.text.read_text(encoding="utf-8")
    print("| model | type | largest error | KL mean | KL p99 | same first choice |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        trained = GPT2LMHeadModel.from_pretrained(checkpoint, dtype=torch.float32)
        path, tokens = Path(folder) / "model.gguf", np.zeros(0, np.int32)
        for type in TYPES:
            convert(checkpoint, path, type)
            if tokens.size == 0:
                tokens = np.array(GPT2(path).tokenizer.encode(text[:20_000])[:1024], np.int32)
                expected = reference_logits(trained, tokens)
            report(f"demo | {type}", path, tokens, expected)
        weights, wide = wide_model()
        tokens = some_tokens(WIDE, 256)
        expected = reference_logits(wide, tokens)
        for type in TYPES:
            report(f"1600 wide | {type}", write_gguf(path, WIDE, weights, type), tokens, expected)


if __name__ == "__main__":
    main()
