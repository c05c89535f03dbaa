"""Makes csrc/tokenize/unicode_tables.h, of the Unicode version that is installed as unicodedata2.

    python tools/make_unicode_tables.py

The version is to be that of tiktoken's regular expressions (unicodedata2 16.0.0), so that text is
cut at the same places; tests/tokenizer/test_unicode_classes.py compares all characters. It needs
clang-format. The table has an entry for every code point whose class is not that of the one before
it.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import unicodedata2 as unicodedata

OUT = Path(__file__).resolve().parent.parent / "csrc" / "tokenize" / "unicode_tables.h"

CLASSES = {"L": 1, "M": 2, "N": 3}  # CharacterClass, by the first letter of the category
OTHER, SPACE = 0, 4
CLASS_BITS = 3
LAST_CODE = 0x10FFFF
# Python counts the information separators as space, Unicode's White_Space does not.
SEPARATORS = "\x1c\x1d\x1e\x1f"

HEADER = f"""\
// Made by tools/make_unicode_tables.py from Unicode {unicodedata.unidata_version}.
#pragma once

#include <cstdint>

namespace gpt2edge::unicode_tables {{

inline constexpr uint32_t kLastCode = 0x{LAST_CODE:X};
inline constexpr int kClassBits = {CLASS_BITS};
inline constexpr uint32_t kClassMask = {(1 << CLASS_BITS) - 1};

// Ascending; each is the first code point of a range, shifted left by kClassBits, and the
// CharacterClass of the range. It ends before the next one.
inline constexpr uint32_t kRanges[] = {{
"""
FOOTER = "};\n\n}  // namespace gpt2edge::unicode_tables\n"


def class_of(character: str) -> int:
    if character.isspace() and character not in SEPARATORS:
        return SPACE
    return CLASSES.get(unicodedata.category(character)[0], OTHER)


def ranges() -> list[int]:
    found: list[int] = []
    before = None
    for code in range(LAST_CODE + 1):
        now = class_of(chr(code))
        if now != before:
            found.append(code << CLASS_BITS | now)
        before = now
    return found


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    text = HEADER + ",".join(f"0x{entry:06X}" for entry in ranges()) + FOOTER
    formatted = subprocess.run(
        ["clang-format", f"--assume-filename={OUT}"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    OUT.write_text(formatted.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
