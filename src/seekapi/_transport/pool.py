"""The idle connections: one per route, and only while it is certain that they are fresh.

A frozen sandbox thaws with sockets that the peer has long given up, so age is told by both clocks: the monotonic one
may stand still while the machine sleeps. No locks: each step is one atomic operation on a dict, and a lock held
during a fork would stay held in the child for ever.
"""

from __future__ import annotations

import os

from .driver import READ, default_poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .streams import Connection, Route

LONGEST_IDLE_S = 4.0
LONGEST_LIFE_S = 60.0
# A worker talks to one platform and one storage; the rest is from redirects and tests.
MOST_IDLE = 8


class Pool:
    """Idle connections and TLS sessions by route."""

    __slots__ = ("_clock", "_idle", "_sessions", "_wall_clock")

    def __init__(self, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._idle: dict[Any, Connection] = {}
        self._sessions: dict[Any, tuple[object, object]] = {}

    def __len__(self) -> int:
        return len(self._idle)

    def take(self, route: Route) -> Connection | None:
        """The idle connection of `route`, if it is sure to be alive."""
        connection = self._idle.pop(route.key, None)
        if connection is None:
            return None
        if self._is_fresh(connection) and _is_silent(connection):
            connection.is_reused = True
            return connection
        connection.close()
        return None

    def put(self, connection: Connection) -> bool:
        """Keep `connection` for the next exchange. If not (False: too old, or a second one), it is the caller's."""
        now = self._clock()
        if now - connection.born > LONGEST_LIFE_S:
            return False
        if len(self._idle) >= MOST_IDLE:
            self._drop_the_longest_idle()
        connection.idle_since = now
        connection.idle_since_wall = self._wall_clock()
        return self._idle.setdefault(connection.route.key, connection) is connection

    def session_for(self, route: Route, context: object) -> object | None:
        """A TLS session to resume on `route`, of this very context."""
        kept = self._sessions.get(route.key)
        return kept[1] if kept is not None and kept[0] is context else None

    def keep_session(self, route: Route, context: object, session: object) -> None:
        """Remember the session of a connection that has just been used."""
        if session is not None and (route.key in self._sessions or len(self._sessions) < MOST_IDLE):
            self._sessions[route.key] = (context, session)

    def close(self) -> None:
        """Close every idle connection."""
        while self._idle:
            try:
                _, connection = self._idle.popitem()
            except KeyError:
                break
            connection.close()

    def _is_fresh(self, connection: Connection) -> bool:
        now = self._clock()
        return (
            connection.pid == os.getpid()
            and 0 <= now - connection.idle_since <= LONGEST_IDLE_S
            and 0 <= self._wall_clock() - connection.idle_since_wall <= LONGEST_IDLE_S
            and now - connection.born <= LONGEST_LIFE_S
        )

    def _drop_the_longest_idle(self) -> None:
        # A dict keeps the order of its entries; another thread may have emptied it meanwhile.
        longest = next(iter(tuple(self._idle)), None)
        dropped = self._idle.pop(longest, None)
        if dropped is not None:
            dropped.close()


def _is_silent(connection: Connection) -> bool:
    """Whether nothing has come in since the last response: not the end, not an error, not a stray byte."""
    stream = connection.stream
    fd = stream.fileno()
    if fd < 0 or stream.has_unread():
        return False
    if not default_poll(((fd, READ),), 0.0):
        return True
    if not stream.secure:
        return False
    # Under TLS it may be no more than a session ticket, which reading consumes.
    try:
        return stream.receive(1) is None
    except OSError:
        return False
