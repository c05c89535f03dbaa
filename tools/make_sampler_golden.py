"""Makes tests/data/sampler/*.json: what the samplers of other libraries leave of a distribution.

pip install torch transformers && python tools/make_sampler_golden.py transformers
pip install llama-cpp-python && python tools/make_sampler_golden.py llama_cpp

A case has logits, a prompt, the tokens generated so far, options by this package's names, and the
probabilities of the tokens that are left, in the order of their ids.
"""

from __future__ import annotations

import argparse
import ctypes
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
N_VOCAB = 48
EOS = 47
Case = dict[str, Any]

REPETITIVE = [3, 5, 7, 3, 5, 9, 3, 5]
TRANSFORMERS: list[Case] = [
    *({"options": {"repetition_penalty": p}} for p in (0.7, 1.3, 2.0)),
    *({"options": {"no_repeat_ngram_size": n}} for n in (1, 2, 3, 4)),
    *({"options": {"typical_p": p, "temperature": t}} for p in (0.2, 0.6, 0.95)
      for t in (1.0, 2.0)),
    *({"options": {"min_p": p, "temperature": t}} for p in (0.02, 0.3) for t in (1.0, 2.0)),
    *({"options": {"top_k": k, "top_p": p}} for k in (0, 5, 20) for p in (0.5, 0.9)),
    {"options": {"top_k": 20, "top_p": 0.95, "min_p": 0.1, "temperature": 1.7}},
    {"options": {"top_k": 30, "top_p": 0.97, "typical_p": 0.8, "temperature": 1.4}},
    {"options": {"suppress_tokens": [1, 4, 30]}},
    {"options": {"begin_suppress_tokens": [1, 4, 30]}},
    {"options": {"begin_suppress_tokens": [1, 4, 30]}, "generated": []},
    {"options": {"forced_first_token": 11}, "prompt": [2], "generated": []},
    {"options": {"min_tokens": 3}},
    {"options": {"min_tokens": 9}},
    {"options": {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2, "suppress_tokens": [8],
                 "min_tokens": 9, "top_k": 12, "top_p": 0.9, "temperature": 0.7}},
]  # fmt: skip
LLAMA_CPP: list[Case] = [
    *({"options": {"dry_multiplier": 0.8, "dry_sequence_breakers": [], **more}}
      for more in ({}, {"dry_base": 1.1}, {"dry_allowed_length": 1}, {"dry_allowed_length": 3},
                   {"dry_penalty_last_n": 5}, {"dry_penalty_last_n": 6})),
    {"options": {"dry_multiplier": 0.8}, "generated": [40, 41, 25, 40, 42, 33, 40, 41, 25, 40, 42]},
    {"options": {"dry_multiplier": 0.8}, "generated": [40, 41, 42, 33, 25, 40, 41, 42]},
    *({"options": {"xtc_probability": 1.0, "xtc_threshold": t, "temperature": 1.5}}
      for t in (0.01, 0.05, 0.1, 0.3, 0.6)),
    {"options": {"xtc_probability": 1.0, "xtc_threshold": 0.05, "top_k": 10}},
    *({"options": {"frequency_penalty": f, "presence_penalty": p, "penalty_last_n": n}}
      for f, p, n in ((0.5, 0.0, -1), (0.0, 1.2, -1), (-0.7, 0.4, -1), (0.5, 1.2, 4),
                      (0.5, 1.2, 0))),
    *({"options": {"repetition_penalty": 1.4, "penalty_last_n": n}} for n in (-1, 3)),
    {"options": {"repetition_penalty": 1.4, "frequency_penalty": 0.3, "presence_penalty": 0.6}},
    *({"options": {"typical_p": p, "temperature": 1.3}} for p in (0.2, 0.6, 0.95)),
    {"options": {"top_k": 12, "top_p": 0.9, "min_p": 0.05}},
]  # fmt: skip


def some_logits() -> list[list[float]]:
    """Rows with both signs, peaked and flat. No two numbers of a row are equal: of equal ones
    transformers keeps all where top_k, top_p or typical_p ends, this package the lower ids."""
    random = np.random.default_rng(7)
    rows = [np.unique(random.normal(0, scale, 2 * N_VOCAB).round(4)) for scale in (3.0, 0.4, 1.5)]
    return [random.permutation(row)[:N_VOCAB].tolist() for row in rows]


def kept(scores: Sequence[float]) -> list[tuple[int, float]]:
    """The tokens that are not banned, with their probabilities."""
    logits = np.array(scores, np.float64)
    weights = np.exp(logits - logits.max())
    probabilities = weights / weights.sum()
    return [(i, round(float(p), 8)) for i, p in enumerate(probabilities) if logits[i] > -np.inf]


# ---- transformers ----

# What transformers calls an option that it has under another name.
RENAMED = {"min_tokens": "min_new_tokens", "forced_first_token": "forced_bos_token_id"}


def with_transformers() -> Callable[[list[float], Case], list[float]]:
    """The processors of `generate`, in its order."""
    import torch
    from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, LogitsProcessorList

    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=N_VOCAB))

    def scores(logits: list[float], case: Case) -> list[float]:
        options = {"top_k": 0, "do_sample": True} | {
            RENAMED.get(name, name): value for name, value in case["options"].items()
        }
        config = GenerationConfig(**options, eos_token_id=EOS, pad_token_id=EOS)
        model._prepare_special_tokens(config, device="cpu")
        processors = model._get_logits_processor(
            generation_config=config,
            input_ids_seq_length=len(case["prompt"]),
            logits_processor=LogitsProcessorList(),
            device="cpu",
        )
        tokens = torch.tensor([case["prompt"] + case["generated"]])
        out: list[float] = processors(tokens, torch.tensor([logits])).double()[0].tolist()
        return out

    return scores


# ---- llama.cpp ----


def with_llama_cpp() -> Callable[[list[float], Case], list[float]]:
    """The samplers of libllama, the vocabulary that of the demo model."""
    import llama_cpp as ll

    params = ll.llama_model_default_params()
    params.vocab_only = True
    demo = ROOT / "pygpt2edge" / "data" / "demo.gguf"
    model = ll.llama_model_load_from_file(str(demo).encode(), params)
    vocab = ll.llama_model_get_vocab(model)

    def samplers(o: dict[str, Any]) -> list[Any]:
        found = []
        if {"repetition_penalty", "frequency_penalty", "presence_penalty"} & set(o):
            # -1 is replaced by the context's size before it gets there.
            last_n = o.get("penalty_last_n", -1)
            found.append(
                ll.llama_sampler_init_penalties(
                    N_VOCAB, 1024 if last_n == -1 else last_n, o.get("repetition_penalty", 1.0),
                    o.get("frequency_penalty", 0.0), o.get("presence_penalty", 0.0),
                )
            )  # fmt: skip
        if "dry_multiplier" in o:
            breakers = o.get("dry_sequence_breakers", ["\n", ":", '"', "*"])
            texts = (ctypes.c_char_p * len(breakers))(*(text.encode() for text in breakers))
            found.append(
                ll.llama_sampler_init_dry(
                    vocab, o["dry_multiplier"], o.get("dry_base", 1.75),
                    o.get("dry_allowed_length", 2), o.get("dry_penalty_last_n", 1024), texts,
                    len(breakers),
                )
            )  # fmt: skip
        found.append(ll.llama_sampler_init_temp(o.get("temperature", 1.0)))
        for name in ("top_k", "top_p", "min_p", "typical_p"):
            if name in o:
                kind = "typical" if name == "typical_p" else name
                make = getattr(ll, f"llama_sampler_init_{kind}")
                found.append(make(o[name]) if name == "top_k" else make(o[name], 0))
        if "xtc_probability" in o:
            found.append(ll.llama_sampler_init_xtc(o["xtc_probability"], o["xtc_threshold"], 0, 1))
        return found

    def scores(logits: list[float], case: Case) -> list[float]:
        data = (ll.llama_token_data * N_VOCAB)(
            *(ll.llama_token_data(i, logit, 0.0) for i, logit in enumerate(logits))
        )
        array = ll.llama_token_data_array(data, N_VOCAB, -1, False)
        for sampler in samplers(case["options"]):
            for token in case["prompt"] + case["generated"]:
                ll.llama_sampler_accept(sampler, token)
            ll.llama_sampler_apply(sampler, ctypes.byref(array))
            ll.llama_sampler_free(sampler)
        out = [-np.inf] * N_VOCAB
        for i in range(array.size):
            out[array.data[i].id] = array.data[i].logit
        return out

    return scores


LIBRARIES = {
    "transformers": (with_transformers, TRANSFORMERS),
    "llama_cpp": (with_llama_cpp, LLAMA_CPP),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library", choices=LIBRARIES)
    library = parser.parse_args().library
    make, cases = LIBRARIES[library]
    scores = make()
    rows = some_logits()
    found = []
    for i, case in enumerate(cases):
        # llama.cpp's frequency and presence penalties count the prompt, ours do not.
        prompt = [2, 3, 5] if library == "transformers" else []
        whole = {"prompt": prompt, "generated": REPETITIVE, **case, "logits": i % len(rows)}
        found.append(whole | {"kept": kept(scores(rows[whole["logits"]], whole))})
    path = ROOT / "tests" / "data" / "sampler" / f"{library}.json"
    path.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(case) for case in found)
    path.write_text(f'{{"logits": {json.dumps(rows)},\n"eos": {EOS},\n"cases": [\n{lines}\n]}}\n')
    print(f"{path.relative_to(ROOT)}: {len(found)} cases")


if __name__ == "__main__":
    main()
