"""Beginnings of texts that were computed before, for texts that begin alike."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from pygpt2edge import _core
from pygpt2edge.generate.common_prefix import n_common


class PrefixCache:
    """The sessions that were used last, by their tokens.

    Sessions share the memory of what they have in common, so that ten texts after one beginning
    keep it once.
    """

    def __init__(self, max_sessions: int = 256) -> None:
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[tuple[int, ...], _core.Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def session_for(self, tokens: Sequence[int]) -> _core.Session | None:
        """A new session of as many of the first tokens as are known, but for the last, or None.

        The last token is left to be computed: its logits are not kept.
        """
        best, best_key = 0, None
        for key in self._sessions:
            n = n_common(key, tokens)
            if n > best:
                best, best_key = n, key
        best = min(best, len(tokens) - 1)
        if best_key is None or best == 0:
            return None
        self._sessions.move_to_end(best_key)
        session = self._sessions[best_key].fork()
        session.truncate(best)
        return session

    def add(self, session: _core.Session) -> None:
        """Keeps a session, which nobody appends to any more."""
        key = tuple(session.tokens)
        for known in list(self._sessions):
            if known[0] != key[0]:
                continue
            if known[: len(key)] == key:
                self._sessions.move_to_end(known)
                return
            if known == key[: len(known)]:
                del self._sessions[known]  # the longer one has it all
        self._sessions[key] = session
        if len(self._sessions) > self._max_sessions:
            self.drop_oldest()

    def drop_oldest(self) -> bool:
        """Gives up the least recently used; False when there is none."""
        if not self._sessions:
            return False
        self._sessions.popitem(last=False)
        return True
