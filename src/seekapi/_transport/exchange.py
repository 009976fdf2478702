"""One request and its response on one connection.

While a body goes out, an early answer is watched for: a server that refuses an upload says so and then resets, and
the status is worth more than the EPIPE. What was sent is counted, because "nothing" is the difference between a call
that may be repeated and one that may not.
"""

from __future__ import annotations

import errno
import io
import os
import sys

from .._protocol import http1
from .._protocol.messages import FileSegment, Response
from ..errors import ProtocolError, SeekApiError, TransportError
from . import decoding
from .driver import READ, WRITE
from .streams import FILE_CHUNK_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

    from .._protocol.messages import Request
    from .driver import Ready, Steps
    from .patience import Patience
    from .policy import Keep, Policy
    from .streams import Connection

# An answer of the API fits into the first; a body of megabytes is read in fewer, larger pieces.
FIRST_RECEIVE_BYTES = 16 * 1024
RECEIVE_BYTES = 128 * 1024
# Small parts of a body travel with the head, in one segment if they fit.
JOINED_BYTES = 64 * 1024
# After a send has failed: how long the reason, already on its way, is waited for.
LAST_WORDS_S = 0.25
# What sendfile answers for a file system or a socket that it does not serve.
_NO_SENDFILE = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSOCK))


class Exchange:
    """The request `head` (bytes) and `request.body` out, the response in, on `connection`."""

    __slots__ = (
        "_body",
        "_cap",
        "_connection",
        "_decoder",
        "_head",
        "_is_complete",
        "_keep_piece",
        "_may_be_followed",
        "_patience",
        "_peer_is_silent",
        "_raw_bytes",
        "_reader",
        "_request",
        "_response_head",
        "_sink",
        "_stream",
        "is_sent",
        "sent_bytes",
    )

    def __init__(
        self, connection: Connection, request: Request, head: bytes, policy: Policy, patience: Patience
    ) -> None:
        self._connection = connection
        self._stream = connection.stream
        self._request = request
        self._head = head
        self._cap = policy.response_bytes
        self._sink = policy.sink
        self._patience = patience
        self._reader = http1.ResponseReader(request.method)
        self._response_head: http1.ResponseHead | None = None
        self._body = io.BytesIO()
        self._keep_piece: Keep = self._body.write
        self._decoder: decoding.Inflater | None = None
        self._raw_bytes = 0
        self._is_complete = False
        self._may_be_followed = False
        # The peer will say no more: there is nothing more to watch for.
        self._peer_is_silent = False
        self.is_sent = False
        self.sent_bytes = 0

    @property
    def has_begun_to_answer(self) -> bool:
        """Whether a byte of the response is in."""
        return self._reader.started

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another exchange."""
        is_at_end = self._is_complete and self.is_sent and self._reader.reusable
        return is_at_end and not self._may_be_followed and not self._stream.has_unread()

    def run(self) -> Steps[Response]:
        """Send, and read to the end. Raises TransportError and its kin."""
        problem = ""
        try:
            yield from self._send()
            self.is_sent = not self._is_refused
        except SeekApiError:
            raise
        except OSError as error:
            problem = reason_of(error)
        if problem:
            yield from self._hear_last_words(problem)
        else:
            yield from self._receive()
        return self._response()

    # Sending

    def _send(self) -> Steps[None]:
        # Opened before the first byte leaves: a file that has gone is found while nothing is sent.
        parts: list[bytes | _OpenFile] = []
        try:
            for segment in self._request.body:
                parts.append(_opened(segment) if isinstance(segment, FileSegment) else segment)
            yield from self._send_parts(parts)
        finally:
            for part in parts:
                if not isinstance(part, bytes):
                    part.file.close()

    def _send_parts(self, parts: list[bytes | _OpenFile]) -> Steps[None]:
        joined = [self._head]
        size_bytes = len(self._head)
        following = 0
        for part in parts:
            if not isinstance(part, bytes) or size_bytes + len(part) > JOINED_BYTES:
                break
            joined.append(part)
            size_bytes += len(part)
            following += 1
        yield from self._send_bytes(b"".join(joined))
        for part in parts[following:]:
            if isinstance(part, bytes):
                yield from self._send_bytes(part)
            else:
                yield from self._send_file(part)

    def _send_bytes(self, data: bytes | memoryview) -> Steps[None]:
        left = memoryview(data)
        while left and not self._is_refused:
            sent = self._stream.send(left)
            if not sent:
                yield from self._wait_to_send(self._stream.wants)
                continue
            self.sent_bytes += sent
            left = left[sent:]
            if left:
                self._patience.moved()

    def _send_file(self, part: _OpenFile) -> Steps[None]:
        left = part.size_bytes
        if left and self._stream.can_send_files and part.has_descriptor:
            left = yield from self._send_by_system(part.file, left)
        if left:
            yield from self._send_by_copy(part.file, left)

    def _send_by_system(self, file: IO[bytes], left: int) -> Steps[int]:
        """The file straight from the page cache to the socket; returns how much the system would not take."""
        offset = file.tell()
        while left and not self._is_refused:
            yield from self._wait_to_send()
            try:
                sent = self._stream.send_file(file, offset, left)
            except OSError as error:
                if error.errno not in _NO_SENDFILE:
                    raise
                file.seek(offset)
                return left
            if sent is None:
                raise self._file_has_shrunk()
            self.sent_bytes += sent
            offset += sent
            left -= sent
            self._patience.moved()
        return 0

    def _send_by_copy(self, file: IO[bytes], left: int) -> Steps[None]:
        buffer = memoryview(bytearray(min(left, FILE_CHUNK_BYTES)))
        while left and not self._is_refused:
            size_bytes = _read_into(file, buffer[: min(left, len(buffer))])
            if not size_bytes:
                raise self._file_has_shrunk()
            left -= size_bytes
            yield from self._wait_to_send()
            yield from self._send_bytes(buffer[:size_bytes])
            self._patience.moved()

    def _wait_to_send(self, wanted: int = WRITE) -> Steps[None]:
        """Wait until the stream takes more; take in what the peer says meanwhile."""
        stream = self._stream
        events = wanted if self._peer_is_silent else wanted | READ
        ready: Ready = yield from self._patience.wait(((stream.fileno(), events),))
        if self._peer_is_silent or not any(mask & ~WRITE for _, mask in ready):
            return
        data = stream.receive(RECEIVE_BYTES)
        if data:
            self._reader.feed(data)
            self._take_events()
        self._peer_is_silent = data == b"" or self._is_complete

    @property
    def _is_refused(self) -> bool:
        """Whether the answer is no before the request is out; a yes before that does not count yet."""
        return self._response_head is not None and self._response_head.status >= 300

    def _file_has_shrunk(self) -> TransportError:
        return TransportError(
            f"the file became shorter while it was sent to {self._patience.peer}: the upload is not complete",
            retryable=False,
        )

    # Receiving

    def _receive(self) -> Steps[None]:
        stream = self._stream
        stream.wants = READ
        # The answer takes a while: asking before waiting would only cost a call. TLS may hold some of it already.
        is_there = stream.has_unread() or self._reader.started
        problem = ""
        try:
            while not self._is_complete:
                size_bytes = FIRST_RECEIVE_BYTES if self._response_head is None else RECEIVE_BYTES
                data = stream.receive(size_bytes) if is_there else None
                is_there = True
                if data is None:
                    yield from self._patience.wait(((stream.fileno(), stream.wants),))
                    continue
                if data:
                    self._reader.feed(data)
                    self._patience.moved()
                else:
                    self._reader.feed_eof()
                self._take_events()
        except SeekApiError:
            raise
        except OSError as error:
            problem = reason_of(error)
        if problem:
            raise self._cut_short(problem)

    def _hear_last_words(self, problem: str) -> Steps[None]:
        """The send failed with `problem`: take the answer that explains it, if one is on its way."""
        until = min(self._patience.until, self._patience.clock() + LAST_WORDS_S)
        stream = self._stream
        try:
            while not self._is_complete:
                data = stream.receive(RECEIVE_BYTES)
                if data is None:
                    ready = yield from self._patience.wait(((stream.fileno(), READ),), until)
                    if not ready:
                        break
                    continue
                if data:
                    self._reader.feed(data)
                else:
                    self._reader.feed_eof()
                self._take_events()
        except OSError:
            # A reset, or half an answer: the first trouble is the one to report.
            pass
        if not self._is_complete or not self._is_refused:
            raise self._cut_short(problem)

    def _cut_short(self, problem: str) -> TransportError:
        what = "no complete answer" if self._reader.started else "no answer"
        return TransportError(f"{what} from {self._patience.peer}: {problem}")

    def _take_events(self) -> None:
        fault: TransportError | None = None
        try:
            while not self._is_complete:
                event = self._reader.next_event()
                if event is http1.NEED_DATA:
                    return
                if event is http1.END:
                    self._is_complete = True
                elif isinstance(event, bytes):
                    self._keep(event)
                elif isinstance(event, http1.ResponseHead):
                    self._begin_response(event)
        except http1.Truncated:
            fault = self._cut_short("the connection was closed")
        except http1.BadMessage as error:
            fault = ProtocolError(f"the answer of {self._patience.peer} is not valid HTTP: {error}")
        if fault is not None:
            raise fault
        if self._decoder is not None:
            self._decoder.finish()

    def _begin_response(self, head: http1.ResponseHead) -> None:
        self._response_head = head
        headers = head.headers
        length = headers.get("Content-Length").strip()
        keep_piece = self._sink and self._sink(Response(head.status, headers))
        if keep_piece:
            self._keep_piece, self._cap = keep_piece, sys.maxsize
        if head.status in (204, 304) or self._request.method == "HEAD":
            # No body, whatever the fields say of one. Who says so may yet send it, into the next response.
            self._may_be_followed = length not in ("", "0") or "Transfer-Encoding" in headers
            return
        if length.isascii() and length.isdigit() and len(length) < 20 and int(length) > self._cap:
            raise decoding.too_large(self._patience.peer, self._cap)
        self._decoder = decoding.decoder_for(headers.get("Content-Encoding"), self._cap, self._patience.peer)

    def _keep(self, data: bytes) -> None:
        self._raw_bytes += len(data)
        if self._raw_bytes > self._cap:
            raise decoding.too_large(self._patience.peer, self._cap)
        self._keep_piece(self._decoder.decode(data) if self._decoder is not None else data)

    def _response(self) -> Response:
        if self._response_head is None:
            raise self._cut_short("the connection was closed")
        return Response(self._response_head.status, self._response_head.headers, self._body.getvalue())


class _OpenFile:
    """A file segment, opened for this attempt."""

    __slots__ = ("file", "has_descriptor", "size_bytes")

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self.file = file
        self.size_bytes = size_bytes
        try:
            self.has_descriptor = file.fileno() >= 0
        except (OSError, AttributeError):
            self.has_descriptor = False


def _opened(segment: FileSegment) -> _OpenFile:
    problem = ""
    try:
        return _OpenFile(segment.open(), segment.size_bytes)
    except SeekApiError:
        raise
    except OSError as error:
        problem = reason_of(error)
    raise TransportError(f"the file to be sent cannot be opened: {problem}", retryable=False)


def _read_into(file: IO[bytes], buffer: memoryview) -> int:
    problem = ""
    try:
        readinto = getattr(file, "readinto", None)
        if readinto is not None:
            return readinto(buffer) or 0
        data = file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
    except OSError as error:
        problem = reason_of(error)
    raise TransportError(f"the file to be sent cannot be read: {problem}", retryable=False)


def reason_of(error: OSError) -> str:
    """Why, in the system's words only: what else an OSError carries (file names, TLS records) stays out."""
    if error.errno is None or type(error).__module__ == "ssl":
        return "the TLS connection broke off"
    return os.strerror(error.errno).lower()
