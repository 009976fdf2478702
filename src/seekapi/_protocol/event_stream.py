"""Live events as text (the `text/event-stream` of the HTML standard), for both ends.

One event is an id to go on from after a cut, a kind, and one line of JSON. A line that starts with a colon means
nothing: it shows that the stream still lives.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = b":\n\n"
# What a reader has to take at most, so that a server cannot fill its memory with one line.
LONGEST_EVENT = 16 * 1024 * 1024


def encode(event_id: int, kind: str, data: str) -> str:
    """One event. Line breaks in `data` begin new lines of it; a `kind` is one word."""
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return f"id: {event_id}\nevent: {kind}\n" + "".join([f"data: {line}\n" for line in lines]) + "\n"


def encode_retry(pause_s: float) -> str:
    """How long a browser waits before it comes back after a cut."""
    return f"retry: {int(pause_s * 1000)}\n\n"


class EventReader:
    """Bytes in, events out: `feed` gives every (id, kind, data) that is complete by then. The id is text, or ""."""

    __slots__ = ("_data", "_id", "_kind", "_unread")

    def __init__(self) -> None:
        self._unread = b""
        self._id = self._kind = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[tuple[str, str, str]]:
        """Raises ValueError if an event does not end."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        if len(self._unread) > LONGEST_EVENT or sum(map(len, self._data)) > LONGEST_EVENT:
            raise ValueError("an event that does not end")
        for line in lines:
            event = self._line(line.rstrip(b"\r").decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> tuple[str, str, str] | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _complete(self) -> tuple[str, str, str] | None:
        kind, lines = self._kind, self._data
        self._kind, self._data = "", []
        return (self._id, kind or "message", "\n".join(lines)) if lines else None
