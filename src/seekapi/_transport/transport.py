"""One request in, one good response or one typed error out: attempts, redirects, and which connection.

A call is one generator (`_deliver`), whether it is waited for (`send`) or runs beside another (`start`). Errors leave
here with a clean traceback, no cause and no context: the frames below hold header values and signed URLs.
"""

from __future__ import annotations

import os
import time
from _thread import get_ident

from .. import _retrying
from .._protocol import http1
from .._protocol.messages import Request
from ..errors import (
    ArgumentError,
    ConnectError,
    DeliveryError,
    ProtocolError,
    SeekApiError,
    TransportError,
    TransportTimeout,
)
from . import exchange, guard, proxies, resolving, targets, tls
from .connecting import Connector
from .driver import READ, Driver
from .patience import Patience
from .pool import Pool
from .streams import Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext
    from typing import Any

    from .._protocol.messages import Response
    from .driver import Poll, Steps
    from .policy import Policy
    from .resolving import Resolve
    from .streams import Connection
    from .targets import Target

# A fresh connection costs the peer, too, and a busy one answers late even next door.
WORTH_WAITING_S = 0.02

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# All that may travel to where a redirect leads; whatever else the request carries was meant for its first target.
_HEADERS_FOR_STRANGERS = frozenset(("accept", "accept-encoding", "user-agent"))


def _chance() -> float:
    """Uniform in [0, 1). Not `random`: it costs more to import than a whole request."""
    return int.from_bytes(os.urandom(6), "big") / 2**48


class Transport:
    """The sockets of this process. Meant to be kept: connections outlive a call, a freeze and a fork safely.

    Threads may share one. What reaches outside is handed in: clocks in seconds, `random` in [0, 1), the resolver, the
    TLS context, and `poll`, which waits.
    """

    def __init__(
        self,
        *,
        https_proxy: str = "",
        no_proxy: str = "",
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = _chance,
        resolve: Resolve = resolving.system_lookup,
        tls_context: Callable[[], SSLContext] = tls.shared_context,
        poll: Poll | None = None,
    ) -> None:
        self._https_proxy = https_proxy
        self._no_proxy = no_proxy
        self._clock = clock
        self._random = random
        # What runs in the background may fail as it likes: it does not use up the retries of what counts.
        self._quotas = {False: _retrying.Quota(), True: _retrying.Quota()}
        self._pool = Pool(clock, wall_clock)
        self._driver = Driver(clock, poll)
        self._connector = Connector(self._pool, resolve, tls_context)
        # Connections that background exchanges of a thread are using: what comes next may be worth waiting for.
        self._lent: dict[Any, Connection] = {}

    def send(self, request: Request, deadline: float, policy: Policy) -> Response:
        """The response that `policy.judge` finds good. `deadline` is absolute, on the clock, and total.

        Raises what the judge says, or TransportError and its kin, with `.outcome`, `.host`, `.idempotency_key`.
        """
        try:
            return self._driver.finish(self._deliver(request, deadline, policy))
        except SeekApiError as error:
            error.__cause__ = error.__context__ = None
            raise error.with_traceback(None)  # noqa: B904 (raised again, it has no cause)

    def start(self, request: Request, deadline: float, policy: Policy) -> None:
        """Begin `request` in the background of the sends that follow on this thread. Never waits, never raises.

        Its outcome is ignored.
        """
        self._driver.start(self._deliver(request, deadline, policy, in_background=True))

    def settle(self) -> None:
        """End what runs in the background of this thread, with what can be done at this moment or unfinished."""
        self._driver.settle()

    def close(self) -> None:
        """Settle, and close the idle connections. The transport can be used again."""
        self._driver.settle()
        self._pool.close()

    def _deliver(
        self, request: Request, deadline: float, policy: Policy, *, in_background: bool = False
    ) -> Steps[Response]:
        """Attempt after attempt, until one is good, or final, or the time is up."""
        call = _Call(request, targets.target_of(request.url), policy, in_background=in_background)
        attempt = spent = 0
        while True:
            attempt += 1
            verdict = yield from self._try(call, attempt, deadline)
            if not isinstance(verdict, SeekApiError):
                self._quotas[in_background].succeeded(spent)
                return verdict
            call.leave_evidence_on(verdict)
            delay_s = self._delay_s(verdict, attempt, call, deadline)
            if delay_s is None:
                raise verdict
            spent += _retrying.cost_of(verdict)
            yield (), self._clock() + delay_s

    def _try(self, call: _Call, attempt: int, deadline: float) -> Steps[Response | SeekApiError]:
        """One attempt: a good response, or what is wrong with it."""
        call.sent_bytes = 0
        call.host = call.target.authority
        remaining_s = deadline - self._clock()
        if remaining_s <= 0:
            return TransportTimeout(f"no time left to ask {call.host}", retryable=False)
        patience = Patience(self._clock, deadline, _retrying.attempt_s(attempt, remaining_s), call.host)
        try:
            response = yield from self._follow(call, patience)
            return call.policy.judge(response) or response
        except SeekApiError as error:
            return error
        except OSError as error:
            # The system said no where nobody expected it: out of descriptors, out of buffers.
            return TransportError(f"no answer from {call.host}: {exchange.reason_of(error)}")

    def _delay_s(self, error: SeekApiError, attempt: int, call: _Call, deadline: float) -> float | None:
        if not _retrying.may_retry(error, attempt, repeatable=call.request.repeatable):
            return None
        delay_s = _retrying.delay_s(error, attempt, deadline - self._clock(), self._random())
        if delay_s is None or not self._quotas[call.in_background].take(_retrying.cost_of(error)):
            return None
        return delay_s

    def _follow(self, call: _Call, patience: Patience) -> Steps[Response]:
        """The response, from wherever the redirects lead."""
        target, hops = call.target, 0
        while True:
            call.host = patience.peer = target.authority
            response = yield from self._ask(call, target, patience, is_first=hops == 0)
            if not call.policy.redirects or response.status not in _REDIRECTS:
                return response
            location = response.headers.get("Location")
            if not location:
                return response
            hops += 1
            if hops > call.policy.redirects:
                raise ProtocolError(f"more than {call.policy.redirects} redirects, the last from {target.authority}")
            target = targets.redirected(target, location)

    def _ask(self, call: _Call, target: Target, patience: Patience, *, is_first: bool) -> Steps[Response]:
        """One exchange. A kept connection that dies before it says a byte earns one free try on a fresh one."""
        policy = call.policy
        if not guard.is_allowed_host(target.host, policy.allowed_hosts):
            raise ConnectError(f"{target.host} is not among the hosts that a job input may come from", retryable=False)
        route = Route(target, proxies.proxy_for(target, self._https_proxy, self._no_proxy), guarded=policy.guard)
        head = _head_of(call.request, target, inflate=policy.inflate, is_first=is_first)
        connection = yield from self._idle_connection(route, patience, call)
        while True:
            if connection is None:
                connection = yield from self._connector.open(route, patience)
            trip = exchange.Exchange(connection, call.request, head, policy, patience)
            try:
                return (yield from self._exchanged(trip, connection, call))
            except TransportTimeout:
                raise
            except TransportError as error:
                is_stale = connection.is_reused and not trip.has_begun_to_answer and error.retryable
                if not is_stale or not (call.request.repeatable or not trip.sent_bytes):
                    raise
                # It may have been read before the connection died: a no to the free try does not take that back.
                call.is_in_doubt = call.is_in_doubt or trip.sent_bytes > 0
            connection = None

    def _exchanged(self, trip: exchange.Exchange, connection: Connection, call: _Call) -> Steps[Response]:
        lent_as = (get_ident(), connection.route.key)
        if call.in_background:
            self._lent[lent_as] = connection
        is_kept = False
        try:
            response = yield from trip.run()
            if trip.is_reusable:
                self._connector.save_session(connection)
                is_kept = self._pool.put(connection)
            return response
        finally:
            call.sent_bytes += trip.sent_bytes
            if call.in_background:
                self._lent.pop(lent_as, None)
            if not is_kept:
                connection.close()

    def _idle_connection(self, route: Route, patience: Patience, call: _Call) -> Steps[Connection | None]:
        """A kept connection; also one whose background exchange is about to end."""
        lent_as = (get_ident(), route.key)
        lent = None if call.in_background else self._lent.get(lent_as)
        if lent is not None:
            # Waiting as long as a fresh connection would take costs at most twice the better choice.
            until = self._clock() + max(lent.setup_s, WORTH_WAITING_S)
            while self._lent.get(lent_as) is lent and self._clock() < until:
                yield from patience.wait(((lent.stream.fileno(), READ),), until)
        return self._pool.take(route)


class _Call:
    """What a call knows about itself: the evidence for its error."""

    __slots__ = ("host", "in_background", "is_in_doubt", "policy", "request", "sent_bytes", "target")

    def __init__(self, request: Request, target: Target, policy: Policy, *, in_background: bool) -> None:
        self.request = request
        self.target = target
        self.policy = policy
        self.in_background = in_background
        # Of the present attempt: who was asked last, and how much has gone out.
        self.host = target.authority
        self.sent_bytes = 0
        # Whether an attempt so far may have got through.
        self.is_in_doubt = False

    def leave_evidence_on(self, error: SeekApiError) -> None:
        """Say who, under which key, and what the server may have done; also in attempts before this one."""
        if not isinstance(error, DeliveryError):
            return
        error.idempotency_key = self.request.idempotency_key
        if isinstance(error, TransportError):
            error.host = self.host
            error.outcome = "unknown" if self.sent_bytes else "not_sent"
        self.is_in_doubt = self.is_in_doubt or error.outcome == "unknown"
        if self.is_in_doubt:
            error.outcome = "unknown"


def _head_of(request: Request, target: Target, *, inflate: bool, is_first: bool) -> bytes:
    headers = [("Host", target.authority), ("User-Agent", _user_agent())]
    headers.append(("Accept-Encoding", "gzip" if inflate else "identity"))
    headers += [(k, v) for k, v in request.headers if is_first or k.lower() in _HEADERS_FOR_STRANGERS]
    size_bytes = request.size_bytes if request.body or request.method not in ("GET", "HEAD") else None
    try:
        return http1.encode_request_head(request.method, target.path, headers, size_bytes)
    except http1.LocalMisuse as error:
        problem = str(error)
    raise ArgumentError(f"the request cannot be sent: {problem}")


def _user_agent() -> str:
    global _user_agent_text
    if not _user_agent_text:
        import sys

        from .. import __version__

        _user_agent_text = f"seekapi/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"
    return _user_agent_text


_user_agent_text = ""
