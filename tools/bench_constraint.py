"""Measures what a constraint costs: the time of a pass, and of a token, beside free text's.

    python tools/bench_constraint.py MODEL [--tokens N] [--rounds N] [--threads N]

Texts of N tokens are written by turns, free and kept to a language, round after round. A language
that never forces a token has passes of one token, as free text has; their times are compared. JSON
has forced tokens too, which cost a pass little; there the time of a token counts. Prints a Markdown
table: passes, tokens, and the medians of the times' ratios.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from pygpt2edge import GPT2, Completion

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
}


def a_pass(text: Completion) -> float:
    return text.timings.decode_s / text.timings.decode_passes


def a_token(text: Completion) -> float:
    return text.timings.decode_s / text.timings.decode_tokens


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    model = GPT2(given.model, n_threads=given.threads)
    print("| language | passes | tokens | time of a pass | time of a token |")
    print("|---|---|---|---|---|")
    for name, language in LANGUAGES.items():
        passes, tokens = [], []
        for seed in range(given.rounds):
            options: dict[str, Any] = {"max_tokens": given.tokens, "seed": seed, "ignore_eos": True}
            free = model.generate("It is a truth", **options)
            found = model.generate("It is a truth", **options, **language)
            passes.append(a_pass(found) / a_pass(free))
            tokens.append(a_token(found) / a_token(free))
        took = found.timings
        print(
            f"| {name} | {took.decode_passes} | {took.decode_tokens} "
            f"| {statistics.median(passes):.3f} | {statistics.median(tokens):.3f} |"
        )


if __name__ == "__main__":
    main()
