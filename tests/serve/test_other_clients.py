"""LangChain, and the `llm` command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_server import Running, alone

from pygpt2edge import GPT2


def test_langchain(server: Running, model: GPT2) -> None:
    langchain_openai = pytest.importorskip("langchain_openai", reason="needs langchain-openai")
    client = langchain_openai.OpenAI(
        base_url=server.url + "/v1", api_key="none", model="demo", seed=1, max_tokens=8
    )
    expected = alone(model, "It is a truth", seed=1, max_tokens=8, temperature=0.7)
    assert client.invoke("It is a truth") == expected
    assert "".join(client.stream("It is a truth")) == expected


def test_llm_command(server: Running, model: GPT2, tmp_path: Path) -> None:
    pytest.importorskip("llm", reason="needs llm")
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: gpt2\n  model_name: demo\n  api_base: {server.url}/v1\n  completion: true\n"
    )
    command = [sys.executable, "-m", "llm", "-m", "gpt2", "-o", "seed", "1",
               "-o", "max_tokens", "8", "It is a truth"]  # fmt: skip
    done = subprocess.run(
        command,
        env=os.environ | {"LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip("\n") == alone(model, "It is a truth", seed=1, max_tokens=8).rstrip(
        "\n"
    )
