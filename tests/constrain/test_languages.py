"""What is wrong with a language is told in a line that points at the place."""

from __future__ import annotations

from typing import Any

import pytest

from pygpt2edge import GPT2, Engine, SamplingParams
from pygpt2edge.constrain.language import Language, _grammars, matcher_of
from pygpt2edge.constrain.vocabulary import vocabulary_of

pytest.importorskip("llguidance", reason="needs llguidance, of the constrain extra")


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=1)


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"regex": "a(b"}, ValueError, r"regex, at character 1, '\(b': unclosed group"),
    ({"regex": "a/b/(c"}, ValueError, r"regex, at character 4, '\(c': unclosed group"),
    ({"regex": "ab(?=c)"}, ValueError, r"at character 2, '\(\?=c\)': look-around"),
    ({"regex": r"(a)\1"}, ValueError, r"at character 3, '\\\\1': backreferences"),
    ({"regex": "a\n(b"}, ValueError, r"regex is 'a\\n\(b': .*unclosed group"),
    ({"regex": r"[^\s\S]"}, ValueError, "regex: it has no text that begins so"),
    ({"regex": b"a"}, TypeError, "regex is b'a', expected a text"),
    ({"regex": "a" * 70_000}, ValueError, "regex has 70,000 characters; give 65,536 or fewer"),
    ({"regex": "(" * 5000 + ")" * 5000}, ValueError, "regex.*nest"),
    ({"grammar": 'start: "a" b c\nb: "x"'}, ValueError,
     "grammar: line 1, column 8, .* unknown name: \"c\""),
    ({"grammar": 'start: "a"\n\nx: "b'}, ValueError, "grammar: line 3, column 6, 'x: \"b': "),
    ({"grammar": 'root ::= "a" b'}, ValueError, "grammar: line 1: there is no rule 'b'"),
    ({"grammar": 'root ::= "a" (\nb ::= "c"'}, ValueError, r"grammar: Expected '\)' at line 2"),
    ({"grammar": 'b ::= "c"'}, ValueError, "grammar: there is no rule 'root'"),
    ({"grammar": ""}, ValueError, "no rule 'root', or in Lark's notation 'start'"),
    ({"grammar": "root ::= " + "(" * 9000 + '"a"' + ")" * 9000}, ValueError, "nested too deeply"),
    # A takes every "a", and leaves none for the end: what it forces has no end.
    ({"grammar": 'start: A "a"\nA: /a+/'}, ValueError, "grammar: it forces a text that never ends"),
    ({"grammar": 'start: "b" " " "c"\n%ignore / +/'}, ValueError, "forces a text that never ends"),
    ({"json_schema": "[1]"}, ValueError, r"json_schema is \[1\], expected a JSON object"),
    ({"json_schema": False}, ValueError, "json_schema is False, expected a JSON object"),
    ({"json_schema": '{"a"'}, ValueError, "json_schema is no JSON: .* line 1 column 5"),
    ({"json_schema": {"a": {1}}}, TypeError, "json_schema is .*not JSON serializable"),
    ({"json_schema": {"minimum": float("nan")}}, ValueError, "json_schema is no JSON"),
    ({"json_schema": '{"items":' * 5000 + "{}" + "}" * 5000}, ValueError,
     "json_schema.*(nested too deeply|recursion limit)"),
    ({"json_schema": {"properties": {"a/b": {"items": {"type": "text"}}}}}, ValueError,
     "json_schema, at #/properties/a~1b/items: Invalid type: text"),
    ({"json_schema": {"anyOf": [{}, {"format": "color", "type": "string"}]}}, ValueError,
     "json_schema, at #/anyOf/1: Unknown format: color"),
    ({"json_schema": {"$ref": "#/$defs/x"}}, ValueError, "json_schema, at #: .*does not exist"),
    ({"json_schema": {"$ref": "https://example.org/x"}}, ValueError, "json_schema, at #: "),
    ({"json_schema": {"type": "integer", "minimum": 5, "maximum": 3}}, ValueError,
     "json_schema, at #: .*minimum"),
    ({"regex": "a", "grammar": "b"}, ValueError, "regex and grammar are given, expected one"),
    ({"guided_regex": "a"}, TypeError, "no option 'guided_regex': use regex"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "words"), WRONG, ids=lambda value: f"{value!s:.50}")
def test_what_is_wrong_is_told(
    model: GPT2, options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as told:
        model.generate("A", max_tokens=4, **options)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500


EXPLODES: list[dict[str, Any]] = [
    # A chain of rules, each the next one: what reads it goes that deep.
    {"grammar": "start: a0\n" + "\n".join(f"a{i}: a{i + 1}" for i in range(4500)) + '\na4500: "x"'},
    {"json_schema": {"$ref": "#/$defs/0", "$defs": {
        **{str(i): {"$ref": f"#/$defs/{i + 1}"} for i in range(1500)}, "1500": {"const": "x"}}}},
    {"regex": "(((a{1,1000}){1,1000}){1,1000}){1,1000}"},
    {"regex": "(.*a.{300}){50}"},
    {"grammar": 'start: x x x x\nx: "a" x "b" | "a" x | "a" | x x'},
]  # fmt: skip


@pytest.mark.parametrize("language", EXPLODES, ids=lambda value: f"{value!s:.50}")
def test_what_explodes_is_stopped(model: GPT2, language: dict[str, Any]) -> None:
    """It ends, be it in a text or in an error."""
    always_a = {model.tokenizer.encode("a")[0]: 100.0}
    try:
        model.generate("A", max_tokens=120, temperature=0, logit_bias=always_a, **language)
    except ValueError as error:
        assert "has become too complex to follow" in str(error)


def test_an_engine_goes_on_after_a_language_that_explodes(model: GPT2) -> None:
    expected = model.generate("It is", max_tokens=40, seed=1)
    always_a = {model.tokenizer.encode("a")[0]: 100.0}
    with Engine(model) as engine:
        other = engine.submit("It is", max_tokens=40, seed=1)
        request = engine.submit("A", max_tokens=200, regex="(.*a.{300}){50}", logit_bias=always_a)
        with pytest.raises(ValueError, match="regex has become too complex to follow: "):
            request.result()
        nothing = engine.submit("A", regex=r"[^\s\S]")
        with pytest.raises(ValueError, match="it has no text"):
            nothing.result()
        assert other.result().tokens == expected.tokens
        with pytest.raises(ValueError, match="unclosed group"):
            engine.submit("A", regex="(")


def test_special_tokens_are_no_text(model: GPT2) -> None:
    """Nor can a grammar ask for the end-of-text token where it goes on."""
    for seed in range(5):
        text = model.generate("A", regex="<.endoftext.>", seed=seed, temperature=50.0)
        assert model.tokenizer.eos_token not in text.tokens
    with pytest.raises(ValueError, match="no text that begins so"):
        model.generate("A", grammar='start: <|endoftext|> "a"')


def test_beams_are_refused(model: GPT2) -> None:
    refused: dict[str, Any] = {"regex": "a"}
    with pytest.raises(
        TypeError, match="no option 'regex': hypotheses are compared by the model's"
    ):
        model.beam_search("A", **refused)
    misspelt: dict[str, Any] = {"num_beam": 3}
    with pytest.raises(TypeError, match="no option 'num_beam': did you mean 'num_beams'"):
        model.beam_search("A", **misspelt)


@pytest.mark.parametrize(
    "language",
    [
        {"regex": r"( [A-Za-z]{1,12}[,.]?)*"},
        {"regex": r"[a-z]{1,7}(-[a-z ]{1,11}|[0-9A-Z]{2,4})*!"},
        {"json_schema": {"properties": {"b": {"type": "string", "maxLength": 14}}}},
        {"grammar": 'root ::= ("- " [a-z ]{1,20} "\\n")+'},
    ],
    ids=str,
)
def test_masks_are_those_of_every_token_alone(model: GPT2, language: dict[str, Any]) -> None:
    """Sets of tokens that llguidance allows as a whole are no more than are allowed one by one."""
    from llguidance import LLMatcher

    chosen = SamplingParams(**language).language
    assert chosen is not None
    slow = vocabulary_of(model.tokenizer).with_slices([])
    text = model.generate("It is", max_tokens=24, seed=1, ignore_eos=True, **language)
    for source in _grammars(Language(*chosen))[:1]:
        alone = LLMatcher(slow, source, log_level=0)
        quick = matcher_of(Language(*chosen), model.tokenizer)
        for token in text.tokens:
            assert quick.compute_bitmask() == alone.compute_bitmask()
            assert quick.consume_token(token)
            assert alone.consume_token(token)
