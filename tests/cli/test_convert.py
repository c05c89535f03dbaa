"""`pygpt2edge convert`, from the user's side; tests/convert has what is in the files."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from pygpt2edge import GPT2, demo_model_path
from pygpt2edge.cli.options import TYPES
from pygpt2edge.convert import OUTPUT_TYPES

from .conftest import Run, Start, one_line_error

SOURCE = Path(__file__).parents[1] / "data" / "convert" / "hugging_face"


def test_the_types_on_offer_are_those_that_convert_knows() -> None:
    assert set(TYPES) == set(OUTPUT_TYPES)


def test_writes_a_model_and_reports_it(spawn: Run, tmp_path: Path) -> None:
    done = spawn("convert", SOURCE, "out.gguf", "--type", "f16")
    assert done.returncode == 0
    assert done.stdout == ""
    (report,) = done.stderr.splitlines()  # and no bar, since this is no terminal
    assert report.startswith("out.gguf: Hugging Face safetensors as f16, ")
    model = GPT2(tmp_path / "out.gguf")
    generated = spawn("generate", "-m", "out.gguf", "-n", "4", "--temp", "0", "--json", "abc")
    assert json.loads(generated.stdout)["tokens"] == (
        model.generate("abc", max_tokens=4, temperature=0).tokens
    )


def test_the_default_is_q8_0(run: Run, tmp_path: Path) -> None:
    done = run("convert", SOURCE, "out.gguf", "-q")
    assert done.returncode == 0
    types = json.loads(run("inspect", "out.gguf", "--json").stdout)["types"]
    assert "q8_0" in types
    assert list(tmp_path.iterdir()) == [tmp_path / "out.gguf"]


def test_an_existing_file_is_replaced_only_by_force(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"precious")
    message = one_line_error(run("convert", SOURCE, "out.gguf"), 1)
    assert message == "out.gguf: exists; --force replaces it"
    assert out.read_bytes() == b"precious"
    assert run("convert", SOURCE, "out.gguf", "--force").returncode == 0
    assert out.read_bytes()[:4] == b"GGUF"


def test_requantizing_needs_leave(run: Run, tmp_path: Path) -> None:
    args = ("convert", demo_model_path(), "out.gguf", "--type", "q8_0")
    assert "--allow-requantize" in one_line_error(run(*args), 1)
    assert not (tmp_path / "out.gguf").exists()
    assert run(*args, "--allow-requantize").returncode == 0
    assert (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    ("args", "status", "found"),
    [
        (["no-such-folder/of/mine", "out.gguf"], 1, "no-such-folder/of/mine"),
        ([".", "out.gguf"], 1, "holds no checkpoint"),
        ([str(SOURCE), "no/such/out.gguf"], 1, "no/such"),
        ([str(SOURCE), "."], 1, "folder"),
        ([str(SOURCE)], 2, "OUT"),
        ([str(SOURCE), "out.gguf", "--type", "q3"], 2, "q3"),
        ([str(SOURCE), "out.gguf", "-t", "none"], 2, "none"),
    ],
)
def test_errors(run: Run, tmp_path: Path, args: list[str], status: int, found: str) -> None:
    assert found in one_line_error(run("convert", *args), status)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_an_interrupt_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    args = ("convert", demo_model_path(), "out.gguf", "--allow-requantize", "--type", "f32")
    process = start(*args)
    while process.poll() is None and not list(tmp_path.iterdir()):
        time.sleep(0.001)  # until the temporary file is there
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == b""
    assert err.decode().split() == ["pygpt2edge:", "interrupted"]
    assert not list(tmp_path.iterdir())
