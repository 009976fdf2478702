"""What goes wrong below the meaning: connections, framing, time. One function, one fault.

Faults that cut or garble an answer have done the work before: the effect exists, the client cannot know. That is the
hard case for a retry, and the ledger counts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time

from .connection import Connection
from .server import Exchange, FaultyServer, fault

# Stands in every body that is not ours: an error that quotes it dumps bodies.
MARKER = b"BODY-MARKER-41c7"
FREEZE_S = 4.0


# connect ------------------------------------------------------------------------------------------------------


@fault("listen")
def refused(server: FaultyServer) -> None:
    """Bound, so that the port is ours, but never listening."""


@fault("listen")
def refused_once(server: FaultyServer) -> None:
    """Listens only after the client was refused once; whoever watches the client calls `listen()`."""


@fault("listen")
def connect_blackhole(server: FaultyServer) -> None:
    """A full accept queue: the kernel drops every further SYN without a word."""
    server.listener.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    server.state["fillers"] = fillers
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(server.listener.getsockname())
    time.sleep(0.05)


def _close_at_once(connection: Connection) -> None:
    connection.close()


fault("accept", name="accept_close")(_close_at_once)
fault("accept", name="accept_close_once", times=1)(_close_at_once)


@fault("accept")
def rst_on_accept(connection: Connection) -> None:
    """Reset before anything was read."""
    connection.reset()


@fault()
def no_read_body(exchange: Exchange) -> None:
    """Reads the head and not one byte more, for ever."""
    exchange.wait(60)


@fault()
def early_413_rst(exchange: Exchange) -> None:
    """Refuses by the length alone and resets while the upload is still under way."""
    body = b'{"ok": false, "error": {"code": "TOO_LARGE", "message": "too large"}}'
    exchange.send_head(413, [("Content-Length", str(len(body))), ("Connection", "close")])
    exchange.send(body)
    exchange.wait(0.05)
    exchange.connection.reset()


# framing ------------------------------------------------------------------------------------------------------


@fault()
def rst_mid_headers(exchange: Exchange) -> None:
    """Reset in the middle of a header line."""
    exchange.process()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: applic")
    exchange.wait(0.02)
    exchange.connection.reset()


def _reset_in_body(exchange: Exchange) -> None:
    _, body = exchange.process()
    exchange.send_head(200, [("Content-Length", str(len(body)))])
    exchange.send(body[: len(body) // 2])
    exchange.wait(0.02)
    exchange.connection.reset()


fault(name="rst_mid_body")(_reset_in_body)
fault(name="rst_mid_body_once", times=1)(_reset_in_body)


@fault()
def truncated_length(exchange: Exchange) -> None:
    """All of the JSON, but fewer bytes than announced: the prefix parses."""
    _, body = exchange.process()
    exchange.send_head(200, [("Content-Length", str(len(body) + 100))])
    exchange.send(body)
    exchange.connection.finish()


@fault()
def truncated_chunked(exchange: Exchange) -> None:
    """All of the JSON in chunks, but no last chunk."""
    _, body = exchange.process()
    exchange.send_head(200, [("Transfer-Encoding", "chunked")])
    exchange.send(b"%x\r\n%s\r\n" % (len(body), body))
    exchange.connection.finish()


@fault()
def chunked_ok(exchange: Exchange) -> None:
    """Chunks with extensions, split anywhere, and a trailer."""
    _, body = exchange.process()
    exchange.send_head(200, [("Transfer-Encoding", "chunked")])
    exchange.send(b"1;name=value\r\n%s\r\n" % body[:1])
    exchange.wait(0.01)
    exchange.send(b"%X\r\n%s\r" % (len(body) - 1, body[1:]))
    exchange.wait(0.01)
    exchange.send(b"\n0\r\nX-Trailer: fine\r\n\r\n")


@fault()
def chunked_bad_size(exchange: Exchange) -> None:
    """A chunk size that is no number."""
    _, body = exchange.process()
    exchange.send_head(200, [("Transfer-Encoding", "chunked")])
    exchange.send(b"-%s\r\n%s\r\n0\r\n\r\n" % (MARKER, body))


@fault()
def no_status_line(exchange: Exchange) -> None:
    """Not HTTP at all."""
    exchange.process()
    exchange.send(MARKER + b" ready\r\n220 smtp.example\r\n\r\n")
    exchange.connection.finish()


@fault()
def close_delimited_ok(exchange: Exchange) -> None:
    """No length: the end of the connection is the end of the body."""
    _, body = exchange.process()
    exchange.send_head(200, [("Content-Type", "application/json"), ("Connection", "close")])
    exchange.send(body)
    exchange.connection.finish()


@fault()
def continue_100_first(exchange: Exchange) -> None:
    """An interim answer that nobody asked for, then the real one."""
    exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    exchange.respond(*exchange.process())


@fault()
def early_hints_103(exchange: Exchange) -> None:
    """Interim answers other than 100, with fields of their own."""
    exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nContent-Length: 5\r\n\r\n")
    exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    exchange.respond(*exchange.process())


@fault()
def continue_100_flood(exchange: Exchange) -> None:
    """Interim answers without end."""
    exchange.process()
    while True:
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
        exchange.wait(0.005)


@fault()
def header_flood_count(exchange: Exchange) -> None:
    """More fields than anybody needs."""
    exchange.respond(*exchange.process(), headers=[(f"X-Flood-{n}", "1") for n in range(5000)])


@fault()
def header_line_huge(exchange: Exchange) -> None:
    """One field of 256 KiB."""
    exchange.respond(*exchange.process(), headers=[("X-Huge", "h" * 256 * 1024)])


@fault()
def content_length_10g(exchange: Exchange) -> None:
    """Announces 10 GB, sends a little, waits."""
    _, body = exchange.process()
    exchange.send_head(200, [("Content-Length", str(10 * 1024**3))])
    exchange.send(body)
    exchange.stall()


@fault()
def two_content_lengths(exchange: Exchange) -> None:
    """Two lengths that disagree: where the next answer starts is anybody's guess."""
    _, body = exchange.process()
    exchange.send_head(200, [("Content-Length", str(len(body))), ("Content-Length", str(len(body) + 7))])
    exchange.send(body)
    exchange.stall()


@fault()
def body_80mb(exchange: Exchange) -> None:
    """A JSON string of 80 MB in chunks, so that no length gives it away; sent as fast as it is taken."""
    exchange.process()
    exchange.send_head(200, [("Transfer-Encoding", "chunked")])
    exchange.send(b'1\r\n"\r\n')
    for _ in range(80):
        exchange.send(b"%x\r\n%s\r\n" % (1024**2, b"x" * 1024**2))
    exchange.send(b'1\r\n"\r\n0\r\n\r\n')


# time ---------------------------------------------------------------------------------------------------------


@fault()
def stall_headers(exchange: Exchange) -> None:
    """Takes the request and never answers."""
    exchange.process()
    exchange.stall()


@fault(times=1)
def stall_headers_once(exchange: Exchange) -> None:
    """Does not answer the first request; the second one is fine."""
    exchange.process()
    exchange.stall()


@fault()
def stall_body(exchange: Exchange) -> None:
    """Stops in the middle of the body."""
    _, body = exchange.process()
    exchange.send_head(200, [("Content-Length", str(len(body)))])
    exchange.send(body[:-1])
    exchange.stall()


@fault()
def drip_body(exchange: Exchange) -> None:
    """One byte every 50 ms: no single read ever waits long."""
    exchange.process()
    exchange.send_head(200, [("Content-Length", "100000")])
    while True:
        exchange.send(b" ")
        exchange.wait(0.05)


@fault()
def drip_headers(exchange: Exchange) -> None:
    """A head that grows by one byte every 50 ms."""
    exchange.process()
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while True:
        exchange.send(b"d")
        exchange.wait(0.05)


@fault(times=1)
def frozen_mid_request(exchange: Exchange) -> None:
    """Freezes the client's process as Lambda freezes a sandbox; the answer arrives while it sleeps."""
    reply = exchange.process()
    with _frozen(exchange.server.client_pid):
        exchange.respond(*reply)
        exchange.wait(FREEZE_S)


@contextlib.contextmanager
def _frozen(pid: int):  # type: ignore[no-untyped-def]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@fault()
def slow_ok_1s(exchange: Exchange) -> None:
    """Slow, and fine."""
    reply = exchange.process()
    exchange.wait(1.0)
    exchange.respond(*reply)
