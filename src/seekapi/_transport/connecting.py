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

    from .driver import Ready, Steps
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
    next_start = 0.0
    race = _Race(addresses)
    try:
        while race.is_open and clock() < limit:
            if race.may_start(is_due=clock() >= next_start):
                race.start_next()
                next_start = clock() + STAGGER_S
                if race.running and meanwhile is not None:
                    # First let the other exchanges send their SYN too.
                    yield (), clock()
                    meanwhile()
                    meanwhile = None
                continue
            interests = tuple((fd, WRITE) for fd in race.running)
            ready = yield from patience.wait(interests, min(limit, next_start) if race.untried else limit)
            winner = race.winner_among(ready)
            if winner is not None:
                return winner
    finally:
        race.close()
    if race.is_open or not race.problem:
        raise ConnectError(f"no connection to {patience.peer} within {LONGEST_CONNECT_S:g} s")
    raise ConnectError(f"no connection to {patience.peer}: {os.strerror(race.problem).lower()}")


class _Race:
    """Sockets on their way to several addresses: the first one there wins, the others are closed."""

    __slots__ = ("problem", "running", "untried")

    def __init__(self, addresses: list[Address]) -> None:
        self.untried = list(addresses)
        self.running: dict[int, socket.socket] = {}
        # Why the last one that failed did, as the system numbers it.
        self.problem = 0

    @property
    def is_open(self) -> bool:
        """Whether somebody may still win."""
        return bool(self.untried or self.running)

    def may_start(self, *, is_due: bool) -> bool:
        """Whether the next one starts now: when it is its time, or nobody else is running."""
        return bool(self.untried) and (is_due or not self.running)

    def start_next(self) -> None:
        """Send the next one on its way; what the system refuses at once is out."""
        begun, problem = _begin(self.untried.pop(0))
        if begun is not None:
            self.running[begun.fileno()] = begun
        self.problem = problem or self.problem

    def winner_among(self, ready: Ready) -> socket.socket | None:
        """The first of those that are ready to be connected; those that failed are out."""
        for fd, _ in ready:
            candidate = self.running.pop(fd, None)
            if candidate is None:
                continue
            problem = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not problem:
                return candidate
            self.problem = problem
            candidate.close()
        return None

    def close(self) -> None:
        """Give back the descriptors of all who are still running."""
        for other in self.running.values():
            other.close()


def _begin(address: Address) -> tuple[socket.socket | None, int]:
    """A socket on its way to `address`; or None, and why not."""
    family, where = address
    try:
        begun = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        # No IPv6 here, or no descriptors left.
        return None, error.errno or 0
    begun.setblocking(False)
    # Head and body leave in one buffer: holding back small segments only costs.
    begun.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    error_number = begun.connect_ex(where)
    if error_number in _IN_PROGRESS:
        return begun, 0
    begun.close()
    return None, error_number


def _ask_proxy(stream: PlainStream, route: Route, patience: Patience) -> Steps[None]:
    """Have the proxy connect us through: CONNECT, and nothing but its head."""
    status, problem = 0, "it hung up"
    try:
        yield from _send_all(stream, _connect_head(route), patience)
        status = yield from _status_of_tunnel(stream, patience)
    except SeekApiError:
        raise
    except http1.BadMessage:
        problem = "its answer is not HTTP"
    except OSError as error:
        problem = os.strerror(error.errno or errno.EIO).lower()
    if not status:
        raise _of_no_use(patience, problem)
    if not 200 <= status < 300:
        raise ConnectError(
            f"the proxy did not connect to {patience.peer}: HTTP {status}", retryable=status in (502, 503, 504)
        )


def _connect_head(route: Route) -> bytes:
    target = route.target
    host = f"[{target.host}]" if ":" in target.host else target.host
    authority = f"{host}:{target.port}"
    headers = [("Host", authority)]
    if route.via and route.via[2]:
        headers.append(("Proxy-Authorization", route.via[2]))
    return http1.encode_request_head("CONNECT", authority, headers, None)


def _send_all(stream: PlainStream, data: bytes, patience: Patience) -> Steps[None]:
    left = memoryview(data)
    while left:
        sent = stream.send(left)
        left = left[sent:]
        if not sent:
            yield from patience.wait(((stream.fileno(), WRITE),))


def _status_of_tunnel(stream: PlainStream, patience: Patience) -> Steps[int]:
    """What the proxy says to CONNECT; 0 if it hangs up instead. Raises BadMessage, ConnectError."""
    reader = http1.ResponseReader("CONNECT")
    while True:
        chunk = stream.receive(4096)
        if chunk is None:
            yield from patience.wait(((stream.fileno(), READ),))
            continue
        if not chunk:
            return 0
        reader.feed(chunk)
        event = reader.next_event()
        if isinstance(event, http1.ResponseHead):
            break
    if reader.surplus_bytes:
        # TLS servers never speak first: these bytes are not theirs.
        raise _of_no_use(patience, "it says more than it was asked")
    return event.status


def _of_no_use(patience: Patience, problem: str) -> ConnectError:
    return ConnectError(f"the proxy on the way to {patience.peer} is of no use: {problem}")
