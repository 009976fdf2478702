"""How much time a job has, from what Lambda says, and how it is shared out.

Pure arithmetic on seconds: the clock is read by whoever calls. In: `get_remaining_time_in_millis()`, as Lambda
counts. Out: points on the monotonic clock, as the transport counts.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Lambda kills the process at zero. What is kept back from the handler lets run() deliver what it left behind and
# return a failure, instead of dying mid-push; of that, the answer itself gets a half.
HANDLER_RESERVE_S = 0.6
ENVELOPE_RESERVE_S = 0.3
# A long budget earns a longer reserve: a big process takes longer to come to an end.
HANDLER_RESERVE_SHARE = 0.02
ENVELOPE_RESERVE_SHARE = 0.01
# With less than this left a request would be cut off before its answer: nothing is started.
SHORTEST_BUDGET_S = 0.25

INPUT_TIMEOUT_S = 10.0
INPUT_SHARE = 0.6
REGISTRATION_TIMEOUT_S = 1.0
REGISTRATION_SHARE = 0.1


def remaining_seconds(lambda_context: Any) -> float | None:
    """What Lambda says is left, in seconds; None if there is no context, or none that can be believed."""
    ask = getattr(lambda_context, "get_remaining_time_in_millis", None)
    if ask is None:
        return None
    try:
        answer = ask()
        # A mock answers 1.0 to float(): no clock says so.
        remaining_ms = float(answer) if isinstance(answer, (int, float, str)) and answer is not True else float("nan")
    except Exception:
        return None
    # NaN is not equal to itself; infinity is no deadline.
    return remaining_ms / 1000 if abs(remaining_ms) < float("inf") else None


def handler_deadline(now: float, remaining_s: float | None) -> float | None:
    """The moment by which the handler's work has to be done: then it is interrupted, and its calls end."""
    return _before_the_end(now, remaining_s, HANDLER_RESERVE_S, HANDLER_RESERVE_SHARE)


def delivery_deadline(now: float, remaining_s: float | None) -> float | None:
    """The moment by which run() has delivered what the handler left, so that the envelope still gets out."""
    return _before_the_end(now, remaining_s, ENVELOPE_RESERVE_S, ENVELOPE_RESERVE_SHARE)


def step_deadline(now: float, end: float | None, timeout_s: float, share: float = 1.0) -> float:
    """The deadline of one step: its own timeout, but at most `share` of what is left until `end`."""
    if end is None:
        return now + timeout_s
    return now + min(timeout_s, max(0.0, end - now) * share)


def _before_the_end(now: float, remaining_s: float | None, reserve_s: float, reserve_share: float) -> float | None:
    if remaining_s is None:
        return None
    return now + remaining_s - max(reserve_s, remaining_s * reserve_share)
