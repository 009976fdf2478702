"""The job as its handler sees it: what it was given, where its results go, and how much time it has.

`Job` for plain functions and generators, `AsyncJob` for asynchronous ones: the same names, and the three calls that
go to the platform are awaited. Both say no once the job has ended, from whichever thread.
"""

from __future__ import annotations

import sys
import time
from functools import wraps

from ..errors import ArgumentError
from . import handlers, operations
from .progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
    from logging import LoggerAdapter
    from pathlib import Path
    from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

    from .current import Invocation
    from .logs import RunLog
    from .operations import Context, Reply
    from .sources import FileArgument

    P = ParamSpec("P")
    T = TypeVar("T")
    OnLimit = Literal["continue", "stop"]

ON_LIMIT = ("continue", "stop")
# How long the answer waits for the folder's end: a little also where no time is left.
SHORTEST_REMOVAL_S, LONGEST_REMOVAL_S = 0.05, 60.0


class Charge(dict):  # type: ignore[type-arg]
    """The platform's reply to a charge: a dict, and what matters in it as properties."""

    _is_repeated = False

    @property
    def ok(self) -> bool:
        """Whether the charge was taken; a refusal is an exception, so this is true."""
        return self.get("ok") is True

    @property
    def metered_event_count(self) -> int:
        """How many events of this job are metered so far, this charge included."""
        count = self.get("metered_event_count")
        return count if isinstance(count, int) else 0

    @property
    def limit_reached(self) -> bool:
        """Whether the buyer's limit is reached: work beyond it is not paid for."""
        return self.get("limit_reached") is True

    @property
    def duplicate(self) -> bool:
        """Whether this key was charged before, so that nothing was added: in this run, or as the platform says."""
        return self._is_repeated or self.get("duplicate") is True


class BaseJob:
    """What both kinds of job have."""

    def __init__(
        self,
        invocation: Invocation,
        context: Context,
        event: Mapping[str, Any],
        *,
        log: RunLog,
        setup: Any = None,
        settings: Any = None,
    ) -> None:
        self.id: str = context["job_uuid"]
        # Read and, if the handler's annotation asks for it, checked and converted.
        self.input: Any = None
        # As the platform sent it.
        self.event = event
        # Under which id the runtime logs this job, and which try of it this is, from 1.
        self.request_id: str | int | float | None = log.request_id  # type: ignore[assignment]
        self.attempt: int = log.attempt
        # What the function returned that worker(setup=...) was given.
        self.setup = setup
        # An instance of the class that worker(settings=...) was given.
        self.settings = settings
        self._invocation = invocation
        self._context = context
        self._log = log
        self._tmp: Path | None = None
        self._charged_keys: set[str] = set()
        progress = Progress(log.adapter, time.monotonic)
        self._end_progress = progress.end
        # In the instance: a report is to cost one call, and not two.
        self.__dict__.update(progress=progress.report, track=progress.track)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the job is: `done` of `total`. It may be called as often as one likes.

        At most two lines a second go to the log; the last one always does. It informs, so it never raises.
        """

    def track(self, items: Iterable[T], total: int | None = None) -> Iterator[T]:
        """`for item in job.track(items)`: the items, with a progress report after each one that is done.

        `total` is their number where `len(items)` does not tell.
        """
        raise NotImplementedError

    @property
    def log(self) -> LoggerAdapter[Any]:
        """The log of this job: each record carries `job_uuid`, `request_id` and `attempt`."""
        return self._log.adapter()

    @property
    def deadline(self) -> float | None:
        """When the handler has to be done, as `time.monotonic()` counts; None if nobody set a limit."""
        return self._invocation.deadline

    def remaining(self) -> float:
        """Seconds until the handler is interrupted, never below zero; infinity if nobody set a limit."""
        deadline = self._invocation.deadline
        return float("inf") if deadline is None else max(0.0, deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether the job is to end: its time is up, or it was cancelled."""
        return self._invocation.cancelled or self.remaining() == 0.0

    def check(self) -> None:
        """Raise DeadlineExceeded or Cancelled if the job is to end: for long loops in threads, and in C code."""
        self._invocation.check()

    @property
    def tmp(self) -> Path:
        """A folder for this job alone, made when it is first asked for and removed at the end with all that is in it.

        Raises what ended the job, if it has ended.
        """
        self._invocation.refuse_if_ended()
        if self._tmp is not None:
            return self._tmp
        from pathlib import Path
        from tempfile import mkdtemp

        made = Path(mkdtemp(prefix="seekapi-"))
        # Two threads may have come here at once.
        kept: Path = self.__dict__.setdefault("_made_tmp", made)
        if kept is not made:
            made.rmdir()
        self._tmp = kept
        if self._invocation.is_over:
            # It was answered while the folder was made.
            self._remove_tmp()
            self._invocation.refuse_if_ended()
        return kept

    def end(self) -> None:
        """For run(): the last progress report is sent, and the folder removed. Never raises."""
        self._end_progress()
        self._remove_tmp()

    def _remove_tmp(self) -> None:
        if self._tmp is None:
            return
        from shutil import rmtree
        from threading import Thread

        from . import logs

        # A million files take longer than the answer may wait.
        removal = Thread(target=rmtree, args=(self._tmp, True), name="seekapi-tmp", daemon=True)
        try:
            removal.start()
            removal.join(self._time_to_remove_s())
        except RuntimeError:  # the system gives no more threads
            rmtree(self._tmp, ignore_errors=True)
        if removal.is_alive():
            logs.warn("the job's temporary folder is still being removed: %s", self._tmp)
        elif self._tmp.exists():
            logs.warn("the job's temporary folder could not be removed: %s", self._tmp)

    def _time_to_remove_s(self) -> float | None:
        ends_at = self._invocation.delivery_deadline
        return None if ends_at is None else max(SHORTEST_REMOVAL_S, min(ends_at - time.monotonic(), LONGEST_REMOVAL_S))

    def _checked_charge(self, on_limit: OnLimit) -> None:
        self._invocation.refuse_if_ended()
        if on_limit not in ON_LIMIT:
            raise ArgumentError(f'charge: on_limit must be "continue" or "stop", not {on_limit!r:.40}')

    def _charged(self, reply: Reply, key: str, on_limit: OnLimit) -> Charge:
        charge = Charge(reply)
        charge._is_repeated = key in self._charged_keys
        self._charged_keys.add(key)
        if on_limit == "stop" and charge.limit_reached:
            from . import logs

            logs.inform("stopped: the buyer's limit is reached with the charge %s", key)
            raise handlers.StopJob
        return charge


class Job(BaseJob):
    """The job, for a handler that is a plain function or generator."""

    def push_data(
        self, data: Any, type: str = "json", timeout: float = 8, *, idempotency_key: str | None = None
    ) -> Reply:
        """Push one value: `seekapi.push_data` for this job. What was yielded before arrives before it."""
        self._invocation.refuse_if_ended()
        return operations.push_data(self._context, data, type, timeout, idempotency_key=idempotency_key)

    def push_file(
        self,
        name: str,
        file: FileArgument,
        content_type: str | None = None,
        timeout: float = operations.PUSH_FILE_TIMEOUT_S,
        *,
        idempotency_key: str | None = None,
    ) -> Reply:
        """Upload one file, given as path, bytes or open binary file: `seekapi.push_file` for this job."""
        self._invocation.refuse_if_ended()
        return operations.push_file(self._context, name, file, content_type, timeout, idempotency_key=idempotency_key)

    def charge(
        self,
        key: str,
        count: int = 1,
        timeout: float = 8,
        justification: Mapping[str, Any] | None = None,
        *,
        on_limit: OnLimit = "continue",
    ) -> Charge:
        """Meter `count` events, once per `key`: `seekapi.charge` for this job.

        With `on_limit="stop"` the job ends here if the buyer's limit is reached: in success, with what it delivered.
        """
        self._checked_charge(on_limit)
        return self._charged(operations.charge(self._context, key, count, timeout, justification), key, on_limit)


def _awaited(
    call: Callable[Concatenate[AsyncJob, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[AsyncJob, P], Coroutine[Any, Any, T]]:
    """A call that is never awaited does nothing: it is remembered until it begins, and run() asks what is left."""

    @wraps(call)
    def made(self: AsyncJob, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        caller = sys._getframe(1)
        unawaited = self._invocation.unawaited

        async def begun() -> T:
            unawaited.pop(coroutine, None)
            return await call(self, *args, **kwargs)

        coroutine = begun()
        unawaited[coroutine] = call.__name__, caller.f_code.co_filename, caller.f_lineno
        return coroutine

    return made


class AsyncJob(BaseJob):
    """The job, for an asynchronous handler: the three calls are awaited, and the loop goes on meanwhile.

    Each runs on a thread that is kept for such calls. To cancel the awaiting task does not take a call back that is on
    its way. One that the handler has not awaited when it returns fails the job.
    """

    @_awaited
    async def push_data(
        self, data: Any, type: str = "json", timeout: float = 8, *, idempotency_key: str | None = None
    ) -> Reply:
        """Push one value: `seekapi.push_data` for this job. What was yielded before arrives before it."""
        self._invocation.refuse_if_ended()
        send = operations.prepared_push(self._context, data, type, timeout, idempotency_key, is_detached=True)
        return await self._off_the_loop(send)

    @_awaited
    async def push_file(
        self,
        name: str,
        file: FileArgument,
        content_type: str | None = None,
        timeout: float = operations.PUSH_FILE_TIMEOUT_S,
        *,
        idempotency_key: str | None = None,
    ) -> Reply:
        """Upload one file, given as path, bytes or open binary file: `seekapi.push_file` for this job."""
        self._invocation.refuse_if_ended()

        def push() -> Reply:
            return operations.push_file(
                self._context, name, file, content_type, timeout, idempotency_key=idempotency_key
            )

        return await self._off_the_loop(push)

    @_awaited
    async def charge(
        self,
        key: str,
        count: int = 1,
        timeout: float = 8,
        justification: Mapping[str, Any] | None = None,
        *,
        on_limit: OnLimit = "continue",
    ) -> Charge:
        """Meter `count` events, once per `key`: `seekapi.charge` for this job.

        With `on_limit="stop"` the job ends here if the buyer's limit is reached: in success, with what it delivered.
        """
        self._checked_charge(on_limit)
        kept = dict(justification) if isinstance(justification, dict) else justification
        reply = await self._off_the_loop(lambda: operations.charge(self._context, key, count, timeout, kept))
        return self._charged(reply, key, on_limit)

    async def _off_the_loop(self, work: Callable[[], T]) -> T:
        """What `work` returns, done on a thread that sees what this task sees."""
        from contextvars import copy_context

        executor, context = self._invocation.executor, copy_context()
        if executor is None:
            raise RuntimeError("this call comes too late: the handler has returned")
        outcome: T = await executor.outcome(lambda: context.run(work))
        return outcome
