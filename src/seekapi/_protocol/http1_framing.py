"""Where an HTTP/1.1 message ends: the part of a reader that both roles share.

A reader is a state and the bytes that no event has covered yet. Each state has one function that reads on from it,
and names the next state. What a head looks like is in `http1_heads`; what a role makes of it, in `http1`.
"""

from __future__ import annotations

import re

from .http1_heads import BadMessage, Limits, LocalMisuse, RequestHead, ResponseHead, Truncated, read_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias, Union

    Event: TypeAlias = Union[ResponseHead, RequestHead, bytes, "Signal"]


class Signal:
    """An event that carries nothing: compare with `is`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


NEED_DATA = Signal("NEED_DATA")
END = Signal("END")
CLOSED = Signal("CLOSED")

# 16 digits, 16 blanks, and more extension than anyone sends.
LONGEST_CHUNK_LINE = 1024
# Enough to tell HTTP/1 from another protocol.
OPENING_BYTES = len(b"HTTP/1.")

CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]{0,16};([\t -~\x80-\xff]*))?")
# Appliances that reserve room for the size pad it with blanks (nodejs/undici#2678). No request does.
PADDED_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]{0,16}(?:;([\t -~\x80-\xff]*))?")

HEAD, SIZED, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILERS, UNTIL_CLOSE, DONE, BROKEN = range(9)


class Reader:
    """What both roles share. Of what was fed, the bytes from `_at` on are still unread.

    Whole pieces of a large body pass through as the object that was fed; only what has to be cut or joined is
    copied, once. Nothing is ever allocated because the peer announced it.
    """

    __slots__ = (
        "_at",
        "_body_bytes",
        "_extension_bytes",
        "_is_eof",
        "_left",
        "_limits",
        "_searched",
        "_state",
        "_unread",
        "started",
        "will_close",
    )

    _chunk_line = CHUNK_LINE

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._unread: bytes | bytearray = b""
        self._at = 0
        self._is_eof = False
        self._reset()

    def _reset(self) -> None:
        self._state = HEAD
        # So many unread bytes are known not to hold the end of the head: a dripping peer costs no second look.
        self._searched = 0
        self._left = 0
        self._body_bytes = 0
        self._extension_bytes = 0
        self.started = self._at < len(self._unread)
        self.will_close = False

    @property
    def surplus_bytes(self) -> int:
        """How much was fed that no event has covered yet; after END, what belongs to no message, or to the next."""
        return len(self._unread) - self._at

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the peer sent. Of a buffer that will be written again, a copy is made."""
        if self._is_eof:
            raise LocalMisuse("nothing can follow the end of the stream")
        if not len(data) or self._state == BROKEN:
            return
        self.started = True
        unread = self._unread
        if self._at == len(unread):
            self._unread = data if type(data) is bytes else bytes(data)
        elif isinstance(unread, bytearray):
            del unread[: self._at]
            unread += data
        else:
            self._unread = bytearray(memoryview(unread)[self._at :])
            self._unread += data
        self._at = 0

    def feed_eof(self) -> None:
        """The peer will send no more."""
        self._is_eof = True

    def next_event(self) -> Event:
        """What comes next; see the module. Raises BadMessage, and then again for ever."""
        try:
            return _STEPS[self._state](self)
        except BadMessage:
            self._state = BROKEN
            self._unread, self._at = b"", 0
            raise

    def _read_head(self) -> Event:
        while (head := self._next_head()) is not None:
            event = self._opened_by(head)
            if event is not None:
                return event
        return self._starved()

    def _opened_by(self, head: bytes) -> Event | None:
        """The event for `head`, after the state is set for its body; None to read on."""
        raise NotImplementedError

    def _may_start_with(self, start: bytes) -> bool:
        """Whether a head of this role can start so: another protocol is refused at once, not at a timeout."""
        raise NotImplementedError

    def _next_head(self) -> bytes | None:
        """The next head, without the empty line after it. Its sizes are checked, also while it is incomplete."""
        unread, at, longest = self._unread, self._at, self._limits.start_line_bytes
        if not self._may_start_with(bytes(unread[at : at + OPENING_BYTES])):
            raise BadMessage("this is not HTTP/1.1")
        line_feed = unread.find(b"\n", at, at + longest + 2)
        if line_feed < 0 and len(unread) - at > longest + 1:
            raise BadMessage("start line too long", 414)
        # RFC 9112 2.2 would allow a bare LF. Said at once: the empty line of such a head never comes.
        if line_feed > at and unread[line_feed - 1 : line_feed] != b"\r":
            raise BadMessage("a line ends in LF without CR")
        return self._until_empty_line()

    def _until_empty_line(self) -> bytes | None:
        """Take what precedes the next CRLF CRLF, and these four bytes; None if they have not come."""
        unread, at = self._unread, self._at
        end = unread.find(b"\r\n\r\n", at + self._searched)
        if (end if end >= 0 else len(unread) - 3) - at > self._limits.head_bytes:
            raise BadMessage("header section too long", 431)
        if end < 0:
            self._searched = max(0, len(unread) - at - 3)
            return None
        self._searched = 0
        self._at = end + 4
        return bytes(unread[at:end])

    def _frame(self, length: int | None) -> None:
        """Go on with a body of this length; -1 for chunked."""
        if length == -1:
            self._state = CHUNK_SIZE
        else:
            self._left = length or 0
            self._state = SIZED if length else DONE

    def _read_data(self) -> Event:
        size = min(len(self._unread) - self._at, self._left)
        if not size:
            return self._starved()
        self._left -= size
        if not self._left:
            self._state = DONE if self._state == SIZED else CHUNK_END
        return self._take(size)

    def _read_until_close(self) -> Event:
        size = len(self._unread) - self._at
        if not size:
            if not self._is_eof:
                return NEED_DATA
            self._state = DONE
            return END
        if self._limits.body_bytes is not None:
            size = min(size, self._limits.body_bytes - self._body_bytes)
            if not size:
                raise BadMessage("body over the limit", 413)
        self._body_bytes += size
        return self._take(size)

    def _read_chunk_size(self) -> Event:
        unread, at = self._unread, self._at
        end = unread.find(b"\r\n", at, at + LONGEST_CHUNK_LINE + 2)
        if end < 0:
            if len(unread) - at > LONGEST_CHUNK_LINE + 1:
                raise BadMessage("chunk line too long")
            return self._starved()
        match = self._chunk_line.fullmatch(unread, at, end)
        if match is None:
            raise BadMessage("malformed chunk size")
        digits, extension = match.groups()
        self._at = end + 2
        self._extension_bytes += len(extension or b"")
        if self._extension_bytes > self._limits.head_bytes:
            raise BadMessage("chunk extensions too long")
        self._left = int(digits, 16)
        if not self._left:
            self._state = TRAILERS
            return self._read_trailers()
        self._body_bytes += self._left
        if self._limits.body_bytes is not None and self._body_bytes > self._limits.body_bytes:
            raise BadMessage("body over the limit", 413)
        self._state = CHUNK_DATA
        return self._read_data()

    def _read_chunk_end(self) -> Event:
        end = self._unread[self._at : self._at + 2]
        if end != b"\r\n":
            if len(end) == 2:
                raise BadMessage("a chunk is longer than its size")
            return self._starved()
        self._at += 2
        self._state = CHUNK_SIZE
        return self._read_chunk_size()

    def _read_trailers(self) -> Event:
        """Checked, bounded and dropped: nobody here asks for them, and merged into the headers they could lie."""
        if self._unread.startswith(b"\r\n", self._at):
            self._at += 2
        else:
            block = self._until_empty_line()
            if block is None:
                return self._starved()
            read_fields(b"\r\n" + block, self._limits)
        self._state = DONE
        return END

    def _read_done(self) -> Event:
        return END

    def _read_broken(self) -> Event:
        raise BadMessage("nothing can be read after a broken message")

    def _starved(self) -> Event:
        if self._is_eof:
            raise Truncated("the connection ended inside a message")
        return NEED_DATA

    def _take(self, size: int) -> bytes:
        unread, at = self._unread, self._at
        self._at = end = at + size
        if end == len(unread):
            self._unread, self._at = b"", 0
        if type(unread) is bytes:
            return unread[at:end]  # All of it is itself, not a copy.
        with memoryview(unread) as view:
            return bytes(view[at:end])


# The state says what is read next.
_STEPS = {
    HEAD: Reader._read_head,
    SIZED: Reader._read_data,
    CHUNK_SIZE: Reader._read_chunk_size,
    CHUNK_DATA: Reader._read_data,
    CHUNK_END: Reader._read_chunk_end,
    TRAILERS: Reader._read_trailers,
    UNTIL_CLOSE: Reader._read_until_close,
    DONE: Reader._read_done,
    BROKEN: Reader._read_broken,
}
