"""Waiting for a job, and following what happens to it.

A server that can is asked to hold its answer back until there is news (`Prefer: wait`); whether it does shows in how
long the answer took. One that answers at once is asked again after a pause that grows.
"""

from __future__ import annotations

from .._protocol import job_calls, jobs
from ..errors import ApiError, DeliveryError, TransportTimeout
from .records import JobEvent, JobRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .._protocol.messages import Request
    from .calling import Caller

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
PAUSE_GROWTH = 1.5
# An answer that took this long was held back.
HELD_S = 0.5
# How long a service that has answered before may be gone: it is restarted, or its network is.
BORNE_S = 30.0
# What an answer may take beside the time it is held back.
ANSWER_S = 10.0
EVENTS_PER_PAGE = 500


def wait(caller: Caller, job_id: str, timeout_s: float) -> JobRecord:
    """The job once it is final. Raises TransportTimeout at the deadline."""
    watch = _Watch(caller, timeout_s)
    status = "unknown"
    while True:
        request = job_calls.get(caller.service, job_id, watch.hold_s())
        job = watch.ask(request, job_calls.is_job)
        if job is not None:
            record = JobRecord(job)
            if record.is_final:
                return record
            status = record.status
        watch.pause(f"job {job_id} is still {status}", has_news=False)


def events(
    caller: Caller, job_id: str, after: int, kinds: tuple[str, ...], timeout_s: float, *, follow: bool
) -> Iterator[JobEvent]:
    """Each event behind number `after`, once and in order."""
    watch = _Watch(caller, timeout_s)
    while True:
        query = {"after": str(after), "limit": str(EVENTS_PER_PAGE)}
        if kinds:
            query["kinds"] = ",".join(kinds)
        hold_s = watch.hold_s() if follow else 0
        request = job_calls.below(caller.service, job_id, jobs.EVENTS, query=query, wait_s=hold_s)
        page = watch.ask(request, _is_events)
        fresh = [event for event in map(JobEvent, page["events"]) if event.seq > after] if page else []
        for event in fresh:
            after = event.seq
            if not kinds or event.kind in kinds:
                yield event
        if page is not None:
            told = page.get("next")
            # It may be further on than the last event: those of other kinds are passed over there.
            after = told if isinstance(told, int) and told > after else after
            # Without news, whatever it says: a page is never asked for twice, except to wait for more.
            if page.get("ended") is True or not (follow or fresh):
                return
        watch.pause(f"job {job_id} has not ended", has_news=bool(fresh))


class _Watch:
    """Asks again and again until a deadline; knows what may be borne, and when to pause."""

    def __init__(self, caller: Caller, timeout_s: float) -> None:
        self._caller = caller
        self._timeout_s = timeout_s
        self._deadline = caller.deadline(timeout_s)
        self._pause_s = FIRST_PAUSE_S
        self._asked_at = caller.clock()
        # When the service last answered; None before it has.
        self._answered_at: float | None = None
        self._trouble: DeliveryError | None = None
        self._is_first = True

    def hold_s(self) -> float:
        """How long the next answer may be held back, so that it is not taken for a dead connection.

        The first one is not: from then on the service is known, and may be gone for a while.
        """
        if self._answered_at is None:
            return 0.0
        remaining_s = self._deadline - self._caller.clock()
        return max(0.0, min(jobs.LONGEST_WAIT_S, remaining_s / 2 - 1))

    def ask(self, request: Request, check: job_calls.Check) -> Any:
        """The value of the answer; None if there was a trouble that may pass."""
        self._asked_at = now = self._caller.clock()
        self._is_first = self._answered_at is None
        # The transport gives a silent attempt up after half of its time.
        deadline = min(self._deadline, now + 2 * (self.hold_s() + ANSWER_S))
        try:
            value = self._caller.value(request, deadline, check)
        except DeliveryError as error:
            if not self._may_pass(error):
                raise
            self._trouble = error
            return None
        self._trouble = None
        self._answered_at = self._caller.clock()
        return value

    def pause(self, why: str, *, has_news: bool) -> None:
        """Let time pass before the next question. Raises TransportTimeout, with `why`, when there is none left."""
        now = self._caller.clock()
        if now >= self._deadline:
            raise TransportTimeout(f"{why} after {self._timeout_s:g} s", retryable=True)
        if has_news:
            self._pause_s = FIRST_PAUSE_S
            return
        if self._trouble is None and (self._is_first or now - self._asked_at >= HELD_S):
            return
        asked_s = _asked_pause_s(self._trouble) or 0.0
        self._caller.pause(min(max(self._pause_s, asked_s), self._deadline - now))
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * PAUSE_GROWTH)

    def _may_pass(self, error: DeliveryError) -> bool:
        """Whether to go on: only with a service that has answered before, and not for ever."""
        if self._answered_at is None:
            return False
        now = self._caller.clock()
        if not error.retryable:
            # No time left is our own doing, and no trouble of the service's: pause() says so.
            return now >= self._deadline
        # Who says when to come back is busy, not gone.
        return _asked_pause_s(error) is not None or now - self._answered_at < BORNE_S


def _asked_pause_s(trouble: DeliveryError | None) -> float | None:
    """After how long the service wants to be asked again, if it said so."""
    return trouble.retry_after if isinstance(trouble, ApiError) else None


def _is_events(value: Any) -> str:
    rows = value.get("events") if isinstance(value, dict) else None
    return "" if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else "not a list of events"
