"""What all commands share: help, versions, errors; and `doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pygpt2edge import GPT2, __version__, _core, cli
from pygpt2edge.cli import memory, options, output
from pygpt2edge.loaded_model import demo_model_path

from .conftest import Run, one_line_error

COMMANDS = [
    "generate",
    "serve",
    "suggest",
    "compress",
    "decompress",
    "convert",
    "calibrate",
    "inspect",
    "rank",
    "embed",
    "classify",
    "map",
    "tokenize",
    "eval",
    "attention",
    "bench",
    "doctor",
]


def test_help_lists_the_commands(spawn: Run) -> None:
    for flag in ("-h", "--help"):
        done = spawn(flag)
        assert done.returncode == 0
        assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
        assert "..." not in done.stdout.split("Commands:")[1]  # no summary is cut off


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_examples(name: str) -> None:
    for flag in ("-h", "--help"):
        done = CliRunner().invoke(cli.cli, [name, flag], prog_name="pygpt2edge")
        assert done.exit_code == 0
        assert f"Usage: pygpt2edge {name}" in done.stdout
        assert f"Examples:\n    pygpt2edge {name}" in done.stdout


def test_no_command_is_wrong_usage_and_shows_the_help(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Commands:" in done.stderr


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("generat", "generate"), ("Inspect", "inspect"), ("evaluate", "eval"), ("tokens", "tokenize")],
)
def test_an_unknown_command_that_is_close_to_one(run: Run, typed: str, meant: str) -> None:
    message = one_line_error(run(typed, "-m", "x"), 2)
    assert message == f'there is no command "{typed}"; did you mean "{meant}"?'


@pytest.mark.parametrize("typed", ["frobnicate", "", "Once upon a time\nthere was"])
def test_another_unknown_command(run: Run, typed: str) -> None:
    message = one_line_error(run(typed), 2)
    assert message.startswith(f'there is no command "{typed}"'.replace("\n", " "))
    assert message.endswith(", ".join(COMMANDS))


def test_an_unknown_option_before_the_command(run: Run) -> None:
    assert "--frobnicate" in one_line_error(run("--frobnicate", "generate"), 2)


def test_version(run: Run) -> None:
    assert __version__ in run("--version").stdout


def test_help_loads_nothing_slow(spawn: Run) -> None:
    # Python lists every import on stderr.
    listed = spawn("generate", "--help", env={"PYTHONPROFILEIMPORTTIME": "1"}).stderr
    loaded = {line.split("|")[-1].strip() for line in listed.splitlines()}
    assert "click" in loaded
    assert not loaded & {"tiktoken", "gguf", "safetensors", "huggingface_hub", "pygpt2edge.hub"}


@pytest.mark.slow
def test_doctor(run: Run) -> None:
    findings = json.loads(run("doctor", "--json").stdout)
    assert findings["error"] is None
    assert findings["isa"] == GPT2().isa
    assert findings["isas"] == _core.cpu()["isas"]
    assert findings["versions"]["pygpt2edge"] == __version__
    text = run("doctor").stdout
    assert findings["cpu"] in text
    assert "gpt2-xl" in text
    assert "GB/s" in text
    assert all(limit > 0 for limit in findings["limits"].values())
    assert "model" not in findings


def test_doctor_without_measuring(run: Run) -> None:
    assert json.loads(run("doctor", "--quick", "--json").stdout)["limits"] is None
    assert "GB/s" not in run("doctor", "--quick").stdout


@pytest.mark.slow
def test_doctor_weighs_a_model_against_the_machine(run: Run) -> None:
    path = str(demo_model_path())
    findings = json.loads(run("doctor", "-m", path, "--json").stdout)
    model, limits = findings["model"], findings["limits"]
    # Every matrix is read once for a token; the last 16 rows of one may be filled up with zeros.
    matrices = [tensor for tensor in _core.GgufFile(path).tensors if tensor.type == "Q4_0"]
    read = sum(tensor.n_bytes for tensor in matrices)
    assert model["bytes_per_token"] == pytest.approx(read, rel=1e-3)
    for what, limit in (("decode", limits["read_gb_s"]), ("prefill", limits["int8_gmac_s"])):
        per_token = model["bytes_per_token" if what == "decode" else "multiply_adds_per_token"]
        assert model[what]["ceiling"] == pytest.approx(limit * 1e9 / per_token)
        assert model[what]["measured"] > 0
    text = run("doctor", "-m", path).stdout
    assert "decode 64" in text
    assert "MB of weights read a token" in text


@pytest.mark.slow
def test_doctor_tells_which_kernels_are_forced(spawn: Run) -> None:
    forced = spawn("doctor", "--json", env={"GPT2EDGE_ISA": "scalar"})
    assert json.loads(forced.stdout)["isa"] == "scalar"
    wrong = spawn("doctor", env={"GPT2EDGE_ISA": "abacus"})
    assert "abacus" in one_line_error(wrong, 1)
    assert "kernels in use  none" in wrong.stdout


def test_memory_of_the_official_models() -> None:
    # 124,439,808 parameters of 4 bytes; 12 layers of keys and values of 1024 x 768.
    assert memory.official_memory("gpt2", "f32") == {
        "weights": 4 * 124_439_808,
        "cache": 2 * 12 * 1024 * 768 * 4,
    }
    xl = memory.official_memory("gpt2-xl", "q4_0")
    assert xl["cache"] == 300 * 2**20
    assert 4.5 * 1_557_611_200 / 8 < xl["weights"] < 4.6 * 1_557_611_200 / 8


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.gguf"),
         "a.gguf: No such file or directory"),
        (OSError(28, "a.gguf: no space"), "a.gguf: no space"),
        (OSError("a.gguf: told in full"), "a.gguf: told in full"),
        (MemoryError(), "not enough memory"),
        (ValueError("two\nlines"), "two lines"),
    ],
)  # fmt: skip
def test_errors_become_one_line(error: Exception, text: str) -> None:
    assert output.explain(error) == text


def test_a_hub_name_is_fetched_with_the_chosen_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def cached_gguf(name: str, type: str, **rest: object) -> Path:
        asked.append((name, type, rest["revision"]))
        return tmp_path

    monkeypatch.setattr("pygpt2edge.convert.cached.cached_gguf", cached_gguf)
    monkeypatch.chdir(tmp_path)
    assert options.ModelSource("someone/gpt2").path() == tmp_path
    options.ModelSource("someone/gpt2", "q4_0", "v1").path()
    assert asked == [("someone/gpt2", "q8_0", None), ("someone/gpt2", "q4_0", "v1")]


def test_a_bar_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with output.progress_bar("Working") as report:
        assert report is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with output.progress_bar("Working") as report:
        assert report is not None
        report(5, 10, "half")
