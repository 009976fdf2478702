"""Live events: a position in the record, and what to read from there.

Nothing is queued for a client. A stream knows how far it got, and reads on when its connection can take more: whoever
reads slowly reads later, from the same record, and memory holds one batch. Who lost the connection comes back with
the last id that it saw (Last-Event-ID), and misses nothing.
"""

from __future__ import annotations

from .._protocol import event_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    # Given a position, what comes after it: at most some hundred events as (seq, kind, one line of JSON), the position
    # to go on from (also past events that were filtered out), and whether nothing will ever come behind it.
    Batch: TypeAlias = tuple[list[tuple[int, str, str]], int, bool]
    Source: TypeAlias = Callable[[int], Batch]

HEARTBEAT_S = 15.0
# A server that was restarted is back within a second.
RECONNECT_S = 1.0


class LiveEvents:
    """The body of an endless answer. `source` is called on the loop's thread, and returns at once."""

    __slots__ = ("_source", "is_over", "position")

    def __init__(self, source: Source, position: int) -> None:
        self._source = source
        self.position = position
        self.is_over = False

    def opening(self) -> bytes:
        """What is sent first, so that the client knows it is connected."""
        return event_stream.encode_retry(RECONNECT_S).encode("ascii")

    def next_batch(self) -> bytes:
        """The events after `position`, which moves on; nothing if there are none yet."""
        events, self.position, self.is_over = self._source(self.position)
        return "".join([event_stream.encode(*event) for event in events]).encode("utf-8", "replace")
