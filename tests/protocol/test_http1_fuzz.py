"""The HTTP/1.1 codec under garbage: both roles, seeded, so that a failing case can be run again by its number.

SEEKAPI_FUZZ_CASES sets how many cases each test runs; the long run is 100000.
"""

from __future__ import annotations

import ast
import os
import random
from pathlib import Path
from typing import Any

import pytest
from protocol.http1_events import events_of, full_events_of, in_chunks, one_by_one, torn

from seekapi._protocol import http1

CASES = int(os.environ.get("SEEKAPI_FUZZ_CASES", "3000"))
# So small that mutated messages reach them.
TIGHT = http1.Limits(
    start_line_bytes=60, line_bytes=60, head_bytes=200, header_count=6, interim_responses=2, body_bytes=300
)
ROLES = ("response", "request")

RESPONSES = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n" + b'{"ok": true}',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n6;a=b\r\npedia \r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\ngone",
    b"HTTP/1.1 304 \r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
)
REQUESTS = (
    b"GET /a?b=c HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    b"POST /push HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nDELETE /b HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
)
# What parsers trip over.
MORSELS = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\0", b" ", b"\t", b":", b";", b",", b"-", b"+", b"0", b"0x", b"_"),
    *(b"\x0b", b"\x7f", b"\x80", b"\xff", b"\xb2", b"\xc2\xa0", b"\xe2\x80\xa8", b"%0d%0a", b"\x85", b"\x1c"),
    *(b"Content-Length: 3\r\n", b"content-length:4\r\n", b"Content-Length: 3, 3\r\n", b"Content-Length: \xb2\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding : chunked\r\n"),
    *(b"Transfer-Encoding:\x0bchunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Host: x\r\n"),
    *(
        b" folded\r\n",
        b": empty\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"fffffffffffffffff\r\n",
        b"1;" + b"e" * 90,
    ),
    *(
        b"HTTP/1.1 100 \r\n\r\n",
        b"HTTP/1.1 101 \r\n\r\n",
        b"HTTP/2.0",
        b"GET / HTTP/1.1\r\n",
        b"A: b\r\n" * 7,
        b"x" * 70,
    ),
)


def reader_of(role: str, method: str, limits: http1.Limits) -> http1.ResponseReader | http1.RequestReader:
    return http1.ResponseReader(method, limits) if role == "response" else http1.RequestReader(limits)


def mutated(message: bytes, chance: random.Random) -> bytes:
    """`message` with one to four wounds."""
    data = bytearray(message)
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice((0, 0, 1, 2, 8)))
        wound = chance.randrange(5)
        if wound == 0:
            data[start:end] = chance.choice(MORSELS)
        elif wound == 1:
            data[start:end] = bytes(chance.randrange(256) for _ in range(chance.randint(0, 3)))
        elif wound == 2:
            del data[start : start + chance.randint(1, 20)]
        elif wound == 3:
            data[start:start] = data[end : end + chance.randint(1, 40)]
        else:
            del data[start:]
            data += chance.choice(RESPONSES + REQUESTS)[chance.randint(0, 30) :]
    return bytes(data)


def garbage(chance: random.Random) -> bytes:
    """Morsels and noise, at times after a good beginning."""
    start = chance.choice(
        (b"", b"", b"HTTP/1.1 200 OK\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n", chance.choice(RESPONSES))
    )
    parts = [chance.choice((*MORSELS, chance.randbytes(chance.randint(0, 12)))) for _ in range(chance.randint(0, 20))]
    return start + b"".join(parts)


def fixed_texts() -> set[str]:
    """Every literal that the codec refuses a message with."""
    source_folder = Path(http1.__file__).parent
    return {
        node.args[0].value
        for path in source_folder.glob("http1*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("BadMessage", "Truncated")
        if isinstance(node.args[0], ast.Constant)
    }


TEXTS = fixed_texts()
STATUSES = {400, 413, 414, 431, 501, 505}


@pytest.mark.parametrize("role", ROLES)
def test_whatever_comes_is_read_or_refused(role):
    """Only BadMessage escapes, with a status that a server answers and a text that quotes nobody."""
    for case in range(CASES):
        chance = random.Random(f"{role} {case}")
        good = chance.choice(RESPONSES if role == "response" else REQUESTS)
        data = mutated(good, chance) if chance.random() < 0.8 else garbage(chance)
        reader = reader_of(role, chance.choice(("GET", "HEAD", "CONNECT")), chance.choice((http1.CLIENT_LIMITS, TIGHT)))

        fault = None
        try:
            reader.feed(data)
            reader.feed_eof()
            for _ in range(len(data) + 3):
                event = reader.next_event()
                if event is http1.END and isinstance(reader, http1.RequestReader) and not reader.will_close:
                    reader.start_next()
        except http1.BadMessage as error:
            fault = error

        assert fault is None or (fault.status in STATUSES and str(fault) in TEXTS), f"case {case}: {data!r}"


@pytest.mark.parametrize("role", ROLES)
def test_how_it_is_cut_makes_no_difference(role):
    """Whole, byte by byte and torn anywhere give the same events, the same refusal and the same verdict on reuse."""
    for case in range(CASES):
        chance = random.Random(f"cut {role} {case}")
        good = chance.choice(RESPONSES if role == "response" else REQUESTS)
        data = mutated(good, chance) if chance.random() < 0.8 else garbage(chance)
        method = chance.choice(("GET", "HEAD", "CONNECT"))
        limits = chance.choice((http1.CLIENT_LIMITS, TIGHT))
        eof = chance.random() < 0.5

        seen = []
        for pieces in ([data], one_by_one(data), torn(data, chance)):
            reader = reader_of(role, method, limits)
            events = full_events_of(reader, pieces, eof=eof)
            seen.append((events, reader.surplus_bytes, reader.will_close, getattr(reader, "reusable", None)))

        assert seen[0] == seen[1] == seen[2], f"case {case}: {data!r}"


def random_fields(chance: random.Random) -> list[tuple[str, str]]:
    token = "!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
    text = "".join(chr(code) for code in range(256) if code == 9 or (code >= 32 and code != 127))
    return [
        (
            "X" + "".join(chance.choices(token, k=chance.randint(0, 9))),
            "".join(chance.choices(text, k=chance.randint(0, 30))).strip(" \t"),
        )
        for _ in range(chance.randint(0, 9))
    ]


def random_pieces(chance: random.Random) -> list[bytes]:
    return [chance.randbytes(chance.choice((0, 1, 2, 15, 16, 300))) for _ in range(chance.randint(0, 5))]


def test_what_is_written_is_read_back():
    """Any head and body that encode_* takes, the reader of the other role gives back, field by field."""
    for case in range(CASES):
        chance = random.Random(f"round trip {case}")
        fields, pieces = random_fields(chance), random_pieces(chance)
        body = b"".join(pieces)
        chunked = chance.random() < 0.5
        status = chance.choice((200, 201, 404, 500, 999))
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
        sent = http1.encode_response_head(status, fields, len(body)) + body
        if chunked:
            sent = in_chunks(status, fields, pieces)

        reader = http1.ResponseReader()
        events = full_events_of(reader, torn(sent, chance), eof=False)

        head = (status, ((*fields, framing), "1.1", False))
        assert events == [head, *([body] if body else []), "END"], f"case {case}"
        assert reader.reusable


def test_requests_that_are_written_are_read_back():
    """One after the other on one connection, with bodies or without."""
    for case in range(CASES // 4):
        chance = random.Random(f"requests {case}")
        sent, expected = b"", list[Any]()
        for _ in range(chance.randint(1, 5)):
            fields = [("Host", "h"), *random_fields(chance)]
            method, target = chance.choice(("GET", "POST", "M-SEARCH")), "/" + "a%20?&=/"[: chance.randint(0, 8)]
            body = chance.choice((None, b"", chance.randbytes(40)))
            length = None if body is None else len(body)
            sent += http1.encode_request_head(method, target, fields, length) + (body or b"")
            framing = [] if length is None else [("Content-Length", str(length))]
            expected.append(((method, target), ((*fields, *framing), "1.1", False, False)))
            expected += [body, "END"] if body else ["END"]

        events = full_events_of(http1.RequestReader(), torn(sent, chance))

        assert events == [*expected, "CLOSED"], f"case {case}"


def test_no_header_value_gets_anything_else_onto_the_wire():
    """Whatever the value, either nothing is written or exactly this one field."""
    for case in range(CASES):
        chance = random.Random(f"values {case}")
        parts = [chance.choice(MORSELS).decode("latin-1") + chance.choice(("", "é", "€", "\ud800")) for _ in range(3)]
        name, value = chance.choice((("X", "".join(parts)), ("".join(parts), "v"), (parts[0], parts[1])))
        try:
            head = http1.encode_request_head("GET", "/", [("Host", "h"), (name, value)])
        except http1.LocalMisuse:
            continue

        assert full_events_of(http1.RequestReader(), [head])[0][1][0] == (("Host", "h"), (name, value)), f"case {case}"


def test_a_good_message_survives_any_cut():
    """The seeds of all this are good: the fuzzer does not only run against what is refused at once."""
    for message in RESPONSES:
        assert events_of(http1.ResponseReader(), [message])[-1] == "END"
    for message in REQUESTS:
        assert events_of(http1.RequestReader(), [message])[-1] in ("END", "CLOSED")
