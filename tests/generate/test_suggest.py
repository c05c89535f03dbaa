"""The next words: the ones that trying everything finds, whatever was asked before."""

from __future__ import annotations

import _thread
import codecs
import heapq
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import GPT2, Suggester, Suggestion, Tokenizer, _core

BYTES = TinyModel("bytes", n_layer=1, n_head=2, n_embd=32, n_inner=64, n_ctx=64, n_vocab=257)

UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}]"
RUN = rf"(?:(?!{UNSPACED})[\p{{L}}\p{{N}}]\p{{M}}*)+"
JOINERS = "'\u2019\u200c\u200d"
WORD = regex.compile(rf"{RUN}(?:[{JOINERS}]{RUN})*|{UNSPACED}")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    """A token for each byte; the letters and a few others are likelier, so that there are words."""
    weights = draw_weights(BYTES)
    weights["ln_f.weight"] *= 4
    path = tmp_path_factory.mktemp("models") / "bytes.gguf"
    return GPT2(write_gguf(path, BYTES, weights, "f32"), n_threads=1)


@pytest.fixture(scope="module")
def demo() -> GPT2:
    return GPT2()


def probabilities(model: GPT2, tokens: list[int]) -> np.ndarray:
    logits = model.logits(tokens)[-1].astype(np.float64)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def read(data: bytes) -> tuple[str | None, bool]:
    """The word that data begin with, after a space or none, and whether all is said about it."""
    try:
        text, broken = codecs.utf_8_decode(data, "strict", False)[0], False
    except UnicodeDecodeError as error:
        text, broken = data[: error.start].decode(), True
    found = WORD.match(text, text.startswith(" "))
    if found is None:
        return None, broken or text not in ("", " ")
    rest = text[found.end() :]
    is_unspaced = regex.fullmatch(UNSPACED, found[0]) is not None
    goes_on = not broken and not is_unspaced and (not rest or (len(rest) == 1 and rest in JOINERS))
    return text[: found.end()], not goes_on


def by_trying_all(
    model: GPT2, context: list[int], prefix: bytes, may_space: bool, least: float
) -> dict[str, tuple[float, float]]:
    """Every word that may be more probable than `least`; the model has a token for each byte.

    Its probability is at least the first number, and at most the second: that of what was too
    improbable to be tried, too.
    """
    words: Counter[str] = Counter()
    untried: Counter[str] = Counter()
    typed = 1.0

    def visit(path: list[int], probability: float) -> None:
        nonlocal typed
        data = bytes(model.tokenizer.decode_bytes(path))
        if data == prefix:
            typed = probability
        if len(data) >= len(prefix) and probability < least * typed / 8:
            untried[read(data)[0] or ""] += probability
            return
        following = probabilities(model, context + path)
        for token, share in enumerate(following):
            is_text = token != model.tokenizer.eos_token
            longer = data + (model.tokenizer.token_bytes(token) if is_text else b"\xff")
            if longer[: len(prefix)] != prefix[: len(longer)]:
                continue
            if not (may_space or prefix or longer[:1] != b" "):
                continue
            word, is_final = read(longer) if len(longer) > len(prefix) else (None, False)
            if not is_final:
                visit([*path, token], probability * share)
            elif word is not None and len(word.encode()) >= len(prefix):
                words[word] += probability * share

    visit([], 1.0)
    return {word: (p / typed, (p + untried[word]) / typed) for word, p in words.items()}


TEXTS = [
    ("", "", b"", False),
    ("a", "", b"a", False),
    ("see them", "see", b" them", False),
    ("see the ", "see the", b" ", False),
    ("two  ", "two ", b" ", False),
    ("end.\n", "end.\n", b"", False),
    ("end,", "end,", b"", True),
    ("I don'", "I", b" don'", False),
    ("l'\u00e9t\u00e9", "", "l'\u00e9t\u00e9".encode(), False),
    ("(\u00fc", "(", "\u00fc".encode(), False),
    ("\u4eca\u65e5", "\u4eca\u65e5", b"", True),
    ("it is 19", "it is", b" 19", False),
    ("<|endoftext|>", "<|endoftext|>", b"", True),
]


@pytest.mark.parametrize(("text", "context", "prefix", "may_space"), TEXTS)
def test_the_best_words_are_those_that_trying_all_finds(
    tiny: GPT2, text: str, context: str, prefix: bytes, may_space: bool
) -> None:
    tokens = tiny.tokenizer.encode(context) or [BYTES.n_vocab - 1]
    expected = by_trying_all(tiny, tokens, prefix, may_space, 3e-3)
    found = Suggester(tiny, max_passes=1000).suggest(text, 150)
    completions = {prefix.decode() + s.completion: s.probability for s in found}
    assert all((prefix.decode() + s.completion).removeprefix(" ") == s.word for s in found)
    probable = {word for word, (lower, _) in expected.items() if lower > 3e-3}
    assert len(probable) >= 3
    assert all(completions[word] > 0.98 * expected[word][0] for word in probable)
    for word, probability in completions.items():
        assert probability < 1.00001 * expected.get(word, (0, 1e-3))[1]
    assert list(completions.values()) == sorted(completions.values(), reverse=True)


def test_sensible_words(demo: GPT2) -> None:
    best = demo.suggest("It is a truth universally acknow")
    assert best[0].word == "acknowledged"
    assert best[0].completion == "ledged"
    assert best[0].probability > 0.5
    assert demo.suggest("And it came to ", 1)[0].word == "pass"
    assert demo.suggest("He sai")[0].completion == "d"
    assert "don't" in [s.word for s in demo.suggest("I don")]
    assert [s.completion for s in demo.suggest("I don'", 1)] == ["t"]
    assert demo.suggest("said he,", 1)[0].completion[0] == " "
    # "the" is a word as it stands, and far likelier than what else begins so
    (the,) = demo.suggest("Upon the", 1)
    assert (the.word, the.completion) == ("the", "")
    assert the.probability > 0.9
    assert demo.suggest("Upon THE", 1)[0].word.startswith("THE")


def test_a_probability_is_that_of_the_tokens_and_of_an_end_after_them(demo: GPT2) -> None:
    suggestion = demo.suggest("And God said unto Mos")[0]
    assert suggestion.word == "Moses"
    tokenizer = demo.tokenizer
    context, word = tokenizer.encode("And God said unto"), tokenizer.encode(" Moses")
    texts = [tokenizer.token_bytes(token) for token in range(tokenizer.n_vocab)]
    ends = [not regex.match(rb"['\w\x80-\xff]", text) for text in texts]
    begins = [text.startswith(b" Mos") for text in texts]
    expected = probabilities(demo, context + word)[ends].sum()
    for i, token in enumerate(word):
        expected *= probabilities(demo, context + word[:i])[token]
    typed = probabilities(demo, context)[begins].sum()
    assert suggestion.probability == pytest.approx(expected / typed, rel=0.02)


def pick(model: GPT2, text: str, k: int = 3) -> list[Suggestion]:
    return Suggester(model, max_passes=2).suggest(text, k)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    edits=st.lists(
        st.one_of(
            st.tuples(st.just("type"), st.text("ab '.\u00fc\u4eca\n", max_size=4)),
            st.tuples(st.just("paste"), st.integers(0, 150)),
            st.tuples(st.just("delete"), st.integers(1, 40)),
            st.tuples(st.just("forget"), st.just(0)),
        ),
        max_size=12,
    ),
    k=st.integers(1, 5),
)
def test_only_the_text_matters(tiny: GPT2, edits: list[tuple], k: int) -> None:
    kept = Suggester(tiny, max_passes=2)
    text = ""
    for edit, what in edits:
        if edit == "type":
            text += what
        elif edit == "paste":  # more than the context of 64 tokens holds
            text += ("so it goes, " * 13)[:what]
        elif edit == "delete":
            text = text[:-what]
        else:
            kept.clear()
        assert kept.suggest(text, k) == pick(tiny, text, k)


def typing(text: str) -> Iterator[str]:
    return (text[:n] for n in range(len(text) + 1))


@pytest.mark.slow
def test_a_trained_model_typed_to(demo: GPT2) -> None:
    kept = Suggester(demo)
    text = "Mr. Darcy's caf\u00e9, I \u0434\u0430 don't"
    for part in [*typing(text), text[:9], text[:14]]:
        assert kept.suggest(part) == Suggester(demo).suggest(part)


def test_long_texts_are_seen_from_a_step_on(tiny: GPT2) -> None:
    text = "and so on " * 30
    kept = Suggester(tiny)
    for part in typing(text):
        found = kept.suggest(part)
        assert found == heapq.nsmallest(3, found, key=lambda s: -s.probability)
    # 32 tokens fit beside a word; the last 16 to 32 are looked at, from a multiple of 16 on.
    assert found == kept.suggest("?" * 16 * 17 + text[16 * 17 :])
    assert found != kept.suggest("?" * (16 * 17 + 5) + text[16 * 17 + 5 :])


def test_texts_that_no_word_comes_of(tiny: GPT2, demo: GPT2) -> None:
    assert demo.suggest("a" * 65) == []
    assert demo.suggest("a" * 1_000_000) == []
    for text in ("\ud800", "\x00", "'" * 70, "\u0301" * 70, "a" * 64, "\u0e01\u0e31", "\U0001f469"):
        for model in (tiny, demo):
            for suggestion in model.suggest(text):
                assert suggestion.word
                assert 0 < suggestion.probability <= 1


def test_half_a_surrogate_pair_is_a_character_that_is_none(tiny: GPT2, demo: GPT2) -> None:
    for model in (tiny, demo):
        assert model.suggest("\ud800 the") == model.suggest("\ufffd the")
        assert model.suggest("the\udfff") == model.suggest("the\ufffd")


def test_end_of_text_as_plain_text(demo: GPT2) -> None:
    assert demo.suggest("The end.<|endoftext|>") != demo.suggest("")
    assert demo.suggest("<|endoftex")[0].word.startswith("endoftex")


def test_options_out_of_range(tiny: GPT2) -> None:
    with pytest.raises(ValueError, match="k is 0; give 1 or more"):
        tiny.suggest("a", 0)
    with pytest.raises(ValueError, match="max_passes is 0; give 1 or more"):
        Suggester(tiny, max_passes=0)
    assert len(Suggester(tiny, max_passes=1).suggest("a ", 100)) < 100


def test_what_does_not_go_together(tiny: GPT2, demo: GPT2) -> None:
    def make(n_ctx: int, kv_type: str, tokenizer: Tokenizer) -> _core.Suggester:
        return _core.Suggester(tiny.core_model, tokenizer.core, n_ctx, kv_type, 3)

    with pytest.raises(ValueError, match="the tokenizer has 50257 tokens, the model 257"):
        make(64, "f16", demo.tokenizer)
    with pytest.raises(ValueError, match="n_ctx is 65; this model has positions for 1 to 64"):
        make(65, "f16", tiny.tokenizer)
    with pytest.raises(ValueError, match='kv_type is "f8"'):
        make(64, "f8", tiny.tokenizer)


def test_a_text_that_the_vocabulary_lacks_bytes_for(tiny: GPT2) -> None:
    tables = _core.TokenizerTables(["a", "b"], [], [], 0, 0, "cut")
    suggester = _core.Suggester(tiny.core_model, _core.Tokenizer(tables), 64, "f16", 3)
    assert suggester.suggest("a a", 3) == []
    with pytest.raises(ValueError, match="no token for the byte 0x63"):
        suggester.suggest("c a", 3)


def test_an_interrupt_stops_a_search_and_leaves_no_trace(demo: GPT2) -> None:
    suggester = Suggester(demo, max_passes=1_000_000)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        suggester.suggest("Upon the ", 1_000_000)
    timer.join()
    found = Suggester(demo, max_passes=1_000_000).suggest("Upon the w")
    assert suggester.suggest("Upon the w") == found


def test_threads_take_turns(tiny: GPT2) -> None:
    texts = [text for text, *_ in TEXTS] * 4
    expected = [Suggester(tiny).suggest(text) for text in texts]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(tiny.suggest, texts)) == expected


@pytest.mark.slow
def test_memory_is_bounded_and_given_back(tmp_path: Path) -> None:
    shape = TinyModel("pages", n_layer=1, n_head=2, n_embd=32, n_inner=64, n_ctx=200, n_vocab=257)
    model = GPT2(write_gguf(tmp_path / "pages.gguf", shape, draw_weights(shape), "f16"))
    session = model.session()
    session.append([1])
    page = model.cache_bytes_used
    del session
    assert model.cache_bytes_used == 0
    suggester, most = Suggester(model), 0
    for part in typing("This goes on and on, " * 25):
        suggester.suggest(part)
        most = max(most, model.cache_bytes_used)
    assert 0 < most <= (3 + 2 + 8 * 2) * page  # the context, the next one, and forks' ends
    suggester.clear()
    assert model.cache_bytes_used == 0
    suggester.suggest("once more")
    del suggester
    assert model.cache_bytes_used == 0
