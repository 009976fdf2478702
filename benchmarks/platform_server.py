"""The platform's side of the worker protocol, fast enough not to be what is measured.

    python benchmarks/platform_server.py        prints {"plain": PORT, "tls": PORT}; leaves when its input is closed

`GET /input/<bytes>` answers a JSON document of about that size, every POST `{"ok": true, "size_bytes": <body>}` once
its body is in. A thread per connection, one receive buffer, uploads thrown away as they come. It believes its clients:
that is what the dev server is not for.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading

from measuring import SERVER_CERTIFICATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER_BYTES = 1024 * 1024
RECORD_BYTES = 16 * 1024
_documents: dict[int, bytes] = {}
_making = threading.Lock()


def main() -> None:
    """Serve until the parent goes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SERVER_CERTIFICATE)
    plain, tls = _listener(), _listener()
    threading.Thread(target=_accept, args=(plain, None), daemon=True).start()
    threading.Thread(target=_accept, args=(tls, context), daemon=True).start()
    print(json.dumps({"plain": plain.getsockname()[1], "tls": tls.getsockname()[1]}), flush=True)
    sys.stdin.read()


def document(size_bytes: int) -> bytes:
    """A JSON document of about `size_bytes`: records with the types that job inputs have."""
    with _making:
        if size_bytes not in _documents:
            count = max(1, size_bytes // len(_record(1_000_000)))
            _documents[size_bytes] = b"[" + b",".join(_record(number) for number in range(count)) + b"]"
        return _documents[size_bytes]


def _record(number: int) -> bytes:
    return json.dumps(
        {
            "id": number,
            "url": f"https://shop.example.com/items/{number:08d}?ref=benchmark",
            "title": f"Item number {number}, with a title of ordinary length",
            "price": number % 10_000 / 100,
            "in_stock": number % 3 == 0,
            "tags": ["red", "large", f"series-{number % 97}"],
            "seller": {"name": f"seller {number % 1009}", "rating": 4.5, "address": None},
        }
    ).encode()


def _listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=128)


def _accept(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, context), daemon=True).start()


def _serve(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    try:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _converse(PlainPeer(connection) if context is None else TlsPeer(connection, context))
    except (OSError, ValueError):
        pass  # a client that leaves, or speaks nonsense, is its own affair


class PlainPeer:
    """A client over TCP."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._scratch = memoryview(bytearray(BUFFER_BYTES))

    def receive(self) -> bytes:
        """What has come, b"" at the end."""
        return self._connection.recv(65536)

    def discard(self, size_bytes: int) -> None:
        """Take `size_bytes` off the connection. Linux throws them away without copying them."""
        flags = socket.MSG_TRUNC if sys.platform == "linux" else 0
        while size_bytes > 0:
            received = self._connection.recv_into(self._scratch, min(size_bytes, BUFFER_BYTES), flags)
            if not received:
                raise OSError("the client left in the middle of a body")
            size_bytes -= received

    def send(self, data: bytes) -> None:
        """All of it."""
        self._connection.sendall(data)


class TlsPeer:
    """A client over TLS. Memory buffers and large reads instead of an SSLSocket: that asks the system twice for
    each record of 16 KiB, and would then be what an upload is waiting for."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw = memoryview(bytearray(BUFFER_BYTES // 4))
        self._record = bytearray(RECORD_BYTES)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
        self._flush()

    def receive(self) -> bytes:
        """What has come, b"" at the end."""
        while True:
            try:
                return self._tls.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def discard(self, size_bytes: int) -> None:
        """Take `size_bytes` off the connection."""
        record = self._record
        read: Callable[[int, bytearray], int] = self._tls.read  # type: ignore[assignment]
        while size_bytes > 0:
            try:
                while size_bytes > 0:
                    size_bytes -= read(min(RECORD_BYTES, size_bytes), record)
            except ssl.SSLWantReadError:
                self._fill()

    def send(self, data: bytes) -> None:
        """All of it, a piece at a time: what is encrypted waits in memory."""
        view = memoryview(data)
        for at in range(0, len(view), BUFFER_BYTES // 4):
            self._tls.write(view[at : at + BUFFER_BYTES // 4])
            self._flush()

    def _fill(self) -> None:
        received = self._connection.recv_into(self._raw)
        if received:
            self._incoming.write(self._raw[:received])
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._connection.sendall(self._outgoing.read())


def _converse(peer: PlainPeer | TlsPeer) -> None:
    """Request after request, until one says close."""
    unread = b""
    while True:
        while (end := unread.find(b"\r\n\r\n")) < 0:
            chunk = peer.receive()
            if not chunk:
                return
            unread += chunk
        head, unread = unread[:end].lower(), unread[end + 4 :]
        size_bytes = _content_length(head)
        if b"\r\nexpect: 100-continue" in head:
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        missing = size_bytes - len(unread)
        unread = b"" if missing >= 0 else unread[size_bytes:]
        if missing > 0:
            peer.discard(missing)
        closing = b"\r\nconnection: close" in head
        _answer(peer, head, size_bytes, closing)
        if closing:
            return


def _answer(peer: PlainPeer | TlsPeer, head: bytes, size_bytes: int, closing: bool) -> None:
    if head.startswith(b"get /input/"):
        body = document(int(head[11 : head.index(b" ", 11)].partition(b"?")[0]))
    else:
        body = b'{"ok": true, "size_bytes": %d}' % size_bytes
    fields = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
    reply = fields % (len(body), b"Connection: close\r\n" if closing else b"")
    if len(body) < 65536:
        peer.send(reply + body)
        return
    peer.send(reply)
    peer.send(body)


def _content_length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    return int(head[at + 17 :].partition(b"\r\n")[0])


if __name__ == "__main__":
    main()
