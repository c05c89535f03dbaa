"""POST /v1/embeddings, by the `openai` package and without it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifier_models import write_checkpoint
from running_server import Running, serving

from pygpt2edge import GPT2
from pygpt2edge.convert import convert

TEXTS = ["It is a truth", "", "Once upon a time there was", "é 😀"]


def embeddings(server: Running, **body: Any) -> dict[str, Any]:
    answer = server.post("/v1/embeddings", body)
    assert answer.status_code == 200, answer.text[:300]
    found: dict[str, Any] = answer.json()
    return found


def vectors(found: dict[str, Any]) -> list[Any]:
    assert [each["index"] for each in found["data"]] == list(range(len(found["data"])))
    return [each["embedding"] for each in found["data"]]


def refusal(server: Running, **body: Any) -> dict[str, Any]:
    answer = server.post("/v1/embeddings", body)
    assert answer.status_code == 400, answer.text[:300]
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_the_openai_client(server: Running, model: GPT2) -> None:
    openai = pytest.importorskip("openai", reason="needs openai")
    expected = model.embed(TEXTS)
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        # Left to itself the client asks for base64.
        for options in ({}, {"encoding_format": "float"}):
            found = client.embeddings.create(model="demo", input=TEXTS, **options)
            assert np.array_equal([each.embedding for each in found.data], expected)
            n_tokens = sum(len(model.tokens_of(text)) for text in TEXTS)
            assert found.usage.prompt_tokens == found.usage.total_tokens == n_tokens
            assert found.model == "demo"
        one = client.embeddings.create(
            model="demo", input=TEXTS[0], extra_body={"pooling": "last", "layer": 3}
        )
        assert np.array_equal(one.data[0].embedding, model.embed(TEXTS[0], 3, "last"))
        with pytest.raises(openai.BadRequestError, match="this model.s vectors have 256"):
            client.embeddings.create(model="demo", input="x", dimensions=64)
        whole = client.embeddings.create(model="demo", input="x", dimensions=256)
        assert len(whole.data[0].embedding) == 256


def test_every_form_of_input(server: Running, model: GPT2) -> None:
    tokens = [model.tokens_of(text) for text in TEXTS]
    expected = model.embed(TEXTS).tolist()
    assert vectors(embeddings(server, input=TEXTS)) == expected
    assert vectors(embeddings(server, input=tokens)) == expected
    assert vectors(embeddings(server, input=tokens[0])) == expected[:1]
    assert vectors(embeddings(server, input=TEXTS[0])) == expected[:1]
    [coded] = vectors(embeddings(server, input=TEXTS[0], encoding_format="base64"))
    assert np.frombuffer(base64.b64decode(coded), "<f4").tolist() == expected[0]
    many = [f"{text} {i}" for i in range(12) for text in TEXTS]
    assert vectors(embeddings(server, input=many)) == model.embed(many).tolist()


def test_options(server: Running, model: GPT2) -> None:
    found = embeddings(server, input=TEXTS, normalize=False, pooling="weighted", layer=0)
    assert vectors(found) == model.embed(TEXTS, 0, "weighted", False).tolist()
    long = "word " * (model.n_ctx + 5)
    assert vectors(embeddings(server, input=long, truncate=True)) == [
        model.embed(long, truncate=True).tolist()
    ]


@pytest.mark.parametrize(
    ("body", "words", "param"),
    [
        ({}, "the field 'input' is missing", "input"),
        ({"input": []}, "input is an empty list; give one input or more", "input"),
        ({"input": ["a", 1]}, "input has token ids and inputs side by side", "input"),
        ({"input": [[]] * 2049}, "input has 2,049 inputs; give 2048 at most", "input"),
        ({"input": 3}, "Expected", "input"),
        ({"input": [999999]}, "there is no token 999999", "input"),
        ({"input": "a", "dimensions": 5}, "dimensions is 5", "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "hex", "encoding_format"),
        ({"input": "a", "pooling": "max"}, "max", "pooling"),
        ({"input": "a", "layer": 99}, "layer is 99; this model has the hidden states", None),
        ({"input": "a", "polling": "mean"}, "did you mean", "polling"),
    ],
)  # fmt: skip
def test_refusals(server: Running, body: dict[str, Any], words: str, param: str | None) -> None:
    error = refusal(server, **body)
    assert words in error["message"]
    assert error["param"] == param


def test_a_text_that_is_too_long(server: Running, model: GPT2) -> None:
    error = refusal(server, input=["short", "word" + " word" * model.n_ctx])
    assert error["code"] == "context_length_exceeded"
    assert f"input 1 has {model.n_ctx + 1:,} tokens" in error["message"]


def test_a_classifier_embeds_and_does_not_write(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "sentiment", "sentiment")
    path = convert(source, tmp_path / "sentiment.gguf", "f32").out
    with serving("--model", str(path)) as server:
        found = embeddings(server, input="the cat")
        assert vectors(found) == [GPT2(path).embed("the cat").tolist()]
        answer = server.post("/v1/completions", {"prompt": "the cat"})
        assert answer.status_code == 400
        assert "fine-tuned to classify" in answer.json()["error"]["message"]
        answer = server.post("/v1/next_tokens", {"prompt": "the cat"})
        assert answer.status_code == 400
        assert "fine-tuned to classify" in answer.json()["error"]["message"]
