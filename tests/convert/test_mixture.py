"""Conversions within a budget: which types they choose, and what they refuse."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import GPT2, FormatError, _core
from pygpt2edge.cli import cli
from pygpt2edge.convert import convert
from pygpt2edge.convert.mixture import Choice, least_cost, parse_size
from pygpt2edge.inspect.calibrating import calibrate

TEXT = "abc def ghi jkl mno pqr stu vwx yz " * 20


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = TinyModel("mixed", n_layer=2, n_head=2, n_embd=64, n_inner=128)
    return write_gguf(tmp_path_factory.mktemp("exact") / "f32.gguf", model, draw_weights(model))


@pytest.fixture(scope="module")
def stats(exact: Path) -> Path:
    out = exact.with_name("stats.gguf")
    calibrate(exact, TEXT, out, max_tokens=300, sensitivity_tokens=100)
    return out


def types_of(path: Path) -> dict[str, str]:
    return {tensor.name: tensor.type for tensor in _core.GgufFile(str(path)).tensors}


def test_the_least_cost_is_found() -> None:
    random = np.random.default_rng(1)
    tensors = [
        [Choice(str(i), int(n), float(1000 / n)) for i, n in enumerate(random.integers(1, 99, 4))]
        for _ in range(5)
    ]
    for room in (200, 250, 300):
        fitting = [
            sum(choice.cost for choice in each)
            for each in itertools.product(*tensors)
            if sum(choice.n_bytes for choice in each) <= room
        ]
        found = least_cost(tensors, room)
        assert sum(choice.n_bytes for choice in found) <= room
        assert sum(choice.cost for choice in found) == pytest.approx(min(fitting))


@pytest.mark.parametrize("with_data", [False, True])
def test_the_file_is_as_small_as_asked_for(
    exact: Path, stats: Path, tmp_path: Path, with_data: bool
) -> None:
    calibration = stats if with_data else None
    sizes, costs = [], []
    for bits in (6.0, 9.0, 12.0):
        out = tmp_path / "bits.gguf"
        report = convert(exact, out, bits=bits, calibration=calibration)
        assert bits - 1.5 < report.bits_per_weight <= bits
        assert report.mixture is not None
        assert report.mixture.is_measured == with_data
        sizes.append(report.n_bytes)
        costs.append(report.mixture.cost)
        again = tmp_path / "size.gguf"
        convert(exact, again, size=report.n_bytes + 2000, calibration=calibration, n_threads=1)
        assert again.stat().st_size <= report.n_bytes + 2000
        assert GPT2(again).logits([1, 2, 3]).shape[0] == 3
    assert sizes == sorted(sizes)
    assert costs == sorted(costs, reverse=True)


def test_what_is_sensitive_gets_more_bits(exact: Path, tmp_path: Path) -> None:
    convert(exact, tmp_path / "out.gguf", bits=7.0)
    types = types_of(tmp_path / "out.gguf")
    order = ["IQ4_NL", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16"]
    first, last = (types[f"blk.{i}.attn_output.weight"] for i in (0, 1))
    assert order.index(first) > order.index(last)


def test_costs_grow_as_bits_shrink(exact: Path, stats: Path) -> None:
    file = _core.GgufFile(str(stats))
    kinds = file.metadata["pygpt2edge.cost_types"]
    for name in ("token_embd.weight", "position_embd.weight", "blk.1.ffn_up.weight"):
        costs = dict(zip(kinds, file.read_rows(f"{name}.kl_costs", 0, 1)[0], strict=True))
        assert 0 < costs["q8_0"] < costs["q5_0"] < costs["iq4_nl"] < 1
        assert costs["q4_k"] > 1e20  # its blocks do not divide rows of 64


def test_budgets_that_will_not_do(exact: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    with pytest.raises(ValueError, match=r"2 bits are too few: the least for this model are \d"):
        convert(exact, out, bits=2)
    with pytest.raises(ValueError, match=r"the smallest file of this model has \d"):
        convert(exact, out, size="10kB")
    with pytest.raises(ValueError, match="exclude each other"):
        convert(exact, out, "q8_0", bits=5)
    with pytest.raises(ValueError, match="not understood"):
        convert(exact, out, size="much")
    assert not out.exists()


def test_costs_of_another_model_are_refused(exact: Path, stats: Path, tmp_path: Path) -> None:
    model = TinyModel("deeper", n_layer=3, n_head=2, n_embd=64, n_inner=128)
    other = write_gguf(tmp_path / "other.gguf", model, draw_weights(model))
    with pytest.raises(FormatError, match="of another model"):
        convert(other, tmp_path / "out.gguf", bits=9, calibration=stats)


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("12", 12), ("1.5 kB", 1500), ("900MB", 9 * 10**8), ("2gib", 2 << 30)]
)
def test_sizes(text: str, n_bytes: int) -> None:
    assert parse_size(text) == n_bytes


def test_the_commands(exact: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    stats, out = tmp_path / "stats.gguf", tmp_path / "out.gguf"
    done = CliRunner().invoke(
        cli,
        ["calibrate", "-m", str(exact), str(tmp_path / "text.txt"), "-o", str(stats),
         "--tokens", "128", "--sensitivities", "64"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(
        cli, ["convert", str(exact), str(out), "--bits", "8", "--calibration", str(stats)]
    )
    assert done.exit_code == 0, done.output
    assert "ffn_up: " in done.output
    assert "(measured)" in done.output
