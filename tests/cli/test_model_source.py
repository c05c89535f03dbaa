"""What -m takes besides GGUF files and hub names: checkpoints, converted on the way and kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pygpt2edge import GPT2, demo_model_path
from pygpt2edge.convert import convert

from .conftest import Run, one_line_error

DATA = Path(__file__).parents[1] / "data" / "convert"
GENERATE = ("generate", "abc", "-n", "4", "--temp", "0", "--json")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYGPT2EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(DATA / "hugging_face", tmp_path / "my model")


def kept(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.gguf"))


def tokens(source: Path, out: Path, kind: str) -> list[int]:
    """What the model writes when it is converted first."""
    convert(source, out, kind)
    return list(GPT2(out).generate("abc", max_tokens=4, temperature=0).tokens)


@pytest.mark.parametrize("name", ["hugging_face", "openai", "hugging_face/model.safetensors"])
def test_a_checkpoint_is_converted_once(run: Run, tmp_path: Path, cache: Path, name: str) -> None:
    source = DATA / name
    folder = source if source.is_dir() else source.parent
    expected = tokens(folder, tmp_path / "out.gguf", "q8_0")
    done = run(*GENERATE, "-m", source)
    assert json.loads(done.stdout)["tokens"] == expected
    assert done.stderr == ""
    (made,) = kept(cache)
    assert made.read_bytes() == (tmp_path / "out.gguf").read_bytes()
    before = made.stat()
    assert json.loads(run(*GENERATE, "-m", source).stdout)["tokens"] == expected
    assert made.stat().st_mtime_ns == before.st_mtime_ns
    assert kept(cache) == [made]


def test_the_named_file_is_read_and_not_its_neighbour(
    run: Run, tmp_path: Path, folder: Path, cache: Path
) -> None:
    shutil.copy(DATA / "torch" / "zip.bin", folder / "pytorch_model.bin")
    (folder / "model.safetensors").write_bytes(b"damaged")
    expected = tokens(DATA / "hugging_face", tmp_path / "out.gguf", "f32")
    done = run(*GENERATE, "-m", "my model/pytorch_model.bin", "--type", "f32")
    assert json.loads(done.stdout)["tokens"] == expected
    inspected = json.loads(run("inspect", folder / "pytorch_model.bin", "--json").stdout)
    assert inspected["kind"] == "Hugging Face PyTorch"
    assert inspected["path"] == str(folder / "pytorch_model.bin")
    assert "model.safetensors" in one_line_error(run(*GENERATE, "-m", "my model"), 1)
    assert len(kept(cache)) == 1


def test_a_type_has_a_file_of_its_own(run: Run, folder: Path, cache: Path) -> None:
    for kind in ("f16", "q4_0", "F16"):
        assert run(*GENERATE, "-m", folder, "--type", kind).returncode == 0
    assert [path.stem.rsplit("-", 1)[1] for path in kept(cache)] == ["f16", "q4_0"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json"])
@pytest.mark.parametrize("source", ["my model", "my model/model.safetensors"])
def test_a_changed_checkpoint_is_converted_anew(
    run: Run, folder: Path, cache: Path, source: str, name: str
) -> None:
    assert run(*GENERATE, "-m", source).returncode == 0
    os.utime(folder / name, ns=(0, 0))
    assert run(*GENERATE, "-m", source).returncode == 0
    assert len(kept(cache)) == 2


def test_what_stands_beside_a_file_and_is_no_part_of_it(
    run: Run, folder: Path, cache: Path
) -> None:
    for note in ("one", "two"):
        (folder / "notes.txt").write_text(note)
        assert run(*GENERATE, "-m", folder / "model.safetensors").returncode == 0
    assert len(kept(cache)) == 1


def test_files_behind_links_as_in_the_hubs_cache(run: Run, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "blobs").mkdir()
    for i, path in enumerate(sorted(folder.iterdir())):
        path.rename(tmp_path / "blobs" / str(i))
        path.symlink_to(tmp_path / "blobs" / str(i))
    assert run(*GENERATE, "-m", folder / "model.safetensors").returncode == 0


@pytest.mark.parametrize(
    ("missing", "found"),
    [
        (["config.json"], ["config.json: missing", "beside model.safetensors"]),
        (["vocab.json", "tokenizer.json"], ["my model: no tokenizer", "vocab.json"]),
    ],
)
def test_a_file_without_what_belongs_to_it(
    run: Run, folder: Path, cache: Path, missing: list[str], found: list[str]
) -> None:
    for name in missing:
        (folder / name).unlink()
    message = one_line_error(run(*GENERATE, "-m", "my model/model.safetensors"), 1)
    assert all(words in message for words in found), message
    assert not kept(cache)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("model-00001-of-00002.safetensors", b"", "one part of a checkpoint; name its folder"),
        ("adapter_model.safetensors", b"", "an adapter, not a model"),
        ("model.safetensors", b"hello, world", "model.safetensors"),
        ("pytorch_model.bin", b"hello, world", "pytorch_model.bin"),
        ("weights.txt", b"hello, world", "not a GGUF file"),
    ],
)
def test_a_file_that_is_no_checkpoint(
    run: Run, folder: Path, name: str, content: bytes, found: str
) -> None:
    (folder / name).write_bytes(content)
    assert found in one_line_error(run(*GENERATE, "-m", folder / name), 1)


def test_an_empty_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty: holds no checkpoint" in one_line_error(run(*GENERATE, "-m", "empty"), 1)


def test_a_gguf_runs_as_it_is_whatever_its_name(run: Run, tmp_path: Path, cache: Path) -> None:
    shutil.copy(demo_model_path(), tmp_path / "model.bin")
    assert run(*GENERATE, "-m", "model.bin").returncode == 0
    message = one_line_error(run(*GENERATE, "-m", "model.bin", "--type", "f32"), 2)
    assert "--type" in message
    assert "a GGUF file is what it is" in message
    assert not cache.exists()


def test_a_checkpoint_here_has_no_revisions(run: Run, folder: Path) -> None:
    message = one_line_error(run(*GENERATE, "-m", folder, "--revision", "main"), 2)
    assert "--revision can be chosen for a hub name only" in message


def test_other_commands_take_checkpoints_too(run: Run, folder: Path) -> None:
    assert run("tokenize", "-m", folder, "abc").returncode == 0
    assert run("rank", "-m", folder, "a", "b", "c").returncode == 0
    assert run(*GENERATE, "-m", folder, "-md", folder / "model.safetensors").returncode == 0
    for name in ("inspect", "convert"):
        out = ["out.gguf"] if name == "convert" else []
        assert run(name, folder / "model.safetensors", *out).returncode == 0


def test_a_reference_is_not_quantized(run: Run, folder: Path, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "text.txt").write_text("abc " * 20)
    assert run("eval", "text.txt", "-m", folder, "--reference", folder).returncode == 0
    assert [path.stem.rsplit("-", 1)[1] for path in kept(cache)] == ["f32", "q8_0"]


def test_the_source_is_not_overwritten(run: Run, folder: Path) -> None:
    weights = folder / "model.safetensors"
    before = weights.read_bytes()
    message = one_line_error(run("convert", weights, weights, "--force"), 1)
    assert "is the source itself" in message
    assert weights.read_bytes() == before


def test_python_says_what_takes_a_folder(folder: Path) -> None:
    with pytest.raises(IsADirectoryError, match="GPT2.from_pretrained") as error:
        GPT2(folder)
    assert str(folder) in str(error.value)
    assert (
        GPT2.from_pretrained(str(folder)).n_ctx
        == GPT2.from_pretrained(str(folder / "model.safetensors")).n_ctx
    )
