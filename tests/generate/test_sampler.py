"""The sampler against a plain version that sorts everything and knows only NumPy, and its promises:
the same tokens on every machine, and draws that depend on nothing but seed and number."""

from __future__ import annotations

from typing import Any

import numpy as np
import plain_noise
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plain_noise import philox

from pygpt2edge import FormatError, _core
from pygpt2edge._core import Sampler, random_uniform, token_noise, top_logprobs

INF = float("inf")
Logits = NDArray[np.float32]


def logits_of(values: Any) -> Logits:
    return np.array(values, np.float32)


def test_the_reference_generator_gives_its_authors_numbers() -> None:
    """The known answers published with the authors' Random123 library."""
    assert philox((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 0xFFFFFFFF
    known = [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    assert philox((ones,) * 4, (ones,) * 2) == known


numbers = st.integers(0, 2**64 - 1)


@given(numbers, numbers, st.integers(0, 60_000))
def test_the_noise_of_a_token_is_that_of_its_definition(seed: int, draw: int, token: int) -> None:
    plain = float(plain_noise.token_noise(seed, draw, [token])[0])
    assert token_noise(seed, draw, token) == pytest.approx(plain, rel=1e-11)


def test_noise_is_exponential_and_independent() -> None:
    """Also between tokens of one block, whose least comes first. Bounds of four deviations."""
    n = 20_000
    noise = plain_noise.token_noise(5, np.arange(n), [0, 1, 63, 64])
    shares = np.sort(np.exp(-noise), axis=0)  # uniform, if it is exponential
    distance = np.abs(shares - (np.arange(n)[:, None] + 0.5) / n).max(axis=0)
    assert (distance < 2.0 / np.sqrt(n)).all()  # Kolmogorov-Smirnov
    between = np.corrcoef(np.exp(-noise), rowvar=False) - np.eye(4)
    assert (np.abs(between) < 4 / np.sqrt(n)).all()


def test_a_negative_token_has_no_noise() -> None:
    with pytest.raises(ValueError, match="token is negative: -1"):
        token_noise(1, 1, -1)


DEFAULTS: dict[str, Any] = {
    "temperature": 0.8, "top_k": 40, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0,
    "xtc_probability": 0.0, "xtc_threshold": 0.1, "repetition_penalty": 1.0,
    "frequency_penalty": 0.0, "presence_penalty": 0.0, "penalty_last_n": -1,
    "dry_multiplier": 0.0, "dry_base": 1.75, "dry_allowed_length": 2, "dry_penalty_last_n": -1,
    "dry_sequence_breakers": ["\n", ":", '"', "*"], "no_repeat_ngram_size": 0, "min_tokens": 0,
    "suppress_tokens": [], "begin_suppress_tokens": [], "forced_first_token": None,
    "logit_bias": {}, "seed": 0, "logits_processor": None, "end_tokens": [],
}  # fmt: skip

# What the tokens that the tests accept stand for.
TEXTS = ["a", "b", ":", "c", "b:", "c ", "d"]
TABLES = _core.TokenizerTables(
    [t.replace(" ", "\u0120") for t in TEXTS], [], ["b :"], None, None, path="tiny"
)


def last(tokens: list[Any], n: int) -> list[Any]:
    return tokens if n < 0 else tokens[max(0, len(tokens) - n) :]


def plain_dry(x: Logits, text: list[int], o: dict[str, Any]) -> None:
    """Every earlier place that ends as the text does, compared token by token."""
    if o["dry_multiplier"] == 0:
        return
    breakers = o["dry_sequence_breakers"]
    since = 0  # tokens after the last one that a breaker ends in
    spelled = [TEXTS[t] for t in text] if breakers else [""] * len(text)
    for i in range(len(text)):
        before, through = "".join(spelled[:i]), "".join(spelled[: i + 1])
        is_end = any(through.find(b, max(0, len(before) - len(b) + 1)) >= 0 for b in breakers)
        since = 0 if is_end else since + 1
    seen = last(text, o["dry_penalty_last_n"])
    repeated: dict[int, int] = {}
    for end in range(1, len(seen)):
        n = 0
        while n < min(end, since) and seen[end - 1 - n] == seen[-1 - n]:
            n += 1
        repeated[seen[end]] = max(n, repeated.get(seen[end], 0))
    for token, n in repeated.items():
        is_breaker = breakers and any(b in TEXTS[token] for b in breakers)
        if n >= o["dry_allowed_length"] and not is_breaker:
            x[token] -= o["dry_multiplier"] * o["dry_base"] ** (n - o["dry_allowed_length"])


def plain_logits(logits: Logits, prompt: list[int], added: list[int], o: dict[str, Any]) -> Logits:
    """All that comes before temperature."""
    x = logits.copy()
    text = prompt + added
    if o["logits_processor"]:
        o["logits_processor"](x, np.array(text, np.int32))
    for token, bias in o["logit_bias"].items():
        x[token] += np.float32(bias)
    was_added = last([False] * len(prompt) + [True] * len(added), o["penalty_last_n"])
    seen = last(text, o["penalty_last_n"])
    for token in set(seen):
        scale = o["repetition_penalty"]
        x[token] = x[token] / scale if x[token] > 0 else x[token] * scale
        count = sum(t == token and new for t, new in zip(seen, was_added, strict=True))
        x[token] -= count * o["frequency_penalty"] + (count > 0) * o["presence_penalty"]
    plain_dry(x, text, o)
    n = o["no_repeat_ngram_size"]
    for i in range(len(text) - n + 1 if n else 0):
        if text[i : i + n - 1] == text[len(text) - n + 1 :]:
            x[text[i + n - 1]] = -INF
    x[o["end_tokens"] if len(added) < o["min_tokens"] else []] = -INF
    x[o["suppress_tokens"]] = -INF
    x[o["begin_suppress_tokens"] if not added else []] = -INF
    return x


def crossing(shares: NDArray[np.float64], p: float) -> tuple[int, float]:
    """How many it takes to reach a share, and how near another number was."""
    n = min(int(np.searchsorted(shares, p)) + 1, len(shares))
    return n, float(np.abs(shares - p).min())


def plain_sample(
    logits: Logits, prompt: list[int], draw: int, added: list[int] | None = None, **options: Any
) -> tuple[int, float]:
    """The token, and how far the random numbers were from choosing another, as a share of 1."""
    o = DEFAULTS | options
    added = added or []
    if not added and o["forced_first_token"] is not None:
        return o["forced_first_token"], 1.0
    x = plain_logits(logits, prompt, added, o)
    order = np.lexsort((np.arange(len(x)), -x))  # by logit, then by id
    order = order[x[order] > -INF]
    if o["temperature"] == 0 or o["top_k"] == 1:
        return int(order[0]), float(np.diff(-x[order[:2]]).min(initial=1.0)) or 1.0
    order = order[: o["top_k"] or None]
    weights = np.exp((x[order].astype(np.float64) - float(x[order[0]])) / o["temperature"])
    margin = 1.0
    if o["top_p"] < 1:
        n, margin = crossing(np.cumsum(weights) / weights.sum(), o["top_p"])
        order, weights = order[:n], weights[:n]
    order, weights = order[weights >= o["min_p"]], weights[weights >= o["min_p"]]
    if o["typical_p"] < 1:  # TypicalLogitsWarper
        p = weights / weights.sum()
        distance = np.abs(-np.log(p) + (p * np.log(p)).sum())
        typical = np.argsort(distance, kind="stable")
        n, near = crossing(np.cumsum(p[typical]), o["typical_p"])
        ends = distance[typical[max(0, n - 1) : n + 1]]
        margin = min(margin, near, float(np.diff(ends).min(initial=1.0)) or 1e-10)
        kept = np.sort(typical[:n])
        order, weights = order[kept], weights[kept]
    chance = random_uniform(o["seed"], draw, 1)
    excludes = chance < o["xtc_probability"]
    if excludes:
        p = weights / weights.sum()
        margin = min(margin, float(np.abs(p - o["xtc_threshold"]).min()))
        top = int((p >= o["xtc_threshold"]).sum())
        order, weights = order[max(0, top - 1) :], weights[max(0, top - 1) :]
    first, ahead = plain_noise.race(plain_noise.token_noise(o["seed"], draw, order), weights)
    return int(order[first]), min(margin, float(ahead))


def sampler_that_saw(tokens: list[int], **options: Any) -> Sampler:
    sampler = Sampler(**options)
    for token in tokens:
        sampler.accept(token)
    return sampler


def lift(logits: Logits, text: NDArray[np.int32]) -> None:
    """A logits_processor that looks at both."""
    logits[: 1 + len(text)] += 1.5


tokens_seen = st.lists(st.integers(0, 6), max_size=3)
options = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0.0, 0.3, 0.8, 1.0, 2.5]),
        "top_k": st.sampled_from([0, 1, 2, 3, 40, 500]),
        "top_p": st.sampled_from([0.0, 0.3, 0.9, 0.999, 1.0]),
        "min_p": st.sampled_from([0.0, 0.05, 0.5, 1.0]),
        "typical_p": st.sampled_from([0.0, 0.2, 0.9, 1.0]),
        "xtc_probability": st.sampled_from([0.0, 0.5, 1.0]),
        "xtc_threshold": st.sampled_from([0.01, 0.1, 0.3]),
        "repetition_penalty": st.sampled_from([0.7, 1.0, 1.3, 2.0]),
        "frequency_penalty": st.sampled_from([-0.5, 0.0, 0.7, 2.0]),
        "presence_penalty": st.sampled_from([-2.0, 0.0, 1.0]),
        "penalty_last_n": st.sampled_from([-1, 0, 1, 3]),
        "dry_multiplier": st.sampled_from([0.0, 0.8, 3.0]),
        "dry_base": st.sampled_from([1.0, 1.75]),
        "dry_allowed_length": st.integers(1, 3),
        "dry_penalty_last_n": st.sampled_from([-1, 0, 5, 50]),
        "dry_sequence_breakers": st.sampled_from([[], [":"], ["b:", "d"], [":c", "c d"]]),
        "no_repeat_ngram_size": st.integers(0, 4),
        "min_tokens": st.integers(0, 8),
        "suppress_tokens": tokens_seen,
        "begin_suppress_tokens": tokens_seen,
        "forced_first_token": st.sampled_from([None, 3]),
        "logit_bias": st.dictionaries(st.integers(0, 6), st.sampled_from([-INF, -5.0, 1.5, 100.0])),
        "logits_processor": st.sampled_from([None, lift]),
        "end_tokens": tokens_seen,
        "seed": st.integers(0, 2**64 - 1),
    },
)
texts = st.lists(st.integers(0, 6), max_size=12) | st.lists(st.integers(0, 2), max_size=40)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(options, st.integers(8, 300), texts, texts, st.data())
def test_equals_the_plain_version(
    chosen: dict[str, Any], n_vocab: int, prompt: list[int], added: list[int], data: st.DataObject
) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    logits = generator.normal(0, 3, n_vocab).astype(np.float32)
    if data.draw(st.booleans()):
        logits = np.round(logits)  # many ties
    logits[7:][generator.random(n_vocab - 7) < 0.1] = -INF
    logits[-1] = 1.0  # one that no option bans
    sampler = Sampler(**chosen, tables=TABLES)
    for token in prompt:
        sampler.accept_prompt(token)
    for token in added:
        sampler.accept(token)
    for draw in range(8):
        expected, margin = plain_sample(logits, prompt, draw, added, **chosen)
        token = sampler.sample(logits)
        # Closer than this, NumPy's exp, log and order of summing may say otherwise.
        assert token == expected or margin < 1e-6
        assert sampler.draw_index == draw + 1


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"top_k": 1000, "temperature": 1.5},
        {"top_k": 0, "temperature": 2.0},
        {"top_k": 0, "top_p": 0.5},
        {"top_k": 0, "top_p": 0.97, "temperature": 2.0},
        {"top_k": 0, "top_p": 0.9999, "temperature": 9.0},
        {"top_k": 0, "min_p": 0.1, "temperature": 2.0},
        {"top_k": 0, "top_p": 0.95, "min_p": 0.01},
        {"top_k": 0, "typical_p": 0.2},
        {"top_k": 0, "typical_p": 0.95, "temperature": 2.0},
        {"top_k": 0, "typical_p": 0.9999, "temperature": 9.0},
        {"top_k": 0, "xtc_probability": 1.0},
        {"top_k": 0, "xtc_probability": 0.5, "xtc_threshold": 1e-3, "temperature": 2.0},
        {"top_k": 0, "xtc_probability": 1.0, "xtc_threshold": 1e-6, "temperature": 9.0},
        {"top_k": 0, "typical_p": 0.5, "xtc_probability": 1.0, "xtc_threshold": 1e-3},
    ],
)
@pytest.mark.parametrize("order", ["any", "rising", "falling"])
def test_equals_the_plain_version_on_a_whole_vocabulary(chosen: dict[str, Any], order: str) -> None:
    logits = np.random.default_rng(5).normal(0, 3, 50257).astype(np.float32)
    if order != "any":
        logits = np.sort(logits) if order == "rising" else np.sort(logits)[::-1].copy()
    sampler = Sampler(seed=11, **chosen)
    for draw in range(30):
        expected, margin = plain_sample(logits, [], draw, seed=11, **chosen)
        assert sampler.sample(logits) == expected or margin < 1e-9


PINNED = {
    "top_k": [1075, 798, 3792, 2051, 3581, 4557, 1807, 3825, 4801, 1286, 4102, 2816],
    "all": [1313, 4966, 1583, 1168, 831, 463, 2586, 1385, 3601, 3700, 4135, 285],
    "top_p": [4920, 4102, 1623, 1775, 3186, 1385, 3469, 4544, 4801, 3212, 1953, 1722],
}


def test_the_tokens_of_a_seed_never_change() -> None:
    """Whatever the machine, the compiler or the version: these were drawn when the sampler was
    written. The logits are made of integers, so they too are the same everywhere."""
    logits = ((np.arange(5000) * 7919 % 1009) / 64).astype(np.float32)
    drawn = {
        name: [sampler.sample(logits) for _ in range(12)]
        for name, sampler in {
            "top_k": Sampler(seed=1),
            "all": Sampler(top_k=0, temperature=1.5, seed=2),
            "top_p": Sampler(top_k=0, top_p=0.9, temperature=1.2, seed=2**64 - 1),
        }.items()
    }
    assert drawn == PINNED


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64 - 1), st.permutations(range(12)))
def test_a_draw_depends_only_on_seed_and_number(seed: int, order: list[int]) -> None:
    logits = np.linspace(0, 3, 200, dtype=np.float32)
    sampler = Sampler(top_k=0, seed=seed)
    in_order = [sampler.sample(logits) for _ in order]
    for draw in order:
        sampler.draw_index = draw
        assert sampler.sample(logits) == in_order[draw]


def test_a_copy_draws_what_the_original_would() -> None:
    logits = np.zeros(1000, np.float32)
    sampler = sampler_that_saw([1, 2, 3], top_k=0, repetition_penalty=1.5, seed=3)
    sampler.sample(logits)
    fork = sampler.copy()
    expected = [sampler.sample(logits) for _ in range(5)]
    sampler.accept(7)  # no longer shared
    assert [fork.sample(logits) for _ in range(5)] == expected
    assert fork.draw_index == 6


def test_reset_starts_over() -> None:
    logits = np.linspace(-1, 1, 100, dtype=np.float32)
    sampler = Sampler(seed=4, repetition_penalty=5.0)
    first = [sampler.sample(logits) for _ in range(10)]
    for token in first:
        sampler.accept(token)
    assert [sampler.sample(logits) for _ in range(10)] != first
    sampler.reset()
    assert [sampler.sample(logits) for _ in range(10)] == first


@pytest.mark.parametrize("chosen", [{"top_k": 0}, {"top_k": 5}, {"top_k": 0, "top_p": 0.99999}])
def test_frequencies_are_the_probabilities(chosen: dict[str, Any]) -> None:
    """Pearson's chi-squared over 20,000 draws; 18.5 is exceeded once in a thousand by chance, and a
    fixed seed takes no chances."""
    logits = logits_of([2.0, 1.0, 0.0, 1.5, -1.0])
    sampler = Sampler(temperature=1.0, seed=12, **chosen)
    counts = np.bincount([sampler.sample(logits) for _ in range(20_000)], minlength=5)
    expected = np.exp(logits) / np.exp(logits).sum() * 20_000
    assert ((counts - expected) ** 2 / expected).sum() < 18.5


@pytest.mark.parametrize(
    "chosen", [{"temperature": 0}, {"top_k": 1}, {"temperature": 0, "top_k": 0}]
)
def test_greedy_takes_the_highest_and_of_equals_the_first(chosen: dict[str, Any]) -> None:
    logits = np.full(1000, -3, np.float32)
    logits[[401, 77, 900]] = 5
    assert Sampler(**chosen).sample(logits) == 77
    assert Sampler(logit_bias={77: -1}, **chosen).sample(logits) == 401
    assert sampler_that_saw([77, 401], repetition_penalty=1.1, **chosen).sample(logits) == 900
    assert Sampler(**chosen).sample(logits_of([0.0, -0.0])) == 0
    assert Sampler(**chosen).sample(logits_of([-0.0, 0.0])) == 0


def tokens_drawn(logits: Logits, n: int = 300, **chosen: Any) -> set[int]:
    sampler = Sampler(**chosen)
    return {sampler.sample(logits) for _ in range(n)}


def test_top_k_keeps_exactly_k_also_of_equals() -> None:
    assert tokens_drawn(np.zeros(500, np.float32), top_k=3) == {0, 1, 2}


def test_top_p_keeps_the_token_that_crosses_it() -> None:
    logits = logits_of(np.log([0.5, 0.25, 0.125, 0.125]))
    for top_k in (0, 4):
        shared = {"temperature": 1.0, "top_k": top_k}
        assert tokens_drawn(logits, top_p=0.49, **shared) == {0}
        assert tokens_drawn(logits, top_p=0.51, **shared) == {0, 1}
        assert tokens_drawn(logits, top_p=0.76, **shared) == {0, 1, 2}
        assert tokens_drawn(logits, top_p=0.0, **shared) == {0}
    # A share of what top-k left: 0.5 and 0.25 become 2/3 and 1/3.
    assert tokens_drawn(logits, top_p=0.6, top_k=2, temperature=1.0) == {0}


def test_min_p_is_relative_to_the_most_likely() -> None:
    logits = logits_of(np.log([0.4, 0.3, 0.19, 0.11]))
    for top_k in (0, 4):
        assert tokens_drawn(logits, min_p=0.5, temperature=1.0, top_k=top_k) == {0, 1}
        assert tokens_drawn(logits, min_p=1.0, temperature=1.0, top_k=top_k) == {0}


def test_the_penalty_counts_a_token_once_and_only_in_the_window() -> None:
    greedy = {"temperature": 0.0, "repetition_penalty": 2.0}
    logits = logits_of([4.0, 2.5, -1.0, -1.5])
    assert sampler_that_saw([0], **greedy).sample(logits) == 1  # 4 / 2 < 2.5
    assert sampler_that_saw([0, 0, 0, 1], **greedy).sample(logits) == 0  # not 4 / 8
    # The window of one has forgotten token 0; a negative logit is multiplied.
    assert sampler_that_saw([0, 1], penalty_last_n=1, **greedy).sample(logits) == 0
    assert sampler_that_saw([2], **greedy).sample(logits_of([-9, -9, -1.0, -1.5])) == 3


def test_frequency_and_presence_count_what_was_generated() -> None:
    logits = logits_of([4.0, 3.0])
    for name, value in (("frequency_penalty", 0.6), ("presence_penalty", 1.2)):
        sampler = Sampler(temperature=0.0, **{name: value})
        for _ in range(5):
            sampler.accept_prompt(0)
        assert sampler.sample(logits) == 0
        sampler.accept(0)
        assert sampler.sample(logits) == (0 if name == "frequency_penalty" else 1)
        sampler.accept(0)
        assert sampler.sample(logits) == 1


def test_xtc_excludes_all_but_the_last_of_the_top_choices() -> None:
    logits = logits_of(np.log([0.4, 0.3, 0.2, 0.1]))
    shared = {"temperature": 1.0, "xtc_threshold": 0.15}
    for top_k in (0, 4):
        always = tokens_drawn(logits, top_k=top_k, xtc_probability=1.0, **shared)
        assert always == {2, 3}
        assert tokens_drawn(logits, top_k=top_k, xtc_probability=0.5, **shared) == {0, 1, 2, 3}
    # A single top choice is no choice.
    assert tokens_drawn(logits, xtc_probability=1.0, xtc_threshold=0.35, temperature=1.0) == {
        0, 1, 2, 3,
    }  # fmt: skip


def test_xtc_leaves_the_other_random_numbers_alone() -> None:
    """A token that XTC does not concern is the one that would have been drawn without it."""
    logits = np.random.default_rng(8).normal(0, 1, 500).astype(np.float32)
    plain, xtc = Sampler(seed=2), Sampler(seed=2, xtc_probability=0.5, xtc_threshold=0.04)
    for draw in range(50):
        expected, token = plain.sample(logits), xtc.sample(logits)
        assert token == expected or random_uniform(2, draw, 1) < 0.5


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_streams_are_philox(seed: int, draw: int, stream: int) -> None:
    low = 0xFFFFFFFF
    first, second, *_ = philox((draw & low, draw >> 32, stream, 0), (seed & low, seed >> 32))
    assert random_uniform(seed, draw, stream) == ((second << 32 | first) >> 11) * 2.0**-53


def test_dry_does_not_reach_over_a_breaker() -> None:
    logits = logits_of([0.0] * len(TEXTS))
    dry = {"temperature": 0.0, "dry_multiplier": 1.0, "tables": TABLES}
    for text, breakers, expected in (
        ([3, 1, 0, 3, 1], [], 1),  # "c b a c b": not a again
        ([3, 2, 0, 3, 2], [":"], 0),  # "c : a c :"
        ([3, 4, 0, 3, 4], [":"], 0),  # "c b: a c b:"
        ([3, 4, 0, 3, 4], ["cb:"], 0),  # in two tokens
        ([3, 4, 0, 3, 4], ["db:"], 1),
    ):
        sampler = sampler_that_saw(text, **dry, dry_sequence_breakers=breakers)
        assert sampler.sample(logits) == expected
    # A token that is a breaker itself is never penalized.
    logits[3] = 0.5
    repeats = [0, 1, 3, 0, 1]
    assert sampler_that_saw(repeats, **dry, dry_sequence_breakers=["c"]).sample(logits) == 3
    assert sampler_that_saw(repeats, **dry, dry_sequence_breakers=[]).sample(logits) == 0


def test_a_logits_processor_is_called_first() -> None:
    calls: list[tuple[list[float], list[int]]] = []

    def processor(logits: Logits, text: NDArray[np.int32]) -> None:
        calls.append((logits.tolist(), text.tolist()))
        logits[1] = 9.0

    sampler = Sampler(temperature=0.0, logits_processor=processor, logit_bias={2: 10.0})
    sampler.accept_prompt(1)
    sampler.accept(0)
    logits = np.zeros(3, np.float32)
    assert sampler.sample(logits) == 2
    assert calls == [([0.0, 0.0, 0.0], [1, 0])]
    assert logits.tolist() == [0.0, 0.0, 0.0]  # the caller's are left alone


def test_a_logits_processor_that_goes_wrong() -> None:
    def no_number(logits: Logits, _: NDArray[np.int32]) -> None:
        logits[2] = np.nan

    def raises(*_: object) -> None:
        raise KeyError("mine")

    logits = np.zeros(3, np.float32)
    for processor, error, problem in (
        (no_number, ValueError, "logits_processor made the logit of token 2 -?nan"),
        (raises, KeyError, "mine"),
        (lambda logits, _: logits, TypeError, "change the logits in place"),
    ):
        sampler = Sampler(logits_processor=processor)
        for _ in range(2):
            with pytest.raises(error, match=problem):
                sampler.sample(logits)
        assert sampler.draw_index == 0


def test_the_bias_comes_before_the_penalty() -> None:
    """As in Hugging Face: (1 + 3) / 2 = 2, and not 1 / 2 + 3 = 3.5."""
    chosen = {"temperature": 0.0, "repetition_penalty": 2.0, "logit_bias": {0: 3.0}}
    assert sampler_that_saw([0], **chosen).sample(logits_of([1.0, 3.0])) == 1


def test_minus_infinity_bans() -> None:
    logits = np.zeros(4, np.float32)
    logits[2] = -INF
    for top_k in (0, 40):
        banned = tokens_drawn(logits, top_k=top_k, logit_bias={0: -INF})
        assert banned == {1, 3}
        # No other option brings a banned token back.
        assert tokens_drawn(logits, top_k=top_k, logit_bias={2: 100.0}) == {0, 1, 3}


@pytest.mark.parametrize("chosen", [{}, {"temperature": 0.0}, {"top_k": 0}])
def test_nothing_to_choose_from_is_an_error(chosen: dict[str, Any]) -> None:
    sampler = Sampler(logit_bias={0: -INF}, **chosen)
    with pytest.raises(ValueError, match="every token is banned"):
        sampler.sample(logits_of([1.0, -INF]))
    with pytest.raises(ValueError, match="no logits"):
        Sampler(**chosen).sample(logits_of([]))
    assert sampler.draw_index == 0


@pytest.mark.parametrize("value", [np.nan, INF])
@pytest.mark.parametrize("place", [0, 17, 63, 99])
@pytest.mark.parametrize("chosen", [{}, {"temperature": 0.0}, {"top_k": 0, "top_p": 0.5}])
def test_a_logit_that_is_no_number_is_an_error(
    value: float, place: int, chosen: dict[str, Any]
) -> None:
    logits = np.zeros(100, np.float32)
    logits[place] = value
    biased = sampler_that_saw([place], repetition_penalty=1.5, logit_bias={place: 2.0}, **chosen)
    for sampler in (Sampler(**chosen), biased):
        with pytest.raises(FormatError, match=f"the logit of token {place} is .*damaged"):
            sampler.sample(logits)


def test_the_extremes_of_floats_are_no_trap() -> None:
    most = float(np.finfo(np.float32).max)
    logits = logits_of([most, -most, most, 0.0])
    sampler = sampler_that_saw([0, 1], repetition_penalty=1e-30, seed=1)
    assert sampler.sample(logits) in (0, 2)  # the penalty does not make it infinite
    assert tokens_drawn(logits, temperature=1e-300) == {0, 2}
    assert tokens_drawn(logits, temperature=3e38, top_k=0) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"temperature": -0.1}, "temperature is -0.1, expected a number from 0"),
        ({"temperature": INF}, "temperature is inf"),
        ({"temperature": float("nan")}, "temperature is -?nan"),
        ({"top_k": -1}, "top_k is -1, expected 0"),
        ({"top_p": 1.1}, "top_p is 1.1, expected 0 to 1"),
        ({"top_p": float("nan")}, "top_p is -?nan"),
        ({"min_p": -0.5}, "min_p is -0.5, expected 0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0, expected a number above 0"),
        ({"penalty_last_n": -2}, "penalty_last_n is -2"),
        ({"frequency_penalty": 2.5}, "frequency_penalty is 2.5, expected -2 to 2"),
        ({"presence_penalty": -3}, "presence_penalty is -3, expected -2 to 2"),
        ({"typical_p": 1.5}, "typical_p is 1.5, expected 0 to 1"),
        ({"xtc_probability": -0.1}, "xtc_probability is -0.1, expected 0"),
        ({"xtc_threshold": 2.0}, "xtc_threshold is 2, expected 0 to 1"),
        ({"dry_multiplier": -1.0}, "dry_multiplier is -1, expected a number from 0"),
        ({"dry_base": 0.5}, "dry_base is 0.5, expected a number from 1"),
        ({"dry_allowed_length": 0}, "dry_allowed_length is 0, expected 1"),
        ({"dry_penalty_last_n": -2}, "dry_penalty_last_n is -2"),
        ({"dry_sequence_breakers": [""]}, "a text of dry_sequence_breakers is empty"),
        ({"dry_multiplier": 1.0}, "dry_sequence_breakers are texts.*give it a tokenizer's tables"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size is -1"),
        ({"min_tokens": -1}, "min_tokens is -1"),
        ({"suppress_tokens": [-1]}, "a token of suppress_tokens is -1"),
        ({"begin_suppress_tokens": [-1]}, "a token of begin_suppress_tokens is -1"),
        ({"forced_first_token": -1}, "forced_first_token is -1"),
        ({"logit_bias": {-5: 1.0}}, "a token of logit_bias is -5"),
        ({"logit_bias": {5: INF}}, "logit_bias of token 5 is inf"),
        ({"logit_bias": {5: float("nan")}}, "logit_bias of token 5 is -?nan"),
    ],
)
def test_options_out_of_range_are_named(chosen: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Sampler(**chosen)


def test_tokens_outside_the_vocabulary_are_named() -> None:
    logits = np.zeros(10, np.float32)
    with pytest.raises(
        ValueError, match="logit_bias names token 10, but the vocabulary has only 10"
    ):
        Sampler(logit_bias={10: 1.0}).sample(logits)
    with pytest.raises(ValueError, match="the text contains token 99"):
        sampler_that_saw([99], repetition_penalty=1.1).sample(logits)
    for name in ("suppress_tokens", "begin_suppress_tokens"):
        with pytest.raises(ValueError, match=f"{name} names token 10, but the vocabulary has"):
            Sampler(**{name: [10]}).sample(logits)
    with pytest.raises(ValueError, match="forced_first_token is token 10, but the vocabulary has"):
        Sampler(forced_first_token=10).sample(logits)
    with pytest.raises(ValueError, match="token is -1"):
        Sampler().accept(-1)


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"top_k": "many"}, "top_k is 'many', which is of the wrong type"),
        ({"seed": -1}, "seed is -1, which is of the wrong type"),
        ({"suppress_tokens": 5}, "suppress_tokens is 5"),
        ({"logits_processor": 5}, "logits_processor is 5"),
        ({"top_q": 1}, "there is no option 'top_q'"),
    ],
)
def test_options_of_another_type_are_named(chosen: dict[str, Any], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        Sampler(**chosen)


@pytest.mark.parametrize("logits", [np.zeros(5), np.zeros((2, 5), np.float32), [0.0] * 5])
def test_logits_of_another_shape_or_type_are_refused(logits: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="float32"):
        Sampler().sample(logits)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 20), st.integers(0, 2**32))
def test_logprobs_are_the_log_softmax(n_vocab: int, n_top: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits = (generator.normal(0, 5, n_vocab) + generator.normal(0, 100)).astype(np.float32)
    exact = logits.astype(np.float64) - logits.max()
    exact -= np.log(np.exp(exact).sum())
    chosen = int(generator.integers(n_vocab))
    logprob, top = top_logprobs(logits, chosen, n_top)
    # 1e-6 is a few units in a float's last place, at the size of these numbers.
    assert logprob == pytest.approx(exact[chosen], rel=1e-6, abs=1e-6)
    best = np.argsort(-logits, kind="stable")[:n_top]
    assert [token for token, _ in top] == best.tolist()
    assert [value for _, value in top] == pytest.approx(exact[best].tolist(), rel=1e-6, abs=1e-6)


def test_logprobs_leave_out_banned_tokens() -> None:
    logprob, top = top_logprobs(logits_of([0.0, -INF, 0.0]), 1, 5)
    assert logprob == -INF
    assert top == [(0, pytest.approx(np.log(0.5))), (2, pytest.approx(np.log(0.5)))]


def test_logprobs_refuse_what_makes_no_sense() -> None:
    logits = np.zeros(3, np.float32)
    for token in (-1, 3):
        with pytest.raises(IndexError, match=f"token {token} is not in the vocabulary of 3"):
            top_logprobs(logits, token, 1)
    with pytest.raises(ValueError, match="n_top is -1"):
        top_logprobs(logits, 0, -1)
    with pytest.raises(FormatError, match="logit of token 1 is"):
        top_logprobs(logits_of([0, np.nan, 0]), 0, 1)
