"""The other routes, and the OpenAPI document."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from running_server import Running

from pygpt2edge import GPT2
from pygpt2edge.serve.settings import Settings, limit_of

httpx = pytest.importorskip("httpx", reason="needs httpx")


def get(server: Running, path: str) -> Any:
    answer = httpx.get(server.url + path, verify=False)
    assert answer.status_code == 200
    return answer.json()


def post(server: Running, path: str, **body: Any) -> Any:
    answer = server.post(path, body)
    assert answer.status_code == 200, answer.text[:300]
    return answer.json()


def test_models_and_health(server: Running, model: GPT2) -> None:
    [card] = get(server, "/v1/models")["data"]
    assert card["id"] == "demo"
    assert card["max_model_len"] == model.n_ctx
    assert card["memory"] == model.memory
    assert get(server, "/v1/models/demo") == card
    assert get(server, "/health")["status"] == "ok"


def test_tokenize_and_detokenize(server: Running, model: GPT2) -> None:
    text = "It is é <|endoftext|>"
    found = post(server, "/tokenize", prompt=text)
    assert found["tokens"] == model.tokenizer.encode(text)
    assert found["count"] == len(found["token_strs"]) == len(found["tokens"])
    assert post(server, "/tokenize", content=text)["tokens"] == found["tokens"]
    assert post(server, "/tokenize", prompt=text, allow_special=True)["tokens"][-1] == 50256
    back = post(server, "/detokenize", tokens=found["tokens"])
    assert back == {"prompt": text, "content": text}


def test_next_tokens(server: Running, model: GPT2) -> None:
    prompt = "It is a truth"
    logits = model.logits(prompt)[-1]
    found = post(server, "/v1/next_tokens", prompt=prompt, top=50)
    assert found["tokens"] == model.tokenizer.encode(prompt)
    assert found["n_vocab"] == len(logits)
    ids = [candidate["id"] for candidate in found["candidates"]]
    assert ids == sorted(range(len(logits)), key=lambda i: (-logits[i], i))[:50]
    for candidate in found["candidates"]:
        assert candidate["logit"] == logits[candidate["id"]]
        assert candidate["text"] == model.tokenizer.decode([candidate["id"]])
        expected = candidate["logit"] - found["log_sum_exp"]
        assert candidate["logprob"] == pytest.approx(expected, abs=1e-5)
        assert candidate["probability"] == pytest.approx(math.exp(expected), rel=1e-4)
    total = found["rest"] + sum(each["probability"] for each in found["candidates"])
    assert total == pytest.approx(1, abs=1e-5)


def test_next_tokens_of_texts_that_grow_and_shrink(server: Running, model: GPT2) -> None:
    """What is computed once is used again, and changes nothing."""
    for text in ("It is", "It is a truth", "It was", "", "It is a", "It is a"):
        [best] = post(server, "/v1/next_tokens", prompt=text, top=1)["candidates"]
        row = model.logits(model.tokens_of(text))[-1]
        assert best["id"] == int(row.argmax())
        assert best["logit"] == row.max()


def test_attention(server: Running, model: GPT2) -> None:
    prompt = "A robot must obey the orders given it"
    weights = model.attention(prompt, layers=[2])[0]
    whole = post(server, "/v1/attention", prompt=prompt, layer=2)
    one = post(server, "/v1/attention", prompt=prompt, layer=2, head=1)
    assert whole["heads"] == list(range(model.config["n_head"]))
    assert one["heads"] == [1]
    assert one["weights"] == [whole["weights"][1]]
    assert "".join(one["token_strs"]) == prompt
    for head, rows in enumerate(whole["weights"]):
        for i, row in enumerate(rows):
            assert row == pytest.approx(weights[head, i, : i + 1].tolist(), abs=1e-6)


def test_suggestions(server: Running, model: GPT2) -> None:
    found = post(server, "/v1/suggestions", text="It is a tru", k=4)["suggestions"]
    expected = model.suggest("It is a tru", 4)
    assert [each["word"] for each in found] == [each.word for each in expected]
    assert [each["completion"] for each in found] == [each.completion for each in expected]


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/next_tokens", {}, "prompt"),
    ("/v1/next_tokens", {"prompt": "x", "top": 0}, "top"),
    ("/v1/next_tokens", {"prompt": [50257]}, "prompt"),
    ("/v1/attention", {"prompt": "x", "layer": 6}, "layer"),
    ("/v1/attention", {"prompt": "x", "layer": 0, "head": -1}, "head"),
    ("/v1/attention", {"prompt": "x " * 300, "layer": 0}, "prompt"),
    ("/v1/suggestions", {"text": "x", "k": 0}, "k"),
    ("/v1/suggestions", {"text": 5}, "text"),
    ("/tokenize", {}, "prompt"),
    ("/detokenize", {"tokens": [-1]}, "tokens"),
    ("/detokenize", {"tokens": ["a"]}, "tokens"),
]


@pytest.mark.parametrize(("path", "body", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_errors_name_the_field(
    server: Running, path: str, body: dict[str, Any], param: str
) -> None:
    answer = server.post(path, body)
    assert answer.status_code == 400, answer.text[:300]
    assert answer.json()["error"]["param"] == param


def test_a_text_longer_than_the_context(server: Running) -> None:
    answer = server.post("/v1/next_tokens", {"prompt": "x " * 1500})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_metrics_count(server: Running) -> None:
    before = server.metric("pygpt2edge_generated_tokens_total")
    server.complete("x", max_tokens=5, ignore_eos=True)
    assert server.metric("pygpt2edge_generated_tokens_total") == before + 5
    assert server.metric("pygpt2edge_cache_bytes") > 0
    assert server.metric("pygpt2edge_time_to_first_token_seconds_count") > 0


def test_openapi_describes_what_is_there(server: Running) -> None:
    document = get(server, "/openapi.json")
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    references = [*_references(document)]
    assert references
    assert all(name.removeprefix("#/components/schemas/") in schemas for name in references)
    completion = schemas["CompletionRequest"]["properties"]
    assert completion["temperature"]["minimum"] == 0
    assert "The same seed" in completion["seed"]["description"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            status = httpx.request(
                method, server.url + path.replace("{model}", "demo"), content=b"{}", verify=False
            ).status_code
            assert status not in (404, 405), path
            assert operation["summary"]


def test_the_guide_has_every_route_and_limit() -> None:
    pytest.importorskip("starlette", reason="needs starlette")
    from pygpt2edge.serve.app import ENDPOINTS

    guide = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    for endpoint in ENDPOINTS:
        assert f"`{endpoint.method} {endpoint.path}`" in guide
    limits = [limit_of(each) for each in fields(Settings)]
    for limit in limits:
        assert limit is None or f"| `{limit.flag}` |" in guide


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [name for each in value.values() for name in _references(each)]
    if isinstance(value, list):
        return [name for each in value for name in _references(each)]
    return []
