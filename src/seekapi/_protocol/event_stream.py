"""Live events as text (the `text/event-stream` of the HTML standard).

One event is an id to go on from after a cut, a kind, and one line of JSON. A line that starts with a colon means
nothing: it shows that the stream still lives.
"""

from __future__ import annotations

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = b":\n\n"


def encode(event_id: int, kind: str, data: str) -> str:
    """One event. Line breaks in `data` begin new lines of it; a `kind` is one word."""
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return f"id: {event_id}\nevent: {kind}\n" + "".join([f"data: {line}\n" for line in lines]) + "\n"


def encode_retry(pause_s: float) -> str:
    """How long a browser waits before it comes back after a cut."""
    return f"retry: {int(pause_s * 1000)}\n\n"
