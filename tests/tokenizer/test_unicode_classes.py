"""The core's classes of characters, and those that Python has."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from pygpt2edge import _core

SAME_VERSION = pytest.mark.skipif(
    unicodedata.unidata_version != _core.unicode_version(),
    reason=f"the core has Unicode {_core.unicode_version()}, this Python has "
    f"{unicodedata.unidata_version}",
)
NAMES = {"L": "letter", "M": "mark", "N": "number"}


@SAME_VERSION
def test_all_code_points() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        # Python counts the separators of files, groups, records and units as space.
        is_space = character.isspace() and not "\x1c" <= character <= "\x1f"
        category = unicodedata.category(character)[0]
        found = _core.character_class(code)
        assert found == ("space" if is_space else NAMES.get(category, "other")), hex(code)
        assert (found in ("letter", "number")) == character.isalnum(), hex(code)


def test_what_is_no_code_point() -> None:
    assert _core.character_class(sys.maxunicode + 1) == "other"
