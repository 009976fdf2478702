"""A small, strict HTTP/1.1 codec: bytes in, events out. It knows no sockets and no clock.

Both ends use it: what a response and a request have in common, heads, chunks, lengths, limits, is read by the same
code and judged by the same rules. An exchange is `feed` what came, then `next_event` until NEED_DATA or END:

    head      ResponseHead or RequestHead
    bytes     a piece of the body, never empty, not always a whole chunk
    END       the message is complete; so is every event after it
    CLOSED    requests only: the peer closed the connection between two messages
    NEED_DATA feed more, or feed_eof()

After BadMessage nothing more is read: whoever lost count of the bytes once cannot find the next message.
"""

from __future__ import annotations

from .http1_framing import (
    CLOSED,
    DONE,
    END,
    HEAD,
    NEED_DATA,
    PADDED_CHUNK_LINE,
    UNTIL_CLOSE,
    Reader,
    Signal,
)
from .http1_heads import (
    CLIENT_LIMITS,
    SERVER_LIMITS,
    BadMessage,
    Limits,
    LocalMisuse,
    RequestHead,
    ResponseHead,
    Truncated,
    body_length,
    encode_request_head,
    encode_response_head,
    read_request_head,
    read_response_head,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .http1_framing import Event

__all__ = [
    "CLIENT_LIMITS",
    "CLOSED",
    "END",
    "NEED_DATA",
    "SERVER_LIMITS",
    "BadMessage",
    "Limits",
    "LocalMisuse",
    "RequestHead",
    "RequestReader",
    "ResponseHead",
    "ResponseReader",
    "Signal",
    "Truncated",
    "encode_request_head",
    "encode_response_head",
]


_STATUS_LINE_START = b"HTTP/1."
_TOKEN_BYTES = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class ResponseReader(Reader):
    """Reads the one response to a request of `request_method`; interim ones before it are skipped and counted.

    `started` says whether any byte came, `close_delimited` that only the end of the stream ends the body: under
    TLS that end has to be authenticated, or the body may have been cut.
    """

    __slots__ = ("_interim_count", "_request_method", "close_delimited")

    _chunk_line = PADDED_CHUNK_LINE

    def __init__(self, request_method: str = "GET", limits: Limits = CLIENT_LIMITS) -> None:
        super().__init__(limits)
        self._request_method = request_method
        self._interim_count = 0
        self.close_delimited = False

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent on this connection.

        Bytes after the body are not: the next request would get them as its response.
        """
        return self._state == DONE and not (self.will_close or self._is_eof or self.surplus_bytes)

    def _may_start_with(self, start: bytes) -> bool:
        return _STATUS_LINE_START.startswith(start)

    def _opened_by(self, head: bytes) -> Event | None:
        response, framed = read_response_head(head, self._limits)
        status = response.status
        if status < 200:
            self._skip_interim(status)
            return None
        # RFC 9112 6.3, rules 1 and 2: these end with their head, whatever length it gives.
        is_tunnel = self._request_method == "CONNECT" and status < 300
        if status in (204, 304) or self._request_method == "HEAD" or is_tunnel:
            self._state = DONE
        else:
            length = body_length(framed, response.http_version, self._limits)
            self._frame(length)
            if length is None:
                self._state = UNTIL_CLOSE
                self.close_delimited = response.will_close = True
        self.will_close = response.will_close
        return response

    def _skip_interim(self, status: int) -> None:
        if status == 101:
            raise BadMessage("a change of protocol that nobody asked for")
        self._interim_count += 1
        if self._interim_count > self._limits.interim_responses:
            raise BadMessage("too many interim responses")


class RequestReader(Reader):
    """Reads the requests of one connection, one after the other: after END, `start_next()`."""

    __slots__ = ("_has_skipped_line",)

    def __init__(self, limits: Limits = SERVER_LIMITS) -> None:
        super().__init__(limits)
        self._has_skipped_line = False

    def start_next(self) -> None:
        """Go on to the next request, of which some bytes may be in already. Raises LocalMisuse if none can come."""
        if self._state != DONE or self.will_close:
            raise LocalMisuse("the next request starts after END, on a connection that stays open")
        self._reset()
        self._has_skipped_line = False

    def _may_start_with(self, start: bytes) -> bool:
        return not start or start == b"\r" or start[0] in _TOKEN_BYTES

    def _next_head(self) -> bytes | None:
        # RFC 9112 2.2: old clients end a body with one CRLF too many.
        if not self._has_skipped_line and self._unread.startswith(b"\r\n", self._at):
            self._has_skipped_line = True
            self._at += 2
        return super()._next_head()

    def _opened_by(self, head: bytes) -> Event | None:
        request, framed = read_request_head(head, self._limits)
        self.will_close = request.will_close
        self._frame(body_length(framed, request.http_version, self._limits))
        return request

    def _starved(self) -> Event:
        if self._is_eof and self._state == HEAD and not self.surplus_bytes:
            return CLOSED
        return super()._starved()
