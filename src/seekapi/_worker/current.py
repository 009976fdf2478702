"""The invocations that run in this process: which job each is, its deadline, its backend and what it has delivered.

Code of a handler finds its own through the context variable. A call that names a job (push, file, charge) finds it by
that job, from whichever thread: a thread has no context of its own, and one that a former job left behind must not
pass for this one.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from itertools import count

from ..errors import Cancelled, DeadlineExceeded
from . import interrupts, logs
from .keys import KeyLedger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .._backends.port import Backend
    from .coroutines import Executor
    from .delivery import Delivery


class Invocation:
    """One run of a handler, and its only state. Deadlines are seconds of the monotonic clock, None if nobody set one.

    `deadline` is the handler's, and of every call that it makes; `delivery_deadline` is of what run() still delivers
    after it. Threads and signal handlers read and write here: each step is one atomic operation, and there is no lock
    that an interrupt could leave held.
    """

    __slots__ = (
        "_has_told_late",
        "_inner_runs",
        "_job",
        "backend",
        "coroutine",
        "deadline",
        "delivered",
        "delivery",
        "delivery_deadline",
        "executor",
        "interrupt",
        "is_interruptible",
        "is_over",
        "key_root",
        "pushed",
        "reason",
        "started",
        "unawaited",
    )

    def __init__(
        self,
        deadline: float | None,
        backend: Backend,
        context: Mapping[str, str],
        *,
        delivery_deadline: float | None = None,
        outer: Invocation | None = None,
        started: float | None = None,
    ) -> None:
        """`outer` is the invocation of the same job that goes on already, if any; `started` is now if None."""
        self.started = time.monotonic() if started is None else started
        self.deadline = deadline
        self.delivery_deadline = delivery_deadline
        # The one of the start: a handler that changes a setting does not send its result elsewhere.
        self.backend = backend
        # Anew for each run, so that a second run of the same event makes the same keys.
        self.delivered = KeyLedger()
        # What the keys of yields and of the result are made of.
        self.key_root = context.get("execution_token") or ""
        self._inner_runs = count(1)
        # Whether the handler has pushed data by itself: then a result of None adds no push.
        self.pushed = False
        # Where the values go that the handler yields; from the first one on.
        self.delivery: Delivery | None = None
        # What ended the job before its time: DeadlineExceeded or Cancelled. The first one stays.
        self.reason: BaseException | None = None
        # run() has answered: whatever still calls from a thread is too late.
        self.is_over = False
        self._has_told_late = False
        # Set while our own code may be interrupted as the user's may: it reads the input, and nothing is lost.
        self.is_interruptible = False
        # Ends an async handler by cancelling its task, from any thread and from a signal handler; None otherwise.
        self.interrupt: Callable[[], None] | None = None
        # What that task runs, so that the place where it waits can be told.
        self.coroutine: object = None
        # Runs what an async handler awaits of its job; None for any other handler.
        self.executor: Executor | None = None
        # Those calls that have been made and not begun, and where they were made.
        self.unawaited: dict[Any, tuple[str, str, int]] = {}
        self._job = _job_of(context)
        if outer is not None:
            # A run of a job inside of itself is no repetition of it: what it delivers is its own.
            self.delivered = outer.delivered
            self.key_root = f"{outer.key_root}|{next(outer._inner_runs)}"

    def is_of(self, context: Mapping[str, str]) -> bool:
        """Whether `context` is that of this job."""
        return self._job == _job_of(context)

    @property
    def cancelled(self) -> bool:
        """Whether the job is to end: its time is up, or somebody ended it."""
        return self.reason is not None

    def cancel(self, reason: BaseException) -> None:
        """End the job with `reason`, unless it is ending already: from here on its calls are refused with it."""
        if self.reason is None:
            self.reason = reason

    def end(self) -> None:
        """run() answers: what comes later is refused."""
        self.is_over = True
        if self.reason is not None:
            self.reason.__traceback__ = None  # it leads to the handler's calls, and those hold what it has loaded
        self.cancel(Cancelled("the job has been answered already; this call comes too late"))

    def check(self) -> None:
        """Raise what ended the job; DeadlineExceeded if its time is up and nobody has said so yet."""
        interrupts.keep_armed()
        if self.reason is not None:
            # A new one each time: several threads may raise it, and an exception has one traceback.
            raise _again(self.reason)
        if self.is_late():
            raise DeadlineExceeded("the job's time is up")

    def is_late(self, margin_s: float = 0.0) -> bool:
        """Whether the handler has no more than `margin_s` seconds left."""
        return self.deadline is not None and time.monotonic() >= self.deadline - margin_s

    def refuse_if_ended(self) -> None:
        """Raise what ended the job, if anything did. For calls that have a deadline of their own."""
        if self.reason is None:
            return
        if self.is_over and not self._has_told_late:
            # The error may end in a future that nobody asks.
            self._has_told_late = True
            logs.warn("a call of job %s came after its answer, and is not delivered: wait for threads", self._job[0])
        raise _again(self.reason)


_current: ContextVar[Invocation | None] = ContextVar("seekapi_invocation", default=None)
_active: list[Invocation] = []


def invocation() -> Invocation | None:
    """The invocation of the calling code, or None outside of one.

    In a thread of the handler's own that is the only one there is; among several there would be a doubt.
    """
    return _current.get() or (_active[0] if len(_active) == 1 else None)


def enclosing() -> Invocation | None:
    """The invocation that the calling code runs in, for certain: another job in another thread is none of its."""
    return _current.get()


def invocation_of(context: Mapping[str, str]) -> Invocation | None:
    """The invocation of the job that `context` belongs to, if it runs here.

    Code that a run has left behind still finds that one, which is over, and not a later run of the same job.
    """
    own = _current.get()
    if own is not None and own.is_of(context):
        return own
    return next((running for running in reversed(_active) if running.is_of(context)), None)


class entered:
    """`with entered(invocation):` makes it the current one, and afterwards it is over."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    def __enter__(self) -> Invocation:
        self._token = _current.set(self._invocation)
        _active.append(self._invocation)
        return self._invocation

    def __exit__(self, *exc_info: object) -> None:
        self._invocation.end()
        _active.remove(self._invocation)
        _current.reset(self._token)


def _job_of(context: Mapping[str, str]) -> tuple[object, object]:
    return context.get("job_uuid"), context.get("execution_token")


def _again(reason: BaseException) -> BaseException:
    return type(reason)(*reason.args)
