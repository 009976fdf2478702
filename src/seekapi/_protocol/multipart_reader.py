"""An upload form, piece by piece: bytes in, parts out (RFC 7578). The other direction is `multipart`.

A part is told by `PartHead`, its content by bytes objects of any size, its end by PART_END. What is held back is at
most one delimiter, so memory does not grow with the file. Parts are told apart by their `name`; `filename` is not
looked at: 1.0.5 puts the file's name there unescaped, and a quote or a line break in it makes anything of it.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Union

    FormEvent = Union["PartHead", bytes, "_PartEnd"]

LONGEST_BOUNDARY = 70
HEAD_BYTES = 16 * 1024
MOST_HEADER_LINES = 32
MOST_PARTS = 16

_MEDIA_TYPE = re.compile(r"(?i)\s*multipart/form-data\s*(;.*)")
_BOUNDARY = re.compile(r"""(?i);\s*boundary\s*=\s*(?:"([^"\\\r\n]+)"|([^\s";,()<>@\\\[\]{}]+))\s*(?=;|$)""")
_BOUNDARY_CHARACTERS = re.compile(r"[0-9A-Za-z'()+_,./:=? -]*[0-9A-Za-z'()+_,./:=?-]")
# The name comes first in what 1.0.5, curl, browsers and requests send; nothing behind a filename can be trusted.
_NAME = re.compile(r"""(?i)\s*form-data\s*;\s*name\s*=\s*(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s";]+))\s*(;|$)""")
# A raw line break in the file's name ends the header early: what follows in the part is not only the file.
_OPEN_FILENAME = re.compile(r"""(?i);\s*filename\s*=\s*"[^"]*$""")
_PLAIN_ENCODINGS = ("", "binary", "8bit", "7bit")


class BadForm(Exception):
    """The bytes are not a form as we take it. The message quotes none of them."""


class PartHead:
    """A part begins. `content_type` is what its sender says, "" if it says nothing."""

    __slots__ = ("content_type", "name")

    def __init__(self, name: str, content_type: str) -> None:
        self.name = name
        self.content_type = content_type

    def __repr__(self) -> str:
        return f"<PartHead {self.name!r} {self.content_type!r}>"


class _PartEnd:
    __slots__ = ()

    def __repr__(self) -> str:
        return "PART_END"


PART_END: Final = _PartEnd()


def boundary_of(content_type: str) -> str:
    """The boundary that a Content-Type names. Raises BadForm."""
    form = _MEDIA_TYPE.fullmatch(content_type)
    found = _BOUNDARY.findall(form[1]) if form else []
    boundary = "".join(found[0]) if len(found) == 1 else ""
    if len(boundary) > LONGEST_BOUNDARY or not _BOUNDARY_CHARACTERS.fullmatch(boundary):
        raise BadForm("the Content-Type names no boundary, or a malformed one")
    return boundary


class FormReader:
    """Reads one form. After the last byte, `finish()` says whether it was whole."""

    __slots__ = ("_delimiter", "_events", "_held", "_part_count", "_step")

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        # As if a line break stood before the form: then its first delimiter is like all others.
        self._held = b"\r\n"
        self._part_count = 0
        self._events: list[FormEvent] = []
        self._step: Callable[[], bool] = self._preamble

    def feed(self, data: bytes) -> list[FormEvent]:
        """What `data` completes. Raises BadForm."""
        self._held += data
        # Each step takes something off what is held, or waits for more.
        while self._step():
            pass
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """No more will come. Raises BadForm if the form has not ended."""
        if self._step != self._epilogue:
            raise BadForm("the form breaks off")

    def _preamble(self) -> bool:
        """Means nothing, and nobody sends it: whatever is there belongs to no part."""
        found_at = self._held.find(self._delimiter)
        if found_at < 0:
            if len(self._held) > HEAD_BYTES:
                raise BadForm("the form does not begin with its boundary")
            return False
        self._held = self._held[found_at + len(self._delimiter) :]
        self._step = self._behind_delimiter
        return True

    def _behind_delimiter(self) -> bool:
        """`--` ends the form; a line break, perhaps after blanks, begins a part."""
        if self._held.startswith(b"--"):
            self._step = self._epilogue
            return True
        line, line_break, rest = self._held.partition(b"\r\n")
        if line_break and not line.strip(b" \t"):
            # The line break stays: a part without any header has an empty line here.
            self._held = line_break + rest
            self._step = self._head
            return True
        if line_break or line.strip(b" \t\r-") or len(line) > LONGEST_BOUNDARY:
            raise BadForm("something stands behind a boundary")
        return False

    def _head(self) -> bool:
        ends_at = self._held.find(b"\r\n\r\n")
        if ends_at > HEAD_BYTES or (ends_at < 0 and len(self._held) > HEAD_BYTES):
            raise BadForm(f"the head of a part is larger than {HEAD_BYTES} bytes")
        if ends_at < 0:
            return False
        self._part_count += 1
        if self._part_count > MOST_PARTS:
            raise BadForm(f"more than {MOST_PARTS} parts")
        self._events.append(_part_head(self._held[:ends_at]))
        self._held = self._held[ends_at + 4 :]
        self._step = self._content
        return True

    def _content(self) -> bool:
        held, delimiter = self._held, self._delimiter
        found_at = held.find(delimiter)
        # The end of what is held may be the beginning of a delimiter.
        safe_at = found_at if found_at >= 0 else max(0, len(held) - len(delimiter) + 1)
        if found_at < 0:
            tail_at = held.find(b"\r", safe_at)
            safe_at = tail_at if tail_at >= 0 else len(held)
        if safe_at:
            self._events.append(held[:safe_at])
        if found_at < 0:
            self._held = held[safe_at:]
            return False
        self._events.append(PART_END)
        self._held = held[found_at + len(delimiter) :]
        self._step = self._behind_delimiter
        return True

    def _epilogue(self) -> bool:
        """Means nothing; how much of it comes is for the reader of the body to bound."""
        self._held = b""
        return False


def _part_head(head: bytes) -> PartHead:
    lines = head.decode("utf-8", "replace").split("\r\n")
    if len(lines) > MOST_HEADER_LINES:
        raise BadForm(f"more than {MOST_HEADER_LINES} headers in a part")
    headers: dict[str, str] = {}
    for line in lines:
        # The first of each counts: a line break in a file's name can only add lines behind it.
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    disposition = headers.get("content-disposition", "")
    found = _NAME.match(disposition)
    if found is None:
        raise BadForm("a part without a name")
    if _OPEN_FILENAME.search(disposition):
        raise BadForm("a line break in the name of a file")
    if headers.get("content-transfer-encoding", "").lower() not in _PLAIN_ENCODINGS:
        raise BadForm("a part with a Content-Transfer-Encoding")
    name = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]
    return PartHead(name, headers.get("content-type", ""))
