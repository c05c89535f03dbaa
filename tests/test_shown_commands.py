"""The commands that documents and comments show: those of the package run, on the demo model; the
arguments of the others are looked at. A command that nothing here knows fails."""

from __future__ import annotations

import argparse
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import MagicMock, patch

import click
import pytest
from documents import ROOT, Example, examples, markdown, sources
from example_folder import IN_COMMANDS, environment, fill, with_stand_ins

from pygpt2edge.cli import cli

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")

# Programs of examples that are not run here, and why. Their arguments are looked at.
NOT_RUN = {
    "build/": "tests/cpp builds and runs such programs",
    "./generate": "tests/examples builds and runs the programs of examples/README.md",
    "./app": "tests/c_api compiles and runs the programs of docs/embedding.md",
    "bash": ".ci/run is what runs the tests",
    "cargo": "as ./generate",
    "cc": "as ./app",
    "cmake": "tests/cpp builds with these options",
    "ct2-transformers-converter": "of another project",
    "curl": "tests/serve sends the requests of docs/serving.md",
    "cxfreeze": "of another project",
    "dask": "tests/map starts such clusters",
    "dist/app/app": "as pyinstaller",
    "gpt2edge": "tests/program runs the program's commands",
    "go": "as ./generate",
    "nginx": "tests/serve starts one",
    "mkdocs": "tests/test_site.py builds the site",
    "node": "as ./generate",
    "npm": "as ./generate",
    "optimum-cli": "of another project",
    "pip": ".ci/run installs by the commands of README.md",
    "pre-commit": ".ci/run runs it",
    "pyinstaller": "tests/examples builds apps and runs them",
    "pytest": "it runs this test",
    "python": "tools take minutes: they are run until they have read their arguments",
    "python3": "as python",
    "qemu-aarch64": "tests/cpp runs programs under emulation",
    "ray": "as dask",
    "sbatch": "tests/map has a stand-in",
    "split": "tests/map runs it",
    "target/release/generate": "as ./generate",
    "taskset": "servers run until they are stopped: as nginx",
    "xcodebuild": "of another project",
}
# Of other projects or the shell.
OTHERS = ["ct2-transformers-converter", "curl", "cxfreeze", "nginx", "optimum-cli", "sbatch",
          "split", "taskset", "xcodebuild"]  # fmt: skip
SHELL = ["<", ">", "cat", "cmp", "echo", "export", "printf"]
# In other languages, built in the tests.
COMPILED = ["./app", "./generate", "cargo", "cc", "dist/app/app", "go", "node", "npm",
            "target/release/generate"]  # fmt: skip
# Where commands need a cluster, which tests/map starts to run them.
OF_CLUSTERS = "docs/scaling.md"
# Modules that a tool may need and a test run does not have.
HEAVY = ["atheris", "tensorflow", "tokenizers", "torch", "transformers", "unicodedata2"]

DOCUMENTS = [path for path in [*markdown(), *sources()] if examples(path)]
EXAMPLES = [example for path in DOCUMENTS for example in examples(path)]


def split(text: str) -> list[list[str]]:
    """The words of each program in a line; what stands after "#" or two spaces is prose.
    Brackets and dots of a usage line are left out, and a virtual environment's folder."""
    text = re.sub(r" {2,}.*", "", text)
    reader = shlex.shlex(text.replace("\\\\n", "\\n"), posix=True, punctuation_chars="|&<>")
    reader.whitespace_split = True
    programs: list[list[str]] = [[]]
    for word in reader:
        if set(word) <= set("|&<>"):
            programs.append([word] if word in "<>" else [])
        elif word.strip("[].") and not (not programs[-1] and re.match(r"[A-Z_0-9]+=", word)):
            programs[-1].append(word.strip("[]").removeprefix(".venv/bin/"))
    return programs


def check_cli(words: list[str]) -> None:
    command: click.Command | None = cli
    if words[0] != "COMMAND" and not words[0].startswith("-"):
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None, f"there is no command {words[0]}"
    known = {"-h", "--help"}
    for parameter in command.params if command else []:
        known |= {*parameter.opts, *parameter.secondary_opts}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word not in known]
    assert not unknown, f"{words[0]} has no {' '.join(unknown)}"


class Parsed(Exception):  # noqa: N818
    pass


def parse_and_stop(path: Path, arguments: list[str]) -> None:
    """Runs a tool until it has read its arguments."""
    parse = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser) -> None:
        parse(parser)
        raise Parsed

    assert ".parse_args()" in path.read_text(encoding="utf-8"), f"{path.name} takes no --help"
    missing = {
        name: MagicMock(__spec__=ModuleSpec(name, None))
        for name in HEAVY
        if find_spec(name) is None
    }
    sys.modules.update(missing)
    try:
        with (
            patch.object(sys, "argv", [str(path), *arguments]),
            patch.object(sys, "path", [str(path.parent), *sys.path]),
            patch.object(argparse.ArgumentParser, "parse_args", parse_args),
        ):
            runpy.run_path(str(path), run_name="__main__")
    finally:
        for name in [*missing, *(tool.stem for tool in path.parent.glob("*.py"))]:
            sys.modules.pop(name, None)


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        assert words[1] in ("build", "nuitka", "pygpt2edge", "pygpt2edge.config", "venv"), words
        return
    path, arguments = ROOT / words[0], words[1:]
    assert path.is_file(), f"{path} does not exist"
    numbers = ["1" if word == "N" else word for word in arguments]
    with pytest.raises(Parsed):
        parse_and_stop(path, numbers)
    if "pygpt2edge" in arguments:
        check_cli(arguments[arguments.index("pygpt2edge") + 1 :])


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def check_pip(words: list[str]) -> None:
    assert words[0] == "install", words
    for word in words[1:]:
        extras = re.fullmatch(r"\.\[(.*)\]?", word)
        for extra in extras[1].split(",") if extras else []:
            assert extra in PROJECT["project"]["optional-dependencies"], extra


def check_cmake(words: list[str]) -> None:
    lists = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in re.findall(r"-D(GPT2EDGE_\w+)", " ".join(words)):
        assert re.search(rf"(option|set)\({name}\b", lists), f"there is no {name}"
    if "--preset" in words:
        name = words[words.index("--preset") + 1]
        presets = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
        assert any(each["name"] == name for each in presets["configurePresets"]), name
    if "--target" in words:
        target = words[words.index("--target") + 1]
        if target != "gpt2edge":  # the C library
            check_program(target)


def check_program(name: str) -> None:
    """A test, a benchmark or a fuzzer in C++."""
    stem = Path(name).name
    sources = [ROOT / folder / f"{stem}.cpp" for folder in ("tests/cpp", "tools", "examples/cpp")]
    assert any(source.is_file() for source in sources), f"there is no source of {name}"


def check_pytest(words: list[str]) -> None:
    for word in words:
        if word.startswith("tests/"):
            name, *functions = word.split("::")
            assert (ROOT / name).exists(), name
            for function in functions:
                text = (ROOT / name).read_text(encoding="utf-8")
                assert f"def {function.split('[')[0]}(" in text, word
    marker = words[words.index("-m") + 1] if "-m" in words else ""
    for name in set(re.findall(r"\w+", marker)) - {"not", "and", "or"}:
        known = PROJECT["tool"]["pytest"]["ini_options"]["markers"]
        assert any(line.startswith(f"{name}:") for line in known), name


NEEDS_PYINSTALLER = pytest.mark.skipif(find_spec("PyInstaller") is None, reason="needs PyInstaller")


def check_pyinstaller(words: list[str]) -> None:
    check_tool("test", "pyinstaller")(words)
    if find_spec("PyInstaller") is not None:
        from PyInstaller.__main__ import generate_parser

        generate_parser().parse_args(words)


def check_qemu(words: list[str]) -> None:
    check_program(next(word for word in words if word.startswith("build/")))


def check_tool(extra: str, name: str) -> Callable[[list[str]], None]:
    def check(_: list[str]) -> None:
        required = PROJECT["project"]["optional-dependencies"][extra]
        assert any(re.match(rf"{name}\b", each) for each in required), f"{extra} has no {name}"

    return check


def check_program_without_python(words: list[str]) -> None:
    name = words[0].removeprefix("de")  # decompress is beside compress
    source = ROOT / "csrc" / "program" / f"{name}.cpp"
    assert source.is_file(), f"there is no command {words[0]}"
    text = source.read_text(encoding="utf-8")
    for word in words[1:]:
        if re.match(r"--?[a-z]", word):
            assert re.search(rf'["\s,]{word}[",]', text), f"{words[0]} has no {word}"


def check_bash(words: list[str]) -> None:
    # A source distribution has no pipeline.
    assert (ROOT / words[0]).is_file() or not (ROOT / ".ci").exists(), words[0]


def fine(_: list[str]) -> None:
    """Nothing to look at."""


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "pygpt2edge": check_cli,
    **dict.fromkeys(["python", "python3"], check_python),
    "pip": check_pip,
    "cmake": check_cmake,
    "gpt2edge": check_program_without_python,
    "pyinstaller": check_pyinstaller,
    "pytest": check_pytest,
    "qemu-aarch64": check_qemu,
    "bash": check_bash,
    **{name: check_tool("dev", name) for name in ("ruff", "mypy", "pre-commit")},
    "mkdocs": check_tool("docs", "mkdocs"),
    "dask": check_tool("test", "distributed"),
    "ray": check_tool("ray", "ray"),
    **dict.fromkeys([*OTHERS, *SHELL, *COMPILED], fine),
}


def check(example: Example) -> None:
    for words in split(example.text):
        if words[0].startswith("build/"):
            check_program(words[0])
        elif words[0].startswith("tools/"):
            check_python(words)
        else:
            assert words[0] in CHECKS, f"{example.where}: what is {words[0]}?"
            CHECKS[words[0]](words[1:])


def label(example: Example) -> str:
    return f"{example.where}: {example.text[:50]}"


@pytest.mark.parametrize("example", EXAMPLES, ids=label)
def test_arguments_exist(example: Example) -> None:
    check(example)


def names_of(example: Example) -> set[str]:
    """The programs of an example, without the shell's own."""
    names = {words[0] for words in split(example.text)} - set(SHELL)
    return {"build/" if name.startswith("build/") else name for name in names}


def runs_here(example: Example) -> bool:
    # A server runs until it is stopped: tests/serve does both.
    serves = any(words[:2] == ["pygpt2edge", "serve"] for words in split(example.text))
    if example.is_mention or serves or example.where == OF_CLUSTERS:
        return False
    return names_of(example) <= {"pygpt2edge"}


@pytest.mark.parametrize("example", EXAMPLES, ids=label)
def test_an_example_runs_or_has_a_reason(example: Example) -> None:
    if example.is_mention or runs_here(example):
        return
    unknown = names_of(example) - {"pygpt2edge", *NOT_RUN}
    assert not unknown, f"{example.where}: nothing runs {' '.join(unknown)}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if any(map(runs_here, examples(path)))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_commands_of_the_package_run(document: Path, tmp_path: Path) -> None:
    """In their order: what one writes, the next may read."""
    fill(tmp_path)
    for example in filter(runs_here, examples(document)):
        line = re.sub(r" {2,}.*", "", example.text)
        line = with_stand_ins(line, IN_COMMANDS)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=tmp_path, env=environment(tmp_path), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_code_blocks_are_of_known_kinds() -> None:
    """Commands stand in console blocks and Python in python blocks, where the tests find them."""
    for path in markdown():
        text = path.read_text(encoding="utf-8")
        opened = re.findall(r"^```(.*)\n(?:.*\n)*?^```$", text, re.M)
        assert set(opened) <= {"c", "console", "python", "text"}, path
        assert len(re.findall("```", text)) == 2 * len(opened), f"{path}: a block is indented"


@pytest.mark.parametrize(
    "text",
    [
        "pygpt2edge generate --no-such-option x",
        "pygpt2edge no-such-command",
        "python tools/no_such_tool.py",
        "python tools/plot_peers.py --no-such-option a b",
        'pip install ".[no-such-extra]"',
        '.venv/bin/pip install ".[no-such-extra]"',
        "python3 -m venv .venv && .venv/bin/pygpt2edge no-such-command",
        "cmake -B build -DGPT2EDGE_NO_SUCH_OPTION=ON",
        "cmake --build build --target no_such_program",
        "cmake --preset no-such-preset",
        "build/tests/cpp/no_such_program",
        "pytest tests/no_such_test.py",
        "pytest -m no_such_marker",
        pytest.param("pyinstaller --no-such-option a.py", marks=NEEDS_PYINSTALLER),
        "no-such-program",
        "gpt2edge no-such-command",
        "gpt2edge generate --no-such-option x",
    ],
)
def test_wrong_commands_are_found(text: str) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        check(Example("somewhere", text))
