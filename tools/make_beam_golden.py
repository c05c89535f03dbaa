"""Makes tests/data/model/beams.json: Hugging Face's beam search on models of tests/tiny_models.py.

pip install torch transformers . && python tools/make_beam_golden.py
"""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

import numpy as np
import torch
from make_model_golden import ROOT, reference_model
from tiny_models import MODELS, TinyModel, some_tokens
from transformers import GenerationConfig, GPT2LMHeadModel

NUM_BEAMS = (2, 4)
PENALTIES = (-1.0, 0.0, 1.0, 2.5)
STOPPING: tuple[bool | str, ...] = (False, True, "never")
MAX_TOKENS = 14


def search(
    reference: GPT2LMHeadModel, prompt: np.ndarray, eos: int | None, options: dict[str, Any]
) -> list[dict[str, Any]]:
    """The num_beams best texts: their tokens, without the end-of-text token, and scores."""
    inputs = torch.from_numpy(prompt[None].astype(np.int64))
    config = GenerationConfig(
        **options, num_return_sequences=options["num_beams"], max_new_tokens=MAX_TOKENS,
        do_sample=False, eos_token_id=eos, pad_token_id=eos or 0, output_scores=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    out = reference.generate(
        inputs, attention_mask=torch.ones_like(inputs), generation_config=config
    )
    return [
        {"tokens": row[: row.index(eos)] if eos in row else row, "score": round(float(score), 6)}
        for row, score in zip(
            out.sequences[:, len(prompt) :].tolist(), out.sequences_scores, strict=True
        )
    ]


def cases(model: TinyModel, reference: GPT2LMHeadModel, eos: int | None) -> list[dict[str, Any]]:
    """A search for every choice of options."""
    prompt = some_tokens(model, 9, seed=3)
    found = []
    for num_beams, penalty, stopping in itertools.product(NUM_BEAMS, PENALTIES, STOPPING):
        options = {
            "num_beams": num_beams, "length_penalty": penalty, "early_stopping": stopping,
        }  # fmt: skip
        texts = search(reference, prompt, eos, options)
        known = {"model": model.name, "prompt": prompt.tolist(), "eos": eos}
        found.append({**known, "max_tokens": MAX_TOKENS, **options, "texts": texts})
    return found


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = []
    for name in ("plain", "odd-heads"):
        model = MODELS[name]
        reference = reference_model(model)
        plain = cases(model, reference, None)
        # Tokens of texts that are found where none ends: with one of them for the end, some do.
        best, *_, last = plain[-1]["texts"]
        for eos in sorted({best["tokens"][2], last["tokens"][6]}):
            found += cases(model, reference, eos)
        found += plain[::5]
    path = ROOT / "tests" / "data" / "model" / "beams.json"
    path.write_text("[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n", encoding="ascii")
    texts = [text for case in found for text in case["texts"]]
    n_ended = sum(len(text["tokens"]) < MAX_TOKENS for text in texts)
    print(f"{len(found)} searches; {n_ended} of their {len(texts)} texts end early")


if __name__ == "__main__":
    main()
