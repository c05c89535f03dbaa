"""Conversion with a search for better scales: the same type, a smaller error."""

from __future__ import annotations

import numpy as np
import pytest

from pygpt2edge import _core
from pygpt2edge.convert import convert


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_errors_shrink(data, tmp_path, kind):
    exact, plain, searched = (tmp_path / f"{name}.gguf" for name in ("exact", "plain", "searched"))
    convert(data / "hugging_face", exact, "f32")
    convert(data / "hugging_face", plain, kind, rounding="reference")
    convert(data / "hugging_face", searched, kind)

    def rows(path):
        return _core.GgufFile(str(path)).read_rows("blk.0.ffn_up.weight", 0, 16)

    def error(path):
        return float(np.square(rows(path) - rows(exact)).mean())

    assert error(searched) < error(plain)
    assert plain.stat().st_size == searched.stat().st_size
