"""Models by name, from a hub that a thread of the test serves on localhost.

huggingface_hub reads its settings when it is imported, so every case runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from hub_server import GATED, MODELS, environment, serving_hub

from pygpt2edge.convert import convert
from pygpt2edge.convert.cached import cache_folder
from pygpt2edge.convert.hub import hub_name

pytestmark = pytest.mark.slow


@pytest.fixture
def hub(tmp_path, data):
    folder = tmp_path / "hub"
    for name in MODELS:
        shutil.copytree(data / "hugging_face", folder / name)
        # What a conversion has no use for.
        (folder / name / "README.md").write_text("# A model")
        (folder / name / "flax_model.msgpack").write_bytes(bytes(1000))
    shutil.copy(data / "torch" / "zip.bin", folder / "someone/tiny/pytorch_model.bin")
    (folder / "someone/tiny-bin/model.safetensors").unlink()
    shutil.copy(data / "torch" / "zip.bin", folder / "someone/tiny-bin/pytorch_model.bin")
    (folder / "someone/empty/model.safetensors").unlink()
    (folder / "someone/llama/config.json").write_text('{"model_type": "llama"}')
    sharded = folder / "someone/sharded"
    shutil.copy(data / "torch" / "legacy.bin", sharded / "pytorch_model-00001-of-00001.bin")
    (sharded / "model.safetensors").rename(sharded / "model-00001-of-00001.safetensors")
    names = json.loads((sharded / "config.json").read_text())
    assert names["n_layer"] == 2
    content = (sharded / "model-00001-of-00001.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    weight_map = dict.fromkeys(
        (name for name in header if name != "__metadata__"), "model-00001-of-00001.safetensors"
    )
    index = sharded / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))

    with serving_hub(folder) as server:
        yield server


@pytest.fixture
def env(hub, tmp_path):
    return environment(hub, tmp_path)


CONVERT = """
import sys
from pygpt2edge.convert import convert
try:
    report = convert(sys.argv[1], sys.argv[2], "q8_0", revision=(sys.argv + [None])[3])
    print(report.source_kind)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""

CACHED = """
import sys
from pygpt2edge.convert.cached import cached_gguf
try:
    print(cached_gguf(sys.argv[1], "q4_0"))
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""

WITHOUT_EXTRA = "import sys; sys.modules['huggingface_hub'] = None\n"


@pytest.fixture
def run(run_python, env):
    """run(code, *arguments) -> what it printed, of a process that talks to the test's hub."""

    def run(code, *arguments, **changes):
        result = run_python(code, *arguments, **(env | changes))
        assert result.returncode == 0, result.stderr
        return result.stdout.rstrip("\n")

    return run


def fetched(hub) -> set[str]:
    return {path.split("/")[-1] for command, path in hub.requests
            if command == "GET" and "/resolve/" in path}  # fmt: skip


TOKENIZER = {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"}


@pytest.mark.parametrize(
    ("name", "kind", "weights"),
    [
        ("someone/tiny", "safetensors", {"model.safetensors"}),
        ("gpt2", "safetensors", {"model.safetensors"}),
        ("someone/tiny-bin", "PyTorch", {"pytorch_model.bin"}),
        ("someone/sharded", "safetensors",
         {"model.safetensors.index.json", "model-00001-of-00001.safetensors"}),
    ],
)  # fmt: skip
def test_converts_a_hub_name_and_fetches_what_it_needs(
    hub, run, tmp_path, data, name, kind, weights
):
    out = tmp_path / "out.gguf"
    assert run(CONVERT, name, out) == f"Hugging Face {kind}"
    assert fetched(hub) == {"config.json", *TOKENIZER, *weights}
    convert(data / "hugging_face", tmp_path / "local.gguf", "q8_0")
    # All but the name is the same.
    from_hub, local = out.read_bytes(), (tmp_path / "local.gguf").read_bytes()
    assert from_hub[-40_000:] == local[-40_000:]
    assert name.split("/")[-1].encode() in from_hub[:300]


def test_fetched_files_serve_offline(hub, run, tmp_path):
    run(CONVERT, "someone/tiny", tmp_path / "a.gguf")
    hub.requests.clear()
    for changes in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        out = tmp_path / "b.gguf"
        assert run(CONVERT, "someone/tiny", out, **changes) == "Hugging Face safetensors"
        assert out.read_bytes() == (tmp_path / "a.gguf").read_bytes()
    assert hub.requests == []


def test_revision(hub, run, tmp_path):
    assert run(CONVERT, "someone/tiny", tmp_path / "out.gguf", "v2") == "Hugging Face safetensors"
    assert all("v2" in path for _, path in hub.requests)


@pytest.mark.parametrize(
    ("arguments", "changes", "words"),
    [
        (["someone/else"], {}, ["FileNotFoundError", "someone/else at http", "no such model"]),
        (["someone/empty"], {}, ["FileNotFoundError", "neither model.safetensors nor pytorch"]),
        ([GATED], {}, ["PermissionError", "owner's permission", "hf auth login"]),
        (["someone/tiny", "v9"], {}, ["FileNotFoundError", "has no revision 'v9'"]),
        (["someone/tiny"], {"HF_ENDPOINT": "http://127.0.0.1:9"}, ["OSError", "Check the network"]),
        (["someone/tiny"], {"HF_HUB_OFFLINE": "1"}, ["OSError", "unset HF_HUB_OFFLINE"]),
        (["./someone/tiny"], {}, ["FileNotFoundError", "no such file or folder"]),
        (["models/gpt2.gguf"], {}, ["FileNotFoundError", "no such file or folder"]),
    ],
)
def test_errors_are_one_line(hub, run, tmp_path, arguments, changes, words):
    name, *revision = arguments
    printed = run(CONVERT, name, tmp_path / "out.gguf", *revision, **changes)
    assert "\n" not in printed
    for word in words:
        assert word in printed
    assert not (tmp_path / "out.gguf").exists()


def test_another_model_is_refused_before_its_weights_are_fetched(hub, run, tmp_path):
    printed = run(CONVERT, "someone/llama", tmp_path / "out.gguf")
    assert printed.startswith("UnsupportedError: ")
    assert "model_type is 'llama'" in printed
    assert fetched(hub) == {"config.json"}


def test_missing_extra_says_what_to_install(hub, run, tmp_path):
    printed = run(WITHOUT_EXTRA + CONVERT, "someone/tiny", tmp_path / "out.gguf")
    assert printed.startswith("MissingDependencyError: ")
    assert printed.endswith('pip install "pygpt2edge[hub]"')


def test_cached_once_for_good(hub, run, tmp_path):
    """The second call needs no network, no extra, and not even the hub's own cache."""
    path = run(CACHED, "someone/tiny")
    assert path == str(tmp_path / "cache" / "someone--tiny" / "main-q4_0.gguf")
    shutil.rmtree(tmp_path / "hf")
    hub.requests.clear()
    assert run(WITHOUT_EXTRA + CACHED, "someone/tiny", HF_ENDPOINT="http://127.0.0.1:9") == path
    assert hub.requests == []


def test_failed_fetch_is_not_cached(hub, run, tmp_path):
    assert "no such model" in run(CACHED, "someone/else")
    assert not list((tmp_path / "cache").rglob("*.gguf"))


def test_leftovers_of_a_killed_process_are_cleared(hub, run, tmp_path):
    folder = tmp_path / "cache" / "someone--tiny"
    folder.mkdir(parents=True)
    (folder / ".main-q4_0.gguf.123.deadbeef.part").write_bytes(bytes(99))
    (folder / "main-q4_0.lock").touch()  # and its lock file does not lock anyone out
    run(CACHED, "someone/tiny")
    assert {path.name for path in folder.iterdir()} == {"main-q4_0.gguf", "main-q4_0.lock"}


RACE = """
import sys, time
from pygpt2edge.convert import cached
convert = cached.convert
def slow(*args, **kwargs):
    print("converting", flush=True)
    time.sleep(1)
    convert(*args, **kwargs)
cached.convert = slow
print(cached.cached_gguf(sys.argv[1]), flush=True)
"""


def test_two_processes_convert_once(data, tmp_path, env):

    arguments = [sys.executable, "-c", RACE, str(data / "hugging_face")]
    processes = [
        subprocess.Popen(arguments, env=os.environ | env, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("converting" in lines for lines in printed) == 1
    assert printed[0][-1] == printed[1][-1]
    assert len(list((tmp_path / "cache").rglob("*.gguf"))) == 1
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_killed_holder_frees_the_lock(data, tmp_path, env):

    arguments = [sys.executable, "-c", RACE, str(data / "hugging_face")]
    with subprocess.Popen(
        arguments, env=os.environ | env, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "converting\n"
        holder.kill()
    result = subprocess.run(
        arguments, env=os.environ | env, capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.splitlines()[0] == "converting"


def test_local_checkpoint_is_converted_again_when_it_changes(run, hf_folder, change_json):
    first = run(CACHED, hf_folder)
    assert run(CACHED, hf_folder) == first
    change_json(hf_folder / "config.json", layer_norm_epsilon=1e-6)
    assert run(CACHED, hf_folder) != first


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("gpt2", "openai-community/gpt2"),
        ("gpt2-xl", "openai-community/gpt2-xl"),
        ("distilgpt2", "distilbert/distilgpt2"),
        ("microsoft/DialoGPT-small", "microsoft/DialoGPT-small"),
        ("gpt3", None),
        ("./a/b", None),
        ("/a/b", None),
        ("a/b/c", None),
        ("models/gpt2.gguf", None),
        ("a b/c", None),
        ("../b", None),
        ("", None),
    ],
)
def test_what_reads_as_a_hub_name(source, name):
    assert hub_name(source) == name


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PYGPT2EDGE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("PYGPT2EDGE_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "pygpt2edge"
