# ruff: noqa: RUF009  (`_option` makes a field)
"""The options of a text: one table. The checks, the command line, the help and docs/options.md are
generated from it.

A field of `SamplingParams` is an option. Its metadata says what it does, what it may be, and what
it is called on the command line. `SamplingOptions` has the same names and types for calls that take
them as keywords, so that editors complete them and type checkers find a misspelt one; a test holds
the two equal.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:  # the table needs neither numpy nor the core: --help is made of it
    import numpy as np
    from numpy.typing import NDArray

    from pygpt2edge.loaded_model import LoadedModel

ContextOverflow = Literal["stop", "error", "slide"]
LogitsProcessor = Callable[["NDArray[np.float32]", "Sequence[int]"], None]

# The options that keep a text within a language.
LANGUAGES = ("regex", "json_schema", "grammar")

# The least and greatest positive numbers of the sampler: those of a 32-bit float.
LEAST, GREATEST = 1.2e-38, 3.4e38
# The core computes the logits of 16 rows together, of which the first is no draft.
MAX_DRAFT_TOKENS = 15
SEEDS = 2**64
_LONGEST_SOURCE = 65_536  # of a constraint, in characters: some take seconds to compile
_MOST = 2**31 - 1  # the greatest number of tokens, or token id, that the core counts


@dataclass(frozen=True)
class Option:
    """What an option is."""

    check: Callable[[str, Any, Option], Any]  # gives the value as it is kept
    help: str
    group: str
    flags: tuple[str, ...] = ()  # on the command line; none where it is not there
    low: float = -math.inf
    high: float = math.inf
    none: str | None = None  # what None means, where it is allowed
    choices: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What its values are: "int", "float", "flag", "choice", "texts", "tokens", "biases",
        "function", "model", "source" or "schema"."""
        return self.check.__name__.removeprefix("_")

    @property
    def range(self) -> str:
        """The values that are allowed, in words."""
        low, high = _number(self.low), _number(self.high)
        if self.high in (math.inf, GREATEST, _MOST):
            allowed = f"{low} or more" if self.low != LEAST else "a number above 0"
        else:
            allowed = f"{low} to {high}"
        return allowed if self.none is None else f"{allowed}, or None: {self.none}"


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)


# ---- what a value must be ----


def _int(name: str, value: Any, option: Option) -> Any:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} is {_shown(value)}, expected a whole number")
    return _in_range(name, number, option)


def _float(name: str, value: Any, option: Option) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {_shown(value)}, expected a number")
    return _in_range(name, float(value), option)


def _in_range(name: str, value: Any, option: Option) -> Any:
    if not option.low <= value <= option.high:
        raise ValueError(f"{name} is {value}; give {option.range}")
    return value


def _flag(name: str, value: Any, option: Option) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {_shown(value)}, expected True or False")
    return value


def _choice(name: str, value: Any, option: Option) -> str:
    if value not in option.choices:
        *most, last = (f'"{choice}"' for choice in option.choices)
        raise ValueError(f"{name} is {_shown(value)}; give {', '.join(most)} or {last}")
    return str(value)


def texts(name: str, value: Any) -> tuple[str, ...]:
    """One text or several, as a tuple. Raises TypeError, and ValueError for an empty one."""
    found = (value,) if isinstance(value, str) else value
    if (
        isinstance(found, bytes)
        or not _is_list(found)
        or not all(isinstance(text, str) for text in found)
    ):
        raise TypeError(f"{name} is {_shown(value)}, expected a text or a list of texts")
    if "" in found:
        raise ValueError(f"{name} has an empty text; leave it out")
    return tuple(found)


def _texts(name: str, value: Any, option: Option) -> tuple[str, ...]:
    return texts(name, value)


def _tokens(name: str, value: Any, option: Option) -> tuple[int, ...]:
    if isinstance(value, str) or not _is_list(value):
        raise TypeError(f"{name} is {_shown(value)}, expected a list of token ids")
    return tuple(_int(f"a token of {name}", token, option) for token in value)


def _biases(name: str, value: Any, option: Option) -> Mapping[int, float]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is {_shown(value)}, expected a dict of token id: number")
    token_range = replace(option, low=0, high=_MOST)
    bias_range = replace(option, low=-math.inf, high=GREATEST)
    return {
        _int(f"a token of {name}", token, token_range): _float(
            f"{name} of token {token}", bias, bias_range
        )
        for token, bias in value.items()
    }


def _function(name: str, value: Any, option: Option) -> Any:
    if not callable(value):
        raise TypeError(f"{name} is {_shown(value)}, expected a function of (logits, tokens)")
    return value


def _model(name: str, value: Any, option: Option) -> Any:
    if not hasattr(value, "core_model"):
        raise TypeError(f"{name} is {_shown(value)}, expected a loaded model: GPT2(path)")
    return value


def _source(name: str, value: Any, option: Option) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {_shown(value)}, expected a text")
    return _short_enough(name, value)


def _schema(name: str, value: Any, option: Option) -> str:
    """As JSON text."""
    import json

    text = value if isinstance(value, str) else None
    try:
        schema = json.loads(value) if isinstance(value, str) else value
        text = json.dumps(value, allow_nan=False) if text is None else text
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{name} is no JSON: {error}") from None
    except TypeError as error:
        raise TypeError(f"{name} is {_shown(value)}, expected a JSON schema: {error}") from None
    if schema is True:
        return "{}"
    if not isinstance(schema, dict):
        raise ValueError(f"{name} is {_shown(schema)}, expected a JSON object: a schema")
    return _short_enough(name, text)


def _short_enough(name: str, text: str) -> str:
    if len(text) > _LONGEST_SOURCE:
        raise ValueError(f"{name} has {len(text):,} characters; give {_LONGEST_SOURCE:,} or fewer")
    return text


def _is_list(value: Any) -> bool:
    return hasattr(value, "__iter__") and hasattr(value, "__len__")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# ---- the table ----


def _option(default: Any, check: Callable[[str, Any, Option], Any], help: str, **what: Any) -> Any:
    option = Option(check, help, **what)
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"option": option})
    return field(default=default, metadata={"option": option})


_SAMPLING, _LENGTH, _CONTEXT, _SPEED = "sampling", "length", "context", "speculative decoding"
_CONSTRAINED = "constrained output"


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """The options of a text as one object. Every call with options takes it as `params`, the
    options as keywords, or both, where keywords win."""

    max_tokens: int | None = _option(
        64, _int, "The most tokens to add.", group=_LENGTH, low=0,
        none="until the context is full, or no limit where it slides",
        flags=("-n", "--max-tokens", "--n-predict"),
    )  # fmt: skip
    stop: str | Sequence[str] = _option(
        (), _texts, "Texts that end the text, which does not include them.", group=_LENGTH,
        flags=("--stop", "-r", "--reverse-prompt"),
    )  # fmt: skip
    min_tokens: int = _option(
        0, _int, "The fewest tokens before end-of-text or a stop string may end the text.",
        group=_LENGTH, low=0, high=_MOST, flags=("--min-tokens",),
    )  # fmt: skip
    max_time: float | None = _option(
        None, _float, "Seconds after which generation ends, also within a long prompt's prefill.",
        group=_LENGTH, low=0, high=GREATEST, none="no limit", flags=("--max-time",),
    )  # fmt: skip
    ignore_eos: bool = _option(
        False, _flag, "Do not end the text at end-of-text.", group=_LENGTH, flags=("--ignore-eos",)
    )
    temperature: float = _option(
        0.8, _float, "Divides the logits; 0 always takes the most likely token.",
        group=_SAMPLING, low=0, high=GREATEST, flags=("--temp", "--temperature"),
    )  # fmt: skip
    top_k: int = _option(
        40, _int, "Keep the k most likely tokens; 0 keeps all.",
        group=_SAMPLING, low=0, high=_MOST, flags=("--top-k",),
    )  # fmt: skip
    top_p: float = _option(
        1.0, _float, "Keep the fewest most likely tokens that hold this share of the probability.",
        group=_SAMPLING, low=0, high=1, flags=("--top-p",),
    )  # fmt: skip
    min_p: float = _option(
        0.0, _float, "Keep tokens at least this likely relative to the most likely one.",
        group=_SAMPLING, low=0, high=1, flags=("--min-p",),
    )  # fmt: skip
    typical_p: float = _option(
        1.0, _float, "Keep the fewest most typical tokens that hold this share of the probability.",
        group=_SAMPLING, low=0, high=1, flags=("--typical-p", "--typical"),
    )  # fmt: skip
    xtc_probability: float = _option(
        0.0, _float, "How often XTC removes the most likely tokens.",
        group=_SAMPLING, low=0, high=1, flags=("--xtc-probability",),
    )  # fmt: skip
    xtc_threshold: float = _option(
        0.1, _float, "Of the tokens at least this likely, XTC keeps the least likely one.",
        group=_SAMPLING, low=0, high=1, flags=("--xtc-threshold",),
    )  # fmt: skip
    repetition_penalty: float = _option(
        1.0, _float, "Above 1 lowers the probability of tokens that the text already has.",
        group=_SAMPLING, low=LEAST, high=GREATEST,
        flags=("--repetition-penalty", "--repeat-penalty"),
    )  # fmt: skip
    frequency_penalty: float = _option(
        0.0, _float, "Subtracted from a token's logit for each time that it was generated.",
        group=_SAMPLING, low=-2, high=2, flags=("--frequency-penalty",),
    )  # fmt: skip
    presence_penalty: float = _option(
        0.0, _float, "Subtracted from the logit of each token that was generated.",
        group=_SAMPLING, low=-2, high=2, flags=("--presence-penalty",),
    )  # fmt: skip
    penalty_last_n: int = _option(
        -1, _int, "The three penalties look at the last n tokens; -1: at all, 0: at none.",
        group=_SAMPLING, low=-1, high=_MOST, flags=("--penalty-last-n", "--repeat-last-n"),
    )  # fmt: skip
    no_repeat_ngram_size: int = _option(
        0, _int, "No n-gram of this size occurs twice; 0 is off.",
        group=_SAMPLING, low=0, high=_MOST, flags=("--no-repeat-ngram-size",),
    )  # fmt: skip
    dry_multiplier: float = _option(
        0.0, _float, "The strength of DRY, which penalizes tokens that would continue a "
        "repetition; 0 is off.",
        group=_SAMPLING, low=0, high=GREATEST, flags=("--dry-multiplier",),
    )  # fmt: skip
    dry_base: float = _option(
        1.75, _float, "DRY's penalty grows by this factor with each repeated token.",
        group=_SAMPLING, low=1, high=GREATEST, flags=("--dry-base",),
    )  # fmt: skip
    dry_allowed_length: int = _option(
        2, _int, "The shortest repetition that DRY penalizes, in tokens.",
        group=_SAMPLING, low=1, high=_MOST, flags=("--dry-allowed-length",),
    )  # fmt: skip
    dry_penalty_last_n: int = _option(
        -1, _int, "DRY looks for repetitions in the last n tokens; -1: in all, 0: in none.",
        group=_SAMPLING, low=-1, high=_MOST, flags=("--dry-penalty-last-n",),
    )  # fmt: skip
    dry_sequence_breakers: str | Sequence[str] = _option(
        ("\n", ":", '"', "*"), _texts, "Strings at which DRY stops matching repetitions.",
        group=_SAMPLING, flags=("--dry-sequence-breaker",),
    )  # fmt: skip
    suppress_tokens: Sequence[int] = _option(
        (), _tokens, "Token ids that are never generated.",
        group=_SAMPLING, low=0, high=_MOST, flags=("--suppress-token",),
    )  # fmt: skip
    begin_suppress_tokens: Sequence[int] = _option(
        (), _tokens, "Token ids that are not generated first after the prompt.",
        group=_SAMPLING, low=0, high=_MOST, flags=("--begin-suppress-token",),
    )  # fmt: skip
    forced_first_token: int | None = _option(
        None, _int, "The token id that is generated first after the prompt.",
        group=_SAMPLING, low=0, high=_MOST, none="the model chooses",
        flags=("--forced-first-token",),
    )  # fmt: skip
    logits_processor: LogitsProcessor | None = _option(
        None, _function,
        "A function of (logits, tokens), called before each token: it may change the logits, "
        "float32 (n_vocab), in place; tokens are those of the text so far. Where it is not "
        "deterministic, neither is the text.",
        group=_SAMPLING, none="none",
    )  # fmt: skip
    logit_bias: Mapping[int, float] = _option(
        {}, _biases, "Numbers added to the logits of tokens; -inf bans one.",
        group=_SAMPLING, flags=("--logit-bias",),
    )  # fmt: skip
    seed: int | None = _option(
        None, _int, "The same seed and options give the same text on every machine.",
        group=_SAMPLING, low=0, high=SEEDS - 1, none="one is drawn", flags=("-s", "--seed"),
    )  # fmt: skip
    logprobs: int = _option(
        0, _int, "Report the log-probability of each token and of this many most likely ones.",
        group=_SAMPLING, low=0, high=_MOST, flags=("--logprobs",),
    )  # fmt: skip
    regex: str | None = _option(
        None, _source, "The text matches this regular expression as a whole.",
        group=_CONSTRAINED, none="any text", flags=("--regex",),
    )  # fmt: skip
    json_schema: Mapping[str, Any] | str | None = _option(
        None, _schema, "The text is JSON of this schema, written as json.dumps does.",
        group=_CONSTRAINED, none="any text", flags=("-j", "--json-schema"),
    )  # fmt: skip
    grammar: str | None = _option(
        None, _source, "The text is one of this grammar, in Lark's notation or in GBNF.",
        group=_CONSTRAINED, none="any text", flags=("--grammar",),
    )  # fmt: skip
    token_healing: bool | None = _option(
        None, _flag,
        "Let a constrained text write the prompt's last tokens again, where a token may go on from "
        "them into the text.",
        group=_CONSTRAINED, none="for a prompt that is text", flags=("--token-healing",),
    )  # fmt: skip
    allow_special: bool = _option(
        False, _flag, 'Read "<|endoftext|>" in the prompt as the token, not as plain text.',
        group=_LENGTH, flags=("--allow-special",),
    )  # fmt: skip
    add_special_tokens: bool = _option(
        True, _flag,
        "Put the tokens around the prompt that the model's tokenizer puts around a text; GPT-2's "
        'has none, BERT\'s "[CLS]" and "[SEP]".',
        group=_LENGTH, flags=("--add-special-tokens",),
    )  # fmt: skip
    context_overflow: ContextOverflow = _option(
        "stop", _choice,
        'What happens when the context is full: "stop" ends the text, "error" is an error, "slide" '
        "continues with the end of the text as context; the prompt may then be longer than it.",
        group=_CONTEXT, choices=("stop", "error", "slide"), flags=("--context-overflow",),
    )  # fmt: skip
    keep: int = _option(
        0, _int,
        "How many of the text's first tokens stay in the context when it slides (sink tokens); -1 "
        "keeps all of the prompt.",
        group=_CONTEXT, low=-1, high=_MOST, flags=("--keep",),
    )  # fmt: skip
    discard: int | None = _option(
        None, _int, "How many of the tokens after those leave the context each time it slides.",
        group=_CONTEXT, low=1, high=_MOST, none="half of them", flags=("--discard",),
    )  # fmt: skip
    draft_model: LoadedModel | None = _option(
        None, _model,
        "A smaller model of the same vocabulary, such as gpt2 for gpt2-xl, for draft tokens: the "
        "same text, faster.",
        group=_SPEED, none="none", flags=("-md", "--draft-model", "--model-draft", "--draft"),
    )  # fmt: skip
    prompt_lookup: bool = _option(
        False, _flag, "Draft the tokens that followed the last occurrence of the final n-gram: "
        "the same text, faster where it repeats itself.",
        group=_SPEED, flags=("--prompt-lookup",),
    )  # fmt: skip
    max_draft_tokens: int = _option(
        MAX_DRAFT_TOKENS, _int, "The most tokens to draft at a time.",
        group=_SPEED, low=1, high=MAX_DRAFT_TOKENS,
        flags=("--max-draft-tokens", "--draft-max"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, option, default in _table():
            value = getattr(self, name)
            if value is default or (value is None and option.none is not None):
                continue
            object.__setattr__(self, name, option.check(name, value, option))
        given = self._languages()
        if len(given) > 1:
            raise ValueError(f"{' and '.join(dict(given))} are given, expected one of them at most")

    @property
    def language(self) -> tuple[str, str] | None:
        """Which of regex, json_schema and grammar is given, and what it is."""
        return next(iter(self._languages()), None)

    def tokens_of(self, model: LoadedModel, prompt: str | Sequence[int]) -> list[int]:
        """A prompt's tokens, by `allow_special` and `add_special_tokens`."""
        return model.tokens_of(
            prompt, allow_special=self.allow_special, add_special_tokens=self.add_special_tokens
        )

    def for_prompt(self, prompt: object) -> SamplingParams:
        """With what depends on whether the prompt is text or token ids, for its tokens."""
        if self.token_healing is not None:
            return self
        return replace(self, token_healing=isinstance(prompt, str))

    def _languages(self) -> list[tuple[str, str]]:
        values = ((name, getattr(self, name)) for name in LANGUAGES)
        return [(name, value) for name, value in values if value is not None]


class SamplingOptions(TypedDict, total=False):
    """The fields of `SamplingParams`, as keywords."""

    max_tokens: int | None
    stop: str | Sequence[str]
    min_tokens: int
    max_time: float | None
    ignore_eos: bool
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    xtc_probability: float
    xtc_threshold: float
    repetition_penalty: float
    frequency_penalty: float
    presence_penalty: float
    penalty_last_n: int
    no_repeat_ngram_size: int
    dry_multiplier: float
    dry_base: float
    dry_allowed_length: int
    dry_penalty_last_n: int
    dry_sequence_breakers: str | Sequence[str]
    suppress_tokens: Sequence[int]
    begin_suppress_tokens: Sequence[int]
    forced_first_token: int | None
    logits_processor: LogitsProcessor | None
    logit_bias: Mapping[int, float]
    seed: int | None
    logprobs: int
    regex: str | None
    json_schema: Mapping[str, Any] | str | None
    grammar: str | None
    token_healing: bool | None
    allow_special: bool
    add_special_tokens: bool
    context_overflow: ContextOverflow
    keep: int
    discard: int | None
    draft_model: LoadedModel | None
    prompt_lookup: bool
    max_draft_tokens: int


def option_of(each: Field[Any]) -> Option:
    """The option that a field of `SamplingParams` is."""
    option: Option = each.metadata["option"]
    return option


@cache
def _table() -> list[tuple[str, Option, Any]]:
    """Each option's name, itself, and its default: gathered once, for every text needs them."""
    return [(each.name, option_of(each), each.default) for each in fields(SamplingParams)]


def _described() -> str:
    """The table as a docstring's list."""
    lines = []
    for each in fields(SamplingParams):
        option = option_of(each)
        bounded = option.low != -math.inf or option.none is not None
        lines.append(f"  {each.name}: {option.help}{f' {option.range}.' if bounded else ''}")
    return "\n".join(lines)


SamplingParams.__doc__ = f"{SamplingParams.__doc__}\n\nFields:\n{_described()}\n"

# Option names of other libraries, and the option or call to use here.
_ELSEWHERE = {
    "max_new_tokens": "max_tokens",
    "max_length": "max_tokens, which counts the new tokens alone",
    "n_predict": "max_tokens",
    "num_predict": "max_tokens",
    "temp": "temperature",
    "repeat_penalty": "repetition_penalty",
    "repeat_last_n": "penalty_last_n",
    "repetition_window": "penalty_last_n",
    "typical": "typical_p",
    "min_new_tokens": "min_tokens",
    "logits_processors": "logits_processor",
    "do_sample": "temperature=0 for greedy decoding",
    "stop_strings": "stop",
    "stop_sequences": "stop",
    "random_seed": "seed",
    "n_keep": "keep",
    "n_discard": "discard",
    "context_shift": 'context_overflow="slide"',
    "assistant_model": "draft_model",
    "num_assistant_tokens": "max_draft_tokens",
    "num_speculative_tokens": "max_draft_tokens",
    "prompt_lookup_num_tokens": "prompt_lookup=True",
    "num_beams": "beam_search(prompt, num_beams=...)",
    "n": "generate(prompt, n=...)",
    "num_return_sequences": "generate(prompt, n=...)",
    "best_of": "generate(prompt, n=...)",
    "guided_regex": "regex",
    "guided_json": "json_schema",
    "guided_grammar": "grammar",
    "guided_choice": 'regex, such as "yes|no"',
    "response_format": "json_schema",
    "structured_outputs": "regex, json_schema or grammar",
}


def resolved(
    caller: str, params: SamplingParams | None, options: Mapping[str, Any]
) -> SamplingParams:
    """`params` with the keywords of a call in place of its fields.

    Raises TypeError for an unknown keyword, with a suggestion, and what SamplingParams raises.
    """
    if params is not None and not isinstance(params, SamplingParams):
        raise TypeError(f"params is {_shown(params)}, expected SamplingParams(...)")
    params = params or SamplingParams()
    if not options:
        return params
    names = [name for name, _, _ in _table()]
    for name in options:
        if name not in names:
            raise TypeError(f"{caller}() has no option {name!r}{hint(name, names)}")
    return replace(params, **options)


def hint(name: str, names: Sequence[str]) -> str:
    """A suggestion for an unknown name."""
    if name in _ELSEWHERE:
        return f": use {_ELSEWHERE[name]}"
    import difflib

    close = difflib.get_close_matches(name, names, 1)
    return f": did you mean {close[0]!r}?" if close else f"; it has {', '.join(names)}"
