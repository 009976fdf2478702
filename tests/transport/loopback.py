"""A loopback server whose every connection runs a small script, and the requests and policies to meet it with."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from seekapi import errors
from seekapi._protocol.messages import Request, Response
from seekapi._transport import Policy

CERTIFICATES = Path(__file__).parents[1] / "faults" / "certificates"
# A bound against hanging, not a measure.
PATIENCE_S = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Script = Callable[["Peer"], object]


class Peer:
    """The server's side of one connection."""

    def __init__(self, server: Server, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number
        self.unread = b""
        sock.settimeout(PATIENCE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_head(self) -> bytes:
        """The head of the next request; b"" if the client has left."""
        while b"\r\n\r\n" not in self.unread:
            data = self.sock.recv(65536)
            if not data:
                return b""
            self.unread += data
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        return head

    def read_request(self) -> tuple[bytes, bytes] | None:
        """The next request, head and body; None if the client has left."""
        head = self.read_head()
        if not head:
            return None
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        size = int(lengths[0].partition(b":")[2]) if lengths else 0
        parts = [self.unread]
        have = len(self.unread)
        while have < size:
            data = self.sock.recv(1 << 20)
            if not data:
                return None
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        body, self.unread = whole[:size], whole[size:]
        self.server.requests.append((head, body))
        return head, body

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer_all(self, response: bytes = OK) -> None:
        """Answer every request with `response` until the client leaves."""
        while self.read_request():
            self.send(response)

    def reset(self) -> None:
        """Hang up with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_the_end(self) -> None:
        """Hold the connection, silent, until the client leaves."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass


class Server:
    """Runs `scripts[n]` on connection n, the last one on all that follow."""

    def __init__(self, scripts: Sequence[Script], certificate: str = "", family: int = socket.AF_INET) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self._scripts = scripts
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
        self.socket = socket.create_server(("127.0.0.1" if family == socket.AF_INET else "::1", 0), family=family)
        self.port: int = self.socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        script = self._scripts[min(number, len(self._scripts)) - 1]
        with contextlib.suppress(OSError, ValueError):
            if self._tls is not None and not getattr(script, "is_raw", False):
                sock = self._tls.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)
                self._open.append(sock)
            script(Peer(self, sock, number))
            sock.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join(PATIENCE_S)
        for sock in self._open:
            sock.close()


def judge(response: Response) -> Exception | None:
    """A stand-in for the API's judge: 2xx is good."""
    if 200 <= response.status < 300:
        return None
    kind = errors.ServerError if response.status >= 500 else errors.ApiError
    retry_after = response.headers.get("Retry-After")
    return kind(
        f"HTTP {response.status}",
        status=response.status,
        retryable=response.status in (408, 429, 500, 502, 503, 504),
        retry_after=float(retry_after) if retry_after else None,
    )


API = Policy(judge=judge, response_bytes=1024 * 1024)  # type: ignore[arg-type]
INPUT = Policy(judge=judge, response_bytes=1024 * 1024, redirects=3, inflate=True, guard=True)  # type: ignore[arg-type]


def soon(seconds: float = PATIENCE_S) -> float:
    """A deadline."""
    return time.monotonic() + seconds


def interrupt() -> None:
    """Send SIGALRM to the main thread, which waits for an answer."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)


def interrupting(peer: Peer) -> None:
    """A script: once the request is in, a signal instead of an answer."""
    peer.read_head()
    interrupt()
    peer.wait_for_the_end()


def get(url: str) -> Request:
    return Request("GET", url, [("Accept", "application/json")])


def post(url: str, *body: object, key: str | None = "key-1") -> Request:
    return Request("POST", url, [("X-Internal-Secret", "s3cr3t")], body or (b'{"a": 1}',), idempotency_key=key)  # type: ignore[arg-type]
