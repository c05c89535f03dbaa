"""Many texts at once: each is what it would be alone, whatever the others do."""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygpt2edge import GPT2, Completion, ContextLengthError, Engine, QueueFullError

BEGINNING = "It is a truth universally acknowledged, that"
PROMPTS = ["Once upon a time", BEGINNING, BEGINNING + " a single man", "The", "", BEGINNING * 9]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2, n_ctx=256)


_ALONE: dict[tuple, Completion] = {}


def alone(model: GPT2, prompt: str, **options: object) -> Completion:
    key = (prompt, *sorted(options.items()))
    if key not in _ALONE:
        _ALONE[key] = model.generate(prompt, **options)
    return _ALONE[key]


def same(found: Completion, expected: Completion) -> bool:
    what = ("text", "tokens", "finish_reason", "stop_string", "seed", "prompt_tokens", "logprobs")
    return all(getattr(found, name) == getattr(expected, name) for name in what)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0},
        {"temperature": 1.2, "top_k": 0, "logprobs": 3},
        {"repetition_penalty": 1.3, "stop": ("the",)},
        {"max_tokens": 0},
        {"max_tokens": None, "ignore_eos": True},
        {
            "context_overflow": "slide",
            "keep": 3,
            "discard": 213,
            "max_tokens": 400,
            "ignore_eos": True,
        },
    ],
)
def test_batches_give_the_texts_of_single_calls(model: GPT2, options: dict) -> None:
    options = {"seed": 11, "max_tokens": 24, **options}
    for found, prompt in zip(model.generate(PROMPTS, **options), PROMPTS, strict=True):
        assert same(found, alone(model, prompt, **options))


REQUESTS = st.lists(
    st.tuples(
        st.integers(0, len(PROMPTS) - 1),
        st.integers(0, 2),  # seed
        st.sampled_from([1, 7, 25]),  # max_tokens
        st.sampled_from([None, None, None, 0, 3]),  # cancelled after so many pieces
        st.integers(0, 3),  # milliseconds until the next one comes
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(
    requests=REQUESTS,
    max_batch=st.integers(1, 5),
    room=st.sampled_from([1, 2, 40]),
    keep_prefixes=st.booleans(),
)
def test_any_coming_and_going(
    model: GPT2, requests: list[tuple], max_batch: int, room: int, keep_prefixes: bool
) -> None:
    cache_bytes = room * model.memory["cache"]
    with Engine(
        model, max_batch=max_batch, cache_bytes=cache_bytes, keep_prefixes=keep_prefixes
    ) as engine:
        running = []
        for which, seed, max_tokens, cancelled_after, pause in requests:
            options = {"seed": seed, "max_tokens": max_tokens}
            request = engine.submit(PROMPTS[which], **options)
            if cancelled_after is not None:
                for _ in range(cancelled_after):
                    next(request, None)
                request.cancel()
            running.append((request, PROMPTS[which], options, cancelled_after is not None))
            time.sleep(pause / 1000)
        for request, prompt, options, cancelled in running:
            found, expected = request.result(), alone(model, prompt, **options)
            if cancelled and found.finish_reason == "cancelled":
                assert found.tokens == expected.tokens[: len(found.tokens)]
            else:
                assert same(found, expected)
    gc.collect()
    assert model.cache_bytes_used <= cache_bytes


def test_streams_in_coroutines_and_threads(model: GPT2) -> None:
    expected = alone(model, BEGINNING, seed=2, max_tokens=20)

    async def read(engine: Engine) -> str:
        pieces = [piece async for piece in engine.submit(BEGINNING, seed=2, max_tokens=20)]
        return "".join(piece.text for piece in pieces)

    async def read_many(engine: Engine) -> list[str]:
        whole = engine.submit(BEGINNING, seed=2, max_tokens=20).wait()
        texts = await asyncio.gather(*(read(engine) for _ in range(20)))
        return [*texts, (await whole).text]

    with Engine(model, max_batch=4) as engine:
        found: list[str] = []
        threads = [
            threading.Thread(
                target=lambda: found.append(
                    engine.submit(BEGINNING, seed=2, max_tokens=20).result().text
                )
            )
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        found += asyncio.run(read_many(engine))
        for thread in threads:
            thread.join()
    assert found == [expected.text] * 27


def test_texts_that_begin_alike_share_the_work(model: GPT2) -> None:
    long = model.tokenizer.encode(BEGINNING) * 20
    with Engine(model) as engine:
        first = engine.submit(long, max_tokens=4, seed=1).result()
        again = engine.submit(long, max_tokens=4, seed=1).result()
        assert again.tokens == first.tokens
        assert model.cache_bytes_used < 2 * model.memory["cache"]
        # The second prompt was known but for its last token.
        assert again.timings.prefill_s < first.timings.prefill_s


def test_a_text_goes_on_from_what_is_kept(model: GPT2) -> None:
    tokens = model.tokenizer.encode(BEGINNING * 9)
    session = model.session()
    session.append(tokens[:-1])
    with Engine(model) as engine:
        engine.keep(model.session())  # of nothing
        engine.keep(session.fork())
        found = engine.submit(tokens, max_tokens=20, seed=1).result()
    assert found.timings.prefill_tokens == 1
    assert same(found, alone(model, BEGINNING * 9, max_tokens=20, seed=1))


def test_a_callback_comes_before_the_reader_learns_of_the_end(model: GPT2) -> None:
    with Engine(model) as engine:
        for _ in range(20):
            request = engine.submit("The", max_tokens=1, seed=1)
            ended: list[object] = []
            request.add_done_callback(ended.append)
            request.result()
            assert ended == [request]
        request.add_done_callback(ended.append)  # at once
        assert ended == [request] * 2


def test_a_long_prompt_does_not_hold_up_the_others(model: GPT2) -> None:
    long = model.tokenizer.encode(BEGINNING) * 25
    with Engine(model, keep_prefixes=False) as engine:
        writing = engine.submit("The", max_tokens=200, seed=1, ignore_eos=True)
        next(writing)
        reading = engine.submit(long, max_tokens=1, seed=1)
        next(reading)
        written = len(writing.completion().tokens)
        writing.cancel()
    # At 64 tokens a step, the prompt of 225 took four steps, of which each wrote a token.
    assert 4 <= written < 200


def test_refusals(model: GPT2) -> None:
    full = model.memory["cache"]
    with Engine(model, max_batch=1, max_queue=2, cache_bytes=full) as engine:
        with pytest.raises(ContextLengthError, match="do not fit a context of 256"):
            engine.submit([5] * 257)
        with pytest.raises(ValueError, match="token 1 is 1000000"):
            engine.submit([5, 1_000_000])
        with pytest.raises(ValueError, match="top_p is 7"):
            engine.submit("a", top_p=7)
        with pytest.raises(MemoryError, match="cache_bytes"):
            engine.submit("a", max_tokens=None, context_overflow="slide", discard=55)
        requests = []
        with pytest.raises(QueueFullError, match="2 requests wait"):
            for _ in range(9):
                requests.append(engine.submit("a", max_tokens=200, ignore_eos=True))
        for request in requests:
            request.cancel()
    with pytest.raises(RuntimeError, match="closed"):
        engine.submit("a")
    with pytest.raises(ValueError, match="max_batch is 0"):
        Engine(model, max_batch=0)


def test_an_error_reaches_its_reader_only(model: GPT2) -> None:
    with Engine(model) as engine:
        fails = engine.submit(
            BEGINNING, max_tokens=None, ignore_eos=True, context_overflow="error", seed=1
        )
        lives = engine.submit("The", max_tokens=30, seed=1)
        with pytest.raises(ContextLengthError, match="is full"):
            fails.result()
        assert same(lives.result(), alone(model, "The", max_tokens=30, seed=1))


def test_closing_ends_what_runs(model: GPT2) -> None:
    engine = Engine(model)
    request = engine.submit("The", max_tokens=None, ignore_eos=True, context_overflow="slide")
    next(request)
    engine.close()
    assert request.result().finish_reason == "cancelled"
    assert request.done()


@pytest.mark.slow
def test_memory_does_not_grow() -> None:
    model = GPT2(n_threads=2, n_ctx=64)
    prompts = [[1000 + i % 997, i % 89, 7] for i in range(10_000)]
    with Engine(model, max_queue=10_000, cache_bytes=20 * model.memory["cache"]) as engine:

        def run(some: list[list[int]]) -> int:
            requests = [engine.submit(p, max_tokens=1, temperature=0) for p in some]
            assert all(len(request.result().tokens) <= 1 for request in requests)
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        before = run(prompts[:2000])
        after = run(prompts[2000:])
    assert model.cache_bytes_used <= 20 * model.memory["cache"]
    assert after - before < 40_000  # kB; a request that kept its logits would leave 200 kB


def test_a_program_may_end_without_closing(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
from pygpt2edge import GPT2, Engine
engine = Engine(GPT2())
requests = [engine.submit("It is", max_tokens=500, ignore_eos=True) for _ in range(4)]
next(requests[0])
"""
    for _ in range(3):
        done = run_python(code)
        assert (done.returncode, done.stderr) == (0, "")
