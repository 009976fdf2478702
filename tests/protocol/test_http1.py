"""The HTTP/1.1 codec: tables of bytes, each fed whole, byte by byte and torn anywhere, and what both roles refuse."""

from __future__ import annotations

import gc
import random
import tracemalloc
from typing import Any

import pytest
from protocol.http1_events import events_of, one_by_one, torn

from seekapi._protocol import http1

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
POST_CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

# What was sent, and what a reader makes of it when the connection ends after it.
RESPONSES: dict[str, tuple[bytes, list[Any]]] = {
    # framing
    "by length": (OK + b"Content-Length: 5\r\n\r\nhello", [200, b"hello", "END"]),
    "length zero": (EMPTY, [200, "END"]),
    "length with leading zeros": (OK + b"Content-Length: 0002\r\n\r\nhi", [200, b"hi", "END"]),
    "chunked": (CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", [200, b"hello!", "END"]),
    "chunked, any case": (OK + b"TRANSFER-encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", [200, b"x", "END"]),
    "chunked, of nothing": (CHUNKED + b"0\r\n\r\n", [200, "END"]),
    "chunk size in hex of any case": (CHUNKED + b"0aA\r\n" + b"x" * 170 + b"\r\n0\r\n\r\n", [200, b"x" * 170, "END"]),
    "chunk extension": (CHUNKED + b'1;a="b;c" ;d\r\nx\r\n0;last\r\n\r\n', [200, b"x", "END"]),
    "chunk size padded with blanks": (CHUNKED + b"1   \r\nx\r\n0 \r\n\r\n", [200, b"x", "END"]),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n", [200, b"x", "END"]),
    "until the connection ends": (OK + b"\r\nall of\r\n\r\nit", [200, b"all of\r\n\r\nit", "END"]),
    "until it ends, of nothing": (OK + b"\r\n", [200, "END"]),
    "HTTP/1.0 until it ends": (b"HTTP/1.0 200 OK\r\n\r\nx", [200, b"x", "END"]),
    "HTTP/1.0 by length": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", [200, b"x", "END"]),
    # no body, whatever the head says (RFC 9112 6.3)
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", [204, "END"]),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", [204, "END"]),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", [304, "END"]),
    "304 chunked": (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", [304, "END"]),
    # interim
    "100 first": (b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY, [200, "END"]),
    "102 and 103 first": (b"HTTP/1.1 102 \r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + EMPTY, [200, "END"]),
    "as many interim ones as allowed": (b"HTTP/1.1 100 Continue\r\n\r\n" * 8 + EMPTY, [200, "END"]),
    "an interim one with a length": (b"HTTP/1.1 103 \r\nContent-Length: 9\r\n\r\n" + EMPTY, [200, "END"]),
    "too many interim ones": (b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + EMPTY, ["refused 400"]),
    "endless interim ones": (b"HTTP/1.1 100 Continue\r\n\r\n" * 500, ["refused 400"]),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", ["refused 400"]),
    # status lines
    "no reason": (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", [200, "END"]),
    "no space before no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", [200, "END"]),
    "reason in Latin-1": (b"HTTP/1.1 404 Unauffindbar \xfcber\r\nContent-Length: 0\r\n\r\n", [404, "END"]),
    "an unheard-of status": (b"HTTP/1.1 799 Eh\r\nContent-Length: 0\r\n\r\n", [799, "END"]),
    "status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", ["refused 400"]),
    "status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", ["refused 400"]),
    "status below 100": (b"HTTP/1.1 099 OK\r\n\r\n", ["refused 400"]),
    "status with a sign": (b"HTTP/1.1 +20 OK\r\n\r\n", ["refused 400"]),
    "two spaces": (b"HTTP/1.1  200 OK\r\n\r\n", ["refused 400"]),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", ["refused 400"]),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\n\r\n", ["refused 400"]),
    "lower case": (b"http/1.1 200 OK\r\n\r\n", ["refused 400"]),
    "NUL in the reason": (b"HTTP/1.1 200 O\0K\r\n\r\n", ["refused 400"]),
    "CR in the reason": (b"HTTP/1.1 200 O\rK\r\n\r\n", ["refused 400"]),
    "another protocol": (b"220 smtp.example ESMTP\r\n", ["refused 400"]),
    "an empty line first": (b"\r\n" + EMPTY, ["refused 400"]),
    "LF alone": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", ["refused 400"]),
    # lengths
    "two lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", ["refused 400"]),
    "the same length twice": (OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", ["refused 400"]),
    "a list of lengths": (OK + b"Content-Length: 1, 1\r\n\r\nx", ["refused 400"]),
    "length with a sign": (OK + b"Content-Length: +1\r\n\r\nx", ["refused 400"]),
    "negative length": (OK + b"Content-Length: -1\r\n\r\nx", ["refused 400"]),
    "length in hex": (OK + b"Content-Length: 0x1\r\n\r\nx", ["refused 400"]),
    "length with an underscore": (OK + b"Content-Length: 1_0\r\n\r\nx", ["refused 400"]),
    "length in superscript": (OK + b"Content-Length: \xb2\r\n\r\nxx", ["refused 400"]),
    "no length": (OK + b"Content-Length:\r\n\r\n", ["refused 400"]),
    "length of 20 digits": (OK + b"Content-Length: " + b"1" * 20 + b"\r\n\r\n", ["refused 400"]),
    "length and chunked": (OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ["refused 400"]),
    "chunked twice": (OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ["refused 501"]),
    "gzip, chunked": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", ["refused 501"]),
    "identity": (OK + b"Transfer-Encoding: identity\r\n\r\n", ["refused 501"]),
    "xchunked": (OK + b"Transfer-Encoding: xchunked\r\n\r\n", ["refused 501"]),
    "chunked in HTTP/1.0": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ["refused 400"]),
    # chunks
    "negative chunk": (CHUNKED + b"-1\r\nx\r\n", [200, "refused 400"]),
    "chunk size with a sign": (CHUNKED + b"+1\r\nx\r\n", [200, "refused 400"]),
    "chunk size with 0x": (CHUNKED + b"0x1\r\nx\r\n", [200, "refused 400"]),
    "chunk size with an underscore": (CHUNKED + b"1_0\r\nx\r\n", [200, "refused 400"]),
    "chunk size after a blank": (CHUNKED + b" 1\r\nx\r\n", [200, "refused 400"]),
    "no chunk size": (CHUNKED + b"\r\nx\r\n", [200, "refused 400"]),
    "only an extension": (CHUNKED + b";a\r\nx\r\n", [200, "refused 400"]),
    "chunk size of 17 digits": (CHUNKED + b"0" * 16 + b"1\r\nx\r\n", [200, "refused 400"]),
    "an extension with a control": (CHUNKED + b"1;\x01\r\nx\r\n", [200, "refused 400"]),
    "an extension with a bare LF": (CHUNKED + b"1;a\nb\r\nx\r\n", [200, "refused 400"]),
    "a long extension": (CHUNKED + b"1;" + b"a" * 1024 + b"\r\nx\r\n", [200, "refused 400"]),
    "chunk longer than its size": (CHUNKED + b"1\r\nxy\r\n0\r\n\r\n", [200, b"x", "refused 400"]),
    "chunk ended by LF": (CHUNKED + b"1\r\nx\n0\r\n\r\n", [200, b"x", "refused 400"]),
    "chunk size ended by LF": (CHUNKED + b"1\nx\r\n0\r\n\r\n", [200, "refused 400"]),
    "trailer without a colon": (CHUNKED + b"0\r\nX\r\n\r\n", [200, "refused 400"]),
    # cut short
    "cut in the status line": (b"HTTP/1.1 2", ["truncated"]),
    "cut in the head": (OK + b"Content-Le", ["truncated"]),
    "cut before the last line feed": (EMPTY[:-1], ["truncated"]),
    "cut after an interim one": (b"HTTP/1.1 100 Continue\r\n\r\n", ["truncated"]),
    "cut before anything": (b"", ["truncated"]),
    "shorter than its length": (OK + b"Content-Length: 5\r\n\r\nhell", [200, b"hell", "truncated"]),
    "cut before the last chunk": (CHUNKED + b"5\r\nhello\r\n", [200, b"hello", "truncated"]),
    "cut in a chunk": (CHUNKED + b"5\r\nhel", [200, b"hel", "truncated"]),
    "cut in a chunk size": (CHUNKED + b"5", [200, "truncated"]),
    "cut in the last chunk": (CHUNKED + b"0\r\n", [200, "truncated"]),
    "cut in a trailer": (CHUNKED + b"0\r\nX: y\r\n", [200, "truncated"]),
}

REQUESTS: dict[str, tuple[bytes, list[Any]]] = {
    "no body": (GET + b"\r\n", [("GET", "/"), "END", "CLOSED"]),
    "by length": (POST + b"Content-Length: 2\r\n\r\nhi", [("POST", "/"), b"hi", "END", "CLOSED"]),
    "length zero": (POST + b"Content-Length: 0\r\n\r\n", [("POST", "/"), "END", "CLOSED"]),
    "chunked": (POST_CHUNKED + b"2;x\r\nhi\r\n0\r\nA: b\r\n\r\n", [("POST", "/"), b"hi", "END", "CLOSED"]),
    "HTTP/1.0": (b"GET /a?b=%20 HTTP/1.0\r\n\r\n", [("GET", "/a?b=%20"), "END"]),
    "pipelined": (
        POST + b"Content-Length: 2\r\n\r\nhi" + b"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n" + POST_CHUNKED + b"0\r\n\r\n",
        [("POST", "/"), b"hi", "END", ("DELETE", "/x"), "END", ("POST", "/"), "END", "CLOSED"],
    ),
    "nothing after Connection: close": (GET + b"Connection: close\r\n\r\nGET", [("GET", "/"), "END"]),
    "nothing at all": (b"", ["CLOSED"]),
    "an empty line first": (b"\r\n" + GET + b"\r\n", [("GET", "/"), "END", "CLOSED"]),
    "an empty line before each": ((b"\r\n" + GET + b"\r\n") * 2, [*[("GET", "/"), "END"] * 2, "CLOSED"]),
    "an empty line between": (GET + b"\r\n\r\n" + GET + b"\r\n", [*[("GET", "/"), "END"] * 2, "CLOSED"]),
    "an empty line last": (GET + b"\r\n\r\n", [("GET", "/"), "END", "CLOSED"]),
    "two empty lines first": (b"\r\n\r\n" + GET + b"\r\n", ["refused 400"]),
    # request lines
    "HTTP/0.9": (b"GET /\r\n\r\n", ["refused 400"]),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", ["refused 505"]),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ["refused 505"]),
    "HTTP/1.10": (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", ["refused 400"]),
    "lower case version": (b"GET / http/1.1\r\nHost: a\r\n\r\n", ["refused 400"]),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400"]),
    "a tab": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400"]),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400"]),
    "a space at the end": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", ["refused 400"]),
    "a non-ASCII target": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400"]),
    "NUL in the target": (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400"]),
    "a method that is no token": (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400"]),
    "an endless method": (b"G" * 33 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 400"]),
    "LF alone": (b"GET / HTTP/1.1\nHost: a\n\n", ["refused 400"]),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ["refused 400"]),
    "a long request line": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 414"]),
    # Host (RFC 9112 3.2)
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", ["refused 400"]),
    "two Hosts": (GET + b"host: a\r\n\r\n", ["refused 400"]),
    "two Hosts in HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", ["refused 400"]),
    # lengths and chunks
    "length and chunked": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", ["refused 400"]),
    "two lengths": (POST + b"Content-Length: 1\r\ncontent-length: 1\r\n\r\nx", ["refused 400"]),
    "length of 11 digits": (POST + b"Content-Length: 00000000001\r\n\r\nx", ["refused 400"]),
    "length over the limit": (POST + b"Content-Length: 10485761\r\n\r\n", ["refused 413"]),
    "unknown coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", ["refused 501"]),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ["refused 400"]),
    "chunk size padded with blanks": (POST_CHUNKED + b"1 \r\nx\r\n0\r\n\r\n", [("POST", "/"), "refused 400"]),
    "chunk over the limit": (POST_CHUNKED + b"A00001\r\n", [("POST", "/"), "refused 413"]),
    "second chunk over the limit": (
        POST_CHUNKED + b"1\r\nx\r\nA00000\r\n",
        [("POST", "/"), b"x", "refused 413"],
    ),
    # cut short
    "cut in the head": (GET, ["truncated"]),
    "cut in the second head": (GET + b"\r\nGET", [("GET", "/"), "END", "truncated"]),
    "cut in the body": (POST + b"Content-Length: 2\r\n\r\nh", [("POST", "/"), b"h", "truncated"]),
}

# Lines that no head of either role may hold, as they stand between CRLF and CRLF.
BAD_LINES = {
    "folded": b"X: a\r\n b",
    "folded with a tab": b"X: a\r\n\tb",
    "folded at the start": b" X: a",
    "blank before the colon": b"X : a",
    "tab before the colon": b"X\t: a",
    "no name": b": a",
    "no colon": b"X",
    "blank in the name": b"X Y: a",
    "control in the name": b"X\x01: a",
    "non-ASCII name": b"X\xe9: a",
    "NUL in the value": b"X: a\0b",
    "control in the value": b"X: a\x1fb",
    "DEL in the value": b"X: a\x7fb",
    "bare LF": b"X: a\nY: b",
    "bare CR": b"X: a\rY: b",
    "CR at the end": b"X: a\r",
    "LF at the end": b"X: a\n",
    "LF CR": b"X: a\n\rY: b",
}


def every_way(data: bytes) -> list[list[bytes]]:
    chance = random.Random(len(data))
    return [[data], one_by_one(data), *(torn(data, chance) for _ in range(5))]


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_is_read_the_same_however_it_arrives(name):
    """Whole, byte by byte or torn anywhere: the same events, or the same refusal."""
    data, expected = RESPONSES[name]

    for pieces in every_way(data):
        assert events_of(http1.ResponseReader(), pieces) == expected


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_read_the_same_however_it_arrives(name):
    """Whole, byte by byte or torn anywhere: the same events, or the same refusal and status."""
    data, expected = REQUESTS[name]
    limits = http1.Limits(length_digits=10, body_bytes=10 * 1024 * 1024)

    for pieces in every_way(data):
        assert events_of(http1.RequestReader(limits), pieces) == expected


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_malformed_header_line_is_refused_in_both_roles(name):
    """Nothing is repaired: not in a response, a request, an interim response or a trailer."""
    line = b"A: b\r\n" + BAD_LINES[name] + b"\r\nZ: z\r\n\r\n"

    for pieces in every_way(OK + b"Content-Length: 0\r\n" + line):
        assert events_of(http1.ResponseReader(), pieces) == ["refused 400"]
    for pieces in every_way(GET + line):
        assert events_of(http1.RequestReader(), pieces) == ["refused 400"]
    assert events_of(http1.ResponseReader(), [b"HTTP/1.1 103 \r\n" + line]) == ["refused 400"]
    assert events_of(http1.ResponseReader(), [CHUNKED + b"0\r\n" + line]) == [200, "refused 400"]


def head_of(data: bytes) -> http1.ResponseHead:
    reader = http1.ResponseReader()
    reader.feed(data)
    head = reader.next_event()
    assert isinstance(head, http1.ResponseHead)
    return head


def test_headers_come_as_they_were_sent():
    """Order, spelling and every value are kept; only the blanks around a value are not part of it."""
    head = head_of(OK + b"X-B: \t two words \t\r\nx-a:1\r\nX-B:\r\nX-C: \xfc\xff:  ;\r\nContent-Length: 0\r\n\r\n")

    assert list(head.headers) == [
        ("X-B", "two words"),
        ("x-a", "1"),
        ("X-B", ""),
        ("X-C", "\xfc\xff:  ;"),
        ("Content-Length", "0"),
    ]
    assert head.headers.get_all("x-b") == ["two words", ""]


def test_a_request_says_what_it_asks_for():
    """Method, target, version and headers, as sent."""
    reader = http1.RequestReader()

    reader.feed(b"BREW-IT http://h:1/p?q#f HTTP/1.0\r\nA: b\r\n\r\n")
    head = reader.next_event()

    assert isinstance(head, http1.RequestHead)
    assert (head.method, head.target, head.http_version) == ("BREW-IT", "http://h:1/p?q#f", "1.0")
    assert list(head.headers) == [("A", "b")] and head.will_close


@pytest.mark.parametrize(
    "start", [b"220 smtp.example", b"HTTP/1.1 200 OK\n", b"HTTP/2", b"SSH-", b"<html>", b"\x15\x03"]
)
def test_another_protocol_is_refused_at_once(start):
    """Without waiting for more, which may never come, and as garbage, not as a truncated response."""
    for pieces in every_way(start):
        assert events_of(http1.ResponseReader(), pieces, eof=False) == ["refused 400"]


@pytest.mark.parametrize("method", ["HEAD", "CONNECT"])
def test_some_requests_get_no_body_whatever_the_response_says(method):
    """HEAD, and a CONNECT that succeeded: after the head comes the end, or the tunnel."""
    for framing in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X: y"):
        reader = http1.ResponseReader(method)

        assert events_of(reader, [OK + framing + b"\r\n\r\n"], eof=False) == [200, "END"]
        assert reader.reusable


def test_a_refused_connect_has_a_body():
    """The proxy's own words are not taken for the tunnel."""
    reader = http1.ResponseReader("CONNECT")

    seen = events_of(reader, [b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"])

    assert seen == [407, b"no", "END"]


@pytest.mark.parametrize(
    "value, version, closes",
    [
        (None, b"1.1", False),
        (None, b"1.0", True),
        (b"keep-alive", b"1.0", False),
        (b"Keep-Alive, X", b"1.0", False),
        (b"X", b"1.0", True),
        (b"close", b"1.1", True),
        (b"X ,\tCLOSE", b"1.1", True),
        (b"X\r\nConnection: close", b"1.1", True),
        (b"closed", b"1.1", False),
        (b"close, keep-alive", b"1.0", True),
    ],
)
def test_who_keeps_the_connection(value, version, closes):
    """Kept unless refused in HTTP/1.1, not kept unless agreed in 1.0; the same for both roles."""
    connection = b"" if value is None else b"Connection: " + value + b"\r\n"
    response, request = http1.ResponseReader(), http1.RequestReader()

    response.feed(b"HTTP/" + version + b" 200 OK\r\nContent-Length: 0\r\n" + connection + b"\r\n")
    request.feed(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + connection + b"\r\n")

    assert response.next_event().will_close is closes
    assert request.next_event().will_close is closes
    assert response.next_event() is http1.END and response.reusable is not closes


@pytest.mark.parametrize(
    "data, reusable",
    [
        (EMPTY, True),
        (CHUNKED + b"0\r\n\r\n", True),
        (b"HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n", True),
        (EMPTY + b"H", False),
        (CHUNKED + b"0\r\n\r\n\r\n", False),
        (EMPTY + EMPTY, False),
        (b"HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\nx", False),
        (OK + b"Content-Length: 1\r\n\r\n", False),
        (OK + b"\r\n", False),
        (b"", False),
    ],
)
def test_a_connection_is_reused_only_when_nothing_is_left_over(data, reusable):
    """Bytes after the body would be taken for the next response."""
    for pieces in every_way(data):
        reader = http1.ResponseReader()
        events_of(reader, pieces, eof=False)

        assert reader.reusable is reusable


def test_a_connection_that_ended_is_not_reused():
    """Not even when the response was complete before it ended."""
    reader = http1.ResponseReader()

    assert events_of(reader, [EMPTY], eof=True) == [200, "END"]
    assert not reader.reusable


def test_surplus_after_the_end_is_seen_when_it_comes():
    """A byte that arrives after END, too."""
    reader = http1.ResponseReader()
    events_of(reader, [EMPTY], eof=False)
    assert reader.reusable and reader.surplus_bytes == 0

    reader.feed(b"late")

    assert not reader.reusable and reader.surplus_bytes == 4


def test_only_a_body_without_any_length_is_close_delimited():
    """The flag by which the layer above insists on an authenticated end."""
    for data, expected in ((OK + b"\r\n", True), (EMPTY, False), (CHUNKED, False)):
        reader = http1.ResponseReader()
        reader.feed(data)
        head = reader.next_event()

        assert reader.close_delimited is expected
        assert head.will_close is expected


def test_started_tells_whether_any_byte_came():
    """On which hangs whether a reused connection earns another try."""
    reader = http1.ResponseReader()
    assert reader.next_event() is http1.NEED_DATA
    reader.feed(b"")
    assert not reader.started

    reader.feed(b"H")

    assert reader.started


def test_started_tells_an_idle_connection_from_a_slow_request():
    """On which hangs which deadline counts; what came along with the request before is a start."""
    for more, expected in ((b"", False), (b"G", True)):
        reader = http1.RequestReader()
        reader.feed(GET + b"\r\n" + more)
        reader.next_event()
        assert reader.started and reader.next_event() is http1.END

        reader.start_next()

        assert reader.started is expected


def test_a_request_says_whether_it_waits_for_100():
    """Expect counts in HTTP/1.1 only (RFC 9110 10.1.1)."""
    for version, value, expected in (
        ("1.1", "100-Continue", True),
        ("1.1", "x", False),
        ("1.0", "100-continue", False),
    ):
        reader = http1.RequestReader()
        reader.feed(f"PUT / HTTP/{version}\r\nHost: a\r\nContent-Length: 1\r\nExpect: {value}\r\n\r\n".encode())
        head = reader.next_event()

        assert isinstance(head, http1.RequestHead) and head.expects_continue is expected
        assert reader.next_event() is http1.NEED_DATA


def test_a_broken_message_stays_broken():
    """No second chance, no buffer that grows: what follows a refusal is not read."""
    reader = http1.RequestReader()
    reader.feed(b"GET / HTTP/1.1\r\n:\r\n\r\n" + GET + b"\r\n")
    for _ in range(3):
        with pytest.raises(http1.BadMessage):
            reader.next_event()
        reader.feed(GET + b"\r\n")

    assert reader.surplus_bytes == 0


def test_after_the_end_comes_the_end():
    """END is a state: asked again, it is the answer again."""
    reader = http1.ResponseReader()
    reader.feed(EMPTY + EMPTY)

    assert [repr(reader.next_event()) for _ in range(4)] == ["<ResponseHead 200>", "END", "END", "END"]


@pytest.mark.parametrize("data", [GET, GET + b"Connection: close\r\n\r\n", POST + b"Content-Length: 1\r\n\r\n"])
def test_the_next_request_starts_only_after_the_end_of_this(data):
    """Else body bytes would be read as a request."""
    reader = http1.RequestReader()
    events_of(reader, [data], eof=False)

    with pytest.raises(http1.LocalMisuse):
        reader.start_next()


def test_nothing_is_fed_after_the_end_of_the_stream():
    """It would be another stream's."""
    reader = http1.ResponseReader()
    reader.feed_eof()

    with pytest.raises(http1.LocalMisuse):
        reader.feed(b"H")


# limits -------------------------------------------------------------------------------------------------------

SMALL = http1.Limits(
    start_line_bytes=30, line_bytes=40, head_bytes=100, header_count=3, interim_responses=1, body_bytes=10
)


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"GET /" + b"a" * 16 + b" HTTP/1.1\r\nHost: a\r\n\r\n", [("GET", "/" + "a" * 16), "END"]),
        (b"GET /" + b"a" * 17 + b" HTTP/1.1\r\nHost: a\r\n\r\n", ["refused 414"]),
        (b"GET /" + b"a" * 40, ["refused 414"]),
        (GET + b"A: " + b"b" * 37 + b"\r\n\r\n", [("GET", "/"), "END"]),
        (GET + b"A: " + b"b" * 38 + b"\r\n\r\n", ["refused 431"]),
        (GET + b"A: 1\r\nB: 2\r\n\r\n", [("GET", "/"), "END"]),
        (GET + b"A: 1\r\nB: 2\r\nC: 3\r\n\r\n", ["refused 431"]),
        (GET + b"A: " + b"b" * 34 + b"\r\nB: " + b"b" * 33 + b"\r\n\r\n", [("GET", "/"), "END"]),
        (GET + b"A: " + b"b" * 34 + b"\r\nB: " + b"b" * 34 + b"\r\n\r\n", ["refused 431"]),
        (GET + b"A: b\r\n" * 50, ["refused 431"]),
        (POST + b"Content-Length: 10\r\n\r\n" + b"x" * 10, [("POST", "/"), b"x" * 10, "END"]),
        (POST + b"Content-Length: 11\r\n\r\n", ["refused 413"]),
        (POST_CHUNKED + b"A\r\n" + b"x" * 10 + b"\r\n0\r\n\r\n", [("POST", "/"), b"x" * 10, "END"]),
        (POST_CHUNKED + b"9\r\n" + b"x" * 9 + b"\r\n2\r\nxx", [("POST", "/"), b"x" * 9, "refused 413"]),
        (POST_CHUNKED + b"0\r\n" + b"A: b\r\n" * 4 + b"\r\n", [("POST", "/"), "refused 431"]),
        (POST_CHUNKED + b"0\r\n" + b"A: b\r\n" * 50, [("POST", "/"), "refused 431"]),
        (POST_CHUNKED + (b"1;" + b"e" * 40 + b"\r\nx\r\n") * 3, [("POST", "/"), b"xx", "refused 400"]),
    ],
)
def test_the_limits_hold_to_the_byte(data, expected):
    """The last byte allowed passes, the next does not; whether the message is complete makes no difference."""
    for pieces in every_way(data):
        assert events_of(http1.RequestReader(SMALL), pieces, eof=False) == expected


def test_a_close_delimited_body_is_counted():
    """The only body without a declared length: the limit itself passes, one more byte does not."""
    for pieces in every_way(b"HTTP/1.1 200 \r\n\r\n" + b"x" * 11):
        assert events_of(http1.ResponseReader("GET", SMALL), pieces) == [200, b"x" * 10, "refused 413"]
    assert events_of(http1.ResponseReader("GET", SMALL), [b"HTTP/1.1 200 \r\n\r\n" + b"x" * 10])[-1] == "END"


@pytest.mark.parametrize("flood", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 ", CHUNKED + b"0\r\nX: ", CHUNKED + b"1;"])
def test_a_flood_is_refused_before_it_is_held(flood):
    """What never ends is cut off at its limit, however it drips."""
    reader = http1.ResponseReader()
    fed_bytes = 0
    with pytest.raises(http1.BadMessage):
        reader.feed(flood)
        while fed_bytes < 1_000_000:
            reader.feed(b"x" * 100)
            fed_bytes += 100
            for _ in range(3):
                reader.next_event()

    assert fed_bytes <= 64 * 1024 + 200


@pytest.mark.parametrize(
    "announcement",
    [
        OK + b"Content-Length: 9999999999999999999\r\n\r\n",
        CHUNKED + b"FFFFFFFFFFFFFFFF\r\n",
    ],
)
def test_nothing_is_allocated_because_it_was_announced(announcement):
    """An announced exabyte costs nothing until it comes."""
    reader = http1.ResponseReader()
    reader.feed(announcement + b"x" * 1000)
    tracemalloc.start()
    try:
        reader.next_event()
        data = reader.next_event()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert data == b"x" * 1000
    assert peak_bytes < 64 * 1024


# large bodies -------------------------------------------------------------------------------------------------


def test_a_large_body_passes_through_uncopied():
    """What was fed inside a body comes out as the very same object."""
    reader = http1.ResponseReader()
    events_of(reader, [OK + b"Content-Length: 3000000\r\n\r\n"], eof=False)
    for piece in (bytes(1_000_000), bytes(1_000_000), bytes(1_000_000)):
        reader.feed(piece)
        assert reader.next_event() is piece
    assert reader.next_event() is http1.END


def test_a_large_chunk_passes_through_uncopied():
    """Also between the ends of a chunk."""
    reader = http1.ResponseReader()
    events_of(reader, [CHUNKED + b"%x\r\n" % 2_000_000], eof=False)
    piece = bytes(1_000_000)
    reader.feed(piece)

    assert reader.next_event() is piece


def test_a_buffer_may_be_used_again_once_it_was_fed():
    """recv_into() writes over it; what was read from it stays."""
    reader = http1.ResponseReader()
    events_of(reader, [OK + b"Content-Length: 4\r\n\r\n"], eof=False)
    buffer = bytearray(b"ab")
    reader.feed(memoryview(buffer))
    buffer[:] = b"cd"
    first = reader.next_event()
    reader.feed(buffer)
    buffer[:] = b"ef"

    assert (first, reader.next_event()) == (b"ab", b"cd")


def test_what_was_read_is_not_held():
    """A piece of a body is gone once it was handed over, and an abandoned reader at once: it is in no cycle."""
    gc.disable()
    tracemalloc.start()
    try:
        reader = http1.ResponseReader()
        events_of(reader, [OK + b"Content-Length: 2000000\r\n\r\n"], eof=False)
        reader.feed(bytes(1_000_000))
        assert len(reader.next_event()) == 1_000_000
        held_after_event_bytes, _ = tracemalloc.get_traced_memory()
        reader.feed(bytes(1_000_000))
        del reader
        held_after_end_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()

    assert held_after_event_bytes < 100_000
    assert held_after_end_bytes < 100_000


# writing ------------------------------------------------------------------------------------------------------


def test_a_request_head_is_written_as_given():
    """Start line, headers in order, the length last, the empty line."""
    head = http1.encode_request_head("POST", "/a?b", [("Host", "h"), ("X", "\xfc \t;")], 5)

    assert head == b"POST /a?b HTTP/1.1\r\nHost: h\r\nX: \xfc \t;\r\nContent-Length: 5\r\n\r\n"
    assert http1.encode_request_head("GET", "*", []) == b"GET * HTTP/1.1\r\n\r\n"


def test_a_response_head_is_written_as_given():
    """With a length or without; a 1xx or 204 has no length, not even zero (RFC 9110 8.6)."""
    assert http1.encode_response_head(200, [("A", "b")], 0) == b"HTTP/1.1 200 \r\nA: b\r\nContent-Length: 0\r\n\r\n"
    assert http1.encode_response_head(500, []) == b"HTTP/1.1 500 \r\n\r\n"
    assert http1.encode_response_head(204, [], 0) == b"HTTP/1.1 204 \r\n\r\n"
    assert http1.encode_response_head(100, []) == b"HTTP/1.1 100 \r\n\r\n"


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "name, value",
    [
        ("X", f"{SECRET}\r\nY: z"),
        ("X", f"{SECRET}\n"),
        ("X", f"{SECRET}\r"),
        ("X", f"{SECRET}\0"),
        ("X", f"{SECRET}\x0b"),
        ("X", f"{SECRET}\x7f"),
        ("X", f"{SECRET}\u20ac"),
        ("X", f"{SECRET}\ud800"),
        ("X", f" {SECRET}"),
        ("X", f"{SECRET}\t"),
        ("", SECRET),
        (f"X:{SECRET}", "y"),
        (f"X {SECRET}", "y"),
        (f"X\r\n{SECRET}", "y"),
        (f"{SECRET}\xe9", "y"),
        ("Content-Length", SECRET),
        ("transfer-ENCODING", SECRET),
    ],
)
def test_a_header_that_would_be_read_otherwise_is_not_sent(name, value):
    """Injection, framing behind the codec's back, lost blanks: refused before a byte is made, without the value."""
    for encode in (
        lambda: http1.encode_request_head("GET", "/", [("A", "b"), (name, value)]),
        lambda: http1.encode_response_head(200, [("A", "b"), (name, value)], 0),
    ):
        with pytest.raises(http1.LocalMisuse) as caught:
            encode()

        assert SECRET not in str(caught.value)
        assert caught.value.__context__ is None


def test_the_refusal_names_the_header():
    """So that the culprit can be found without being shown."""
    with pytest.raises(http1.LocalMisuse, match="X-Internal-Secret"):
        http1.encode_request_head("GET", "/", [("X-Internal-Secret", "a\nb")])


@pytest.mark.parametrize("method, target", [("G T", "/"), ("", "/"), ("GET\r\n", "/"), ("GÉT", "/"), ("GET", "")])
@pytest.mark.parametrize("bad", ["", " ", "\r\n", "\0", "é", "\x7f"])
def test_a_request_line_that_would_be_read_otherwise_is_not_sent(method, target, bad):
    """A space or a line break in it would be another request."""
    with pytest.raises(http1.LocalMisuse):
        http1.encode_request_head(method, target + bad if target else bad and f"/{bad}", [])


@pytest.mark.parametrize("status, length", [(99, None), (1000, None), (200, -1), (204, 1), (100, 1)])
def test_a_response_that_would_be_read_otherwise_is_not_sent(status, length):
    """No status but three digits, no negative length, no body where none is read."""
    with pytest.raises(http1.LocalMisuse):
        http1.encode_response_head(status, [], length)
