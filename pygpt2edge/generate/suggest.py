"""The words that probably come next, as a keyboard suggests them.

The model is given the text before the word that is being typed, without the space between: what it
says of the tokens that may follow is then all there is to know about whole words, however they are
cut into tokens. The search goes over sequences of tokens, the most probable first. The probability
of a sequence is a bound for every word that begins with it, so the search knows when it is done.
"""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pygpt2edge import _core
from pygpt2edge.generate.common_prefix import n_common
from pygpt2edge.generate.results import Suggestion
from pygpt2edge.generate.words import Typed, Vocabulary, read_word
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.tokenizer import start_token

ROWS_OF_A_PASS = 8  # one more costs little up to here
_MAX_KNOWN = 128  # distributions kept: the root's and a few letters' worth of a word
_MAX_CHILDREN = 256  # of one node: more than can be looked into
_UNSETTLED = 0.01  # the share of what is typed that may be left out of its probability
_NEGLIGIBLE = 0.001  # words less probable than that are not looked for, where there are k others
_LONG_WORD = 3  # tokens from which a typed word is not left to the search
_ROOM = 64  # tokens of the context that are left to the word
_AHEAD = 16  # tokens of the next context that a call computes in advance


@dataclass(frozen=True)
class Distribution:
    """What follows some tokens.

    Attributes:
      weights: float32 (n), the probabilities in the order of a Vocabulary, but for a factor.
      total: the sum over all tokens, control tokens included.
    """

    weights: NDArray[np.float32]
    total: float

    @classmethod
    def of_logits(cls, logits: NDArray[np.float32], tokens: NDArray[np.int32]) -> Distribution:
        """From the logits (n_vocab) of a pass; `tokens` are a Vocabulary's."""
        weights = np.exp(logits - logits.max())
        return cls(weights[tokens], float(weights.sum(dtype=np.float64)))

    def probability(self, index: int) -> float:
        """Of one token."""
        return float(self.weights[index]) / self.total


class Node(NamedTuple):
    """Tokens after the context, their bytes, and their probability."""

    path: tuple[int, ...]
    data: bytes
    probability: float


_Weights = tuple[NDArray[np.integer], NDArray[np.float32]]  # of tokens, by their indices


def _probability(node: Node) -> float:
    return node.probability


class _Children:
    """Some tokens after a node, the most probable first."""

    def __init__(self, node: Node, indices: list[int], probabilities: list[float]) -> None:
        self.node, self.indices, self.probabilities = node, indices, probabilities


class Search:
    """The most probable words, found a batch of nodes at a time.

    Nodes whose bytes are not yet all that is typed are `inside`: they are looked into also to know
    the probability of what is typed.
    """

    root = Node((), b"", 1.0)

    def __init__(self, vocabulary: Vocabulary, typed: Typed, k: int, max_path: int) -> None:
        self._vocabulary, self._typed, self._k, self._max_path = vocabulary, typed, k, max_path
        self._words: dict[bytes, float] = {}  # by their bytes after the context
        self._typed_probability = 0.0 if typed.prefix else 1.0
        self._queue: list[tuple[float, int, _Children, int]] = []  # the next child of each node
        self._n_queued = 0
        self._inside: dict[tuple[int, ...], Node] = {}
        self._waiting: dict[tuple[int, ...], Node] = {}  # taken from the queue
        self._seen: set[tuple[int, ...]] = set()

    def best(self, n: int) -> list[Node]:
        """The nodes to look into next, up to n; none when the words are found."""
        least = self._least()
        beyond = [node for node in self._waiting.values() if node.probability > least]
        while len(beyond) < n and (node := self._next_open(least)) is not None:
            self._waiting[node.path] = node
            beyond.append(node)
            least = self._least()  # some words are complete when they are read
        left_out = sum(node.probability for node in self._inside.values())
        is_settled = left_out <= _UNSETTLED * self._typed_probability
        inside = [
            node for node in self._inside.values() if node.probability > least or not is_settled
        ]
        # Inside, probabilities are of much that is not typed: they would leave nothing to the rest.
        n_beyond = max(n // 2, n - len(inside))
        best = heapq.nlargest(n_beyond, beyond, key=_probability)
        return best + heapq.nlargest(n - len(best), inside, key=_probability)

    def look_along(self, path: Sequence[int], following: Sequence[Distribution]) -> None:
        """Takes in what follows the root, and what follows each token of a path from there."""
        nodes = [self.root]
        for token, before in zip(path, following, strict=False):
            i = self._vocabulary.index(token)
            nodes.append(self._child(nodes[-1], i, nodes[-1].probability * before.probability(i)))
        self.look_into(nodes, following)

    def look_into(self, nodes: Sequence[Node], following: Sequence[Distribution]) -> None:
        """Takes in what follows some nodes."""
        children = []
        for node, after in zip(nodes, following, strict=True):
            self._seen.add(node.path)
            self._inside.pop(node.path, None)
            self._waiting.pop(node.path, None)
            is_inside = len(node.data) < len(self._typed.prefix)
            children.append(
                self._look_inside(node, after) if is_inside else self._look_beyond(node, after)
            )
        # Now that the words are known that end here, most children are out of the question.
        for node, after, (indices, weights) in zip(nodes, following, children, strict=True):
            self._add_children(node, indices, weights, node.probability / after.total)

    def suggestions(self) -> list[Suggestion]:
        """The best k words so far, the most probable first."""
        best = heapq.nsmallest(self._k, self._words.items(), key=lambda item: (-item[1], item[0]))
        n_typed = len(self._typed.prefix)
        return [
            Suggestion(
                word=data.decode().removeprefix(" "),
                completion=data[n_typed:].decode(),
                probability=min(1.0, probability / self._typed_probability),
            )
            for data, probability in best
        ]

    def _look_inside(self, node: Node, following: Distribution) -> _Weights:
        rest = self._typed.prefix[len(node.data) :]
        for i in self._vocabulary.proper_beginnings(rest):
            child = self._child(node, i, node.probability * following.probability(i))
            if self._is_new(child):
                self._inside[child.path] = child
        whole = self._vocabulary.beginning_with(rest)
        weights = following.weights[whole.start : whole.stop]
        part = float(weights.sum(dtype=np.float64)) / following.total
        self._typed_probability += node.probability * part
        return np.arange(whole.start, whole.stop), weights

    def _look_beyond(self, node: Node, following: Distribution) -> _Weights:
        n_word, _ = self._word(node.data)
        may_space = self._typed.may_space and not node.data
        indices = self._vocabulary.continuing(node.data.removeprefix(b" "), may_space)
        weights = following.weights[indices]
        ends = 1 - float(weights.sum(dtype=np.float64)) / following.total
        self._add_word(node.data[:n_word], node.probability * ends)
        return indices, weights

    def _word(self, data: bytes) -> tuple[int, bool]:
        """read_word, counting the space before the word."""
        n, ended = read_word(data.removeprefix(b" "))
        return (n + data.startswith(b" ") if n else 0), ended

    def _add_word(self, data: bytes, probability: float) -> None:
        if data and len(data) >= len(self._typed.prefix) and probability > 0:
            self._words[data] = self._words.get(data, 0.0) + probability

    def _add_children(
        self, node: Node, indices: NDArray[np.integer], weights: NDArray[np.float32], scale: float
    ) -> None:
        if scale == 0:
            return
        # What is no better than k words already is not worth sorting.
        chosen = np.flatnonzero(weights > self._least() / scale)
        if len(chosen) > _MAX_CHILDREN:
            part = np.argpartition(weights[chosen], -_MAX_CHILDREN)
            chosen = chosen[part[-_MAX_CHILDREN:]]
        if len(chosen) == 0:
            return
        chosen = chosen[np.argsort(-weights[chosen], kind="stable")]
        probabilities = (weights[chosen].astype(np.float64) * scale).tolist()
        self._enqueue(_Children(node, indices[chosen].tolist(), probabilities), 0)

    def _enqueue(self, children: _Children, i: int) -> None:
        self._n_queued += 1  # settles ties
        heapq.heappush(self._queue, (-children.probabilities[i], self._n_queued, children, i))

    def _next_open(self, least: float) -> Node | None:
        """The most probable node that is not complete, if it is more probable than `least`."""
        while self._queue and -self._queue[0][0] > least:
            minus, _, children, i = heapq.heappop(self._queue)
            if i + 1 < len(children.indices):
                self._enqueue(children, i + 1)
            node = self._child(children.node, children.indices[i], -minus)
            n_word, ended = self._word(node.data)
            if ended:  # by the token that the word is in, or it is none
                self._add_word(node.data[:n_word], node.probability)
            elif self._is_new(node):
                return node
        return None

    def _is_new(self, node: Node) -> bool:
        can_be_computed = len(node.path) <= self._max_path and node.probability > 0
        return can_be_computed and node.path not in self._seen

    def _child(self, node: Node, index: int, probability: float) -> Node:
        token = int(self._vocabulary.tokens[index])
        return Node((*node.path, token), node.data + self._vocabulary.text(index), probability)

    def _least(self) -> float:
        """What a word must exceed to be among the best k, and worth looking for."""
        if len(self._words) < self._k:
            return 0.0
        kth = heapq.nlargest(self._k, self._words.values())[-1]
        return max(kth, _NEGLIGIBLE * self._typed_probability)


class Suggester:
    """Suggests the next words of a text, quickly while the text changes by a few letters a time.

    `GPT2.suggest` keeps one for its model. Others are for those who want several texts' worth of
    memory, or another limit.

    Args:
      model: what says which words are probable.
      max_passes: how many passes over the weights a search takes at most, each for up to 8
        sequences of tokens, apart from that for text that is new. Where it runs out before the
        search has ended, the words are the best of those found so far.

    What it keeps, so that a letter more or less costs little: the session of the text, 8 pages of
    64 tokens beside it, a second session where the text is longer than half of the context, and
    what follows the 128 sequences of tokens last looked at, 4 bytes for each token of the
    vocabulary (26 MB in all for GPT-2's). `clear` gives it back.
    What it answers depends on the text alone.

    Several threads may use it; their calls take turns. Raises ValueError for max_passes below 1.
    """

    def __init__(self, model: LoadedModel, *, max_passes: int = 3) -> None:
        if max_passes < 1:
            raise ValueError(f"max_passes is {max_passes}; give 1 or more")
        # The model holds its suggester, and must not be held in turn.
        self._tokenizer, self._max_passes, self._path = model.tokenizer, max_passes, model.path
        self._contexts = _Contexts(model.session_maker(), model.n_ctx)
        self._known: OrderedDict[tuple[int, ...], Distribution] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        """Made when words are first asked for: it takes a while."""
        return Vocabulary(self._tokenizer)

    def suggest(self, text: str, k: int = 3) -> list[Suggestion]:
        """The k most probable next words; see `GPT2.suggest`."""
        if k < 1:
            raise ValueError(f"k is {k}; give 1 or more")
        typed = Typed.at_end_of(text)
        if typed is None:
            return []
        context = self._tokenizer.encode(typed.context)
        context = context or [start_token(self._tokenizer, self._path)]
        with self._lock:
            search = Search(self._vocabulary, typed, k, self._contexts.room)
            self._run(search, typed, context)
        return search.suggestions()

    def clear(self) -> None:
        """Forgets all that was computed, and gives its memory back."""
        with self._lock:
            self._known.clear()
            self._contexts.clear()

    def _run(self, search: Search, typed: Typed, context: list[int]) -> None:
        path = self._long_word(typed)
        search.look_along(path, self._along(context, path))
        for _ in range(self._max_passes - bool(path)):
            nodes = search.best(ROWS_OF_A_PASS)
            if not nodes:
                break
            search.look_into(nodes, self._after(context, [node.path for node in nodes]))

    def _long_word(self, typed: Typed) -> tuple[int, ...]:
        """The tokens of what is typed, where a search would take many passes to its end."""
        path = self._tokenizer.encode(typed.prefix.decode())
        return tuple(path[: self._contexts.room]) if len(path) >= _LONG_WORD else ()

    def _along(self, context: list[int], path: tuple[int, ...]) -> list[Distribution]:
        """What follows a context and each token of a path after it."""
        paths = [path[:n] for n in range(len(path) + 1)]
        view = self._contexts.view(context)
        if path and any(view + part not in self._known for part in paths[1:]):
            (fork,) = self._contexts.forks(context, 1)
            for part, logits in zip(paths[1:], fork.append_all_logits(path), strict=True):
                self._keep(view + part, logits)
        return self._after(context, paths)

    def _after(self, context: list[int], paths: Sequence[tuple[int, ...]]) -> list[Distribution]:
        """What follows a context and each of some paths after it, of which one may be empty."""
        view = self._contexts.view(context)
        missing = [path for path in paths if view + path not in self._known]
        if () in missing:
            missing.remove(())
            self._keep(view, self._contexts.session(context, with_logits=True).logits)
        if missing:
            forks = self._contexts.forks(context, len(missing))
            _core.append_together(list(zip(forks, missing, strict=True)))
            for path, fork in zip(missing, forks, strict=True):
                self._keep(view + path, fork.logits)
        for path in paths:
            self._known.move_to_end(view + path)
        found = [self._known[view + path] for path in paths]
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return found

    def _keep(self, tokens: tuple[int, ...], logits: NDArray[np.float32]) -> None:
        self._known[tokens] = Distribution.of_logits(logits, self._vocabulary.tokens)


class _Contexts:
    """The sessions of a text.

    The model sees the text from its start or, when it is long, from a multiple of half of what
    fits. The context after the present one is computed while that fills, so that the change takes
    no longer than any other token.
    """

    def __init__(self, new_session: Callable[[], _core.Session], n_ctx: int) -> None:
        self._new_session = new_session
        self.room = min(_ROOM, n_ctx // 2)  # for a word after the text
        self._most = n_ctx - self.room
        self._step = max(1, self._most // 2)
        self._sessions: dict[int, _core.Session] = {}  # by their starts in the text
        self._forks: list[_core.Session] = []

    def view(self, tokens: list[int]) -> tuple[int, ...]:
        """What the model sees of a text."""
        return tuple(tokens[self._start(len(tokens)) :])

    def session(self, tokens: list[int], with_logits: bool = False) -> _core.Session:
        """A session of what the model sees. It may have logits, or surely has, `with_logits`."""
        start = self._start(len(tokens))
        ahead = start + self._step
        if start not in self._sessions:
            self._forks = []
        self._sessions = {
            first: self._sessions.get(first) or self._new_session() for first in (start, ahead)
        }
        session, following = self._sessions[start], self._sessions[ahead]
        missing = self._missing(session, tokens[start:], with_logits)
        if missing:
            in_advance = self._missing(following, tokens[ahead:])[:_AHEAD]
            parts = [(session, missing), (following, in_advance)]
            self._forks = []
            _core.append_together([part for part in parts if part[1]])
        return session

    def forks(self, tokens: list[int], n: int) -> list[_core.Session]:
        """Sessions of what the model sees, to append to.

        They are the same ones again while the text is: a new one copies a page of memory when it is
        first appended to.
        """
        session = self.session(tokens)
        self._forks += [session.fork() for _ in range(n - len(self._forks))]
        for fork in self._forks[:n]:
            fork.truncate(len(session))
        return self._forks[:n]

    def clear(self) -> None:
        """Gives the memory back."""
        self._sessions, self._forks = {}, []

    def _start(self, n_tokens: int) -> int:
        return max(0, -((self._most - n_tokens) // self._step)) * self._step

    @staticmethod
    def _missing(session: _core.Session, tokens: list[int], with_logits: bool = False) -> list[int]:
        """What a session has yet to be given, once it has forgotten what else it has."""
        n = n_common(session.tokens, tokens)
        session.truncate(n - 1 if with_logits and n == len(tokens) else n)
        return tokens[len(session) :]
