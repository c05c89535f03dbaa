"""The page, as somebody uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_server import Running, alone, httpx

from pygpt2edge import GPT2

pytest.importorskip("playwright.sync_api", reason="needs playwright")

from playwright.sync_api import expect
from watched_page import Watched

Visit = Callable[..., Watched]

PAGE_DEFAULTS = {"temperature": 0.8, "top_k": 40}


def test_is_one_file_that_may_ask_this_server_only(server: Running) -> None:
    answer = httpx.get(server.url + "/")
    policy = answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    for source in (" src=", '<link rel="stylesheet', "@import", " style=", "import {"):
        assert source not in answer.text


def test_every_module_is_in_it() -> None:
    from pygpt2edge.serve.page import answer

    folder = Path(answer.__file__).parent
    assert sorted(answer.MODULES) == sorted(path.name for path in folder.glob("*.js"))


def test_writes_what_the_seed_gives_and_goes_on(visit: Visit, model: GPT2) -> None:
    seen = visit("seed=7&max_tokens=20")
    prompt = "It is a truth universally"
    text = seen.write(prompt)
    assert text == prompt + alone(model, prompt, seed=7, max_tokens=20, **PAGE_DEFAULTS)
    expect(seen.page.locator("#speed")).to_contain_text("20 tokens")
    expect(seen.page.locator("#speed")).to_contain_text("tokens/s · first after")

    # The next run takes the next seed, after the very tokens that are there.
    before = [*model.tokenizer.encode(prompt)]
    first = model.generate(prompt, seed=7, max_tokens=20, **PAGE_DEFAULTS).tokens
    seen.page.click("#go-on")
    expect(seen.page.locator("#text > span")).to_have_count(len(before) + 40)
    longer = alone(model, [*before, *first], seed=8, max_tokens=20, **PAGE_DEFAULTS)
    assert seen.text() == text + longer
    seen.assert_sound()


def test_tokens_are_shaded_and_say_their_probability(visit: Visit, server: Running) -> None:
    seen = visit("seed=7&max_tokens=12")
    seen.write("It is a truth")
    body = {"temperature": 0.8, "top_k": 40, "seed": 7, "max_tokens": 12}
    [choice] = server.complete("It is a truth", logprobs=0, echo=True, **body)["choices"]
    logprobs = choice["logprobs"]
    expect(seen.page.locator("#text > span").nth(1)).to_have_attribute(
        "aria-label",
        f"“ is” · {100 * np.exp(logprobs['token_logprobs'][1]):.1f}% · token 2 · id 318",
    )
    for i, logprob in enumerate(logprobs["token_logprobs"][1:], 1):
        shade = sum(np.exp(logprob) < least for least in (0.5, 0.2, 0.05, 0.01))
        ink = seen.page.locator("#text > span").nth(i).locator(".ink")
        expect(ink).to_have_class(f"ink shade-{shade}")
    seen.page.locator("#text > span").nth(5).hover()
    expect(seen.page.locator("#tip")).to_contain_text("token 6")
    seen.page.locator("#text > span").nth(5).focus()
    seen.page.keyboard.press("ArrowRight")
    expect(seen.page.locator("#tip")).to_contain_text("token 7")
    expect(seen.page.locator("#legend li")).to_have_count(5)
    seen.assert_sound()


def test_stop_ends_the_text(visit: Visit) -> None:
    seen = visit("seed=1&max_tokens=1000")  # a seed whose text does not end by itself
    seen.page.fill("#prompt", "It is a truth")
    # A thousand tokens take a fraction of a second: a slow network leaves time for the key.
    network = seen.page.context.new_cdp_session(seen.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": 10_000, "uploadThroughput": -1}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    seen.page.click("#write")
    expect(seen.page.locator("#text > span").nth(8)).to_be_attached()
    seen.page.keyboard.press("Escape")
    expect(seen.page.locator("#status")).to_contain_text("Stopped after")
    n = seen.page.locator("#text > span").count()
    assert 8 < n < 1000
    expect(seen.page.locator("#go-on")).to_be_enabled()
    assert seen.page.locator("#text > span").count() == n
    seen.assert_sound()


def test_picking_another_token_branches(visit: Visit, model: GPT2) -> None:
    seen = visit("seed=7&max_tokens=10")
    text = seen.write("It is a truth")
    tokens = seen.tokens()
    seen.page.locator("#text > span").nth(6).click()
    expect(seen.page.locator("#next-title")).to_have_text(f"Instead of “{tokens[6]}”")
    other = next(c["id"] for c in seen.candidates() if c["id"] != 0 and c["drawn"] > 0
                 and model.tokenizer.decode([c["id"]]) != tokens[6])  # fmt: skip
    seen.page.locator(f'#candidates button[data-id="{other}"]').click()
    expect(seen.page.locator("#branches li")).to_have_count(2)
    assert seen.end().startswith("".join(tokens[:6]) + model.tokenizer.decode([other]))
    expect(seen.page.locator("#text > span")).to_have_count(17)

    seen.page.locator("#branches button").first.click()
    expect(seen.page.locator("#text > span")).to_have_count(14)
    assert seen.text() == text
    seen.assert_sound()


def test_writing_by_hand(visit: Visit, model: GPT2) -> None:
    """Tokens are picked one after the other, by the keyboard alone."""
    seen = visit("write_on=false").wait_for_candidates()
    seen.type("Once upon a", 3)
    expect(seen.page.locator("#next-title")).to_have_text("Next after the prompt")
    seen.page.locator("#candidates button").first.focus()
    for n in range(4, 8):
        seen.page.keyboard.press("Enter")
        expect(seen.page.locator("#text > span")).to_have_count(n)
        seen.wait_for_candidates(after=n)
    assert seen.text() == "Once upon a" + alone(model, "Once upon a", max_tokens=4, temperature=0)
    seen.assert_sound()


def expected_draws(logits: np.ndarray, settings: dict[str, float]) -> dict[int, float]:
    """docs/options.md's definitions, once more."""
    order = np.argsort(-logits, kind="stable")
    if settings["temperature"] == 0:
        return {int(order[0]): 1.0}
    order = order[: int(settings["top_k"]) or None]
    x = logits[order].astype(float)
    weights = np.exp((x - x[0]) / settings["temperature"])
    if settings["top_p"] < 1:
        held = np.cumsum(weights)
        n = int(np.searchsorted(held, settings["top_p"] * held[-1])) + 1
        weights = weights[:n]
    weights = weights[weights >= settings["min_p"]]
    return {int(t): w for t, w in zip(order, weights / weights.sum(), strict=False)}


def test_sliders_redraw_what_the_server_draws_from_without_a_request(
    visit: Visit, server: Running, model: GPT2
) -> None:
    seen = visit().wait_for_candidates()
    seen.type("It is a truth", 4)
    session = model.session()
    session.append(model.tokenizer.encode("It is a truth"))
    logits = np.array(session.logits)
    n_asked = len(seen.asked)
    trials: list[dict[str, float]] = [
        {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0},
        {"temperature": 1.3, "top_k": 0, "top_p": 0.4, "min_p": 0.1},
        {"temperature": 0.5, "top_k": 5, "top_p": 0.9, "min_p": 0},
        {"temperature": 0, "top_k": 40, "top_p": 1, "min_p": 0},
    ]
    for settings in trials:
        for name, value in settings.items():
            seen.page.fill(f"#{name}-range", str(value))
        expected = expected_draws(logits, settings)
        expect(seen.page.locator("#next-count")).to_have_text(
            f"{len(expected):,} of 50,257 tokens can be drawn"
        )
        bars = seen.candidates()
        assert len(bars) == 12
        for bar in bars:
            assert bar["drawn"] == pytest.approx(expected.get(bar["id"], 0), rel=1e-9)
            assert bar["never"] == (bar["id"] not in expected)
        body = {**settings, "max_tokens": 1, "n": 100, "seed": 1, "logprobs": 0}
        choices = server.complete("It is a truth", **body)["choices"]
        assert {choice["logprobs"]["token_ids"][0] for choice in choices} <= set(expected)
    assert len(seen.asked) == n_asked
    seen.assert_sound()


def test_next_words_and_tokens_while_typing(visit: Visit, model: GPT2) -> None:
    seen = visit().wait_for_candidates()
    words = seen.page.locator("#suggestions button")
    n_before = seen.asked.count("/v1/suggestions")
    seen.page.locator("#prompt").press_sequentially("It is a tru", delay=5)
    first = model.suggest("It is a tru", 3)
    expect(words).to_have_text([each.word for each in first])
    assert seen.asked.count("/v1/suggestions") - n_before < 5  # not one for each letter
    words.first.click()
    text = "It is a tru" + first[0].completion
    expect(seen.page.locator("#prompt")).to_have_value(text)
    second = model.suggest(text + " ", 3)  # after a word that was taken the next one comes
    expect(words).to_have_text([each.word for each in second])
    words.nth(1).click()
    text += " " + second[1].completion
    expect(seen.page.locator("#prompt")).to_have_value(text)

    tokens = model.tokenizer.encode(text)
    expect(seen.page.locator("#prompt-count")).to_have_text(f"{len(tokens)} tokens of 1,024")
    seen.page.click("#prompt-count")
    expect(seen.page.locator("#token-list .ids")).to_have_text([str(token) for token in tokens])
    seen.assert_sound()


def test_attention_as_arcs_list_and_grid(visit: Visit, model: GPT2) -> None:
    seen = visit()
    seen.page.click("#tab-attention")
    expect(seen.page.locator("#arc-tokens > span")).to_have_count(8)
    seen.page.select_option("#head", "1")
    seen.page.select_option("#layer", "2")
    expect(seen.page.locator("#arcs")).to_have_attribute("data-layer", "2")
    expected = model.attention("A robot must obey the orders given it", layers=[2])[0, 1]
    chosen = seen.page.locator("#arcs path.chosen")
    for i in (7, 6, 5):
        expect(chosen).to_have_count(i + 1)
        weights = chosen.evaluate_all("all => all.map((path) => +path.dataset.weight)")
        assert sorted(weights) == pytest.approx(sorted(expected[i, : i + 1]), abs=1e-6)
        assert sum(weights) == pytest.approx(1, abs=1e-5)
        seen.page.locator("#arc-tokens > span").nth(i).focus()
        seen.page.keyboard.press("ArrowLeft")
    expect(seen.page.locator("#looks li")).to_have_count(5)
    seen.page.check("#skip_first")
    expect(chosen).to_have_count(4)

    # The grid has cells of another colour than its ground, and tells their values.
    seen.page.select_option("#head", "mean")
    seen.page.locator("#arc-tokens > span").last.click()
    box = seen.page.locator("#grid").bounding_box()
    assert box is not None
    last = {"x": box["width"] - 8, "y": box["height"] - 8}
    seen.page.locator("#grid").hover(position=last)
    expect(seen.page.locator("#grid-value")).to_contain_text("“ it” attends to “ it”: ")
    seen.page.fill("#attention-text", "In the beginning")
    expect(seen.page.locator("#arc-tokens > span")).to_have_count(3)
    seen.page.click("#example")
    expect(seen.page.locator("#arc-tokens > span")).to_have_count(8)
    seen.assert_sound()


def test_settings_are_in_the_address(visit: Visit) -> None:
    seen = visit("temperature=1.1&seed=5&top_k=7000&theme=dark&min_p=9&nonsense=1")
    seen.page.fill("#top_p", "0.85")
    seen.page.uncheck("#write_on")
    seen.page.reload()
    for name, value in {"temperature": "1.1", "seed": "5", "top_k": "7000", "top_p": "0.85",
                        "min_p": "0"}.items():  # fmt: skip
        expect(seen.page.locator(f"#{name}")).to_have_value(value)
    expect(seen.page.locator("#write_on")).not_to_be_checked()
    expect(seen.page.locator("html")).to_have_class("dark")
    seen.page.click("#reset")
    expect(seen.page.locator("#temperature")).to_have_value("0.8")
    assert seen.page.url == f"{seen.url}/#theme=dark"
    assert all("#" not in path for path in seen.asked)
    seen.assert_sound()


def test_exports(visit: Visit) -> None:
    seen = visit("seed=7&max_tokens=8")
    text = seen.write("It is naïve 漢字")
    with seen.page.expect_download() as of_text:
        seen.page.click("#export-text")
    assert Path(of_text.value.path()).read_text("utf-8") == text
    with seen.page.expect_download() as of_json:
        seen.page.click("#export-json")
    found: dict[str, Any] = json.loads(Path(of_json.value.path()).read_text("utf-8"))
    [branch] = found["branches"]
    assert found["model"]["id"] == "demo"
    assert branch["text"] == text
    assert branch["runs"][0]["seed"] == 7
    assert [each["origin"] for each in branch["tokens"][-8:]] == ["written"] * 8
    assert all(0 < each["probability"] <= 1 for each in branch["tokens"][1:])
    seen.assert_sound()


def test_an_empty_prompt_begins_a_text(visit: Visit, model: GPT2) -> None:
    seen = visit("seed=3&max_tokens=8")
    text = seen.write("")
    assert text == "<|endoftext|>" + alone(model, "", seed=3, max_tokens=8, **PAGE_DEFAULTS)
    seen.assert_sound()


def test_errors_are_shown(visit: Visit) -> None:
    seen = visit("max_tokens=4096")
    seen.write("word " * 600)
    seen.page.fill("#prompt", "word " * 1100)
    seen.page.click("#write")
    expect(seen.page.locator("#problem")).to_contain_text("1024")


def test_asks_for_the_key_and_keeps_it_for_the_tab(visit: Visit) -> None:
    from running_server import serving

    with serving("--api-key", "open sesame") as locked:
        seen = visit("seed=1&max_tokens=5", url=locked.url)
        expect(seen.page.locator("#problem")).to_contain_text("key is missing or wrong")
        seen.page.fill("#key", "wrong")
        seen.page.keyboard.press("Enter")
        expect(seen.page.locator("#key-form")).to_be_visible()
        expect(seen.page.locator("#key")).to_be_focused()
        seen.page.fill("#key", "open sesame")
        seen.page.keyboard.press("Enter")
        expect(seen.page.locator("#key-form")).to_be_hidden()
        seen.write("It is a truth")
        assert "sesame" not in seen.page.url
        assert seen.page.evaluate("localStorage.length") == 0
        seen.page.reload()
        seen.wait_for_candidates()
