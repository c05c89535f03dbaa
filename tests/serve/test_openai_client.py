"""The `openai` package as the client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from running_server import Running, alone

from pygpt2edge import GPT2

openai = pytest.importorskip("openai", reason="needs openai")


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def test_whole_text(client: openai.OpenAI, model: GPT2) -> None:
    found = client.completions.create(
        model="demo", prompt="It is a truth", max_tokens=8, temperature=0.5, seed=1,
        extra_body={"top_k": 10, "min_p": 0.05},
    )  # fmt: skip
    expected = alone(
        model, "It is a truth", max_tokens=8, temperature=0.5, seed=1, top_k=10, min_p=0.05
    )
    assert found.choices[0].text == expected
    assert found.usage is not None
    assert found.usage.completion_tokens == 8


def test_stream(client: openai.OpenAI, model: GPT2) -> None:
    chunks = list(
        client.completions.create(
            model="demo", prompt="Once", seed=2, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == alone(model, "Once", seed=2)
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 17


def test_logprobs(client: openai.OpenAI) -> None:
    found = client.completions.create(
        model="demo", prompt="Once upon", logprobs=3, echo=True, max_tokens=2, seed=1
    )
    logprobs = found.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert logprobs.token_logprobs is not None
    assert "".join(logprobs.tokens) == found.choices[0].text
    assert logprobs.token_logprobs[0] is None
    assert len(logprobs.token_logprobs) == 4


def test_async_streams_at_once(server: Running, model: GPT2) -> None:
    async def text(client: openai.AsyncOpenAI, seed: int) -> str:
        stream = await client.completions.create(
            model="demo", prompt="It is", seed=seed, max_tokens=30, stream=True
        )
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def all_texts() -> list[str]:
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none") as client:
            return await asyncio.gather(*(text(client, seed) for seed in range(8)))

    expected = [alone(model, "It is", seed=seed, max_tokens=30) for seed in range(8)]
    assert asyncio.run(all_texts()) == expected


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("demo").id == "demo"


def test_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="demo", prompt="x", temperature=-1)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="gpt-5", prompt="x")
