"""Prefix caching: keys and values of earlier texts, for later ones with the same prefix."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from pygpt2edge import _core
from pygpt2edge.generate.common_prefix import n_common


class PrefixCache:
    """The least recently used sessions are dropped first. Sessions share the memory of common
    prefixes, so that ten texts with one prefix keep it once.
    """

    def __init__(self, max_sessions: int = 256) -> None:
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[tuple[int, ...], _core.Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def session_for(self, tokens: Sequence[int]) -> _core.Session | None:
        """A new session of the longest kept prefix of the tokens, without the last one, or None.

        The last token must be computed: its logits are not kept.
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
        """Keeps a session, which must not be appended to any more."""
        key = tuple(session.tokens)
        if not key:
            return
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
        """Drops the least recently used; False when there is none."""
        if not self._sessions:
            return False
        self._sessions.popitem(last=False)
        return True
