"""Calibration: statistics of a model's inputs, and conversions that use them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from click.testing import CliRunner
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import FormatError, _core
from pygpt2edge.cli import cli
from pygpt2edge.convert import convert
from pygpt2edge.inspect.calibrating import calibrate

TEXT = "abc def ghi jkl mno pqr stu vwx yz " * 20
MATRIX = "blk.0.ffn_up"


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = TinyModel("calibrated", n_layer=2, n_head=2, n_embd=64, n_inner=128)
    return write_gguf(tmp_path_factory.mktemp("exact") / "f32.gguf", model, draw_weights(model))


@pytest.fixture(scope="module")
def stats(exact: Path) -> Path:
    out = exact.with_name("stats.gguf")
    assert calibrate(exact, TEXT, out, max_tokens=500) == 500
    return out


def mean_outputs(path: Path, inputs: np.ndarray) -> np.ndarray:
    file = _core.GgufFile(str(path))
    shape = next(tuple(t.shape) for t in file.tensors if t.name == f"{MATRIX}.weight")
    weight = file.read_rows(f"{MATRIX}.weight", 0, shape[0])
    return weight @ inputs + file.read_rows(f"{MATRIX}.bias", 0, 1)[0]


def test_the_file_has_what_llama_cpp_reads_and_more(stats: Path) -> None:
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(stats).tensors}
    name = f"{MATRIX}.weight"
    products = tensors[f"{name}.in_products"]
    assert tensors[f"{name}.counts"].ravel().tolist() == [500]
    assert np.allclose(np.diag(products), tensors[f"{name}.in_sum2"].ravel(), rtol=1e-4)
    assert np.array_equal(products, products.T)
    assert np.linalg.eigvalsh(products.astype(np.float64)).min() > -1e-2 * products.max()


def test_threads_change_nothing(exact: Path, stats: Path, tmp_path: Path) -> None:
    calibrate(exact, TEXT, tmp_path / "again.gguf", max_tokens=500, n_threads=1)
    assert (tmp_path / "again.gguf").read_bytes() == stats.read_bytes()
    for n in (1, 3):
        convert(exact, tmp_path / f"{n}.gguf", "iq4_nl", calibration=stats, n_threads=n)
    assert (tmp_path / "1.gguf").read_bytes() == (tmp_path / "3.gguf").read_bytes()


def interrupt_at(call: int) -> Callable[[int, int, str], None]:
    calls = 0

    def progress(_done: int, _total: int, _what: str) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt

    return progress


# 500 tokens are 8 windows in each of the two layers; then come the costs of 10 tensors.
@pytest.mark.parametrize("call", [3, 11, 20])
def test_an_interrupted_run_goes_on(exact: Path, tmp_path: Path, call: int) -> None:
    arguments = {"max_tokens": 500, "sensitivity_tokens": 64}
    whole, out = tmp_path / "whole.gguf", tmp_path / "stats.gguf"
    calibrate(exact, TEXT, whole, **arguments)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        calibrate(exact, TEXT, out, **arguments, progress=interrupt_at(call), say=said.append)
    assert not out.exists()
    assert "goes on from there" in said[-1]
    calibrate(exact, TEXT, out, **arguments, say=said.append)
    n_done = {3: 0, 11: 1, 20: 2}[call]
    assert f"{n_done} of 2 layers are done" in said[-1]
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stats.gguf", "whole.gguf"]


def test_what_another_text_left_is_not_gone_on_with(exact: Path, tmp_path: Path) -> None:
    out, said = tmp_path / "stats.gguf", []
    with pytest.raises(KeyboardInterrupt):
        calibrate(exact, "other " * 300, out, max_tokens=500, progress=interrupt_at(11))
    calibrate(exact, TEXT, out, max_tokens=500, say=said.append)
    calibrate(exact, TEXT, tmp_path / "whole.gguf", max_tokens=500)
    assert said == []
    assert out.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_it_refuses_what_will_not_fit(
    exact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stats.gguf"
    with monkeypatch.context() as patched:
        patched.setattr(_core, "available_memory", lambda: 100_000)
        with pytest.raises(MemoryError, match=r"\d MB of memory, a layer at a time, and 0"):
            calibrate(exact, TEXT, out)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    with pytest.raises(OSError, match="not enough space"):
        calibrate(exact, TEXT, out)
    assert list(tmp_path.iterdir()) == []


def test_more_layers_take_no_more_memory(tmp_path: Path) -> None:
    needs = []
    for n_layer in (3, 9):
        model = TinyModel("deep", n_layer=n_layer, n_head=2, n_embd=64, n_inner=128)
        path = write_gguf(tmp_path / f"{n_layer}.gguf", model, draw_weights(model))
        needs.append(_core.calibration_memory(os.fsencode(path), 1, True))
    assert needs[0] == needs[1]


def test_biases_give_back_the_mean(exact: Path, stats: Path, tmp_path: Path) -> None:
    plain, calibrated = tmp_path / "plain.gguf", tmp_path / "calibrated.gguf"
    convert(exact, plain, "q4_0")
    convert(exact, calibrated, "q4_0", calibration=stats)
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(stats).tensors}
    mean = tensors[f"{MATRIX}.weight.in_sum"].ravel() / 500
    expected = mean_outputs(exact, mean)
    assert np.abs(mean_outputs(calibrated, mean) - expected).max() < 1e-5
    assert np.abs(mean_outputs(plain, mean) - expected).max() > 1e-4


def test_feedback_and_compensation_can_be_left_out(
    exact: Path, stats: Path, tmp_path: Path
) -> None:
    made = {}
    for options in ([], ["--no-error-feedback"], ["--no-bias-compensation"],
                    ["--no-error-feedback", "--no-bias-compensation"]):  # fmt: skip
        out = tmp_path / "out.gguf"
        command = ["convert", str(exact), str(out), "--type", "iq4_nl", "--force", "-q"]
        done = CliRunner().invoke(cli, [*command, "--calibration", str(stats), *options])
        assert done.exit_code == 0, done.output
        file = _core.GgufFile(str(out))
        bias = file.read_rows(f"{MATRIX}.bias", 0, 1)
        made[" ".join(options)] = (
            file.raw_rows(f"{MATRIX}.weight", 0, 1).tobytes(),
            bias.tobytes(),
        )
    assert len({weight for weight, _ in made.values()}) >= 3
    kept = _core.GgufFile(str(exact)).read_rows(f"{MATRIX}.bias", 0, 1).tobytes()
    assert [bias == kept for _, bias in made.values()] == [False, False, True, True]


def test_an_imatrix_of_llama_cpp_is_read(exact: Path, tmp_path: Path) -> None:
    calibrate(exact, TEXT, tmp_path / "small.gguf", max_tokens=100, products=False)
    convert(exact, tmp_path / "out.gguf", "q4_0", calibration=tmp_path / "small.gguf")
    convert(exact, tmp_path / "plain.gguf", "q4_0")
    assert (tmp_path / "out.gguf").read_bytes() != (tmp_path / "plain.gguf").read_bytes()


def test_files_that_will_not_do(exact: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="has no tensor"):
        convert(exact, tmp_path / "out.gguf", "q4_0", calibration=exact)
    convert(exact, tmp_path / "q8_0.gguf", "q8_0")
    with pytest.raises(ValueError, match="is quantized"):
        calibrate(tmp_path / "q8_0.gguf", TEXT, tmp_path / "stats.gguf")


def test_the_embedding_may_have_a_type_of_its_own(exact: Path, tmp_path: Path) -> None:
    convert(exact, tmp_path / "out.gguf", "q4_0", embedding_type="q8_0")
    types = {t.name: t.type for t in _core.GgufFile(str(tmp_path / "out.gguf")).tensors}
    assert types["token_embd.weight"] == "Q8_0"
    assert types[f"{MATRIX}.weight"] == "Q4_0"


def test_the_command(exact: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    out = tmp_path / "stats.gguf"
    arguments = ["calibrate", "-m", str(exact), str(tmp_path / "text.txt"), "-o", str(out)]
    done = CliRunner().invoke(cli, [*arguments, "--tokens", "64", "--no-products"])
    assert done.exit_code == 0, done.output
    assert not any(t.name.endswith("products") for t in _core.GgufFile(str(out)).tensors)
