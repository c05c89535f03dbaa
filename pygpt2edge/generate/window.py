"""What the model sees of a text: one context, or one that slides along without a pause.

GPT-2's positions are learned and absolute, and every key and value in a cache is made with them:
what is cached cannot be moved to another position. A text that outgrows its context is therefore
encoded anew, from position 0, for as much of its end as is kept. `SlidingWindow` does so in
advance, a token at a time, in the passes that the text takes anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pygpt2edge import _core
from pygpt2edge.generate.options import GenerateOptions
from pygpt2edge.loaded_model import LoadedModel

# What each session has to append, and after how many of the last of it logits are wanted.
Parts = list[tuple[_core.Session, list[int], int]]


class Window:
    """A text within one context.

    More tokens are added in two steps, so that several texts can be computed in one pass: `plan`
    says what each session has to append, and once that is done `commit` makes it so. `append` does
    both.
    """

    def __init__(self, new_session: Callable[[], _core.Session]) -> None:
        self._new_session = new_session
        self.session = new_session()  # whose logits follow the text

    @property
    def room(self) -> float:
        """How many more tokens there is room for."""
        return self.session.n_ctx - len(self.session)

    def revocable(self, n: int = 0) -> float:
        """How many tokens may follow the next n and still be taken back."""
        return self.room - n

    def plan(self, tokens: Sequence[int], n_logits: int = 1) -> Parts:
        """What to append so that the text has these tokens more; the window's session will have
        the logits after the last n_logits of them."""
        return [(self.session, list(tokens), n_logits)]

    def commit(self) -> None:
        """The parts of the last plan are computed."""

    def check(self, tokens: Sequence[int]) -> None:
        """Raises what adding these tokens would: ContextLengthError or ValueError."""
        self.session.check(tokens)

    def adopt(self, session: _core.Session) -> None:
        """The text, of which there is nothing yet, begins with what a session has computed."""
        self.session = session

    @property
    def in_one_context(self) -> bool:
        """Whether the session has the text from its first token on."""
        return True

    def n_contexts(self, n_tokens: float) -> int:
        """How many contexts are in memory at a time, for a text of so many tokens."""
        return 1

    @property
    def n_tokens(self) -> int:
        """How many tokens the text has."""
        return len(self.session)

    @property
    def sessions(self) -> list[_core.Session]:
        """All that is computed: what `restore` wants."""
        return [self.session]

    def restore(self, tokens: Sequence[int], sessions: Sequence[_core.Session]) -> None:
        """Fills an empty window with a text and its sessions. Raises ValueError if they differ."""
        (session,) = sessions
        if session.tokens != list(tokens):
            raise ValueError("the context is not that of the text")
        self.session = session

    def release(self) -> None:
        """Gives up the memory: nothing more will be added."""
        self.session.truncate(0)

    def append(self, tokens: Sequence[int], n_logits: int = 1) -> None:
        """Adds tokens. Raises what `Session.append` does; then nothing has changed."""
        _core.append_together(self.plan(tokens, n_logits))
        self.commit()

    def take_back(self, n: int) -> None:
        """The last n tokens were no part of the text. Only `revocable` ones can be taken back."""
        self.session.truncate(len(self.session) - n)


class SlidingWindow(Window):
    """A text of any length, of which the model sees the first `pin` tokens and the last ones.

    When a context of n_ctx tokens is full, the next begins: the `pin` first tokens of the text,
    then its last `keep`. That next context is filled while the full one is still in use: it gets
    every token from the one on that it will begin with, in the same pass over the weights. The
    logits are bit for bit those of encoding the tokens in view from nothing at every change of
    contexts.

    Raises ValueError where `pin` and `keep` leave no room for more text.
    """

    def __init__(
        self, new_session: Callable[[], _core.Session], keep: int = 512, pin: int = 0
    ) -> None:
        super().__init__(new_session)
        n_ctx = self.session.n_ctx
        if keep < 1 or pin < 0 or keep + pin >= n_ctx:
            raise ValueError(
                f"keep is {keep} and pin {pin}; give 1 or more and 0 or more, together less than "
                f"the context of {n_ctx} tokens"
            )
        self._pin, self._stride = pin, n_ctx - pin - keep
        self._pinned: list[int] = []
        self._index = 0  # of the context in use
        self._next: _core.Session | None = None  # the context after it, once it has begun
        self._n = 0  # tokens of the text
        self._tail: list[int] = []  # those from `_start(_index)` on
        self._planned: tuple[int, _core.Session, _core.Session | None, list[int], int]

    @property
    def room(self) -> float:
        """There is always room."""
        return float("inf")

    def check(self, tokens: Sequence[int]) -> None:
        """Raises ValueError for a token that is not in the vocabulary; any number has room."""
        step = self.session.n_ctx
        empty = self._new_session()
        for first in range(0, len(tokens), step):
            empty.check(tokens[first : first + step])

    def adopt(self, session: _core.Session) -> None:
        """The text, of which there is nothing yet, begins with what a session has computed."""
        tokens = session.tokens
        self.session, self._n = session, len(tokens)
        self._pinned, self._tail = tokens[: self._pin], tokens[self._pin :]

    @property
    def in_one_context(self) -> bool:
        """Whether the session has the text from its first token on."""
        return self._index == 0

    def n_contexts(self, n_tokens: float) -> int:
        """How many contexts are in memory at a time, for a text of so many tokens."""
        return 1 if n_tokens <= self._start(1) else 2

    @property
    def n_tokens(self) -> int:
        """How many tokens the text has."""
        return self._n

    @property
    def sessions(self) -> list[_core.Session]:
        """All that is computed: what `restore` wants."""
        return [self.session] if self._next is None else [self.session, self._next]

    def restore(self, tokens: Sequence[int], sessions: Sequence[_core.Session]) -> None:
        """Fills an empty window with a text and its sessions. Raises ValueError if they differ."""
        self._pinned, self._tail = list(tokens[: self._pin]), list(tokens[self._pin :])
        parts = self._plan_for(len(tokens), self._tail)
        contexts = [session.tokens + missing for session, missing, _ in parts]
        if contexts != [session.tokens for session in sessions]:
            raise ValueError("the contexts are not those of the text")
        index, _, _, tail, n = self._planned
        following = sessions[1] if len(sessions) > 1 else None
        self._planned = (index, sessions[0], following, tail, n)
        self.commit()

    def release(self) -> None:
        """Gives up the memory: nothing more will be added."""
        super().release()
        self._next, self._tail = None, []
        self._planned = (self._index, self.session, None, [], self._n)  # which held the next too

    def revocable(self, n: int = 0) -> float:
        """How many tokens may follow the next n and still be taken back.

        None that begin a context or end one: those change more than the sessions' lengths.
        """
        after = self._n + n
        index = self._index_for(after)
        begins, ends = self._start(index + 1), self._end(index)
        return (begins if after <= begins else ends) - after

    def take_back(self, n: int) -> None:
        """The last n tokens were no part of the text. Only `revocable` ones can be taken back."""
        if n == 0:
            return
        for session in self.sessions:
            session.truncate(len(session) - n)
        self._n -= n
        self._tail = self._tail[: max(0, len(self._tail) - n)]  # the pinned ones are not in it

    def plan(self, tokens: Sequence[int], n_logits: int = 1) -> Parts:
        """What to append so that the text has these tokens more; the window's session will have
        the logits after the last n_logits of them."""
        if self._n < self._pin:
            self._pinned = (self._pinned[: self._n] + list(tokens))[: self._pin]
        tail = self._tail + list(tokens[max(0, self._start(self._index) - self._n) :])
        return self._plan_for(self._n + len(tokens), tail, n_logits)

    def _plan_for(self, n: int, text: list[int], n_logits: int = 1) -> Parts:
        """A plan for `n` tokens of text; `text` are those from the start of the context in use."""
        # Contexts that the tokens only pass through are not computed.
        index = self._index_for(n)
        active = self._context(index)
        following = self._context(index + 1) if n > self._start(index + 1) else None
        parts = [(active, self._missing(active, index, text), n_logits)]
        if following is not None:
            parts.append((following, self._missing(following, index + 1, text), 1))
        tail = text[self._start(index) - self._start(self._index) :]
        self._planned = (index, active, following, tail, n)
        return parts

    def commit(self) -> None:
        """The parts of the last plan are computed."""
        self._index, self.session, self._next, self._tail, self._n = self._planned

    def _start(self, index: int) -> int:
        """Where in the text a context goes on after the pinned tokens."""
        return self._pin + index * self._stride

    def _end(self, index: int) -> int:
        """Where in the text a context is full."""
        return self.session.n_ctx + index * self._stride

    def _index_for(self, n: int) -> int:
        """The context that is in use once the text has n tokens."""
        return max(0, -((self.session.n_ctx - n) // self._stride))

    def _context(self, index: int) -> _core.Session:
        if index == self._index:
            return self.session
        if index == self._index + 1 and self._next is not None:
            return self._next
        if self._pin == 0 or len(self.session) < self._pin:
            return self._new_session()
        begun = self.session.fork()  # every context begins with the pinned tokens
        begun.truncate(self._pin)
        return begun

    def _missing(self, session: _core.Session, index: int, text: list[int]) -> list[int]:
        """What a context has yet to be given; `text` begins at the start of the one in use."""
        offset = self._start(index) - self._start(self._index)
        if len(session) < self._pin:
            return self._pinned[len(session) :] + text[offset:]
        return text[offset + len(session) - self._pin :]


def window_for(model: LoadedModel, options: GenerateOptions) -> Window:
    """An empty window, as the options want it.

    Raises ValueError for options that do not fit the context, MemoryError where a second one does
    not fit in memory.
    """
    if options.context_overflow != "slide":
        return Window(model.session)
    _check_second_context_fits(model.memory["cache"])
    keep = options.keep
    if keep == GenerateOptions.keep:  # nobody's choice, and too much for a short context
        keep = min(keep, max(1, (model.n_ctx - options.pin) // 2))
    return SlidingWindow(model.session, keep, options.pin)


def _check_second_context_fits(cache_bytes: int) -> None:
    """Room for the first was made sure of when the model was loaded."""
    available = _core.available_memory()
    if cache_bytes > available:
        raise MemoryError(
            f"a text that slides takes a second context of {cache_bytes / 1e6:.0f} MB, and "
            f'{available / 1e6:.0f} MB are available: load the model with kv_type="int8" '
            "(--kv-type int8) or a smaller n_ctx (-c)"
        )
