"""How much time a job has, from what Lambda says, and how it is shared out.

Pure arithmetic on seconds: the clock is read by whoever calls. In: `get_remaining_time_in_millis()`, as Lambda
counts. Out: points on the monotonic clock, as the transport counts.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Lambda kills the process at zero. What is kept back lets run() return a failure instead of dying mid-push.
ENVELOPE_RESERVE_S = 0.6
# A long budget earns a longer reserve: a big process takes longer to come to an end.
ENVELOPE_RESERVE_SHARE = 0.02
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


def job_deadline(now: float, remaining_s: float | None) -> float | None:
    """The moment by which the work has to be done, so that the envelope still gets out."""
    if remaining_s is None:
        return None
    return now + remaining_s - max(ENVELOPE_RESERVE_S, remaining_s * ENVELOPE_RESERVE_SHARE)


def step_deadline(now: float, job_deadline: float | None, timeout_s: float, share: float = 1.0) -> float:
    """The deadline of one step: its own timeout, but at most `share` of what the job has left."""
    if job_deadline is None:
        return now + timeout_s
    return now + min(timeout_s, max(0.0, job_deadline - now) * share)
