"""Reads bytes through the codec, in pieces of any size, and writes down what it made of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from seekapi._protocol import http1

if TYPE_CHECKING:
    from collections.abc import Iterable

    Reader = http1.ResponseReader | http1.RequestReader

# Far above what any of the tests can cause; a reader that does not move on fails here instead of hanging.
MOST_EVENTS = 100_000


def events_of(reader: Reader, pieces: Iterable[bytes], *, eof: bool = True) -> list[Any]:
    """Heads as (status,) or (method, target), the body in one piece, then END, CLOSED, a refusal, or nothing."""
    return [event if isinstance(event, (bytes, str)) else event[0] for event in full_events_of(reader, pieces, eof=eof)]


def full_events_of(reader: Reader, pieces: Iterable[bytes], *, eof: bool = True) -> list[Any]:
    """The same, with each head as a pair: what `events_of` says of it, and all that is in it."""
    seen: list[Any] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            _drain(reader, seen)
        if eof:
            reader.feed_eof()
            _drain(reader, seen)
    except http1.BadMessage as error:
        seen.append("truncated" if isinstance(error, http1.Truncated) else f"refused {error.status}")
    return seen


def _drain(reader: Reader, seen: list[Any]) -> None:
    for _ in range(MOST_EVENTS):
        event = reader.next_event()
        if event is http1.NEED_DATA:
            return
        if isinstance(event, bytes):
            assert event, "an empty piece of body says nothing"
            if seen and isinstance(seen[-1], bytes):
                seen[-1] += event
            else:
                seen.append(event)
        elif isinstance(event, http1.Signal):
            if not seen or seen[-1] != repr(event):
                seen.append(repr(event))
            if not (isinstance(reader, http1.RequestReader) and event is http1.END and not reader.will_close):
                return
            reader.start_next()
        else:
            seen.append(_written_down(event))
    raise AssertionError("the reader does not come to an end")


def _written_down(head: http1.ResponseHead | http1.RequestHead) -> tuple[Any, ...]:
    evidence = (tuple(head.headers), head.http_version, head.will_close)
    if isinstance(head, http1.ResponseHead):
        return head.status, evidence
    return (head.method, head.target), (*evidence, head.expects_continue)


def in_chunks(status: int, fields: Iterable[tuple[str, str]], pieces: Iterable[bytes]) -> bytes:
    """A response whose body is in chunks; of an empty piece none, since that would end it."""
    head = http1.encode_response_head(status, fields).removesuffix(b"\r\n") + b"Transfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n" % len(piece) + piece + b"\r\n" for piece in pieces if piece) + b"0\r\n\r\n"


def one_by_one(data: bytes) -> list[bytes]:
    """Every byte by itself."""
    return [data[i : i + 1] for i in range(len(data))]


def torn(data: bytes, chance: random.Random) -> list[bytes]:
    """`data` in up to nine pieces, cut anywhere, also twice at the same place."""
    cuts = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(0, 8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
