"""The table of options: the checks, the signatures and the command line are made of its rows."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import click
import numpy as np
import pytest

from pygpt2edge import GPT2, Engine, SamplingParams
from pygpt2edge.cli.generate import command
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import SamplingOptions, option_of

NAMES = [each.name for each in fields(SamplingParams)]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_ctx=128)


def test_keywords_are_the_fields() -> None:
    names = {"LoadedModel": LoadedModel, "NDArray": np.ndarray, "np": np}
    keywords = get_type_hints(SamplingOptions, localns=names)
    assert keywords == get_type_hints(SamplingParams, localns=names)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_on_the_command_line_and_documented(name: str) -> None:
    (row,) = (each for each in fields(SamplingParams) if each.name == name)
    option = option_of(row)
    assert f"\n  {name}: {option.help}" in str(SamplingParams.__doc__)
    if not option.flags:
        return
    (parameter,) = (p for p in command.params if p.name == name)
    assert isinstance(parameter, click.Option)
    assert set(option.flags) <= {*parameter.opts, *parameter.secondary_opts}


def test_params_and_keywords_say_the_same(model: GPT2) -> None:
    params = SamplingParams(max_tokens=9, seed=3, stop="zzz")
    expected = model.generate("It is", max_tokens=9, seed=3, stop=["zzz"])
    assert model.generate("It is", params).tokens == expected.tokens
    assert params.stop == ("zzz",)
    # Keywords win.
    assert model.generate("It is", params, max_tokens=4).tokens == expected.tokens[:4]
    with Engine(model) as engine:
        assert engine.submit("It is", params).result().tokens == expected.tokens
    (alone, twin) = model.generate(["It is", "It is"], params)
    assert alone.tokens == twin.tokens == expected.tokens


def test_a_text_tells_its_params(model: GPT2) -> None:
    params = SamplingParams(temperature=0.3, logit_bias={5: -1.0}, stop=("a", "b"), keep=2)
    found = model.stream("It", params, seed=8).params
    assert found.seed == 8
    for name in NAMES:
        if name != "seed":
            assert getattr(found, name) == getattr(params, name), name


# What people write who come from elsewhere, or mistype; and what they are told.
MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_new_tokens": 5}, TypeError, "no option 'max_new_tokens': use max_tokens"),
    ({"temprature": 1.0}, TypeError, "no option 'temprature': did you mean 'temperature'?"),
    ({"do_sample": False}, TypeError, "use temperature=0 for greedy decoding"),
    ({"num_return_sequences": 3}, TypeError, r"use generate\(prompt, n=...\)"),
    ({"num_beams": 3}, TypeError, r"use beam_search\(prompt, num_beams=...\)"),
    ({"assistant_model": None}, TypeError, "use draft_model"),
    ({"max_tokens": 1.5}, TypeError, "max_tokens is 1.5, expected a whole number"),
    ({"max_tokens": True}, TypeError, "max_tokens is True, expected a whole number"),
    ({"max_tokens": -1}, ValueError, "max_tokens is -1; give 0 or more, or None"),
    ({"temperature": "0"}, TypeError, "temperature is '0', expected a number"),
    ({"temperature": float("nan")}, ValueError, "temperature is nan; give 0 or more"),
    ({"top_p": 2}, ValueError, "top_p is 2.0; give 0 to 1"),
    ({"stop": b"x"}, TypeError, "stop is b'x', expected a text or a list of texts"),
    ({"stop": [1]}, TypeError, r"stop is \[1\], expected a text or a list of texts"),
    ({"stop": ""}, ValueError, "stop has an empty text"),
    ({"logit_bias": {-5: 1.0}}, ValueError, "a token of logit_bias is -5; give 0"),
    ({"logit_bias": {5: "a"}}, TypeError, "logit_bias of token 5 is 'a', expected a number"),
    ({"logit_bias": [5]}, TypeError, "logit_bias is .*, expected a dict of token id: number"),
    ({"seed": -1}, ValueError, "seed is -1; give 0 to 18446744073709551615, or None"),
    ({"ignore_eos": 1}, TypeError, "ignore_eos is 1, expected True or False"),
    ({"context_overflow": "grow"}, ValueError, 'give "stop", "error" or "slide"'),
    ({"draft_model": "x"}, TypeError, r"draft_model is 'x', expected a loaded model"),
    ({"params": 5}, TypeError, "params is 5, expected SamplingParams"),
]


@pytest.mark.parametrize(("options", "kind", "words"), MISTAKES)
def test_mistakes_in_options(
    model: GPT2, options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    for call in (model.generate, model.stream):
        with pytest.raises(kind, match=words) as told:
            call("It is", **options)
        assert "\n" not in str(told.value)


PROMPTS: list[tuple[Any, str]] = [
    (b"abc", "is bytes, expected a text or token ids: decode it first"),
    ([1.7], "has 1.7 as token 0, expected a whole number"),
    ([1, "a"], "has 'a' as token 1|is 1, expected a text or token ids"),
    (5, "is 5, expected a text or token ids"),
    (None, "is None, expected a text or token ids"),
]


@pytest.mark.parametrize(("prompt", "words"), PROMPTS)
def test_mistakes_in_prompts(model: GPT2, prompt: Any, words: str) -> None:
    for call in (model.generate, model.stream, model.score, model.logits, model.attention):
        with pytest.raises(TypeError, match=words):
            call(prompt)


def test_text_and_ids_wherever_either_is(model: GPT2) -> None:
    ids = model.tokenizer.encode("It is")
    assert np.array_equal(model.logits("It is"), model.logits(np.array(ids)))
    assert np.array_equal(model.score("It is"), model.score(np.array(ids)))
    assert np.array_equal(model.attention("It is"), model.attention(tuple(ids)))
    options: dict[str, Any] = {"max_tokens": 3, "temperature": 0}
    expected = model.generate("It is", **options).tokens
    assert model.generate(np.array(ids), **options).tokens == expected


@pytest.mark.slow
def test_type_checkers_find_a_misspelt_option(tmp_path: Path) -> None:
    """mypy --strict on a user's code, with the package's own types."""
    pytest.importorskip("mypy", reason="needs mypy")
    program = tmp_path / "user.py"
    program.write_text(
        "from pygpt2edge import GPT2, SamplingParams\n"
        "model = GPT2()\n"
        'text: str = model.generate("a", max_tokens=3, stop=["b"]).text\n'
        'texts = [one.text for one in model.generate(["a", "b"], SamplingParams(seed=1))]\n'
        'model.generate("a", max_new_tokens=3)\n'
        'model.stream("a", temperature="hot")\n'
        "SamplingParams(sed=1)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(program)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    # For an overloaded call mypy may have two messages.
    found = {line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line}
    assert found == {"5", "6", "7"}, done.stdout
