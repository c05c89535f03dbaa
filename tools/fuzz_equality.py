"""Looks for a difference where the project promises none, with random inputs.

    python tools/fuzz_equality.py [kernels] [texts] [requests] [--seconds N] [--seed N]

Each part runs for N seconds, all three by default, and prints a JSON object:

* kernels: each kernel of each instruction set of this machine over random shapes, types and rows,
  against the naive loops of tests/cpp (builds and runs test_random_kernels; needs a compiler).
* texts: random texts, by both encoders of the package and by tiktoken's gpt2. With
  `--vocabulary FOLDER`, tiktoken's is made of the official encoder.json and vocab.bpe there.
* requests: random requests to an engine, some of which are cancelled, against each text alone.
  `--requests N` makes so many, however long they take. `resident_mb` are the most resident
  bytes of each tenth of the run.

The same seed draws the same inputs. Exits with 1 where there is a difference.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import tiktoken
from checkout_build import build_checkout
from tiktoken.load import data_gym_to_mergeable_bpe_ranks

from pygpt2edge import GPT2, Completion, Engine, Request, demo_model_path
from pygpt2edge.loaded_model import tokenizer_of

ROOT = Path(__file__).resolve().parents[1]
Found = dict[str, Any]


def batched(numbers: list[float], n: int) -> Iterator[list[float]]:
    for first in range(0, len(numbers), n):
        yield numbers[first : first + n]


def until(end: float) -> Iterator[int]:
    """Numbers, until that time."""
    for i in itertools.count():
        if time.monotonic() >= end:
            return
        yield i


# ---- kernels ----


def kernels(given: argparse.Namespace) -> Found:
    build_checkout(given.build, ["test_random_kernels"])
    program = given.build / "tests" / "cpp" / "test_random_kernels"
    command = [program, str(given.seconds), str(given.seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    *told, rounds, checks = done.stdout.splitlines()
    if told:
        print("\n".join(told), file=sys.stderr)
    return {
        "rounds": int(rounds.split()[0]),
        "comparisons": int(checks.split()[0]),
        "different": int(done.returncode != 0),
    }


# ---- texts ----

PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
END = "<|endoftext|>"
# Where cutting goes wrong more often than chance would have it.
ODD = [
    " ", "  ", "\n", "\r\n", "\t", "\v", "\f", "\x00", "\x1c", "\x85", "\xa0", "\u1680", "\u180e",
    "\u200b", "\u2028", "\u3000", "\ufeff", "\ufffd", "'s", "'S", "'ll", "'re", "''", "don't", "12",
    "\u0663", "\u00bd", "e\u0301", "\u6f22", "\U0001f469\u200d\U0001f467", "!?", END, END[:-1],
    "|>", "\ud800", "\udfff", "\U0010ffff",
]  # fmt: skip
RANGES = [(0, 0x20), (0x20, 0x7F), (0x7F, 0x250), (0x250, 0x3000), (0x3000, 0x10000),
          (0x10000, 0x20000), (0xE0000, 0xE0200), (0, 0x110000)]  # fmt: skip


def random_text(draw: random.Random) -> str:
    parts = []
    for _ in range(draw.randint(0, 12)):
        kind = draw.random()
        if kind < 0.4:
            parts.append(draw.choice(ODD))
        elif kind < 0.45:  # a long run
            parts.append(draw.choice([*ODD, "a", "ab", "7"]) * draw.randint(2, 300))
        else:
            low, high = draw.choice(RANGES)
            parts.append("".join(chr(draw.randrange(low, high)) for _ in range(draw.randint(1, 9))))
    return "".join(parts)


def reference(vocabulary: Path | None) -> tiktoken.Encoding:
    tokenizer = tokenizer_of(demo_model_path())
    if vocabulary is not None:
        ranks = data_gym_to_mergeable_bpe_ranks(
            vocab_bpe_file=str(vocabulary / "vocab.bpe"),
            encoder_json_file=str(vocabulary / "encoder.json"),
        )
    else:
        ranks = {tokenizer.token_bytes(i): i for i in range(tokenizer.n_vocab - 1)}
    return tiktoken.Encoding(
        "gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={END: 50256}
    )


def texts(given: argparse.Namespace) -> Found:
    draw, other = random.Random(given.seed), reference(given.vocabulary)
    tokenizer = tokenizer_of(demo_model_path())
    found: Counter[str] = Counter(different=0)
    for _ in until(time.monotonic() + given.seconds):
        text = random_text(draw)
        if draw.random() < 0.2:  # bytes that are no text
            data = bytearray(text.encode("utf-8", "surrogatepass"))
            for _ in range(draw.randint(1, 5)):
                at = draw.randrange(len(data) + 1)
                data[at : at + draw.randint(0, 2)] = draw.randbytes(draw.randint(0, 3))
            given_to_core: str | bytes = bytes(data)
            text = bytes(data).decode("utf-8", "replace")
        else:  # half pairs are read as tiktoken reads them
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            given_to_core = text
        special = draw.random() < 0.5
        expected = other.encode(
            text, allowed_special="all" if special else set(), disallowed_special=()
        )
        found["texts"] += 1
        found["characters"] += len(text)
        found["tokens"] += len(expected)
        if not (
            expected
            == tokenizer.encode(text, allow_special=special)
            == tokenizer.core.encode(given_to_core, special)
            and tokenizer.decode_bytes(expected) == text.encode()
        ):
            found["different"] += 1
            coded = base64.b64encode(text.encode()).decode()
            print(f"texts: differs, in base64: {coded}", file=sys.stderr)
    return dict(found)


# ---- requests ----

N_CTX = 256
BEGINNING = "It is a truth universally acknowledged, that"
PROMPTS = ["", "The", "Once upon a time", BEGINNING, BEGINNING + " a single man", BEGINNING * 9,
           "one two one two one two one"]  # fmt: skip
CONSTRAINTS: list[dict[str, Any]] = [
    {"regex": "[a-z ]+"}, {"regex": r"(yes|no)!"},
    {"json_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
]  # fmt: skip
KINDS = 300  # of requests: what each is alone is computed once
SO_MANY_AT_ONCE = 48


def random_options(draw: random.Random) -> dict[str, Any]:
    def sometimes(chance: float, **options: list[Any]) -> dict[str, Any]:
        return {n: draw.choice(v) for n, v in options.items() if draw.random() < chance}

    options: dict[str, Any] = {"seed": draw.randrange(1 << 32), "max_tokens": draw.choice(
        [0, 1, 2, 5, 9, 17, 30]
    )}  # fmt: skip
    options |= sometimes(0.3, temperature=[0, 0.3, 0.8, 1.5], top_k=[0, 1, 40], top_p=[0.3, 0.9])
    options |= sometimes(
        0.12, min_p=[0.02, 0.2], typical_p=[0.5, 0.9], repetition_penalty=[0.9, 1.3],
        frequency_penalty=[0.5], presence_penalty=[-0.5, 1], no_repeat_ngram_size=[2, 3],
        dry_multiplier=[0.8], xtc_probability=[0.5], logprobs=[1, 4], stop=["the", (" a", ",")],
        min_tokens=[3], ignore_eos=[True], prompt_lookup=[True], logit_bias=[{262: 5.0}],
        suppress_tokens=[(262, 11)],
    )  # fmt: skip
    if draw.random() < 0.1:
        options |= {"context_overflow": "slide", "keep": draw.choice([0, 3]), "discard": 180,
                    "max_tokens": draw.choice([40, 300]), "ignore_eos": True}  # fmt: skip
    elif draw.random() < 0.1 and not options.get("prompt_lookup"):
        options |= draw.choice(CONSTRAINTS)
    return options


def parts_of(text: Completion) -> tuple[object, ...]:
    return (text.text, text.tokens, text.finish_reason, text.stop_string, text.logprobs)


class Alone:
    """Requests of some kinds, and what each text is by itself."""

    def __init__(self, model: GPT2, draw: random.Random) -> None:
        self._model = model
        self.kinds = [(draw.choice(PROMPTS), random_options(draw)) for _ in range(KINDS)]
        self._known: dict[int, Completion] = {}

    def text(self, kind: int) -> Completion:
        if kind not in self._known:
            prompt, options = self.kinds[kind]
            self._known[kind] = self._model.generate(prompt, **options)
        return self._known[kind]

    def is_same(self, kind: int, found: Completion) -> bool:
        expected = self.text(kind)
        if found.finish_reason == "cancelled":
            return found.tokens == expected.tokens[: len(found.tokens)]
        return parts_of(found) == parts_of(expected)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * 4096 / 1e6, 1)


def requests(given: argparse.Namespace) -> Found:
    draw = random.Random(given.seed)
    model = GPT2(n_threads=2, n_ctx=N_CTX)
    alone = Alone(model, draw)
    found: Counter[str] = Counter(different=0, cancelled=0)
    resident = []
    end = time.monotonic() + given.seconds

    def check(kind: int, request: Request) -> None:
        text = request.result()
        found["requests"] += 1
        found["tokens"] += len(text.tokens)
        found["cancelled"] += text.finish_reason == "cancelled"
        if not alone.is_same(kind, text):
            found["different"] += 1
            print(f"requests: differs: {alone.kinds[kind]}", file=sys.stderr)

    def check_several(kind: int) -> None:
        """n texts of one prompt have the seeds that follow on the first."""
        prompt, options = alone.kinds[kind]
        for i, text in enumerate(model.generate(prompt, n=3, **options)):
            own = model.generate(prompt, **options | {"seed": options["seed"] + i})
            found["several"] += 1
            if parts_of(text) != parts_of(own):
                found["different"] += 1
                print(f"requests: text {i} differs: {alone.kinds[kind]}", file=sys.stderr)

    def goes_on() -> bool:
        if given.requests is not None:
            return found["requests"] < given.requests
        return time.monotonic() < end

    while goes_on():
        # An engine's life: few or many texts in a batch, and room for few or for all.
        with Engine(
            model, max_batch=draw.choice([1, 3, 8, 16]), keep_prefixes=draw.random() < 0.7,
            cache_bytes=draw.choice([4, 12, 60]) * model.memory["cache"],
        ) as engine:  # fmt: skip
            for _ in range(10):
                drawn = [draw.randrange(KINDS) for _ in range(draw.randint(1, SO_MANY_AT_ONCE))]
                running = []
                for kind in drawn:
                    prompt, options = alone.kinds[kind]
                    running.append((kind, engine.submit(prompt, **options)))
                    if draw.random() < 0.2:  # of any that runs or waits
                        draw.choice(running)[1].cancel()
                    if draw.random() < 0.1:
                        time.sleep(draw.random() * 0.01)
                for kind, request in running:
                    if draw.random() < 0.1:
                        next(request, None)
                        request.cancel()
                    check(kind, request)
                if not goes_on():
                    break
        check_several(draw.randrange(KINDS))
        resident.append(resident_mb())
    tenth = max(1, len(resident) // 10)
    return {**found, "resident_mb": [max(part) for part in batched(resident, tenth)]}


PARTS: dict[str, Callable[[argparse.Namespace], Found]] = {
    "kernels": kernels, "texts": texts, "requests": requests,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--vocabulary", type=Path)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "equality")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part is named {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    is_equal = True
    for part in given.parts or PARTS:
        start = time.monotonic()
        found = PARTS[part](given)
        is_equal = is_equal and not found["different"]
        seconds = round(time.monotonic() - start, 1)
        print(json.dumps({"part": part, "seconds": seconds, **found}), flush=True)
    sys.exit(not is_equal)


if __name__ == "__main__":
    main()
