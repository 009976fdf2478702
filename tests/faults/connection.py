"""One accepted connection: buffered reads, exact writes, and the rude ways to end it.

Deliberately naive HTTP: read up to the blank line, split. It takes what any server would take, and judges nothing.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from dataclasses import dataclass

# No read or write of the server waits longer: a forgotten connection must not keep a thread for ever.
PATIENCE_S = 30.0
CHUNK_BYTES = 256 * 1024


class Gone(Exception):
    """The peer has closed, or the server is closing: this connection is over."""


@dataclass(frozen=True)
class Request:
    """One request as it came: nothing unescaped, header names in their own spelling."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    head: bytes

    def header(self, name: str) -> str | None:
        """The first value of `name`, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Connection:
    """A socket of the server's side, plain or TLS; `number` counts the connections of its server from 1."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self.requests = 0
        self.is_open = True
        # Heads, and what `read_some` returned: what a proxy gets to see.
        self.heard: list[bytes] = []
        self._buffer = bytearray()
        sock.settimeout(PATIENCE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands as the server. Raises Gone if the client does not want to."""
        try:
            secured = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
            self.sock = secured
            secured.do_handshake()
        except (OSError, ValueError):
            self.close()
            raise Gone from None

    def read_request(self) -> Request:
        """The next head. Raises Gone if there is none."""
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        end = self._buffer.index(b"\r\n\r\n") + 4
        head = bytes(self._buffer[:end])
        del self._buffer[:end]
        self.heard.append(head)
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, _, rest = first.partition(" ")
        fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        self.requests += 1
        return Request(method, rest.rpartition(" ")[0], fields, head)

    def read_body(self, request: Request) -> bytes:
        """The whole body, by Content-Length or chunks. Raises Gone if it stops short."""
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            return self._read_chunks()
        return self._read_exactly(int(request.header("content-length") or 0))

    def read_some(self) -> bytes:
        """Whatever comes next. Raises Gone at the end."""
        if not self._buffer:
            self._fill()
        data = bytes(self._buffer)
        self._buffer.clear()
        self.heard.append(data)
        return data

    def send(self, data: bytes) -> None:
        """All of `data`. Raises Gone if the client went away."""
        try:
            self.sock.sendall(data)
        except (OSError, ValueError):
            self.close()
            raise Gone from None

    def reset(self) -> None:
        """End with RST: what the client had not read yet may be lost to it."""
        self.is_open = False
        with contextlib.suppress(OSError, ValueError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()

    def finish(self) -> None:
        """End politely, in TLS with close_notify: what was sent arrives."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.settimeout(1.0)
                self.sock = self.sock.unwrap()
        self.close()

    def interrupt(self) -> None:
        """End it from another thread: whoever reads or writes gets an end or an error, and closes it.

        Closing here would free the descriptor under a read in progress; OpenSSL would go on with the number, which by
        then belongs to another socket.
        """
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """End with FIN, without close_notify."""
        self.is_open = False
        with contextlib.suppress(OSError, ValueError):
            self.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError, ValueError):
            self.sock.close()

    def wait_for_end(self) -> None:
        """Read and drop until the client closes. Raises Gone when it does."""
        while True:
            self._buffer.clear()
            self._fill()

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = int(self._read_line().split(b";")[0], 16)
            body += self._read_exactly(size)
            self._read_line()
            if size == 0:
                return bytes(body)

    def _read_line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._fill()
        line, _, _ = bytes(self._buffer).partition(b"\r\n")
        del self._buffer[: len(line) + 2]
        return line

    def _read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        body = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return body

    def _fill(self) -> None:
        try:
            data = self.sock.recv(CHUNK_BYTES)
        except (OSError, ValueError):
            data = b""
        if not data:
            self.close()
            raise Gone
        self._buffer += data
