"""The app of examples/frozen, as PyInstaller builds it: a folder, and a single file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from pygpt2edge import GPT2, Suggestion
from pygpt2edge.frozen import hook_dirs

APP = Path(__file__).resolve().parents[2] / "examples" / "frozen" / "app.py"
PROMPT = "It is a truth für"


def skip_without_pyinstaller() -> None:
    pytest.importorskip("PyInstaller", reason="needs PyInstaller")
    found = entry_points(group="pyinstaller40")
    if not any(each.value.startswith("pygpt2edge.") for each in found):
        pytest.skip("needs the package installed, whose metadata names its hook")


def run_pyinstaller(folder: Path, *arguments: str | Path) -> str:
    """What PyInstaller prints that builds in a folder. Skips where there is none."""
    skip_without_pyinstaller()
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where apps are put that were built, away from what they were built of."""
    return tmp_path_factory.mktemp("Äpfel und Birnen 梨")


@pytest.fixture(scope="module")
def one_folder(tmp_path_factory: pytest.TempPathFactory, elsewhere: Path) -> Path:
    folder = tmp_path_factory.mktemp("one_folder")
    run_pyinstaller(folder, APP)
    return (folder / "dist" / "app").rename(elsewhere / "app")


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory, elsewhere: Path) -> Path:
    folder = tmp_path_factory.mktemp("one_file")
    run_pyinstaller(folder, "--onefile", "--name", "single", APP)
    (built,) = (folder / "dist").iterdir()
    return built.rename(elsewhere / built.name)


def printed(app: Path) -> str:
    """By `--once`, with no variable set; Windows cannot start programs without one."""
    environment = None if sys.platform == "win32" else {}
    done = subprocess.run(
        [app, "--once", PROMPT], env=environment, cwd=app.parent, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="module")
def expected() -> str:
    return GPT2().generate(PROMPT, max_tokens=40, seed=1).text


@pytest.mark.slow
def test_one_folder_writes_what_python_writes(one_folder: Path, expected: str) -> None:
    (program,) = (path for path in one_folder.iterdir() if path.is_file())
    assert printed(program) == expected


@pytest.mark.slow
def test_one_file_writes_what_python_writes(one_file: Path, expected: str) -> None:
    assert printed(one_file) == expected


@pytest.mark.slow
def test_the_app_has_what_text_needs_and_no_more(one_folder: Path) -> None:
    paths = {path.relative_to(one_folder / "_internal") for path in one_folder.rglob("*.*")}
    folders = {path.parts[0] for path in paths}
    assert Path("pygpt2edge/data/demo.gguf") in paths
    left_out = {"numpy", "gguf", "tiktoken", "safetensors", "huggingface_hub", "tokenizers",
                "sentencepiece", "google", "pyarrow", "ray"}  # fmt: skip
    assert not folders & left_out
    assert not [path for path in paths if "libgpt2edge" in path.name]
    assert not find_spec("tkinter") or [path for path in paths if "_tkinter" in path.name]


SPEC = """
app = Analysis({scripts}, hooksconfig={config}, hiddenimports={imports})
print("demo" if any(name.endswith("demo.gguf") for name, *_ in app.datas) else "no demo")
print("numpy" if any(name == "numpy" for name, *_ in app.pure) else "no numpy")
"""


@pytest.mark.slow
def test_an_app_may_leave_the_demo_model_out_and_take_numpy(tmp_path: Path) -> None:
    config = {"pygpt2edge": {"demo-model": False}}
    text = SPEC.format(scripts=[str(APP)], config=config, imports=["numpy"])
    (tmp_path / "app.spec").write_text(text, encoding="utf-8")
    assert run_pyinstaller(tmp_path, "app.spec").splitlines() == ["no demo", "numpy"]


def test_the_hook_is_where_pyinstaller_is_told() -> None:
    (folder,) = hook_dirs()
    assert (Path(folder) / "hook-pygpt2edge.py").is_file()


@pytest.fixture
def app() -> ModuleType:
    spec = spec_from_file_location("app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def deliver_until(done: Callable[[], object], deliver: Callable[[], None]) -> None:
    """As the window does, some times a second."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "nothing came"
        deliver()
        time.sleep(0.01)


def test_the_window_is_given_words_and_text(app: ModuleType) -> None:
    model = GPT2(n_threads=1)
    writer = app.Writer(model)
    words: list[Suggestion] = []
    writer.suggest("It is a tru", words.extend)
    deliver_until(lambda: words, writer.deliver)
    assert words == model.suggest("It is a tru", 3)

    pieces: list[str] = []
    ended: list[bool] = []
    writer.write("It is a truth", pieces.append, lambda: ended.append(True))
    deliver_until(lambda: ended, writer.deliver)
    assert len("".join(pieces)) > 40


def test_a_new_task_ends_the_text_before(app: ModuleType) -> None:
    writer = app.Writer(GPT2(n_threads=1))
    words: list[Suggestion] = []
    ended: list[bool] = []
    writer.write("It is a truth", lambda _: None, lambda: ended.append(True))
    writer.suggest("It is", words.extend)
    deliver_until(lambda: words, writer.deliver)
    assert not ended
