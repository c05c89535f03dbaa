"""What llama.cpp calls the ways in which byte-level BPE cuts a text before it merges bytes.

A GGUF names one, and llama.cpp has the patterns.
"""

from __future__ import annotations

from collections.abc import Iterator

from pygpt2edge.tokenizer.json_parts import Json
from pygpt2edge.tokenizer.patterns import DIGIT, GPT2, PATTERNS


def llama_cpp_name(described: Json) -> tuple[str, tuple[str, ...]]:
    """The name for a tokenizer.json's way, and warnings of what llama.cpp will do otherwise."""
    warnings: list[str] = []
    if described.get("normalizer"):
        warnings.append("llama.cpp does not normalize text as this tokenizer does")
    parts = tuple(_parts(described.get("pre_tokenizer")))
    if any(part == "space" for part in parts):
        warnings.append("llama.cpp puts no space before a text, as this tokenizer does")
    cutters = tuple(part for part in parts if part != "space")
    name = next((name for name, pattern in PATTERNS.items() if pattern == cutters), None)
    if name is None:
        warnings.append(
            "llama.cpp has no name for how this tokenizer cuts text, and cuts another way"
        )
    return name or "default", tuple(warnings)


def is_gpt2s(cutter: object) -> bool:
    """Whether a pre_tokenizer cuts as GPT-2's does."""
    return list(_parts(cutter)) == [GPT2]


def _parts(cutter: object) -> Iterator[str]:
    if not isinstance(cutter, dict):
        return
    match cutter.get("type"):
        case "Sequence":
            parts = cutter.get("pretokenizers")
            for part in parts if isinstance(parts, list) else ():
                yield from _parts(part)
        case "ByteLevel":
            if cutter.get("add_prefix_space"):
                yield "space"
            if cutter.get("use_regex", True):
                yield GPT2
        case "Digits" if cutter.get("individual_digits"):
            yield DIGIT
        case "Split" if isinstance(cutter.get("pattern"), dict):
            pattern = next(iter(cutter["pattern"].values()), None)
            is_plain = cutter.get("behavior") == "Isolated" and not cutter.get("invert")
            yield str(pattern) if is_plain else "another"
        case other:
            yield str(other)
