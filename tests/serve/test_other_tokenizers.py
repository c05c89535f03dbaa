"""A model whose tokenizer is not GPT-2's, served and on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from running_server import alone, serving

from pygpt2edge import GPT2
from pygpt2edge.convert import convert

pytest.importorskip("sentencepiece")
pytest.importorskip("transformers")

import other_tokenizers as makers

PROMPT = "这是很久之前"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    folder = tmp_path_factory.mktemp("chinese")
    makers.chinese(folder)
    convert(folder, folder / "model.gguf", "f32")
    return GPT2(folder / "model.gguf")


def test_server(model: GPT2) -> None:
    tokenizer = model.tokenizer
    with serving("-m", str(model.path)) as server:
        for options in ({}, {"add_special_tokens": False}):
            answer = server.complete(PROMPT, max_tokens=12, seed=3, **options)
            expected = alone(model, PROMPT, max_tokens=12, seed=3, **options)
            assert answer["choices"][0]["text"] == expected
            ids = tokenizer.encode(PROMPT, **options)
            assert answer["usage"]["prompt_tokens"] == len(ids)
            tokens = server.post("/tokenize", {"prompt": PROMPT} | options).json()
            assert tokens["tokens"] == ids
        text = server.post("/detokenize", {"tokens": ids}).json()["content"]
        assert text == tokenizer.decode(ids) == "这 是 很 久 之 前"
        stop = expected[4:6]
        answer = server.complete(PROMPT, max_tokens=12, seed=3, stop=stop, **options)
        assert answer["choices"][0]["text"] == expected[: expected.index(stop)]
        streamed = server.post(
            "/v1/completions",
            {"prompt": PROMPT, "max_tokens": 12, "seed": 3, "stream": True} | options,
        ).text
        events = [line[6:] for line in streamed.splitlines() if line.startswith("data: {")]
        pieces = [json.loads(event)["choices"] for event in events]
        assert "".join(choice["text"] for each in pieces for choice in each) == expected


def test_command_line(model: GPT2) -> None:
    def run(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", "pygpt2edge", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    given = ("-m", model.path, "-n", "12", "--seed", "3", "--json", "--no-add-special-tokens")
    expected = model.generate(PROMPT, max_tokens=12, seed=3, add_special_tokens=False)
    assert json.loads(run("generate", PROMPT, *given))["text"] == expected.text
    ids = model.tokenizer.encode(PROMPT)
    assert run("tokenize", PROMPT, "-m", model.path, "--ids").split() == [str(i) for i in ids]
