"""The head of an HTTP/1.1 message, from bytes to values and back. No state: that is in `http1`.

The strategy: cut the head at its line ends, and insist that the parts account for every byte. Nothing is repaired,
since two readers that repair differently can be made to disagree about where a message ends (RFC 9112 11.2).
What is written goes through the same rules before it is sent, so what they would refuse never leaves.
"""

from __future__ import annotations

import re

from .messages import Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Fields = list[tuple[str, str]]
    Framed = dict[str, list[str]]

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_METHOD = re.compile(rf"{_TOKEN}{{1,32}}")
_TARGET = re.compile(r"[!-~]+")
_FIELD = re.compile(rf"\r\n({_TOKEN}+):[ \t]*([^\r]*)")
# Some servers leave out the space before an empty reason; the reason itself is for nobody (RFC 9112 4).
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [\t -~\x80-\xff]*)?")
_REQUEST_LINE = re.compile(rf"({_TOKEN}{{1,32}}) ([!-~]+) HTTP/([0-9])\.([0-9])".encode("ascii"))
_TEXT_BYTES = bytes(byte for byte in range(256) if byte == 0x09 or (byte >= 0x20 and byte != 0x7F))
# Written by the codec alone: a second opinion about the length is how messages are smuggled.
_FRAMING_NAMES = frozenset(("content-length", "transfer-encoding"))
_NAMES_WITH_A_SAY = _FRAMING_NAMES | {"connection", "expect", "host"}


class BadMessage(Exception):
    """The peer broke the protocol or a limit. `status` is what a server answers.

    The text is fixed: nothing of what the peer sent is in it.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Truncated(BadMessage):
    """The connection ended inside a message. What came until then was in order."""


class LocalMisuse(ValueError):
    """This side asked for something that must not be sent. The text names a header at most, never its value."""


class Limits:
    """What a peer may send before it is cut off. All but `header_count` and `length_digits` are in bytes.

    `head_bytes` also bounds trailers and chunk extensions, each as a whole. `body_bytes` is None for no limit.
    """

    __slots__ = (
        "body_bytes",
        "head_bytes",
        "header_count",
        "interim_responses",
        "length_digits",
        "line_bytes",
        "start_line_bytes",
    )

    def __init__(
        self,
        *,
        start_line_bytes: int = 8 * 1024,
        line_bytes: int = 64 * 1024,
        head_bytes: int = 64 * 1024,
        header_count: int = 100,
        interim_responses: int = 8,
        length_digits: int = 19,
        body_bytes: int | None = None,
    ) -> None:
        self.start_line_bytes = start_line_bytes
        self.line_bytes = line_bytes
        self.head_bytes = head_bytes
        self.header_count = header_count
        self.interim_responses = interim_responses
        self.length_digits = length_digits
        self.body_bytes = body_bytes


CLIENT_LIMITS = Limits()
# How large a body may be is for the route to say, which is known once the head is read.
SERVER_LIMITS = Limits(line_bytes=32 * 1024, head_bytes=32 * 1024, length_digits=10)


class ResponseHead:
    """A final status and its headers. `will_close`: the connection is of no use after this response."""

    __slots__ = ("headers", "http_version", "status", "will_close")

    def __init__(self, status: int, headers: Headers, http_version: str, will_close: bool) -> None:
        self.status = status
        self.headers = headers
        self.http_version = http_version
        self.will_close = will_close

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}>"


class RequestHead:
    """What is asked for. `expects_continue`: the body is held back until a 100 or a final status is sent."""

    __slots__ = ("expects_continue", "headers", "http_version", "method", "target", "will_close")

    def __init__(
        self, method: str, target: str, headers: Headers, http_version: str, will_close: bool, expects_continue: bool
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.http_version = http_version
        self.will_close = will_close
        self.expects_continue = expects_continue

    def __repr__(self) -> str:
        return f"<RequestHead {self.method}>"


def read_response_head(head: bytes, limits: Limits) -> tuple[ResponseHead, Framed]:
    """The head of a response, without the empty line after it, and those of its fields that frame a message."""
    line, fields = _line_and_fields(head, limits)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessage("malformed status line")
    version, framed = "1.1" if match[1] == b"1" else "1.0", _framed(fields)
    return ResponseHead(int(match[2]), Headers(fields), version, _closes(framed, version)), framed


def read_request_head(head: bytes, limits: Limits) -> tuple[RequestHead, Framed]:
    """The head of a request, without the empty line after it, and those of its fields that frame a message."""
    line, fields = _line_and_fields(head, limits)
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadMessage("malformed request line")
    if match[3] != b"1" or match[4] not in b"01":
        raise BadMessage("HTTP version not supported", 505)
    version, framed = "1.1" if match[4] == b"1" else "1.0", _framed(fields)
    host_count = len(framed.get("host", ()))
    if host_count > 1 or (host_count == 0 and version == "1.1"):
        raise BadMessage("a request has exactly one Host")
    method, target = match[1].decode("ascii"), match[2].decode("ascii")
    # To be ignored in HTTP/1.0 (RFC 9110 10.1.1).
    expects = version == "1.1" and any(value.lower() == "100-continue" for value in framed.get("expect", ()))
    return RequestHead(method, target, Headers(fields), version, _closes(framed, version), expects), framed


def read_fields(block: bytes, limits: Limits) -> Fields:
    """Header or trailer fields. `block` is all of their lines, each with its CRLF *before* it."""
    count = block.count(b"\r\n")
    if count > limits.header_count:
        raise BadMessage("too many header fields", 431)
    if len(block) > limits.line_bytes and max(map(len, block.split(b"\r\n"))) > limits.line_bytes:
        raise BadMessage("header line too long", 431)
    fields = _fields_of(block)
    if fields is None:
        raise BadMessage("malformed header field")
    return fields


def body_length(framed: Framed, http_version: str, limits: Limits) -> int | None:
    """The declared length, -1 for chunked, None if nothing is declared (RFC 9112 6.3)."""
    codings, lengths = framed.get("transfer-encoding"), framed.get("content-length")
    if codings:
        if lengths:
            raise BadMessage("Content-Length beside Transfer-Encoding")
        if http_version == "1.0":
            raise BadMessage("Transfer-Encoding in HTTP/1.0")
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise BadMessage("Transfer-Encoding other than chunked", 501)
        return -1
    if not lengths:
        return None
    digits = lengths[0]
    if len(lengths) > 1 or len(digits) > limits.length_digits or not (digits.isascii() and digits.isdigit()):
        raise BadMessage("malformed or repeated Content-Length")
    length = int(digits)
    if limits.body_bytes is not None and length > limits.body_bytes:
        raise BadMessage("body over the limit", 413)
    return length


def encode_request_head(
    method: str, target: str, headers: Iterable[tuple[str, str]], content_length: int | None = None
) -> bytes:
    """The head of a request; None for no body. Raises LocalMisuse."""
    if not _METHOD.fullmatch(method):
        raise LocalMisuse("the method is not a token")
    if not _TARGET.fullmatch(target):
        raise LocalMisuse("the request target holds a space, a control or a non-ASCII character, or is empty")
    return f"{method} {target} HTTP/1.1".encode("ascii") + _encoded(headers, content_length)


def encode_response_head(status: int, headers: Iterable[tuple[str, str]], content_length: int | None = None) -> bytes:
    """The head of a response; without a length, a body lasts until the connection is closed.

    No reason phrase: it means nothing (RFC 9112 4), and later versions of HTTP have none. Raises LocalMisuse.
    """
    if not 100 <= status <= 999:
        raise LocalMisuse("the status is not a number of three digits")
    if status < 200 or status == 204:
        if content_length:
            raise LocalMisuse("a 1xx or 204 has no body")
        content_length = None  # RFC 9110 8.6: not even a zero.
    return b"HTTP/1.1 %d " % status + _encoded(headers, content_length)


def _line_and_fields(head: bytes, limits: Limits) -> tuple[bytes, Fields]:
    line_end = head.find(b"\r\n")
    if line_end < 0:
        return head, []
    return head[:line_end], read_fields(head[line_end:], limits)


def _fields_of(block: bytes) -> Fields | None:
    """The fields, or None unless every byte of `block` belongs to one."""
    count = block.count(b"\r\n")
    if block.translate(None, _TEXT_BYTES) != b"\r\n" * count:
        return None  # A control character; a bare CR or LF is one too.
    text = block.decode("latin-1")
    # A line that is not a field (a folded one, a blank before the colon, no name) is skipped here, and missed below.
    fields: Fields = _FIELD.findall(text)
    if len(fields) != count:
        return None
    if " \r" in text or "\t\r" in text or text.endswith((" ", "\t")):
        return [(name, value.rstrip(" \t")) for name, value in fields]
    return fields


def _framed(fields: Fields) -> Framed:
    """The values of those fields that have a say in where a message, or the connection, ends."""
    framed: Framed = {}
    for name, value in fields:
        key = name.lower()
        if key in _NAMES_WITH_A_SAY:
            framed.setdefault(key, []).append(value)
    return framed


def _closes(framed: Framed, http_version: str) -> bool:
    if "connection" not in framed:
        return http_version == "1.0"
    options = [option.strip(" \t") for option in ",".join(framed["connection"]).lower().split(",")]
    return "close" in options or (http_version == "1.0" and "keep-alive" not in options)


def _encoded(headers: Iterable[tuple[str, str]], content_length: int | None) -> bytes:
    fields = list(headers)
    if not _FRAMING_NAMES.isdisjoint([name.lower() for name, _ in fields]):
        raise LocalMisuse("Content-Length and Transfer-Encoding are written by the codec alone")
    try:
        block = "".join([f"\r\n{name}: {value}" for name, value in fields]).encode("latin-1")
    except UnicodeEncodeError:
        block = b"\0"
    if _fields_of(block) != fields:
        # Out here, so that no context carries the encoding error along, which holds the whole text.
        raise _misuse_in(fields)
    if content_length is None:
        return block + b"\r\n\r\n"
    if content_length < 0:
        raise LocalMisuse("a body has no negative length")
    return b"%b\r\nContent-Length: %d\r\n\r\n" % (block, content_length)


def _misuse_in(fields: Fields) -> LocalMisuse:
    for name, value in fields:
        if not re.fullmatch(f"{_TOKEN}+", name):
            return LocalMisuse("a header name is not a token")
        if value != value.strip(" \t") or not re.fullmatch(r"[\t -~\x80-\xff]*", value):
            return LocalMisuse(
                f"the value of {name} cannot be sent: it begins or ends with a blank, "
                "or holds a control character or one beyond Latin-1"
            )
    return LocalMisuse("the headers cannot be sent")
