"""The faulty server: real sockets, one thread per connection, a log of all it saw, and a plan of what to get wrong.

A *fault* is one small function, registered under its name. It runs at one of three moments:

- `listen`: instead of listening (nobody is there, nobody accepts);
- `accept`: on a fresh connection, before a byte is read; it returns False if it was all, True to go on as usual;
- `request`: with the head of a request in hand. It may do the work (`exchange.process()`), answer, cut, wait.

Without a fault, a request is processed and answered, and the connection kept.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .connection import Connection, Gone, Request
from .ledger import Ledger, Reply, route_of

ALWAYS = 1_000_000_000
CERTIFICATES = Path(__file__).parent / "certificates"


@dataclass(frozen=True)
class Fault:
    """What goes wrong, when, and for how many requests (or connections) it does."""

    name: str
    moment: str
    act: Callable[[Any], Any]
    times: int = ALWAYS


FAULTS: dict[str, Fault] = {}


def fault(moment: str = "request", *, times: int = ALWAYS, name: str = "") -> Callable[[Callable[[Any], Any]], Any]:
    """Register the function under `name`, or its own."""

    def register(act: Callable[[Any], Any]) -> Callable[[Any], Any]:
        entry = Fault(name or act.__name__, moment, act, times)
        if entry.name in FAULTS:
            raise ValueError(f"two faults are called {entry.name}")
        FAULTS[entry.name] = entry
        return act

    return register


@dataclass
class Exchange:
    """One request and the chance to answer it."""

    server: FaultyServer
    connection: Connection
    request: Request
    endpoint: str
    _body: bytes | None = None

    @property
    def body(self) -> bytes:
        """The body, read when first asked for. Raises Gone if it stops short."""
        if self._body is None:
            self._body = self.connection.read_body(self.request)
        return self._body

    def process(self) -> Reply:
        """Do what the request asks; the effect, if any, is in the ledger from here on."""
        if self.endpoint == "input" and self.request.method == "GET":
            return 200, self.server.input_body
        return self.server.ledger.answer(self.request, self.body)

    def respond(
        self, status: int, body: bytes, headers: Iterable[tuple[str, str]] = (), *, reason: str = "Whatever"
    ) -> None:
        """A complete answer with its length, JSON unless `headers` say otherwise. Reads the request to its end."""
        _ = self.body
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **dict(headers)}
        self.send_head(status, fields.items(), reason=reason)
        self.send(body)

    def send_head(self, status: int, fields: Iterable[tuple[str, str]], *, reason: str = "Whatever") -> None:
        """The status line, the fields as given and the blank line."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields)]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def send(self, data: bytes) -> None:
        """Raw bytes. Raises Gone if the client went away."""
        self.connection.send(data)

    def wait(self, seconds: float) -> None:
        """Let time pass; raises Gone at once when the server closes."""
        if self.server.closing.wait(seconds):
            raise Gone

    def stall(self) -> None:
        """Never say anything again. Raises Gone when the client has had enough."""
        self.connection.wait_for_end()


class FaultyServer:
    """One listener on loopback. `with FaultyServer(ledger, fault="drip_body") as server: server.url ...`

    `endpoint` limits the fault to one kind of request (input, register, push, file, charge); `certificate` names a
    file in `certificates/` and turns TLS on; `other` is the URL that cross-origin redirects lead to.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        fault: str | Fault = "",
        endpoint: str = "",
        host: str = "127.0.0.1",
        name: str = "",
        certificate: str = "",
        input_body: bytes = b"{}",
        other: str = "",
    ) -> None:
        self.ledger = ledger
        self.input_body = input_body
        self.other = other
        self.endpoint = endpoint
        self.fault = FAULTS[fault] if isinstance(fault, str) and fault else fault or None
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.heard: list[list[bytes]] = []
        self.closing = threading.Event()
        # Set by a fault that does something to an idle connection, once it has; the client's next call waits for it.
        self.settled = threading.Event()
        self.client_pid = 0
        self.state: dict[str, Any] = {}
        self._hits = 0
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self._threads: list[threading.Thread] = []
        self._tls = _tls_context(certificate) if certificate else None
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind((host, 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://{name or host}:{self.port}"

    def __enter__(self) -> FaultyServer:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Listen, unless the fault is that nobody does."""
        if self.fault and self.fault.moment == "listen":
            self.fault.act(self)
            return
        self.listen()

    def listen(self) -> None:
        """Accept connections from now on."""
        self.listener.listen(128)
        self._spawn(self._accept_all)

    def close(self) -> None:
        """Drop every connection and end every thread."""
        self.closing.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        # The accepting thread ends first, so that no connection comes after those that are interrupted.
        for thread in self._threads[:1]:
            thread.join(5)
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            connection.interrupt()
        for thread in self._threads[1:]:
            thread.join(5)
        for sock in (self.listener, *self.state.get("fillers", [])):
            sock.close()

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                connection = Connection(sock, self.connections)
                self._open.add(connection)
                self.heard.append(connection.heard)
            self._spawn(self._serve, connection)

    def _serve(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(Gone):
                if not self._accepted(connection):
                    return
                if self._tls:
                    connection.start_tls(self._tls)
                while connection.is_open:
                    self._serve_one(connection)
        finally:
            connection.close()
            with self._lock:
                self._open.discard(connection)

    def _accepted(self, connection: Connection) -> bool:
        return not self._takes("accept") or bool(self.fault and self.fault.act(connection))

    def _serve_one(self, connection: Connection) -> None:
        request = connection.read_request()
        route = route_of(request.target)
        exchange = Exchange(self, connection, request, route[1] if route else "input")
        with self._lock:
            self.requests.append(request)
        if self._takes("request", exchange.endpoint):
            assert self.fault
            self.fault.act(exchange)
        else:
            exchange.respond(*exchange.process())
        if exchange._body is not None:
            with self._lock:
                self.bodies.append(exchange._body if len(exchange._body) < 1_000_000 else b"")

    def _takes(self, moment: str, endpoint: str = "") -> bool:
        """Whether it is the fault's turn; counts the turns it had."""
        if self.fault is None or self.fault.moment != moment:
            return False
        if self.endpoint and endpoint and endpoint != self.endpoint:
            return False
        with self._lock:
            self._hits += 1
            return self._hits <= self.fault.times

    def hits(self) -> int:
        """How often it was the fault's turn."""
        return self._hits


@dataclass
class OtherOrigin:
    """A server that answers anything with a friendly success and remembers all of it: the trap for leaks."""

    host: str = "127.0.0.2"
    ledger: Ledger = field(default_factory=lambda: Ledger("", ""))

    def __enter__(self) -> FaultyServer:
        self._server = FaultyServer(self.ledger, fault=Fault("friendly", "request", _be_friendly), host=self.host)
        self._server.start()
        return self._server

    def __exit__(self, *exception: object) -> None:
        self._server.close()


def _be_friendly(exchange: Exchange) -> None:
    exchange.respond(200, b'{"ok": true, "origin": "other"}')


@cache
def _tls_context(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    return context


def wait_until(condition: Callable[[], bool], patience_s: float = 5.0) -> bool:
    """Poll `condition`; for the tests of the server, never for those of the SDK."""
    end = time.monotonic() + patience_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()
