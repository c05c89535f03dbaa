"""What all tests share. The tests exercise the installed package, not the folder beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from running_server import Running

_ROOT = Path(__file__).resolve().parents[1]

# `python -m pytest` puts the checkout on the path; the package there has no compiled core.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]
# What several tests share, such as tiny_models, stands beside this file.
sys.path.append(str(Path(__file__).parent))


# The programs of the test extra, such as CMake, stand beside an interpreter that was started by its
# path, with its environment not activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# The same examples in every run of a pipeline: what fails there, fails again at the desk.
settings.register_profile("pipeline", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("pipeline")


# What one worker makes once for several files, where the tests are shared among workers.
_TOGETHER = {
    "the system's build": (
        "tests/cpp/test_core.py",
        "tests/examples/test_examples",
        "tests/program/",
    ),
    "the server": ("tests/page/", "tests/serve/"),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `pytest -n 2`, shares the tests out file by file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            for name, places in _TOGETHER.items():
                if nodeid.startswith(places):
                    return name
            return nodeid.split("::", maxsplit=1)[0]

    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The C++ builds first, where there are workers: they take longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: "cpp" not in item.path.parts)


@pytest.fixture(scope="session", autouse=True)
def away_from_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs that tests start look for the package in the folder they are started in, too."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)


@pytest.fixture
def data() -> Path:
    """The folder of the tiny checkpoints."""
    return _ROOT / "tests" / "data" / "convert"


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs code in a process of its own, away from the source tree."""

    def run(code: str, *args: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, args)],
            env=os.environ | env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """One for all tests that do not need settings of their own."""
    from running_server import serving  # skips where something is missing

    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def demo_in_f32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model in f32: of almost the same probabilities, for which itself is a good draft."""
    from pygpt2edge import demo_model_path
    from pygpt2edge.convert import convert

    path = tmp_path_factory.mktemp("demo") / "demo-f32.gguf"
    convert(demo_model_path(), path, "f32", allow_requantize=True)
    return path


@pytest.fixture(scope="session")
def native_build() -> Iterator[Path]:
    """The core, the C library, the program and the C++ tests, built by the system's compiler with
    warnings as errors: minutes, once in a run."""
    from checkout_build import build_checkout, build_folder

    with build_folder() as folder:
        build_checkout(folder, GPT2EDGE_TOOLS="ON")
        yield folder


@pytest.fixture(scope="session")
def installed_library(native_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `cmake --install` has put the C library, its header and the program."""
    prefix = tmp_path_factory.mktemp("installed")
    command = ["cmake", "--install", str(native_build), "--prefix", str(prefix)]
    subprocess.run(command, check=True, capture_output=True)
    return prefix
