"""Whether a call is tried again, and after how long. Pure: error, attempt and time left in, a delay or None out.

No clock is read and nothing sleeps here. Three rules: what the server may have done already is repeated only if
that is harmless; a delay that does not fit into the time left is not waited for; and a process whose calls keep
failing stops adding load (the quota).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import SeekApiError

MAX_ATTEMPTS = 3
# An attempt is given up when nothing has moved for its share of the time left, so that one silent connection
# leaves room for another. Below this a healthy but busy platform would be cut off.
SHORTEST_ATTEMPT_S = 1.2
BACKOFF_BASE_S = 0.15
LONGEST_BACKOFF_S = 2.0
# A try that has less than this left would be cut off before its answer.
SHORTEST_REMAINDER_S = 0.05

QUOTA_CAPACITY = 100
TRANSIENT_COST = 10
THROTTLE_COST = 5
_THROTTLED = frozenset((429, 503))


class Quota:
    """What this process may still spend on retries.

    A transient failure costs 10 of 100, a throttled one 5. A retried call that succeeds gives its cost back, one
    that succeeds at once adds 1. With nothing left, the first error is the last.
    """

    __slots__ = ("left",)

    def __init__(self, left: int = QUOTA_CAPACITY) -> None:
        self.left = left

    def take(self, cost: int) -> bool:
        """Spend `cost`, or say no."""
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def succeeded(self, spent: int) -> None:
        """A call went well after `spent` on its retries."""
        self.left = min(QUOTA_CAPACITY, self.left + (spent or 1))


def attempt_s(attempt: int, remaining_s: float) -> float:
    """How long attempt number `attempt` (from 1) may go without any progress, in seconds."""
    if attempt >= MAX_ATTEMPTS:
        return remaining_s
    return min(remaining_s, max(SHORTEST_ATTEMPT_S, remaining_s / 2))


def backoff_s(attempt: int, chance: float) -> float:
    """The pause after failed attempt number `attempt`; `chance` is uniform in [0, 1).

    At least half of the step: full jitter may draw zero and waste an attempt on a port that is 100 ms from being back.
    """
    step_s: float = BACKOFF_BASE_S * 2.0 ** (attempt - 1)
    return min(LONGEST_BACKOFF_S, step_s * (0.5 + chance / 2))


def cost_of(error: SeekApiError) -> int:
    """What a retry after `error` costs of the quota."""
    return THROTTLE_COST if getattr(error, "status", None) in _THROTTLED else TRANSIENT_COST


def may_retry(error: SeekApiError, attempt: int, *, repeatable: bool) -> bool:
    """Whether the same request may go out again after `error` on attempt number `attempt`."""
    if not error.retryable or attempt >= MAX_ATTEMPTS:
        return False
    if not repeatable and getattr(error, "outcome", "unknown") == "unknown":
        return False
    # Accepted, but the reply cannot be read: a server that keeps keys answers the second time. A third is no use.
    status = getattr(error, "status", None) or 0
    return not (200 <= status < 300 and attempt >= 2)


def delay_s(error: SeekApiError, attempt: int, remaining_s: float, chance: float) -> float | None:
    """Seconds to wait before the next attempt, or None if it would not fit into `remaining_s`.

    What the server asked for (`error.retry_after`) is a floor; junk in it is ignored.
    """
    delay = backoff_s(attempt, chance)
    asked_s = getattr(error, "retry_after", None)
    # Comparisons with NaN are false, so junk falls through.
    if isinstance(asked_s, (int, float)) and asked_s > delay:
        delay = float(asked_s)
    return delay if delay + SHORTEST_REMAINDER_S < remaining_s else None
