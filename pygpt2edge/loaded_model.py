"""A model file in memory: its attributes, its tokenizer, and sessions of it."""

from __future__ import annotations

import functools
import operator
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

from pygpt2edge import _core
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.process.lock import ProcessLock
from pygpt2edge.tokenizer import Tokenizer, read_tokenizer

if TYPE_CHECKING:
    from typing_extensions import TypeIs


def demo_model_path() -> Path:
    """The path of the demo model of the package: a trained GPT-2 of 18 million parameters."""
    return Path(__file__).parent / "data" / "demo.gguf"


class _Given(NamedTuple):
    """What a model was opened with; a path of None is the demo model's, wherever that lies."""

    path: str | None
    n_threads: int | None
    n_ctx: int | None
    kv_type: str | None


class LoadedModel:
    """A loaded GGUF file, and the settings of its texts.

    The functions of the subpackages take one of these. `GPT2` is its subclass for users, and
    documents the parameters.

    Attributes:
      path: the file.
      core_model: the core's model, which sessions are made of.
      tokenizer: of the file's vocabulary.
      config: the shape, by the names of Hugging Face's config.json.
      n_ctx: the most tokens of a session.
      kv_type: how sessions keep keys and values: "int8", "int16", "f16" or "f32".
      load_s: the seconds that loading took.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        n_threads: int | None = None,
        n_ctx: int | None = None,
        kv_type: str | None = None,
    ) -> None:
        start = time.perf_counter()
        given = None if path is None else str(Path(path).absolute())
        self._given = _Given(given, n_threads, n_ctx, kv_type)
        self.path = demo_model_path() if path is None else Path(path)
        _refuse_what_is_not_a_file(self.path)
        # The vocabulary is read while the weights are packed: neither needs Python meanwhile.
        vocabulary = _VocabularyReader(self.path)
        try:
            self.core_model = _core.Model(
                os.fsencode(self.path), n_threads or 0, n_ctx or 0, kv_type or ""
            )
        finally:
            vocabulary.join()
        self.tokenizer = vocabulary.tokenizer()
        self.config: dict[str, Any] = self.core_model.config
        self.n_ctx: int = self.config["n_ctx"] if n_ctx is None else n_ctx
        self.kv_type: str = self.core_model.kv_type
        self._cache_bytes = self.session().cache_bytes
        if self.tokenizer.n_vocab > self.config["n_vocab"]:
            raise UnsupportedError(
                f"{self.path}: tokenizer.ggml.tokens has {self.tokenizer.n_vocab} tokens, "
                f"the model {self.config['n_vocab']}: convert the model again"
            )
        self.load_s = time.perf_counter() - start

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, a model is its path, its fingerprint and its settings."""
        return _opened_again, (type(self), self._given, self.core_model.fingerprint)

    @functools.cached_property
    def contexts(self) -> _core.ContextOptions:
        """How the contexts of texts are made."""
        return _core.ContextOptions(self.n_ctx, self.kv_type)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of weights that decoding a token reads: the bound of decoding speed."""
        return self.core_model.bytes_per_token

    @property
    def multiply_adds_per_token(self) -> int:
        """Multiply-adds of the layers for one token: the bound of prefill speed."""
        return self.core_model.multiply_adds_per_token

    @property
    def isa(self) -> str:
        """The instruction set in use: "avx512_vnni", "avx2", "scalar" ..."""
        return self.core_model.isa

    @property
    def n_threads(self) -> int:
        """The number of threads."""
        return self.core_model.n_threads

    @property
    def given_threads(self) -> int | None:
        """The number that it was opened with; None where the machine's was taken."""
        return self._given.n_threads

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of the weights, of one session's cache, and of the workspace of all sessions."""
        return {
            "weights": self.core_model.weight_bytes,
            "cache": self._cache_bytes,
            "workspace": self.core_model.workspace_bytes,
        }

    @property
    def page_bytes(self) -> int:
        """Bytes of a page, by which a session's cache grows: the keys and values of 64 tokens."""
        return self.core_model.page_bytes(self.kv_type)

    @property
    def cache_bytes_used(self) -> int:
        """Bytes that the keys and values of all sessions take now; shared ones count once."""
        return self.core_model.cache_bytes_used

    @property
    def start_token(self) -> int:
        """The token that replaces an empty prompt. Raises UnsupportedError where there is none."""
        return self.tokenizer.tables.start_token()

    def session(self) -> _core.Session:
        """An empty sequence with a cache of its own: the low-level interface."""
        return self.session_maker()()

    def session_maker(self) -> Callable[[], _core.Session]:
        """A function that does what `session` does and does not keep this object alive."""
        return functools.partial(_core.Session, self.core_model, self.n_ctx, self.kv_type)

    def tokens_of(
        self,
        text: str | Sequence[int],
        *,
        allow_special: bool = False,
        add_special_tokens: bool = True,
        name: str = "prompt",
    ) -> list[int]:
        """The tokens of a text, or the start token where it has none.

        `allow_special` and `add_special_tokens` are what `pygpt2edge.Tokenizer.encode` says; `name`
        is what a message calls the text. Raises TypeError for what is neither a text nor token ids.
        """
        if isinstance(text, str):
            tokens = self.tokenizer.encode(
                text, allow_special=allow_special, add_special_tokens=add_special_tokens
            )
        else:
            tokens = token_ids(text, name)
        return tokens or [self.start_token]

    def encoded(self, text: str | Sequence[int], *, name: str = "text") -> list[int]:
        """The tokens of a text alone: none for an empty one, and none around it."""
        if isinstance(text, str):
            return self.tokenizer.encode(text, add_special_tokens=False)
        return token_ids(text, name)

    def __repr__(self) -> str:
        shape = "{n_layer} layers of {n_embd}".format(**self.config)
        return (
            f"<{type(self).__name__} {self.path.name}: {shape}, {self.n_threads} threads, "
            f"{self.isa}>"
        )


def is_one_prompt(
    prompt: str | Sequence[int] | Sequence[str | Sequence[int]],
) -> TypeIs[str | Sequence[int]]:
    """Whether there is one prompt, a text or token ids, and not a list of several."""
    several = isinstance(prompt, (list, tuple)) and any(
        isinstance(each, (str, list, tuple)) for each in prompt
    )
    return not several


def token_ids(tokens: Sequence[int], name: str) -> list[int]:
    """The same as a list. Raises TypeError, which calls them `name`, where they are none."""
    if isinstance(tokens, (bytes, bytearray)):
        raise TypeError(f"{name} is bytes, expected a text or token ids: decode it first")
    if not hasattr(tokens, "__iter__"):
        raise TypeError(f"{name} is {tokens!r:.60}, expected a text or token ids")
    ids = []
    for i, token in enumerate(tokens):
        try:
            ids.append(operator.index(token))
        except TypeError:
            raise TypeError(
                f"{name} has {token!r:.60} as token {i}, expected a whole number: give a text or a "
                "list of token ids"
            ) from None
    return ids


def _refuse_what_is_not_a_file(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, expected a GGUF file; "
            f"GPT2.from_pretrained({str(path)!r}) takes a checkpoint's folder, and "
            "pygpt2edge convert makes a file of it"
        )


def tokenizer_of(path: Path) -> Tokenizer:
    """The tokenizer of a GGUF file, without its weights."""
    _refuse_what_is_not_a_file(path)
    return read_tokenizer(_core.GgufFile(path))


class _VocabularyReader(threading.Thread):
    """Reads the vocabulary of a file in a thread. concurrent.futures does the same, and takes
    longer to be imported."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="pygpt2edge-vocabulary")
        self._path = path
        self._tokenizer: Tokenizer | None = None
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._tokenizer = read_tokenizer(_core.GgufFile(self._path))
        except Exception as error:  # of any kind: `tokenizer` raises it
            self._error = error

    def tokenizer(self) -> Tokenizer:
        """What was read. Raises what reading it raised."""
        self.join()
        if self._tokenizer is None:
            raise self._error or RuntimeError("the vocabulary was not read")
        return self._tokenizer


# The models of this process that came by pickle. A worker is often sent its model with every task.
_opened: WeakValueDictionary[tuple[type, _Given], LoadedModel] = WeakValueDictionary()
_opening = ProcessLock()


def _opened_again(kind: type[LoadedModel], given: _Given, fingerprint: int) -> LoadedModel:
    """The model of a pickle: opened once in a process, as long as it is in use.

    Raises OSError where the file is not there, FormatError where it is another model by now.
    """
    with _opening:
        model = _opened.get((kind, given))
        if model is None:
            model = kind(
                given.path, n_threads=given.n_threads, n_ctx=given.n_ctx, kv_type=given.kv_type
            )
            _opened[kind, given] = model
    if model.core_model.fingerprint != fingerprint:
        raise FormatError(
            f"{model.path}: another model than the one that was pickled; put the same file at this "
            "path on every machine"
        )
    return model
