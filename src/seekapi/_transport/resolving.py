"""From a host name to addresses, under the deadline.

`getaddrinfo` takes no timeout and cannot be stopped, so it runs in a thread of its own that ends with it; a
socket pair wakes the driver. Literal addresses and `localhost` need neither.
"""

from __future__ import annotations

import socket
from _thread import start_new_thread

from ..errors import DnsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from .driver import Steps
    from .patience import Patience

    Address: TypeAlias = tuple[int, tuple[Any, ...]]
    Resolve: TypeAlias = Callable[[str, int], list[Address]]

READ = 1
# More would only share out the time to connect more thinly.
MOST_ADDRESSES = 8

_PASSING_FAULTS = frozenset(
    getattr(socket, name) for name in ("EAI_AGAIN", "EAI_SYSTEM", "EAI_MEMORY") if hasattr(socket, name)
)


def system_lookup(host: str, port: int) -> list[Address]:
    """The addresses of `host`, best first, as the system sorts them (RFC 6724)."""
    # As bytes: for a str Python would first load its IDNA codec, and targets are ASCII by now.
    found = socket.getaddrinfo(host.encode("ascii"), port, 0, socket.SOCK_STREAM)
    return [(int(family), tuple(address)) for family, _, _, _, address in found]


def addresses_of(host: str, port: int, resolve: Resolve, patience: Patience) -> Steps[list[Address]]:
    """The addresses to try, in order, at least one. Raises DnsError, TransportTimeout."""
    known = _known_addresses(host, port)
    if known:
        return known
    lookup = _Lookup(resolve, host, port)
    # Not for this attempt's share: a second lookup would not be faster than the first, only one more thread.
    patience.hold()
    try:
        while not lookup.done:
            yield from patience.wait(((lookup.wake_fd, READ),))
    finally:
        lookup.close()
    patience.moved()
    if lookup.problem or not lookup.found:
        raise DnsError(
            f"the name of {host} did not resolve: {lookup.problem or 'no address'}", retryable=lookup.is_passing
        )
    return lookup.found[:MOST_ADDRESSES]


def _known_addresses(host: str, port: int) -> list[Address]:
    if host == "localhost" or host.endswith(".localhost"):
        # RFC 6761: always loopback. Which of the two is listened on, connecting will tell.
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port, 0, 0))]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return []
    return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]


class _Lookup:
    """One call of the resolver in its own thread."""

    __slots__ = ("_wake", "_waker", "done", "found", "is_passing", "problem", "wake_fd")

    def __init__(self, resolve: Resolve, host: str, port: int) -> None:
        self.done = False
        self.found: list[Address] = []
        self.problem = ""
        self.is_passing = False
        self._wake, self._waker = socket.socketpair()
        self.wake_fd = self._wake.fileno()
        started = False
        try:
            start_new_thread(self._run, (resolve, host, port))
            started = True
        except RuntimeError:
            self.problem, self.is_passing, self.done = "no thread for the lookup", True, True
        finally:
            if not started:
                self._waker.close()

    def _run(self, resolve: Resolve, host: str, port: int) -> None:
        try:
            self.found = list(resolve(host, port))
        except socket.gaierror as error:
            self.is_passing = error.errno in _PASSING_FAULTS
            self.problem = str(error.strerror or "lookup failed")
        except UnicodeError:
            self.problem = "not a host name"
        except BaseException as error:
            # Nobody is above a thread to catch it; the type is enough to find it.
            self.problem = type(error).__name__
        finally:
            self.done = True
            self._waker.close()

    def close(self) -> None:
        """Stop listening. The thread, if still there, ends when the resolver returns."""
        self._wake.close()
