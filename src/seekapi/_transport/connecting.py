"""From a route to a connection: addresses in turn, then CONNECT if a proxy is between, then TLS."""

from __future__ import annotations

import errno
import os
import socket

from .._protocol import http1
from ..errors import ConnectError, SeekApiError
from . import guard, resolving, tls
from .driver import READ, WRITE
from .streams import Connection, PlainStream, Route, TlsStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    from .driver import Steps
    from .patience import Patience
    from .pool import Pool
    from .resolving import Address, Resolve

LONGEST_CONNECT_S = 3.0
# The next address starts when the one before has not answered for this long (RFC 8305 recommends 250 ms).
STAGGER_S = 0.25
_IN_PROGRESS = frozenset((0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, errno.EINTR))


class Connector:
    """Opens connections. Everything that reaches outside is handed in."""

    __slots__ = ("_pool", "_resolve", "_tls_context")

    def __init__(self, pool: Pool, resolve: Resolve, tls_context: Callable[[], SSLContext]) -> None:
        self._pool = pool
        self._resolve = resolve
        self._tls_context = tls_context

    def open(self, route: Route, patience: Patience) -> Steps[Connection]:
        """A fresh connection to `route`. Raises ConnectError and its kin, TransportTimeout; closes what it gave up."""
        began = patience.clock()
        host, port = route.via[:2] if route.via else (route.target.host, route.target.port)
        if route.via and route.guarded:
            # The proxy looks names up, out of our sight. What is an address already can be refused here.
            _refuse_literal(route.target.host, patience.peer)
        found = yield from resolving.addresses_of(host, port, self._resolve, patience)
        addresses = _permitted(found, patience.peer) if route.guarded and not route.via else found
        # Importing ssl and reading the CA roots takes as long as a round trip: done while the SYN travels.
        meanwhile = self._tls_context if route.target.secure else None
        plain = PlainStream((yield from _connect_any(addresses, patience, meanwhile)))
        stream: PlainStream | TlsStream = plain
        is_ready = False
        try:
            patience.moved()
            if route.via:
                yield from _ask_proxy(plain, route, patience)
            if route.target.secure:
                stream = yield from self._secured(plain, route, patience)
            connection = Connection(route, stream, began, patience.clock() - began)
            is_ready = True
        finally:
            if not is_ready:
                stream.close()
        return connection

    def save_session(self, connection: Connection) -> None:
        """Keep the TLS session of `connection` for the next one to its route: after a response the ticket is in."""
        if connection.session_saved or not isinstance(connection.stream, TlsStream):
            return
        connection.session_saved = True
        self._pool.keep_session(connection.route, self._tls_context(), connection.stream.session)

    def _secured(self, plain: PlainStream, route: Route, patience: Patience) -> Steps[TlsStream]:
        context = self._tls_context()
        fault: ConnectError | None = None
        secured: TlsStream | None = None
        is_verified = False
        try:
            secured = plain.secured(context, route.target.host, self._pool.session_for(route, context))
            while not secured.handshake():
                yield from patience.wait(((secured.fileno(), secured.wants),))
                patience.moved()
            is_verified = True
        except SeekApiError:
            raise
        except OSError as error:
            fault = tls.fault_of_handshake(error, patience.peer)
        finally:
            if secured is not None and not is_verified:
                secured.close()
        if fault is not None or secured is None:
            raise fault or ConnectError(f"no TLS connection to {patience.peer}")
        return secured


def _refuse_literal(host: str, peer: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return
    _permitted([(family, (host,))], peer)


def _permitted(addresses: list[Address], peer: str) -> list[Address]:
    """The addresses that a stranger's URL may lead to. Raises ConnectError if there is none."""
    permitted = [(family, address) for family, address in addresses if not guard.refusal_of(address[0])]
    if not permitted:
        kind = guard.refusal_of(addresses[0][1][0])
        raise ConnectError(f"{peer} is a {kind} address, which a job input may not lead to", retryable=False)
    return permitted


def _connect_any(
    addresses: list[Address], patience: Patience, meanwhile: Callable[[], object] | None
) -> Steps[socket.socket]:
    """A socket connected to the first address that answers; the next one starts when the one before is slow."""
    clock = patience.clock
    limit = clock() + LONGEST_CONNECT_S
    untried = list(addresses)
    pending: dict[int, socket.socket] = {}
    problem = 0
    next_start = 0.0
    try:
        while untried or pending:
            if untried and (not pending or clock() >= next_start):
                begun, problem = _begin(untried.pop(0), problem)
                if begun is not None:
                    pending[begun.fileno()] = begun
                next_start = clock() + STAGGER_S
                if pending and meanwhile is not None:
                    # First let the other exchanges send their SYN too.
                    yield (), clock()
                    meanwhile()
                    meanwhile = None
                continue
            interests = tuple((fd, WRITE) for fd in pending)
            ready = yield from patience.wait(interests, min(limit, next_start) if untried else limit)
            for fd, _ in ready:
                candidate = pending.pop(fd)
                problem = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not problem:
                    return candidate
                candidate.close()
            if clock() >= limit:
                break
    finally:
        for other in pending.values():
            other.close()
    if untried or pending or not problem:
        raise ConnectError(f"no connection to {patience.peer} within {LONGEST_CONNECT_S:g} s")
    raise ConnectError(f"no connection to {patience.peer}: {os.strerror(problem).lower()}")


def _begin(address: Address, problem: int) -> tuple[socket.socket | None, int]:
    """A socket on its way to `address`, or None and why not."""
    family, where = address
    try:
        begun = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        # No IPv6 here, or no descriptors left.
        return None, error.errno or problem
    begun.setblocking(False)
    # Head and body leave in one buffer: holding back small segments only costs.
    begun.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    error_number = begun.connect_ex(where)
    if error_number in _IN_PROGRESS:
        return begun, problem
    begun.close()
    return None, error_number


def _ask_proxy(stream: PlainStream, route: Route, patience: Patience) -> Steps[None]:
    """Have the proxy connect us through: CONNECT, and nothing but its head."""
    target = route.target
    host = f"[{target.host}]" if ":" in target.host else target.host
    authority = f"{host}:{target.port}"
    headers = [("Host", authority)]
    if route.via and route.via[2]:
        headers.append(("Proxy-Authorization", route.via[2]))
    data = memoryview(http1.encode_request_head("CONNECT", authority, headers, None))
    reader = http1.ResponseReader("CONNECT")
    problem = ""
    try:
        while data:
            sent = stream.send(data)
            data = data[sent:]
            if not sent:
                yield from patience.wait(((stream.fileno(), WRITE),))
        status = 0
        while not status:
            chunk = stream.receive(4096)
            if chunk is None:
                yield from patience.wait(((stream.fileno(), READ),))
                continue
            if not chunk:
                break
            reader.feed(chunk)
            event = reader.next_event()
            if isinstance(event, http1.ResponseHead):
                status = event.status
        if reader.surplus_bytes:
            # TLS servers never speak first: these bytes are not theirs.
            problem = "it says more than it was asked"
    except SeekApiError:
        raise
    except http1.BadMessage:
        status, problem = 0, "its answer is not HTTP"
    except OSError as error:
        status, problem = 0, os.strerror(error.errno or errno.EIO).lower()
    if problem or not status:
        raise ConnectError(f"the proxy on the way to {patience.peer} is of no use: {problem or 'it hung up'}")
    if not 200 <= status < 300:
        raise ConnectError(
            f"the proxy did not connect to {patience.peer}: HTTP {status}", retryable=status in (502, 503, 504)
        )
