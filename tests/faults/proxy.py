"""A proxy that speaks CONNECT and remembers every byte that passes: it may see a host name and ciphertext, no more."""

from __future__ import annotations

import contextlib
import socket
import threading

from .connection import Connection, Gone
from .server import fault
from .wire_faults import MARKER

CHUNK_BYTES = 64 * 1024


@fault("accept")
def proxy_ok(connection: Connection) -> None:
    """Tunnels to wherever it is asked."""
    request = connection.read_request()
    host, _, port = request.target.rpartition(":")
    if request.method != "CONNECT":
        connection.send(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
        return
    with socket.create_connection((host, int(port)), timeout=10) as beyond:
        connection.send(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        _pump(connection, beyond)


@fault("accept")
def proxy_refuses(connection: Connection) -> None:
    """Says no, and quotes what it was sent."""
    request = connection.read_request()
    echo = request.head + MARKER
    connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(echo), echo))
    connection.finish()


@fault("accept")
def proxy_wants_credentials(connection: Connection) -> None:
    """Knows nobody of that name."""
    connection.read_request()
    connection.send(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
    connection.finish()


@fault("accept")
def proxy_stalls(connection: Connection) -> None:
    """Takes the CONNECT and never answers."""
    connection.wait_for_end()


@fault("accept")
def proxy_is_no_proxy(connection: Connection) -> None:
    """Answers in another language."""
    connection.read_request()
    connection.send(b"SSH-2.0-" + MARKER + b"\r\n\r\n")
    connection.finish()


@fault("accept")
def proxy_lies(connection: Connection) -> None:
    """Claims to be connected and answers by itself, as a captive portal does."""
    connection.read_request()
    connection.send(b'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"ok": true}')
    with contextlib.suppress(Gone):
        connection.wait_for_end()


def _pump(connection: Connection, beyond: socket.socket) -> None:
    """Both ways until either ends."""

    def back() -> None:
        with contextlib.suppress(OSError):
            while data := beyond.recv(CHUNK_BYTES):
                connection.sock.sendall(data)
        connection.interrupt()

    thread = threading.Thread(target=back, daemon=True)
    thread.start()
    with contextlib.suppress(OSError, Gone):
        while True:
            beyond.sendall(connection.read_some())
    with contextlib.suppress(OSError):
        beyond.shutdown(socket.SHUT_RDWR)
    thread.join(5)
