"""Chat templates: the Jinja program of a model that makes a prompt of a chat.

A template is part of a model's file, which may come from anybody. It runs in a sandbox
(template_sandbox.py), which has no way to Python or to files, and ends when it takes too long or
makes too much.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Any

from pygpt2edge import _core
from pygpt2edge.errors import FormatError
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.serve.settings import Settings
from pygpt2edge.serve.template_sandbox import BoundedEnvironment, TemplateRefusal
from pygpt2edge.tokenizer import Tokenizer

_KEY = "tokenizer.chat_template"
_ROOM = 10_000  # characters and elements of a value, beside four times what a prompt may have


class ChatTemplate:
    """The template of one model.

    Raises FormatError for a text that is no template, or longer than the settings allow.
    """

    def __init__(self, text: str, tokenizer: Tokenizer, settings: Settings) -> None:
        if len(text) > settings.max_template:
            raise FormatError(
                f"the chat template has {len(text):,} characters, at most "
                f"{settings.max_template:,} are allowed (--max-template)"
            )
        self._settings = settings
        self._environment = BoundedEnvironment(_ROOM + 4 * settings.max_chat)
        self._environment.globals["raise_exception"] = _refuse
        try:
            self._template = self._environment.from_string(text)
        except MemoryError:
            raise
        # Not only Jinja's errors: what it makes of the template may be no Python.
        except Exception as error:
            raise FormatError(
                f"the chat template is no Jinja template: {_one_line(error)}"
            ) from None
        self._tokenizer = tokenizer
        self._encode = partial(tokenizer.encode, add_special_tokens=False)
        self._special = {token: _text(tokenizer, token) for token in tokenizer.special_tokens}

    def tokens(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The prompt of a chat, for the answer to come.

        Special tokens are those that the template writes; their text in a message is plain text.
        Raises TemplateRefusal.
        """
        kept: dict[str, str] = {}  # private characters that stand for such text -> the text
        hidden = [
            {name: self._hide(text, kept) for name, text in message.items()} for message in messages
        ]
        text = self._render(hidden)
        tokens: list[int] = []
        start = 0
        for i, character in enumerate(text):
            if character in kept:
                tokens += self._encode(text[start:i], allow_special=True)
                tokens += self._encode(kept[character])
                start = i + 1
        return tokens + self._encode(text[start:], allow_special=True)

    def _hide(self, text: str, kept: dict[str, str]) -> str:
        """The text with a character of Unicode's private planes for each special token's."""
        text = "".join(c for c in text if ord(c) < _PRIVATE)
        for token, special in self._special.items():
            character = chr(_PRIVATE + token)
            if special and special in text:
                kept[character] = special
                text = text.replace(special, character)
        return text

    def _render(self, messages: Sequence[Mapping[str, str]]) -> str:
        tokenizer = self._tokenizer
        text = ""
        before = sys.gettrace()
        given = {
            "messages": messages,
            "add_generation_prompt": True,
            "bos_token": _text(tokenizer, tokenizer.bos_token),
            "eos_token": _text(tokenizer, tokenizer.eos_token),
        }
        sys.settrace(_deadline(time.monotonic() + self._settings.template_timeout))
        try:
            with self._environment.measured_anew():
                for piece in self._template.generate(given):
                    text += str(piece)
                    if len(text) > self._settings.max_chat:
                        raise TemplateRefusal(
                            "the chat template makes too long a prompt of this chat"
                        )
        except TemplateRefusal:
            raise
        except Exception as error:  # the template's own, of any kind
            raise TemplateRefusal(
                f"the chat template fails on this chat: {_one_line(error)}"
            ) from None
        finally:
            sys.settrace(before)
        return text


# The first character of Unicode's plane 15: nobody's text has it for a reason.
_PRIVATE = 0xF0000


def _deadline(end: float) -> Any:
    """A trace function that raises once the time is over."""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if time.monotonic() > end:
            raise TemplateRefusal("the chat template takes too long for this chat")
        return trace

    return trace


def _refuse(message: str) -> None:
    raise TemplateRefusal(" ".join(str(message).split())[:200] or "the chat template refuses it")


def _one_line(error: Exception) -> str:
    line = " ".join(str(error).split())
    return (line or type(error).__name__)[:200]


def _text(tokenizer: Tokenizer, token: int | None) -> str:
    return "" if token is None else tokenizer.decode([token])


def chat_template_of(model: LoadedModel, settings: Settings) -> ChatTemplate | None:
    """The template that a model's file carries; None where it has none. Raises FormatError."""
    text = _core.GgufFile(str(model.path)).metadata.get(_KEY)
    return ChatTemplate(text, model.tokenizer, settings) if isinstance(text, str) else None
