"""How byte-level BPE cuts a text before it merges bytes, by the names that llama.cpp has for it.

Source: llama.cpp's code of vocabularies.
"""

from __future__ import annotations

from pygpt2edge.tokenizer.json_parts import Json

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_OTHERS = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"

# What cuts, one after another: a pattern, or DIGIT for each by itself.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
DIGIT = "digit"
PATTERNS: dict[str, tuple[str, ...]] = {
    "gpt-2": (GPT2,),
    "starcoder": (DIGIT, GPT2),
    "llama-bpe": (rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_OTHERS}",),
    "qwen2": (rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}|{_OTHERS}",),
}


def pre_tokenizer(name: str) -> Json:
    """The part of a tokenizer.json that cuts so."""
    return {
        "type": "Sequence",
        "pretokenizers": [*map(_part, PATTERNS[name]), byte_level(is_cut=False)],
    }


def _part(cutter: str) -> Json:
    if cutter == DIGIT:
        return {"type": "Digits", "individual_digits": True}
    return {"type": "Split", "pattern": {"Regex": cutter}, "behavior": "Isolated", "invert": False}


def byte_level(*, is_cut: bool) -> Json:
    """Bytes to GPT-2's characters for them and back; cut by its pattern, or as it is."""
    return {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": is_cut
    }  # fmt: skip
