"""Takes apart what comes out of the handler's process: its own output, and the records of our log in between.

Pure: text in, pieces out. A record begins with a mark that nobody else knows (handler_process.py), also in the middle
of a line that the handler has begun, and ends with its line.
"""

from __future__ import annotations

import json

from .handler_process import HEARD, RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A line that goes on for longer is none: what began it has died in the middle.
LONGEST_RECORD = 1024 * 1024


class Record:
    """One record of the log. `is_heard` if the handler's own logging shows it, too."""

    __slots__ = ("fields", "is_heard")

    def __init__(self, fields: dict[str, Any], *, is_heard: bool) -> None:
        self.fields = fields
        self.is_heard = is_heard


class Splitter:
    """Feed it text as it comes; what is whole comes out, in order."""

    def __init__(self, mark: str) -> None:
        self._mark = RECORD + mark
        self._rest = ""

    def feed(self, text: str) -> list[str | Record]:
        """The pieces that are complete with this text. Of the handler's output nothing waits for its line to end."""
        text, self._rest = self._rest + text, ""
        pieces: list[str | Record] = []
        while text:
            said, mark, after = text.partition(self._mark)
            if not mark:
                said, self._rest = self._held_back(said)
            if said:
                pieces.append(said)
            if not mark:
                break
            line, newline, text = after.partition("\n")
            if not newline and len(line) < LONGEST_RECORD:
                self._rest = mark + line
                break
            pieces.append(self._record(line, mark + line + newline))
        return pieces

    def finish(self) -> list[str | Record]:
        """What has not become whole."""
        rest, self._rest = self._rest, ""
        return [rest] if rest else []

    def _held_back(self, text: str) -> tuple[str, str]:
        """Text, less the beginning of a mark at its end."""
        start = text.rfind(RECORD)
        is_beginning = start >= 0 and self._mark.startswith(text[start:])
        return (text[:start], text[start:]) if is_beginning else (text, "")

    def _record(self, line: str, raw: str) -> str | Record:
        try:
            fields = json.loads(line[1:])
        except (ValueError, RecursionError):
            return raw  # something else was written into the middle of it
        return Record(fields, is_heard=line[0] == HEARD) if isinstance(fields, dict) else raw
