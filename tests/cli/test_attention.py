"""`pygpt2edge attention` and the page and picture it draws."""

from __future__ import annotations

import base64
import json
import re
import struct
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from pygpt2edge import GPT2
from pygpt2edge.inspect import attention_map

from .conftest import Run, one_line_error

TEXT = "In the beginning God created the heaven and the earth."
HOSTILE = "</script><b onclick=x>'\"&amp; $codes ${shape} $$ end\n\n  of\tit \U0001f913"


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2()


class Page(HTMLParser):
    """The page as a browser takes it apart: its elements, its words and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._into: list[str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        is_word = tag == "span" and ("role", "option") in attrs
        self._into = self.words if is_word else self.scripts if tag == "script" else None
        if self._into is not None:
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data


def decoded(page: Page) -> NDArray[np.float64]:
    """The page's weights, read as its script reads them."""
    found = re.search(r"= \[(\d+), (\d+), (\d+)\];", page.scripts[1])
    assert found
    n_layers, n_heads, n = map(int, found.groups())
    codes = base64.b64decode(page.scripts[0], validate=True)
    weights, at = np.zeros((n_layers, n_heads, n, n)), 0
    for row, i in ((row, i) for row in weights.reshape(-1, n, n) for i in range(n)):
        largest = int.from_bytes(codes[at : at + 2], "little") / 65535
        shares = np.frombuffer(codes, np.uint8, i + 1, at + 2)
        row[i, : i + 1] = shares / 255 * largest
        at += 3 + i
    assert at == len(codes)
    return weights


def test_the_table_has_the_tokens_each_looks_at_most(run: Run, model: GPT2) -> None:
    done = run("attention", TEXT, "--layer", "2", "--head", "1", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["token", "looks", "at", "(layer", "2,", "head", "1)"]
    weights = model.attention(TEXT, layers=[2])[0, 1]
    pieces = [model.tokenizer.decode([token]) for token in model.tokenizer.encode(TEXT)]
    assert len(lines) == len(pieces)
    for i, (line, row) in enumerate(zip(lines, weights, strict=True)):
        first, second = ([*np.argsort(-row[: i + 1], kind="stable"), None])[:2]
        expected = f"{row[first]:.2f} {pieces[first]!r}"
        if second is not None:
            expected += f"  {row[second]:.2f} {pieces[second]!r}"
        assert re.match(rf" *{i}  {re.escape(repr(pieces[i]))} +{re.escape(expected)}", line)


@pytest.mark.parametrize("layer", [None, 3])
@pytest.mark.parametrize("head", [None, 1])
def test_json_has_one_layer_and_head_or_their_mean(
    run: Run, model: GPT2, layer: int | None, head: int | None
) -> None:
    options = [f"--{k}={v}" for k, v in (("layer", layer), ("head", head)) if v is not None]
    done = run("attention", TEXT, "--json", *options)
    assert done.stderr == ""
    result = json.loads(done.stdout)
    weights = model.attention(TEXT)
    weights = weights.mean(axis=0) if layer is None else weights[layer]
    expected = weights.mean(axis=0) if head is None else weights[head]
    assert (result["layer"], result["head"]) == (layer, head)
    assert result["tokens"] == model.tokenizer.encode(TEXT)
    assert "".join(result["pieces"]) == TEXT
    assert [len(row) for row in result["weights"]] == list(range(1, len(expected) + 1))
    for i, row in enumerate(result["weights"]):
        assert np.allclose(row, expected[i, : i + 1], atol=1e-6)


def test_stdin_is_read_and_its_last_newline_dropped(run: Run) -> None:
    expected = json.loads(run("attention", TEXT, "--json").stdout)
    for arguments in (["-"], []):
        assert (
            json.loads(run("attention", "--json", *arguments, input=f"{TEXT}\n").stdout) == expected
        )


def test_an_empty_text_is_the_token_that_starts_one(run: Run, model: GPT2) -> None:
    result = json.loads(run("attention", "", "--json").stdout)
    assert result["tokens"] == [model.tokenizer.eos_token]
    assert result["weights"] == [[1.0]]


def test_the_page_holds_the_weights(run: Run, tmp_path: Path, model: GPT2) -> None:
    done = run("attention", TEXT, "-o", "map.html")
    assert (done.returncode, done.stdout) == (0, "")
    assert "map.html: mean of 6 layers, mean of 4 heads, 11 tokens" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["map.html"]
    page = Page((tmp_path / "map.html").read_text(encoding="utf-8"))
    weights = model.attention(TEXT)
    # Half a step of 255 up to the largest weight of a row, and half a step of that one's.
    tolerance = weights.max(axis=3, keepdims=True) / 509 + 1e-5
    assert (np.abs(decoded(page) - weights) <= tolerance).all()
    assert page.words == TEXT.replace(".", " .").split()
    assert page.tags.count("select") == 2


@pytest.mark.parametrize(
    ("options", "selectors", "layers", "heads"),
    [(["--layer=1"], ["head"], [1], [0, 1, 2, 3]), (["--head=2"], ["layer"], range(6), [2]),
     (["--layer=1", "--head=2"], [], [1], [2])],
)  # fmt: skip
def test_the_page_selects_what_was_not_chosen(
    run: Run, tmp_path: Path, model: GPT2, options: list[str], selectors: list[str],
    layers: Sequence[int], heads: Sequence[int],
) -> None:  # fmt: skip
    run("attention", TEXT, "-o", "map.html", *options)
    page = Page((tmp_path / "map.html").read_text(encoding="utf-8"))
    ids = [value for name, value in page.attributes if name == "id"]
    assert [noun for noun in ("layer", "head") if noun in ids] == selectors
    expected = model.attention(TEXT)[list(layers)][:, list(heads)]
    assert decoded(page).shape == expected.shape
    assert np.abs(decoded(page) - expected).max() < 3e-3


def test_hostile_text_stays_text(run: Run, tmp_path: Path, model: GPT2) -> None:
    run("attention", TEXT, "-o", "plain.html")
    run("attention", HOSTILE, "-o", "hostile.html")
    plain, hostile = (
        Page((tmp_path / name).read_text(encoding="utf-8"))
        for name in ("plain.html", "hostile.html")
    )
    assert set(hostile.tags) == set(plain.tags) | {"br"}  # of the text's line breaks
    assert {name for name, _ in hostile.attributes} == {name for name, _ in plain.attributes}
    shape = r"= \[\d+, \d+, \d+\];"
    assert re.sub(shape, "", hostile.scripts[1]) == re.sub(shape, "", plain.scripts[1])
    assert len(hostile.words) == len(model.tokenizer.encode(HOSTILE))
    joined = "".join(hostile.words)
    assert joined.startswith("</script><bonclick=x>'\"&amp;$codes${shape}$$end")
    assert "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}" in joined
    assert r"\xf0\x9f" in joined  # a part of a character


def test_the_page_asks_the_network_for_nothing(run: Run, tmp_path: Path) -> None:
    run("attention", TEXT, "-o", "map.html")
    text = (tmp_path / "map.html").read_text(encoding="utf-8")
    names = {name for name, _ in Page(text).attributes}
    assert not names & {"src", "href", "srcset", "action", "data"}
    assert not re.search(r"https?:|url\(|@import|fetch\(", text)
    assert "default-src 'none'" in text


def test_a_page_that_is_too_large_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_bytes = 4 * 24 * (2 * 11 + 66) // 3
    monkeypatch.setattr(attention_map, "MAX_PAGE_BYTES", n_bytes - 1)
    error = one_line_error(run("attention", TEXT, "-o", "map.html"), 1)
    assert "11 tokens in 6 layers" in error
    assert "--layer" in error
    assert not list(tmp_path.iterdir())
    assert run("attention", TEXT, "-o", "map.html", "--layer", "1").returncode == 0


@pytest.mark.parametrize("text", [TEXT, HOSTILE, TEXT * 9], ids=["plain", "hostile", "long"])
def test_the_picture(run: Run, tmp_path: Path, text: str) -> None:
    done = run("attention", text, "-o", "map.png", "--layer", "2")
    assert (done.returncode, done.stdout) == (0, "")
    assert "layer 2, mean of 4 heads" in done.stderr
    data = (tmp_path / "map.png").read_bytes()
    assert data[:16] == b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    width, height = struct.unpack(">II", data[16:24])
    assert 400 < height < width < 2300
    assert data[-8:-4] == b"IEND"


def test_the_picture_shows_the_weights() -> None:
    def blackness(weights: NDArray[np.float64]) -> float:
        shown = attention_map.AttentionMap(
            "m", [1] * 12, ["x"] * 12, [0], [0], weights.astype(np.float32)[None, None]
        )
        return float(
            (imread(BytesIO(attention_map.picture(shown)))[..., :3].max(axis=2) < 0.1).mean()
        )

    lower = np.tril(np.ones((12, 12)))
    one_each = blackness(np.eye(12))
    spread = blackness(lower / lower.sum(axis=1, keepdims=True))
    assert 0.02 < one_each - spread < 0.2  # 11 cells of 144, and what is around them


def test_without_matplotlib(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    error = one_line_error(run("attention", TEXT, "-o", "map.png", "-m", "not-loaded.gguf"), 1)
    assert 'pip install "pygpt2edge[plot]"' in error
    assert run("attention", TEXT, "-o", "map.html").returncode == 0


def test_wrong_usage(run: Run, tmp_path: Path) -> None:
    error = one_line_error(run("attention", TEXT, "-o", "map.svg"), 2)
    assert "map.svg: expected a name that ends in .html or .png" in error
    assert "out of range" in one_line_error(run("attention", TEXT, "--layer", "-1"), 2)
    assert "layers 0 to 5" in one_line_error(run("attention", TEXT, "--layer", "6"), 1)
    assert "heads 0 to 3" in one_line_error(run("attention", TEXT, "--head", "4"), 1)
    assert "do not fit a context of 4" in one_line_error(run("attention", TEXT, "-c", "4"), 1)
    assert "folder" in one_line_error(run("attention", TEXT, "-o", "none/map.html"), 1)
    assert not list(tmp_path.iterdir())
