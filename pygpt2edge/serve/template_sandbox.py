"""Jinja's sandbox, with limits on what a template may make.

Jinja keeps a template from Python and from files. It does not keep one from making a text of
gigabytes in one step, or a list of lists of lists that is small until it is written. Here every
value that a template makes is measured: how large it would be, written out, and how much has been
made in all. What makes much of a small number is not there.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import BuiltinMethodType
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context, pass_environment
from markupsafe import escape

_LEFT_OUT = ("center", "format", "indent", "wordwrap", "filesizeformat", "urlize", "xmlattr",
             "pprint")  # fmt: skip
_TEXT_METHODS = {
    "capitalize", "casefold", "center", "count", "endswith", "find", "format", "format_map",
    "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower",
    "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower",
    "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex",
    "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip",
    "swapcase", "title", "upper", "zfill",
}  # fmt: skip
_GREATEST_BITS = 4096  # of a whole number
_GREATEST_ARGUMENT = 100_000  # of a filter or a method, as of Jinja's range()
_MADE_AT_MOST = 16  # times what one value may have, in all
_DEEPEST_JSON = 32  # where it is indented


class TemplateRefusal(ValueError):  # noqa: N818
    """A template that cannot be used, or that refuses a chat."""


class _Made(threading.local):
    """What the template that this thread renders has made so far."""

    def __init__(self) -> None:
        self.n = 0


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """An environment whose templates make values of at most `most` characters and elements."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self, most: int) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"],
            # Nothing is computed while a template is compiled: nobody counts then.
            optimized=False, finalize=_finalized,
        )  # fmt: skip
        self.code_generator_class = _MeasuringCode
        self._most = most
        self._made = _Made()
        del self.globals["lipsum"]
        for name in _LEFT_OUT:
            del self.filters[name]
        own: dict[str, Callable[..., Any]] = {
            "escape": _escaped, "e": _escaped, "forceescape": _escaped, "safe": _string,
            "join": _joined, "replace": _replaced, "sum": _sum, "tojson": _json, "string": _string,
        }  # fmt: skip
        self.filters.update(own)
        for name, function in self.filters.items():
            self.filters[name] = self._measuring(function)

    @contextmanager
    def measured_anew(self) -> Iterator[None]:
        """Counts from nothing on, for one rendering."""
        before, self._made.n = self._made.n, 0
        try:
            yield
        finally:
            self._made.n = before

    # ---- what the compiled templates call ----

    def measured(self, value: Any) -> Any:
        """A value that the template has made. Raises TemplateRefusal where it is too large."""
        if isinstance(value, int) and value.bit_length() > _GREATEST_BITS:
            raise TemplateRefusal("the chat template computes with too large numbers")
        if isinstance(value, str | list | tuple | dict | set | range):
            self.make(len(value))
            self.check_size(value)
        return value

    def sliced(self, value: Any) -> Any:
        """A part of a value, which is no larger."""
        self.make(len(value))
        return value

    def concat(self, parts: Iterable[str]) -> str:
        """Of what a block, a macro or ~ writes."""
        texts = [self.text(part) for part in parts]
        self.make(sum(map(len, texts)))
        return "".join(texts)

    def text(self, value: Any) -> str:
        """A value written out."""
        self.check_size(value)
        return str(value)

    def make(self, n: int) -> None:
        """Counts what is about to be made."""
        self._made.n += n
        if n > self._most or self._made.n > _MADE_AT_MOST * self._most:
            raise TemplateRefusal("the chat template makes too much of this chat")

    def check_size(self, value: Any) -> None:
        """Raises TemplateRefusal where a value, written out, would have more than is allowed. Parts
        that occur twice count twice, and those within themselves without end."""
        if isinstance(value, str | int | float):
            return
        left = self._most
        waiting = [iter((value,))]
        while waiting:
            part = next(waiting[-1], waiting)
            if part is waiting:
                waiting.pop()
                continue
            left -= 1 + (len(part) if isinstance(part, str) else 0)
            if left < 0:
                raise TemplateRefusal("the chat template makes too much of this chat")
            waiting.append(_parts(part))

    # ---- what Jinja asks ----

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Texts have the methods above, numbers and bytes none."""
        if isinstance(obj, str) and attr not in _TEXT_METHODS:
            return False
        if isinstance(obj, int | float | complex | bytes | bytearray):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        is_of_numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" or (operator != "+" and not is_of_numbers):
            raise TemplateRefusal(f"a chat template may use {operator} for numbers only")
        return self.measured(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if isinstance(obj, Macro):
            return super().call(context, obj, *args, **kwargs)
        _check_arguments(args, kwargs)
        if isinstance(obj, BuiltinMethodType) and isinstance(obj.__self__, str):
            if obj.__name__ == "join" and len(args) == 1:
                return _joined(self, args[0], obj.__self__)
            if obj.__name__ == "replace":
                return _replaced(self, obj.__self__, *args)
        return self.measured(super().call(context, obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Any:
        function = super().wrap_str_format(value)
        if function is None:
            return None

        def bounded(*args: Any, **kwargs: Any) -> Any:
            form = str(value.__self__)
            if re.search(r"\d{4}", form):
                raise TemplateRefusal("a chat template may not format to such a width")
            self.check_size([args, kwargs])
            _check_arguments((*args, *_parts(args[0] if args else None)), kwargs, most=1000)
            size = sum(len(self.text(each)) for each in (*args, *kwargs.values()))
            self.make(len(form) + form.count("{") * (size + 1000))
            return function(*args, **kwargs)

        return bounded

    def _measuring(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter whose arguments and results are looked at. Jinja tells by attributes, which are
        kept, what else it is to be given."""

        @functools.wraps(function)
        def measuring(*args: Any, **kwargs: Any) -> Any:
            _check_arguments(args, kwargs)
            return self.measured(function(*args, **kwargs))

        return measuring


class _MeasuringCode(CodeGenerator):
    """Templates compiled to Python that has its values measured."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.concat((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._measured(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._measured(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx == "load":
            self._measured(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.sliced(")
        super().visit_Getitem(node, frame)
        self.write(")")

    def _measured(self, visit: Callable[[Any, Frame], None], node: Any, frame: Frame) -> None:
        self.write("environment.measured(")
        visit(node, frame)
        self.write(")")


def _parts(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            return (part for pair in value.items() for part in pair)
        case list() | tuple() | set() | frozenset() | range():
            return iter(value)
        case Namespace():
            return iter(object.__getattribute__(value, "_Namespace__attrs").values())
    if isinstance(value, type({}.items()) | type({}.values()) | type({}.keys())):
        return iter(value)
    return iter(())


def _check_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any], most: int = _GREATEST_ARGUMENT
) -> None:
    for value in (*args, *kwargs.values()):
        if isinstance(value, int) and abs(value) > most:
            raise TemplateRefusal(f"a chat template may give {most:,} at most to what it calls")


@pass_context
def _finalized(context: Context, value: Any) -> Any:
    """What {{ }} writes."""
    environment: Any = context.environment
    environment.check_size(value)
    return value


# ---- filters ----


def _escaped(value: Any) -> str:
    return str(escape(value))


@pass_environment
def _string(environment: BoundedEnvironment, value: Any) -> str:
    return environment.text(value)


@pass_environment
def _joined(
    environment: BoundedEnvironment, value: Iterable[Any], d: Any = "", attribute: Any = None
) -> str:
    if attribute is not None:
        value = map(make_attrgetter(environment, attribute), value)
    between, texts = environment.text(d), []
    for part in value:
        texts.append(environment.text(part))
        environment.make(len(texts[-1]) + len(between))
    return between.join(texts)


@pass_environment
def _replaced(
    environment: BoundedEnvironment, value: Any, old: Any, new: Any, count: int | None = None
) -> str:
    text, old, new = map(environment.text, (value, old, new))
    n = text.count(old)
    n = n if count is None or count < 0 else min(n, int(count))
    environment.make(len(text) + n * max(0, len(new) - len(old)))
    return text.replace(old, new, n)


@pass_environment
def _sum(
    environment: BoundedEnvironment, iterable: Iterable[Any], attribute: Any = None, start: Any = 0
) -> Any:
    if attribute is not None:
        iterable = map(make_attrgetter(environment, attribute), iterable)
    _check_number(start)
    total = start
    for value in iterable:
        _check_number(value)
        total = environment.measured(total + value)
    return total


def _check_number(value: Any) -> None:
    if not isinstance(value, int | float):
        raise TemplateRefusal("a chat template may sum numbers only")


@pass_environment
def _json(environment: BoundedEnvironment, value: Any, indent: int | None = None) -> str:
    if isinstance(value, Undefined):
        raise TemplateRefusal("a chat template writes JSON of what there is not")
    environment.check_size(value)
    if indent and _depth(value) > _DEEPEST_JSON:
        raise TemplateRefusal("a chat template may indent JSON that is less nested only")
    return json.dumps(value, ensure_ascii=False, indent=indent and min(int(indent), 8))


def _depth(value: Any) -> int:
    n, level = 0, [value]
    while level := [part for each in level for part in _parts(each)]:
        n += 1
    return n
