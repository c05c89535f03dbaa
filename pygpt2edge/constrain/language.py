"""From a regex, a JSON schema or a grammar to llguidance's matcher; what is wrong with one, in a
line that points at the place."""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from pygpt2edge.constrain.vocabulary import vocabulary_of
from pygpt2edge.process.lock import ProcessLock

if TYPE_CHECKING:
    from llguidance import LLMatcher
    from llguidance._lib import JsonCompileOptions

    from pygpt2edge.tokenizer import Tokenizer

# JSON is written as Python's json.dumps does. With free white space a small model may write nothing
# else; a schema's "x-guidance" may ask for it.
_JSON_STYLE: JsonCompileOptions = {
    "whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ",
}  # fmt: skip
_COMPILED_AT_MOST = 32  # languages that are kept for each tokenizer
# llguidance compiles by recursion, and a chain of rules as long as options.py lets a grammar be
# overflows the stack of an ordinary thread.
_STACK_BYTES = 64 << 20
_Result = TypeVar("_Result")


class Language(NamedTuple):
    """What a text is to be: an option of SamplingParams and its value."""

    option: str  # "regex", "json_schema" or "grammar"
    source: str


def matcher_of(language: Language, tokenizer: Tokenizer, after: str = "") -> LLMatcher:
    """A matcher at the start of a text, which has `after` before it. Raises ValueError for a
    language that makes no sense."""
    vocabulary = vocabulary_of(tokenizer)
    key = language, after
    with _lock:
        compiled = _compiled.setdefault(tokenizer, OrderedDict())
        if key not in compiled:
            compiled[key] = _with_large_stack(lambda: _compile(language, vocabulary, after))
            if len(compiled) > _COMPILED_AT_MOST:
                compiled.popitem(last=False)
        compiled.move_to_end(key)
        return compiled[key].deep_copy()


_Compiled = OrderedDict[tuple[Language, str], "LLMatcher"]
_compiled: WeakKeyDictionary[Tokenizer, _Compiled] = WeakKeyDictionary()
_lock = ProcessLock()


def _compile(language: Language, vocabulary: Any, after: str) -> LLMatcher:
    from llguidance import LLMatcher, LLParserLimits

    limits = LLParserLimits(verbose_errors=False)  # the others as they are: fractions of a second
    error = ""
    for grammar in _grammars(language):
        joined = _joined(after, grammar) if after else grammar
        matcher = LLMatcher(vocabulary, joined, log_level=0, limits=limits)
        if not matcher.is_error():
            return matcher
        error = matcher.get_error()
    if language.option == "regex":
        raise ValueError(_about_regex(language.source, error))
    if language.option == "json_schema":
        raise ValueError(_about_schema(json.loads(language.source), error, vocabulary))
    raise ValueError(f"grammar: {_about_grammar(error)}")


def _grammars(language: Language) -> list[str]:
    """The language as llguidance has it: the first that compiles, and the last one's error."""
    from llguidance import LLMatcher
    from llguidance.gbnf_to_lark import any_to_lark

    if language.option == "regex":
        return [LLMatcher.grammar_from_regex(language.source)]
    if language.option == "json_schema":
        try:
            return [LLMatcher.grammar_from_json_schema(language.source, defaults=_JSON_STYLE)]
        except ValueError as error:
            raise ValueError(f"json_schema: {_one_line(str(error))}") from None
    try:
        lark = any_to_lark(language.source)
    except RecursionError:
        raise ValueError("grammar: its parentheses are nested too deeply") from None
    except Exception as error:  # the converter from GBNF raises Exception itself
        raise ValueError(f"grammar: {_with_line(str(error), language.source)}") from None
    return [lark] if lark == language.source else [*_as_one_terminal(lark), lark]


def _as_one_terminal(lark: str) -> list[str]:
    """A grammar that was GBNF with all of it as one terminal, where no rule is recursive.

    The converter makes terminals of such rules but the first. llguidance reads a terminal for as
    long as it can, so that a text could not go on behind `[a-z]+` with a letter, which in GBNF it
    can; and its masks of one terminal take a fraction of the time, many of them none."""
    rules = re.findall(r"^(\w+):", lark, re.MULTILINE)
    if any(rule != "start" and not rule.isupper() for rule in rules):
        return []
    name = max(rules, key=len).upper() + "X"
    return [re.sub("^start:", f"start: {name}\n{name}:", lark, count=1, flags=re.MULTILINE)]


def _joined(text: str, grammar: str) -> str:
    """A grammar of the texts of another, with a text before each. llguidance has a JSON of grammars
    that refer to others by their names, and a single one in Lark's notation as it is."""
    try:
        (inner,) = json.loads(grammar)["grammars"]
    except ValueError:
        inner = {"lark_grammar": grammar}
    outer = {"lark_grammar": f"start: {json.dumps(text)} @text"}
    return json.dumps({"grammars": [outer, {**inner, "name": "text"}]})


def _with_large_stack(compute: Callable[[], _Result]) -> _Result:
    """Computes it in a thread of its own."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(compute())
        except BaseException as error:
            errors.append(error)

    before = threading.stack_size(_STACK_BYTES)
    try:
        thread = threading.Thread(target=run, name="pygpt2edge-compile", daemon=True)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


# ---- messages ----


def _one_line(text: str, most: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def _about_regex(regex: str, error: str) -> str:
    """Rust's parser shows the pattern, a line with carets below the place, and what is wrong."""
    lines = error.splitlines()
    what = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), "")
    shown = next((line for line in lines if re.fullmatch(r" +\^+", line)), "")
    if not what or not shown or "\n" in regex:
        return f"regex is {regex!r:.80}: {_one_line(error)}"
    place = shown.index("^")
    pattern = lines[lines.index(shown) - 1]  # where a slash may have been escaped
    escaped = len(pattern.strip()) - len(regex.strip()) and pattern[:place].count("\\/")
    at = place - 4 - escaped  # the parser indents by four
    return f"regex, at character {at}, {pattern[place : place + 20]!r}: {what}"


def _about_grammar(error: str) -> str:
    """llguidance begins with "at LINE(COLUMN):", and ends with the lines around the place."""
    match = re.match(r"(?:at )?(\d+)\((\d+)\): (.*)", error, re.DOTALL)
    if match is None:
        return _one_line(error)
    line, column, rest = match.groups()
    what, *excerpt = re.split(r"^ +\d+ \| ", rest, flags=re.MULTILINE)
    around = re.search(rf"^ *{line} \| (.*)$", rest, re.MULTILINE)
    place = f", {around[1].strip()!r:.80}" if excerpt and around else ""
    return f"line {line}, column {column}{place}: {_one_line(what)}"


def _with_line(error: str, source: str) -> str:
    """The converter from GBNF says where, unless a rule is missing."""
    missing = re.fullmatch(r"Rule '(.*)' not found", error)
    if missing is not None:
        used = re.search(rf"(?<![\w-]){re.escape(missing[1])}(?![\w-])", source)
        line = source.count("\n", 0, used.start() if used else 0) + 1
        return f"line {line}: there is no rule {missing[1]!r}"
    if error == "No 'root' rule found":
        return "there is no rule 'root', or in Lark's notation 'start', to begin with"
    return _one_line(error)


def _about_schema(schema: Any, error: str, vocabulary: Any) -> str:
    """Names the innermost part of the schema that by itself has the same error."""
    from llguidance import LLMatcher

    def has_error(part: Any) -> bool:
        try:
            grammar = LLMatcher.grammar_from_json_schema(json.dumps(part), defaults=_JSON_STYLE)
        except ValueError:
            return False
        return LLMatcher(vocabulary, grammar, log_level=0).get_error() == error

    pointer, part = "#", schema
    for _ in range(_DEEPEST):
        inner = next(((at, one) for at, one in _subschemas(part) if has_error(one)), None)
        if inner is None:
            break
        pointer, part = f"{pointer}/{inner[0]}", inner[1]
    return f"json_schema, at {pointer}: {_one_line(error)}"


_DEEPEST = 64  # parts of a schema within another that are searched for an error


def _subschemas(part: Any) -> Iterator[tuple[str, Any]]:
    """What lies directly below: objects that are values, and objects in lists and maps of them."""
    for name, value in part.items() if isinstance(part, dict) else ():
        key = _pointer_key(name)
        if isinstance(value, dict):
            yield key, value
        pairs = value.items() if isinstance(value, dict) else enumerate(_list(value))
        for inner, each in pairs:
            if isinstance(each, dict):
                yield f"{key}/{_pointer_key(str(inner))}", each


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pointer_key(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
