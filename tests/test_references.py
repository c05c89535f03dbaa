"""The files that documents and comments name are there."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from documents import FOLDERS, ROOT, comments, files, markdown, sources

# What looks like a path: with a slash, or a lone file of a kind that only a source tree has.
PATH = re.compile(r"(?<![\w./~:$<-])\.?[\w*-][\w.*-]*(?:/[\w.*-]+)*/?")
FOLDER = re.compile(r"`([\w./-]+)/`")
SOURCE_KINDS = (".py", ".pyi", ".cpp", ".h", ".md", ".yml", ".toml", "CMakeLists.txt")
DATA_KINDS = (".json", ".npz", ".gguf", ".html", ".png", ".svg", ".txt", ".bin", ".bpe")
ELSEWHERE = {
    "llama.cpp",  # the project
    "convert_hf_to_gguf.py",  # of llama.cpp
    "doc/table_format.md",  # of LevelDB
    "download_model.py",  # of OpenAI's gpt-2
    "encoder.py",  # the same
    "torch/serialization.py",
    "include/gpt2edge.h",  # that `cmake --install` makes: tests/examples looks there
    "lib/cmake/gpt2edge",  # the same
    ".venv/bin",  # that the first command of README.md makes
}
# Not in a source distribution, whose tests pass too.
ONLY_IN_CHECKOUTS = (".ci/", ".github/")


def looks_like_a_path(word: str) -> bool:
    first = word.split("/", maxsplit=1)[0]
    if "/" not in word:
        return word.endswith(SOURCE_KINDS) and "." in word.strip("*.")
    if first in (*FOLDERS, ".ci", ".github", "build"):
        return True
    return word.endswith((*SOURCE_KINDS, *DATA_KINDS))


def references(text: str) -> set[str]:
    words = (word.rstrip(".").rstrip("/") for word in PATH.findall(text))
    return {word for word in words if looks_like_a_path(word)} | set(FOLDER.findall(text))


PATHS = {path.relative_to(ROOT).as_posix() for path in files()}
PATHS |= {folder.as_posix() for path in PATHS for folder in Path(path).parents}


def exists(reference: str) -> bool:
    """A path from the root, or the end of one where it does not begin with a folder of the root.
    NAME stands for any name; programs are built from the source of their name."""
    if reference in ELSEWHERE:
        return True
    if reference.startswith(ONLY_IN_CHECKOUTS) and not (ROOT / ".ci").exists():
        return True
    if built := re.fullmatch(r"build/(?:\w+/)?((?:tests|tools)/.*)", reference):
        return built[1] in PATHS or f"{built[1]}.cpp" in PATHS
    first = reference.split("/", maxsplit=1)[0]
    if first == "build":
        return True
    pattern = reference.replace("NAME", "*")
    if first in FOLDERS:
        return any(fnmatchcase(path, pattern) for path in PATHS)
    return any(fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}") for path in PATHS)


def names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*markdown(), *sources()], ids=names)
def test_named_files_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8") if path.suffix == ".md" else comments(path)
    assert [name for name in sorted(references(text)) if not exists(name)] == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", markdown(), ids=names)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("see python/errors.h", ["python/errors.h"]),
        ("in tests/cpp/fuzz_ggufs.cpp.", ["tests/cpp/fuzz_ggufs.cpp"]),
        ("`bench_nothing.py`, and `build/tools/bench_nothing`",
         ["bench_nothing.py", "build/tools/bench_nothing"]),
        ("all of csrc/kernel/", ["csrc/kernel"]),
        ("the `algorithm/` of `kernels/`", ["algorithm"]),
        ("`kernels/isa/NAME.h`, kernels_*.cpp, tests/cpp/ and read/write", []),
    ],
)  # fmt: skip
def test_a_wrong_name_is_found(text: str, missing: list[str]) -> None:
    assert [name for name in sorted(references(text)) if not exists(name)] == missing
