"""Ends a handler in time, so that the answer is out before the platform kills the process.

In the main thread by a timer: its signal handler looks at where the program is, and raises there if that is the user's
code. Our own code is never interrupted: its calls end by themselves. Anywhere else the handler runs in a thread of its
own, which is left behind: an exception is never injected into a thread. SIGTERM and SIGINT end a job the same way.

What the handler makes of the exception does not matter: it is raised again and again, and once it was raised
`invocation.reason` is the verdict.
"""

from __future__ import annotations

import _thread
import sys
import time

from ..errors import Cancelled, DeadlineExceeded
from . import children, frames, interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, NoReturn, TypeVar

    from .apart import Apart
    from .current import Invocation

    Value = TypeVar("Value")

# Between the first interrupt and the second: time for the `finally` blocks of the handler.
CLEAN_UP_S = 0.15
AGAIN_S = 0.05
LONGEST_PAUSE_S = 2.0
# What a cancelled handler has to come to an end, if its deadline leaves as much.
GRACE_S = 5.0
# What the end of a job has to be told in, at least: a part of what is kept back for the answer.
TELL_S = 0.1
# Python's own code holds locks for moments: if it is not blocked it is let go on, some steps long.
STEP_S = 0.005
MOST_STEPS = 4

_open: list[guarding] = []


class guarding:
    """`with guarding(invocation) as guarded: guarded.call(handler, job)`.

    Whatever happens inside, at its end the signal handlers, the timer and the threads are as before; and if the job
    was ended before its time, so are the child processes.
    """

    __slots__ = (
        "_apart",
        "_before",
        "_found",
        "_interrupts",
        "_invocation",
        "_is_running",
        "_spot",
        "_steps",
        "_taken",
        "_thread",
        "due",
        "stopped_at",
    )

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._is_running = False
        self._interrupts = 0
        self._steps = 0
        self._spot: object = None
        self._apart: Apart | None = None
        self._taken: interrupts.Taken | None = None
        self._found: list[children.Process] = []
        # When to look next, and when a signal came; for `interrupts`.
        self.due = invocation.deadline
        self.stopped_at: float | None = None

    def __enter__(self) -> guarding:
        self._thread = _thread.get_native_id()
        children.reap()
        self.keep_children()
        taken = interrupts.Taken(self)
        _open.append(self)
        try:
            if taken.take():
                self._taken = taken
        except BaseException:
            _open.remove(self)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            if self._invocation.reason is not None:
                self._end_children()
            if self._apart is not None:
                self._apart.end()
        finally:
            _open.remove(self)
            if self._taken is not None:
                self._taken.give_back()

    def keep_children(self) -> None:
        """The processes that there are now are not the job's, and outlive it."""
        self._before = children.snapshot()

    def call(self, fn: Callable[..., Value], *arguments: Any, apart: bool = False) -> Value:
        """`fn(*arguments)`, under the guard: what it returns or raises.

        Raises the invocation's reason if there is one before, or if `fn` had to be left behind. With `apart` it runs
        in a thread of its own, as it does outside of the main thread if there is a deadline; all such calls of one
        `guarding` in the same thread and context.
        """
        if self._invocation.reason is not None:
            raise self._invocation.reason
        if apart or (not self._is_timed() and self._invocation.deadline is not None):
            return self._call_apart(fn, arguments)
        self._is_running = True
        try:
            return frames.call(fn, arguments)
        finally:
            self._is_running = False

    def say(self, fn: Callable[..., object], *arguments: Any) -> None:
        """`fn(*arguments)`: the end of the job is told, by texts and to log handlers that are the user's own.

        In the main thread they are interrupted when the answer is due; `fn` sees to it that this is not raised.
        """
        due = self._invocation.delivery_deadline
        # The delivery may have used up its time, and what it failed with is still to be told.
        self.due = None if due is None else max(due, time.monotonic() + TELL_S)
        self._is_running = True
        try:
            fn(*arguments)
        finally:
            self._is_running = False

    def cancel(self, reason: BaseException) -> None:
        """End the job with `reason`; from any thread. The handler is interrupted where that is possible."""
        self._invocation.cancel(reason)
        self.due = time.monotonic()
        if self._apart is not None:
            self._apart.wake()
        elif self._taken is not None:
            interrupts.poke()

    # for `interrupts`: called in a signal handler, so in the middle of anything ---------------------------------

    def look(self, now: float, frame: FrameType | None) -> BaseException | None:
        """What is to be raised in `frame`, if the time has come and that is a place for it. Never raises."""
        if self.due is None or now < self.due:
            return None
        self.due = now + AGAIN_S
        try:
            return self._interruption(now, frame)
        except BaseException:  # no stack or no memory left to look: next time, then
            return None

    def stop(self, now: float, name: str, frame: FrameType | None) -> None:
        """The job is to end: a signal `name` says so."""
        self.stopped_at = now
        self._invocation.cancel(Cancelled(f"cancelled by {name}{_at(self._place(frame))}"))
        self.due = now
        if self._apart is not None:
            self._apart.wake()

    def _interruption(self, now: float, frame: FrameType | None) -> BaseException | None:
        invocation = self._invocation
        if not self._is_running:
            # Our own code reads the input, say: it may be cut off, but only by a cancellation; its time is its own.
            if not invocation.is_interruptible or invocation.reason is None:
                return None
            invocation.is_interruptible = False
        elif invocation.interrupt is not None and (self._interrupts == 0 or not frames.is_interruptible(frame)):
            self._begin_interrupt(now, frame)
            invocation.interrupt()
            return None
        elif not frames.is_interruptible(frame):
            return None
        elif self._is_moving(frame):
            self.due = now + STEP_S
            return None
        self._begin_interrupt(now, frame)
        # Raised before, it may bring the frames of then along.
        return invocation.reason and invocation.reason.with_traceback(None)

    def _begin_interrupt(self, now: float, frame: FrameType | None) -> None:
        """Note what has to be known before the handler takes notice, and when to come back."""
        if self._interrupts == 0:
            # Its parent may be killed before we are at it: whom the handler waits for (`sh`) it also ends.
            self._found = children.started_since(self._before, self._own_thread())
        if self._invocation.reason is None:
            self._invocation.cancel(_timed_out(self._invocation, self._place(frame)))
        self._interrupts += 1
        self._steps = 0
        self.due = now + (self._patience(now) if self._interrupts == 1 else self._pause(now))

    def _patience(self, now: float) -> float:
        """How long the handler has after the first interrupt, in seconds."""
        deadline = self._invocation.deadline
        if not isinstance(self._invocation.reason, Cancelled) or (deadline is not None and now >= deadline):
            return CLEAN_UP_S
        return GRACE_S if deadline is None else min(GRACE_S, deadline - now)

    def _pause(self, now: float) -> float:
        """Until the handler, which goes on all the same, is interrupted again, in seconds.

        Before its deadline it may have its reasons: what it says each time is to be read by a person, so ever longer.
        """
        deadline = self._invocation.deadline
        if deadline is not None and now >= deadline:
            return AGAIN_S
        pause_s: float = min(AGAIN_S * 2 ** min(self._interrupts, 10), LONGEST_PAUSE_S)
        return pause_s if deadline is None else min(pause_s, deadline - now)

    def _is_moving(self, frame: FrameType | None) -> bool:
        """Whether Python's own code is at work in `frame`, and not blocked there."""
        if frame is None or not frames.is_pythons(frame) or self._steps >= MOST_STEPS:
            return False
        spot, self._spot = self._spot, (frame.f_code, frame.f_lasti)
        self._steps += 1
        return spot != self._spot

    def _place(self, frame: FrameType | None) -> str:
        """Where the handler is: in what runs, or, if that is only its loop, in what it waits for."""
        return _told(lambda: frames.place(frame) or frames.place_awaited(self._invocation.coroutine))

    # apart ------------------------------------------------------------------------------------------------------

    def _call_apart(self, fn: Callable[..., Value], arguments: tuple[Any, ...]) -> Value:
        from .apart import Apart

        if self._apart is None:
            self._apart = Apart()
        self._thread = self._apart.kernel_id or self._thread
        self._apart.begin(frames.call, fn, arguments)
        leave_at: float | None = None
        while (outcome := self._apart.outcome(self._seconds_until(leave_at))) is None:
            now, leave_at = time.monotonic(), self._time_to_leave(leave_at)
            if leave_at is not None and now >= leave_at:
                assert self._invocation.reason is not None
                raise self._invocation.reason
        value, error = outcome
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    def _seconds_until(self, leave_at: float | None) -> float | None:
        """Until when the outcome is waited for without a look at the rest."""
        if leave_at is not None:
            return max(0.0, min(AGAIN_S, leave_at - time.monotonic()))
        deadline = self._invocation.deadline
        if self._invocation.reason is not None:
            return 0.0
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _time_to_leave(self, leave_at: float | None) -> float | None:
        """When the thread is left behind; None as long as the job may go on. Tells an async handler to end."""
        now, deadline = time.monotonic(), self._invocation.deadline
        if self._invocation.reason is None and (deadline is None or now < deadline):
            return None
        if leave_at is None:
            self._begin_interrupt(now, self._apart.frame() if self._apart else None)
            leave_at = now + self._patience(now)
        if self._invocation.interrupt is not None:
            self._invocation.interrupt()
        return leave_at

    # the rest ---------------------------------------------------------------------------------------------------

    def _is_timed(self) -> bool:
        return self._taken is not None and interrupts.HAS_TIMER

    def _own_thread(self) -> int | None:
        """The thread whose children are the job's; None for all, where the job is the program's main affair.

        That is in the main thread, if no other job runs. Elsewhere the program has children of its own.
        """
        return None if self._taken is not None and len(_open) == 1 else self._thread

    def _end_children(self) -> None:
        children.kill(self._found, self._before, self._own_thread())


def end_for_call(invocation: Invocation, failure: BaseException | None = None) -> NoReturn:
    """End the job here and now, as at its deadline: a call of the handler's has no time left. From any thread.

    `failure` is what the call came to, if it was begun.
    """
    here = sys._getframe()
    place = _told(lambda: frames.place(here, is_known=True) or frames.place_awaited(invocation.coroutine))
    verdict = _timed_out(invocation, place)
    verdict.__cause__ = failure
    invocation.cancel(verdict)
    assert invocation.reason is not None
    raise invocation.reason


def _timed_out(invocation: Invocation, place: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"timed out after {time.monotonic() - invocation.started:.1f} s{_at(place)}")


def _told(find: Callable[[], str]) -> str:
    try:
        return find()
    except Exception:
        return ""  # a job has to be ended even if nobody can tell where it was


def _at(place: str) -> str:
    return f" at {place}" if place else ""
