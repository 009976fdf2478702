"""What a worker prints, line by line: whatever bytes come, however long a line, however many. Pure.

A line that is JSON of a logger of seekapi is a record of the job's log, or its progress; every other line is the
handler's own.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STDOUT, STDERR, SEEKAPI, PLATFORM = "stdout", "stderr", "seekapi", "platform"
LONGEST_LINE_BYTES = 16 * 1024
# A line of ours may hold a traceback, which is capped where it is made.
LONGEST_RECORD_BYTES = 256 * 1024
_RECORD_START = b'{"timestamp"'
_LEVELS = frozenset(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
_FIELDS = {"seekapi_code": "code", "seekapi_where": "where", "seekapi_line": "line", "traceback": "traceback"}


class Line:
    """A line as it was printed; `cut_bytes` more than are here were in it."""

    __slots__ = ("cut_bytes", "text")

    def __init__(self, text: str, cut_bytes: int = 0) -> None:
        self.text = text
        self.cut_bytes = cut_bytes


class Lines:
    """Bytes in, lines out. Memory holds one line at most, and of that no more than its beginning."""

    __slots__ = ("_dropped_bytes", "_unfinished")

    def __init__(self) -> None:
        self._unfinished = bytearray()
        self._dropped_bytes = 0

    def feed(self, data: bytes) -> list[Line]:
        """The lines that are complete now."""
        *complete, rest = data.split(b"\n")
        lines = []
        for piece in complete:
            self._add(piece)
            lines.append(self._line())
        self._add(rest)
        return lines

    def finish(self) -> list[Line]:
        """The last line, if nothing ended it."""
        return [self._line()] if self._unfinished or self._dropped_bytes else []

    def _add(self, piece: bytes) -> None:
        start = bytes(self._unfinished[:12]) or piece[:12]
        limit = LONGEST_RECORD_BYTES if start.startswith(_RECORD_START) else LONGEST_LINE_BYTES
        room = max(0, limit - len(self._unfinished))
        self._unfinished += piece[:room]
        self._dropped_bytes += max(0, len(piece) - room)

    def _line(self) -> Line:
        raw, cut_bytes = bytes(self._unfinished), self._dropped_bytes
        self._unfinished.clear()
        self._dropped_bytes = 0
        if cut_bytes:
            # Half a character at the cut is no garbage of the worker's.
            raw = raw[: len(raw) - _broken_tail(raw)]
        return Line(raw.rstrip(b"\r").decode("utf-8", "backslashreplace"), cut_bytes)


def record_of(line: Line) -> dict[str, Any] | None:
    """The JSON of a logger of seekapi, if the line is that."""
    if line.cut_bytes or not line.text.startswith("{"):
        return None
    try:
        record = json.loads(line.text)
    except (ValueError, RecursionError):
        return None
    logger = record.get("logger") if isinstance(record, dict) else None
    is_ours = isinstance(logger, str) and (logger == "seekapi" or logger.startswith("seekapi."))
    return record if is_ours and "message" in record else None


def progress_of(record: dict[str, Any]) -> tuple[float, float | None, str | None] | None:
    """Done, total and message, if the record tells how far the job is."""
    told = record.get("seekapi_progress")
    if not isinstance(told, dict) or not _is_number(told.get("done")):
        return None
    total, message = told.get("total"), told.get("message")
    return told["done"], total if _is_number(total) else None, message if isinstance(message, str) else None


def log_of(record: dict[str, Any]) -> dict[str, Any]:
    """The record as an event of the log: source, level, message, and what a failure carries."""
    message, level = record["message"], record.get("level")
    shown = {
        "source": SEEKAPI,
        "level": level if isinstance(level, str) and level in _LEVELS else "INFO",
        "message": message if isinstance(message, str) else json.dumps(message),
    }
    for name, ours in _FIELDS.items():
        if isinstance(record.get(name), str):
            shown[ours] = record[name]
    return shown


def log_of_line(source: str, line: Line) -> dict[str, Any]:
    """A line of the handler's own as an event of the log. It has no level of its own."""
    shown: dict[str, Any] = {"source": source, "level": "INFO", "message": line.text}
    if line.cut_bytes:
        shown["cut"] = line.cut_bytes
    return shown


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and value == value and abs(value) != float("inf")  # type: ignore[arg-type]


def _broken_tail(raw: bytes) -> int:
    """How many bytes at the end begin a character that is not complete."""
    for count in range(1, min(4, len(raw) + 1)):
        byte = raw[-count]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return count if count < needed else 0
        if byte < 0x80:
            return 0
    return 0
