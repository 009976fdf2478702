"""How long one attempt may go on: to the deadline in all, and for its share of it while nothing moves."""

from __future__ import annotations

from ..errors import TransportTimeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .driver import Interests, Ready, Steps


class Patience:
    """The two limits of an attempt, and the one way to wait within them.

    A slow but steady transfer is let go on until the deadline; a silent one is given up earlier, so that there is
    time for another attempt. `peer` is for messages.
    """

    __slots__ = ("_stall_s", "clock", "deadline", "peer", "until")

    def __init__(self, clock: Callable[[], float], deadline: float, stall_s: float, peer: str) -> None:
        self.clock = clock
        self.deadline = deadline
        self.peer = peer
        self._stall_s = stall_s
        self.until = min(deadline, clock() + stall_s)

    def moved(self) -> None:
        """Something went forward: count the silence from now. Raises TransportTimeout at the deadline."""
        now = self.clock()
        if now >= self.deadline:
            raise self._too_late()
        self.until = min(self.deadline, now + self._stall_s)

    def hold(self) -> None:
        """Wait to the deadline, until something moves: for what another attempt would not do faster."""
        self.until = self.deadline

    def wait(self, interests: Interests, until: float | None = None) -> Steps[Ready]:
        """Wait for one of `interests`, at most to `until` (then nothing is ready) and within both limits.

        Raises TransportTimeout. After a thaw both the moment has come and data may be there: the deadline is
        final, but an answer that is there already is taken rather than asked for again.
        """
        limit = self.until if until is None else min(until, self.until)
        ready = yield interests, limit
        now = self.clock()
        if now >= self.deadline:
            raise self._too_late()
        if not ready and now >= self.until:
            raise TransportTimeout(f"{self.peer} was silent for {self._stall_s:.1f} s")
        return ready

    def _too_late(self) -> TransportTimeout:
        return TransportTimeout(f"no complete answer from {self.peer} in the time given")
