"""Makes tests/data/states: what transformers' hidden states and pipelines give for tiny models.

    pip install torch transformers && python tools/make_states_golden.py

The trunk is tests/data/convert/hugging_face. Each classifier is that trunk with a drawn head;
tests/classifier_models.py makes checkpoints of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2Model,
    pipeline,
)

ROOT = Path(__file__).resolve().parents[1]
TRUNK = ROOT / "tests" / "data" / "convert" / "hugging_face"
OUT = ROOT / "tests" / "data" / "states"

TEXTS = [
    "the cat sat on the mat",
    "nobody",
    " where the weather is",
    "they went\nthere 42",
    "cat — é \U0001f600 hat",
    "hello world<|user|> the",
]
NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TEXT_CLASSIFIERS: dict[str, dict[str, Any]] = {
    "sentiment": {"id2label": {0: "NEGATIVE", 1: "POSITIVE"}},
    "unnamed": {"num_labels": 3, "problem_type": "single_label_classification"},
    "topics": {"id2label": {0: "art", 1: "sea", 2: "war"},
               "problem_type": "multi_label_classification"},
    "rating": {"id2label": {0: "stars"}, "problem_type": "regression"},
    "spam": {"id2label": {0: "spam"}},
}  # fmt: skip
TOKEN_CLASSIFIERS: dict[str, dict[str, Any]] = {"names": {"id2label": dict(enumerate(NAMES))}}


def config_of(changes: dict[str, Any]) -> GPT2Config:
    return GPT2Config.from_pretrained(TRUNK, **changes)


def draw_head(model: torch.nn.Module, linear: torch.nn.Linear, seed: int) -> dict[str, list]:
    """Gives a model the trunk and a drawn head, which it returns."""
    trunk = GPT2Model.from_pretrained(TRUNK, dtype=torch.float32)
    model.transformer.load_state_dict(trunk.state_dict())
    random = np.random.RandomState(seed)
    head = {}
    for name, parameter in linear.named_parameters():
        # Multiples of a power of two, so that any type holds them.
        drawn = random.randint(-64, 65, tuple(parameter.shape)) * 2.0**-7
        parameter.data = torch.tensor(drawn, dtype=torch.float32)
        head[name] = drawn.tolist()
    return head


def plain(value: Any) -> Any:
    """Numbers of numpy as those of JSON."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value.item() if hasattr(value, "item") else value


def make_classifiers(tokenizer: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for seed, (name, changes) in enumerate(TEXT_CLASSIFIERS.items()):
        model = GPT2ForSequenceClassification(config_of(changes)).eval()
        head = draw_head(model, model.score, seed)
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
        made[name] = {
            "module": "score", "head": head, "config": changes,
            "all": [classify(text, top_k=None) for text in TEXTS],
            "best": [classify(text)[0] for text in TEXTS],
            "raw": [classify(text, top_k=None, function_to_apply="none") for text in TEXTS],
        }  # fmt: skip
    for name, changes in TOKEN_CLASSIFIERS.items():
        model = GPT2ForTokenClassification(config_of(changes)).eval()
        head = draw_head(model, model.classifier, 4)
        classify = pipeline("token-classification", model=model, tokenizer=tokenizer)
        made[name] = {
            "module": "classifier", "head": head, "config": changes,
            "none": [classify(text) for text in TEXTS],
            "everything": [classify(text, ignore_labels=[]) for text in TEXTS],
            "simple": [classify(text, aggregation_strategy="simple") for text in TEXTS],
            "simple everything": [
                classify(text, aggregation_strategy="simple", ignore_labels=[]) for text in TEXTS
            ],
        }  # fmt: skip
    return plain(made)


def make_states(tokenizer: Any) -> dict[str, np.ndarray]:
    """Of each text all hidden states, and the last ones pooled as sentence-transformers' Pooling
    defines "mean", "lasttoken" and "weightedmean"."""
    model = GPT2Model.from_pretrained(TRUNK, dtype=torch.float32).eval()
    made = {}
    for i, text in enumerate(TEXTS):
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            states = model(**inputs, output_hidden_states=True).hidden_states
        made[f"states {i}"] = torch.cat(states).numpy()
        last = states[-1][0]
        weights = torch.arange(1, len(last) + 1, dtype=torch.float32)[:, None]
        made[f"mean {i}"] = last.mean(0).numpy()
        made[f"last {i}"] = last[-1].numpy()
        made[f"weighted {i}"] = ((last * weights).sum(0) / weights.sum()).numpy()
    return made


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(TRUNK)
    np.savez_compressed(OUT / "states.npz", **make_states(tokenizer))
    golden = {"texts": TEXTS, "classifiers": make_classifiers(tokenizer)}
    (OUT / "classifiers.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
