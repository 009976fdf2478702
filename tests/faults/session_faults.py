"""What goes wrong around a good exchange: the TLS under it, the reused connection after it, an answer that is lost."""

from __future__ import annotations

import contextlib

from .connection import Connection, Gone
from .server import Exchange, fault

# TLS ----------------------------------------------------------------------------------------------------------


@fault("accept")
def tls_plaintext(connection: Connection) -> None:
    """Speaks plain HTTP where TLS is due, and hopes for a fallback."""
    connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    with contextlib.suppress(Gone):
        connection.wait_for_end()


@fault("accept")
def tls_handshake_stall(connection: Connection) -> None:
    """Takes the ClientHello and says nothing."""
    connection.wait_for_end()


@fault("accept")
def tls_rst_handshake(connection: Connection) -> None:
    """Resets on the ClientHello."""
    connection.sock.recv(16)
    connection.reset()


@fault()
def tls_close_delimited_truncation(exchange: Exchange) -> None:
    """No length and no close_notify: a cut that looks like an end. The prefix parses."""
    exchange.process()
    exchange.send_head(200, [("Content-Type", "application/json"), ("Connection", "close")])
    exchange.send(b'{"ok": true}')
    exchange.wait(0.02)
    exchange.connection.close()


# keep-alive: the first call is always fine, the reused connection is not -----------------------------------------


def _is_reused(exchange: Exchange) -> bool:
    return exchange.connection.number == 1 and exchange.connection.requests > 1


@fault(times=1)
def stale_keepalive_fin(exchange: Exchange) -> None:
    """Promises to keep the connection, then closes it while it is idle."""
    exchange.respond(*exchange.process())
    exchange.connection.finish()
    exchange.server.settled.set()


@fault(times=1)
def stale_keepalive_rst(exchange: Exchange) -> None:
    """Promises to keep the connection, then resets it while it is idle."""
    exchange.respond(*exchange.process())
    # Not before the client has the answer: a reset would take it away.
    exchange.wait(0.1)
    exchange.connection.reset()
    exchange.server.settled.set()


@fault()
def stale_keepalive_race(exchange: Exchange) -> None:
    """Closes the reused connection just as the second request arrives, unread."""
    if _is_reused(exchange):
        exchange.connection.reset()
        return
    exchange.respond(*exchange.process())


@fault()
def stale_keepalive_race_processed(exchange: Exchange) -> None:
    """Does the second request and closes instead of answering."""
    reply = exchange.process()
    if _is_reused(exchange):
        exchange.connection.close()
        return
    exchange.respond(*reply)


@fault()
def stale_keepalive_lost_then_429(exchange: Exchange) -> None:
    """Does the second request and closes instead of answering; refuses the third for longer than anybody waits."""
    if exchange.connection.number > 1:
        exchange.respond(429, b'{"ok": false}', [("Retry-After", "3600")])
        return
    reply = exchange.process()
    if _is_reused(exchange):
        exchange.connection.close()
        return
    exchange.respond(*reply)


@fault()
def stale_keepalive_blackhole(exchange: Exchange) -> None:
    """The reused connection swallows everything, as a NAT entry that was dropped does."""
    if _is_reused(exchange):
        exchange.stall()
    exchange.respond(*exchange.process())


POISON = b'HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n{"ok": true, "poison": true}'


@fault(times=1)
def keepalive_poison(exchange: Exchange) -> None:
    """A second answer behind the first, lying in wait for the next request."""
    status, body = exchange.process()
    _ = exchange.body
    exchange.send(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n%s%s" % (status, len(body), body, POISON))


@fault(times=1)
def keepalive_poison_late(exchange: Exchange) -> None:
    """The second answer comes when the first has been read and the connection lies idle."""
    exchange.respond(*exchange.process())
    exchange.wait(0.1)
    exchange.send(POISON)
    exchange.server.settled.set()


# replay -------------------------------------------------------------------------------------------------------


@fault(times=1)
def response_lost_once(exchange: Exchange) -> None:
    """Did the work, then the line went dead."""
    exchange.process()
    exchange.connection.close()


@fault()
def response_lost_caller_retries(exchange: Exchange) -> None:
    """Loses every answer of the caller's first call; `state["healed"]` ends it."""
    reply = exchange.process()
    if exchange.server.state.get("healed"):
        exchange.respond(*reply)
        return
    exchange.connection.close()
