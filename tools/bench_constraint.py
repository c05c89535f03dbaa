"""Measures what a constraint costs, beside free text.

    python tools/bench_constraint.py MODEL [--tokens N] [--rounds N] [--threads N]
    python tools/bench_constraint.py MODEL --draft-model FILE

Texts of N tokens are written by turns, free and kept to a language, round after round. Prints a
Markdown table of medians: passes and tokens; the time of a pass by the clock, relative to free
text's (with languages that force no token, passes are alike); and processor time, which other
programs disturb less: what the mask thread takes for a token, and what the writing thread takes
more than for free text, as shares of free text's. With more than one thread, the writing thread has
only a part of a pass: leave --threads at 1 for those two.

With a draft model, texts of each language are written by turns without it and with it, greedily and
at temperature 0.8. The table then has the tokens of a pass with drafts, the share of drafts that
were accepted, and the median of the speeds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from pygpt2edge import GPT2, Completion
from pygpt2edge.constrain.worker import mask_worker

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "email": {"type": "string", "format": "email"},
        "friends": {"type": "array", "items": {"type": "string", "maxLength": 30}, "minItems": 4},
    },
    "required": ["name", "age", "email", "friends"],
    "additionalProperties": False,
}
LANGUAGES: dict[str, dict[str, Any]] = {
    "any text": {"regex": r"(?s:.*)"},
    "words": {"regex": r"( [A-Za-z]{1,12}[,.]?)*"},
    "lists of words, GBNF": {"grammar": 'root ::= ("- " [a-z ]+ "\\n")+'},
    "any JSON": {"json_schema": {"type": "object"}},
    "JSON of a schema": {"json_schema": PERSON},
    "dates": {
        "regex": "( [A-Z][a-z]+, the [0-9]{1,2}(st|nd|rd|th) of (May|June|July) 18[0-9]{2};)*"
    },
}


Measured = tuple[Completion, float, float]


def measure(model: GPT2, options: dict[str, Any]) -> Measured:
    """A text, and seconds of the writing thread and of the mask thread for each token."""
    masks = mask_worker().begin(time.thread_time).result()
    start = time.thread_time()
    text = model.generate("It is a truth", **options)
    took = time.thread_time() - start
    masks = mask_worker().begin(time.thread_time).result() - masks
    return text, took / len(text.tokens), masks / len(text.tokens)


def a_pass(text: Completion) -> float:
    return text.timings.decode_s / text.timings.decode_passes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--draft-model")
    given = parser.parse_args()
    model = GPT2(given.model, n_threads=given.threads)
    if given.draft_model is None:
        compare_with_free_text(model, given.tokens, given.rounds)
    else:
        draft = GPT2(given.draft_model, n_threads=given.threads)
        compare_drafts(model, draft, given.tokens, given.rounds)


def compare_with_free_text(model: GPT2, n_tokens: int, rounds: int) -> None:
    print("| language | passes | tokens | time of a pass | mask thread | writing thread |")
    print("|---|---|---|---|---|---|")
    for name, language in LANGUAGES.items():
        passes, masks, writing = [], [], []
        model.generate("It is a truth", max_tokens=1, **language)  # the language is read
        for seed in range(rounds):
            options: dict[str, Any] = {"max_tokens": n_tokens, "seed": seed, "ignore_eos": True}
            free, free_s, _ = measure(model, options)
            text, text_s, masks_s = measure(model, options | language)
            passes.append(a_pass(text) / a_pass(free))
            masks.append(masks_s / free_s)
            writing.append((text_s - free_s) / free_s)
        took = text.timings
        print(
            f"| {name} | {took.decode_passes} | {took.decode_tokens} "
            f"| {statistics.median(passes):.2f} | {statistics.median(masks):.1%} "
            f"| {statistics.median(writing):+.1%} |"
        )


def compare_drafts(model: GPT2, draft: GPT2, n_tokens: int, rounds: int) -> None:
    print("| language | temperature | tokens a pass | accepted | speed |")
    print("|---|---|---|---|---|")
    for name, language in LANGUAGES.items():
        for temperature in (0, 0.8):
            ratios, tokens, passes, drafted, accepted = [], 0, 0, 0, 0
            for seed in range(rounds):
                options: dict[str, Any] = {"max_tokens": n_tokens, "seed": seed, "ignore_eos": True}
                options |= {"temperature": temperature} | language
                plain = model.generate("It is a truth", **options)
                found = model.generate("It is a truth", draft_model=draft, **options)
                if found.tokens != plain.tokens:
                    raise SystemExit(f"the text differs: {name}, seed {seed}")
                took = found.timings
                ratios.append(took.decode_tokens_per_s / plain.timings.decode_tokens_per_s)
                tokens, passes = tokens + took.decode_tokens, passes + took.decode_passes
                drafted, accepted = drafted + took.draft_tokens, accepted + took.accepted_tokens
            print(
                f"| {name} | {temperature} | {tokens / passes:.2f} "
                f"| {accepted / max(1, drafted):.0%} | {statistics.median(ratios):.2f} |"
            )


if __name__ == "__main__":
    main()
