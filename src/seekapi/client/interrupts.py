"""How a thread is woken from whatever it waits for: a socket that becomes readable is among what it polls."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

from .._transport.driver import READ, default_poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._transport.driver import Interests, Ready


class Interrupted(Exception):
    """Nobody waits for this call any more."""


class Bell:
    """Rung once, from any thread, it ends the waiting of the call that carries it; all of its later waiting, too."""

    __slots__ = ("_inner", "_lock", "_outer")

    def __init__(self) -> None:
        self._inner, self._outer = socket.socketpair()
        self._lock = threading.Lock()

    def ring(self) -> None:
        """End the call. Of no effect once it has ended."""
        with self._lock:
            if self._outer.fileno() >= 0:
                self._outer.send(b"!")

    def fileno(self) -> int:
        """What becomes readable."""
        return self._inner.fileno()

    def close(self) -> None:
        """Give both ends back, when the call is over."""
        with self._lock:
            self._inner.close()
            self._outer.close()


_of_thread = threading.local()


@contextmanager
def heard(bell: Bell) -> Iterator[None]:
    """Let `bell` end what this thread waits for in the block."""
    _of_thread.bell = bell
    try:
        yield
    finally:
        _of_thread.bell = None


def poll(interests: Interests, timeout_s: float) -> Ready:
    """As the transport's own. Raises Interrupted when the bell rings."""
    bell: Bell | None = getattr(_of_thread, "bell", None)
    if bell is None:
        return default_poll(interests, timeout_s)
    ready = default_poll((*interests, (bell.fileno(), READ)), timeout_s)
    if any(fd == bell.fileno() for fd, _ in ready):
        raise Interrupted
    return ready


def pause(seconds: float) -> None:
    """Sleep. Raises Interrupted when the bell rings."""
    poll((), seconds)
