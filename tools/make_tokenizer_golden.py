"""Makes tests/data/tokenizer/*.json: texts, and the ids that Hugging Face's tokenizers give them.

    python tools/make_tokenizer_golden.py FOLDER     # needs transformers and tokenizers

FOLDER holds the official vocabulary as OpenAI publishes it: encoder.json and vocab.bpe.

- official.json: the official vocabulary, by transformers' GPT2TokenizerFast.
- trained.json: a vocabulary trained here as people train their own: special tokens come first, then
  the bytes, then the merges, so that ids are not in the order of merging; with added tokens.
- contrived.json: merges that no training would give. A pair that makes a token may be listed, and
  yet never be what makes it; some tokens can never be made at all.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import GPT2TokenizerFast

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "tokenizer"
END_OF_TEXT = "<|endoftext|>"
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # GGUF's token types

# Where tokenizers have gone wrong: spaces of every kind, joined emoji, combining marks, digits that
# are not ASCII, characters whose class is a surprise, contractions, control characters, long runs.
FRAGMENTS = [
    *(" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\x0b", "\x0c", "\x00", "\x1b", "\x1c", "\x7f"),
    *("\x85", "\xa0", "\u1680", "\u180e", "\u2003", "\u200b", "\u200d", "\u2028", "\u2029"),
    *("\u202e", "\u202f", "\u205f", "\u3000", "\ufeff", "\ufffd", "\uffff", "\U0010ffff"),
    *("'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'", "don't", "\u2019s", "''ll"),
    *("\U0001f642", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1f7"),
    *("\U0001f9d1\U0001f3fd\u200d\U0001f680", "\u2764\ufe0f", "#\ufe0f\u20e3"),
    *("\xe9", "e\u0301", "\u0301", "\xdf", "\u01c5", "\xaa", "\u0345", "\u1e9e", "\u0130"),
    *("\u6f22\u5b57", "\u304b\u306a", "\ud55c\uad6d", "\u1112\u1161\u11ab", "\U00020000"),
    *("\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\u0939\u093f\u0928\u094d\u0926\u0940"),
    *("\u0e44\u0e17\u0e22", "\u05e2\u05d1\u05e8\u05d9\u05ea"),
    *("123", "3.14", "1,000", "\u0967\u0968", "\xb2", "\xbd", "\u2167", "\u2460", "0x1F"),
    *("!", "!!!", "...", "\u2026", "--", "\u2014", "_", "a_b", "()", "$", "\u20ac", "\\n", "`"),
    *("Hello", " world", "The quick brown fox", "HTTPServer", "x=1;", "antidisestablishment"),
    *("<|", "|>", END_OF_TEXT, "<|endoftext", "<|END|>", "<user>", "<user", "new york", "new"),
    *("=" * 70, "-" * 33, " " * 65, "\xc3\x82" * 40, "a" * 100, "0" * 50, "\n" * 20),
]
TRAINING_TEXT = (
    "The new tokenizer of New York isn't the old one: it's newer, and they've seen 1234 words. "
    "Low, lower, lowest; new, newer, newest; the widest of the wide. \u00c9t\u00e9, na\u00efve, "
    "\u6f22\u5b57\u6f22\u5b57, \U0001f642\U0001f642\n\n    indented = text + text(the, newest)\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "vocabulary", metavar="FOLDER", type=Path, help="folder of encoder.json and vocab.bpe"
    )
    vocabulary = parser.parse_args().vocabulary
    OUT.mkdir(parents=True, exist_ok=True)
    write("official", official(vocabulary))
    write("trained", trained())
    write("contrived", contrived())


def official(folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as copy:
        shutil.copy(folder / "encoder.json", f"{copy}/vocab.json")
        shutil.copy(folder / "vocab.bpe", f"{copy}/merges.txt")
        tokenizer = GPT2TokenizerFast.from_pretrained(copy)

    def encode(text: str, allow_special: bool) -> list[int]:
        return tokenizer.encode(text, split_special_tokens=not allow_special)

    return {"cases": cases(texts(seed=1, n=150), encode)}


def trained() -> dict[str, Any]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        show_progress=False,
        special_tokens=["<pad>", END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator([TRAINING_TEXT] * 4, trainer)
    # Two added tokens that begin alike, and one inside another.
    added = ["new york", "new york city", "york"]
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in added])

    def encode(text: str, allow_special: bool) -> list[int]:
        tokenizer.encode_special_tokens = not allow_special
        return tokenizer.encode(text).ids

    extra = ["new york city", "in new york citx", "york new york", f"<pad>new{END_OF_TEXT}"]
    return {
        **tables(tokenizer, control={"<pad>", END_OF_TEXT}, user_defined=set(added)),
        "cases": cases([*texts(seed=2, n=60), *extra, TRAINING_TEXT], encode),
    }


def contrived() -> dict[str, Any]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Only "lo|w" is listed; "o|w" comes first, so that "low" is never made.
    merges = [("o", "w"), ("l", "o"), ("lo", "w"), ("e", "r"), ("ow", "er"), ("l", "ower")]
    # Two ways to "abc": the second listed is the one that happens.
    merges += [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")]
    # Runs of one letter, and a part that is made only after the whole is listed.
    merges += [("x", "x"), ("xx", "x"), ("xx", "xx"), ("yz", "z"), ("y", "z")]
    tokens = list(dict.fromkeys([*alphabet, *(left + right for left, right in merges)]))
    model = models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = ["low", "lower", "slow", "lo", "abc", "ab", "aabcc", "x" * 9, "yzz", "yyzzz"]
    chooser = random.Random(3)
    words += ["".join(chooser.choices("lowerabcxyz", k=12)) for _ in range(40)]
    return {
        **tables(tokenizer, control=set(), user_defined=set()),
        "cases": cases(words, lambda text, _: tokenizer.encode(text).ids),
    }


def texts(seed: int, n: int) -> list[str]:
    chooser = random.Random(seed)
    joined = ["".join(chooser.choices(FRAGMENTS, k=chooser.randint(2, 7))) for _ in range(n)]
    return ["", *FRAGMENTS, *joined]


def cases(
    texts: Iterable[str], encode: Callable[[str, bool], list[int]]
) -> list[tuple[str, list[int], list[int]]]:
    """(text, ids with special tokens as plain text, ids with special tokens found)."""
    return [(text, encode(text, False), encode(text, True)) for text in texts]


def tables(tokenizer: Tokenizer, control: set[str], user_defined: set[str]) -> dict[str, Any]:
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(ids, key=ids.__getitem__)
    types = [
        CONTROL if token in control else USER_DEFINED if token in user_defined else NORMAL
        for token in tokens
    ]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return {"tokens": tokens, "token_types": types, "merges": [" ".join(pair) for pair in merges]}


def write(name: str, content: dict[str, Any]) -> None:
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="ascii")
    print(f"{path}: {path.stat().st_size} bytes, {len(content['cases'])} cases")


if __name__ == "__main__":
    main()
