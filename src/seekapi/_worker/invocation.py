"""run() and @worker: fetch, call, push, answer. Whatever happens, an envelope comes back."""

from __future__ import annotations

import os
import time

from .. import _redaction, _settings, errors

# `inputs` and `remote` bring the transport along: loaded with the handler, in Lambda's init phase, and not while the
# first job waits for them.
from .._backends import choose_backend, inputs, remote  # noqa: F401
from .._protocol import envelopes, json_text
from . import current, deadline, guard, handlers, keys, logs, operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, overload

    from .._protocol.envelopes import Envelope
    from .current import Invocation
    from .delivery import Delivery
    from .guard import guarding
    from .handlers import UserFn, UserFunction
    from .job import AsyncJob, Job
    from .job_settings import JobSettings
    from .setup import Setup

    Handler = Callable[[Any, Any], Envelope]


def run(event: Mapping[str, Any], context: Any, user_fn: UserFn) -> Envelope:
    """Run one job: fetch the input, call `user_fn`, push what it returns, and return the verdict.

    `user_fn` is any callable, `fn(input)` or `fn(input, job)`, plain or async: what a generator yields is pushed value
    by value, in order, while it goes on; what it returns comes last. A second parameter without a default, or a later
    one that is called `job`, receives the Job (in an async function the AsyncJob).

    Never raises (KeyboardInterrupt aside): every outcome is an envelope, `{"ok": True}` or
    `{"ok": False, "error": {"code", "message"}}`, with `request_id` where the context has one. `ok` means that the
    platform has the result. A result of None after the function pushed data by itself adds no push.

    `context` is the AWS Lambda context or None. All time, also the function's own, fits into what its
    `get_remaining_time_in_millis()` leaves, less a reserve for the answer; without it the defaults of the single
    calls hold.
    """
    return _answer(event, context, user_fn)


if TYPE_CHECKING:

    @overload
    def worker(fn: UserFn, *, setup: Callable[[], Any] | None = None, settings: type | None = None) -> Handler: ...

    @overload
    def worker(
        *, setup: Callable[[], Any] | None = None, settings: type | None = None
    ) -> Callable[[UserFn], Handler]: ...


def worker(
    fn: Any = None, *, setup: Callable[[], Any] | None = None, settings: type | None = None
) -> Handler | Callable[[UserFn], Handler]:
    """`fn` as an AWS Lambda handler: `handler = worker(fn)`, or `@worker` above the function.

    Calling `handler(event, context)` is `run(event, context, fn)`. The function itself stays at `__wrapped__`.

    `setup` is a plain function without arguments, called once per process, before the first job: what it returns is
    `job.setup`. If it fails the job fails, and the next one tries again. `settings` is a class, such as a dataclass,
    whose fields all have defaults: each job has an instance at `job.settings`, as the platform was set when the job was
    submitted. `@worker(setup=load)` will do, too.
    """
    loader, job_settings = None, None
    if setup is not None:
        from .setup import Setup

        loader = Setup(setup)
    if settings is not None:
        from .job_settings import JobSettings

        job_settings = JobSettings(settings)
    if fn is None:
        # `@worker(setup=...)`: the function comes with the next call.
        return lambda later_fn: _handler(later_fn, loader, job_settings)
    return _handler(fn, loader, job_settings)


def _handler(fn: Any, setup: Setup | None, settings: JobSettings | None) -> Handler:
    from functools import update_wrapper

    if not callable(fn):
        raise errors.ArgumentError(f"worker: expected a function, not {type(fn).__name__}")
    function = handlers.UserFunction(fn, setup, settings)

    def handler(event: Any, context: Any) -> Envelope:
        return _answer(event, context, function)

    # For seekapi.schema(), and for whoever asks a worker what it can be set to.
    handler.__seekapi_function__ = fn  # type: ignore[attr-defined]
    handler.settings_type = settings and settings.kind  # type: ignore[attr-defined]
    return update_wrapper(handler, fn) if hasattr(fn, "__name__") else handler


def _answer(event: Any, context: Any, fn: UserFn | UserFunction) -> Envelope:
    request_id: object = None
    pid = os.getpid()
    log = logs.RunLog(None, None, 1, _redaction.Redactor())
    with log:
        try:
            # First what must not be seen: whatever is touched from here on may raise with a secret in its text.
            log.redactor = _redactor_of(event)
            log.request_id = request_id = _request_id_of(context, log.redactor)
            function = fn if isinstance(fn, handlers.UserFunction) else handlers.UserFunction(fn)
            _run(event, context, function, log)
            return envelopes.success(request_id)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if _is_exit_of_fork(error, pid):
                raise
            code, message = log.verdict or log.conclude(error)
            # The error often holds, in a ring, the calls that it came through: what the handler held would stay until
            # the collector looks, and that counts objects, not megabytes.
            BaseException.with_traceback(error, None)
            return envelopes.failure(code, message, request_id)


def _run(event: Any, lambda_context: Any, function: UserFunction, log: logs.RunLog) -> None:
    """The job itself; returns if and only if the result is delivered."""
    started = time.monotonic()
    remaining_s = _remaining_seconds(lambda_context, started)
    handler_deadline = deadline.handler_deadline(started, remaining_s)
    if handler_deadline is not None and handler_deadline - started < deadline.SHORTEST_BUDGET_S:
        raise errors.DeadlineExceeded("no time left to run the job: nothing was started")
    settings = _settings.read()
    job_context = operations.create_context(event)
    operations.check_context("run", job_context, local_mode=settings.local_mode)
    log.job_uuid, log.attempt = job_context["job_uuid"], _attempt_of(event)
    invocation = current.Invocation(
        handler_deadline,
        choose_backend(settings),
        job_context,
        delivery_deadline=deadline.delivery_deadline(started, remaining_s),
        outer=current.invocation_of(job_context),
        started=started,
    )
    with current.entered(invocation), guard.guarding(invocation) as guarded:
        attempt = _Attempt(event, job_context, invocation, log)
        try:
            attempt.work(function, guarded)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if not _is_exit_of_fork(error, attempt.pid):
                guarded.say(log.conclude, error)
            raise


class _Attempt:
    """One job from its beginning to its delivered result."""

    def __init__(
        self, event: Mapping[str, Any], context: Mapping[str, str], invocation: Invocation, log: logs.RunLog
    ) -> None:
        self._event = event
        self._context = context
        self._invocation = invocation
        self._log = log
        self.pid = os.getpid()
        self._job: Job | AsyncJob | None = None

    def work(self, function: UserFunction, guarded: guarding) -> None:
        """Load, fetch, call, deliver."""
        try:
            loaded = None
            if function.setup is not None:
                loaded = function.setup.value(self._invocation, guarded.call)
                # What it has started serves the next jobs, too.
                guarded.keep_children()
            self._begin_registration()
            job_input = self._fetch()
            if function.shape.job is not handlers.NOT_AT_ALL:
                settings = self._settings_of(function, guarded)
                self._job = self._make_job(loaded, settings, is_async=function.shape.is_async)
            self._deliver(self._call(guarded, function, job_input))
        finally:
            self._end()

    def _begin_registration(self) -> None:
        """Send the request id off; it informs, so it can neither delay nor fail the run."""
        if not self._log.request_id:
            return
        at = deadline.step_deadline(
            time.monotonic(), self._invocation.deadline, deadline.REGISTRATION_TIMEOUT_S, deadline.REGISTRATION_SHARE
        )
        try:
            self._invocation.backend.begin_registration(self._context, self._log.request_id, deadline=at)
        except Exception as error:
            logs.warn("request id not registered, no live log for this job: %s", error)

    def _fetch(self) -> Any:
        """The input. An interrupt may end this at once: it only reads."""
        invocation = self._invocation
        invocation.check()
        now = time.monotonic()
        at = deadline.step_deadline(now, invocation.deadline, deadline.INPUT_TIMEOUT_S, deadline.INPUT_SHARE)
        try:
            invocation.is_interruptible = True
            return operations.get_input(self._event, timeout=at - now)
        finally:
            invocation.is_interruptible = False

    def _settings_of(self, function: UserFunction, guarded: guarding) -> Any:
        """The worker's settings for this job; making them runs the user's class."""
        if function.settings is None:
            return None
        self._log.redactor = self._log.redactor.also(function.settings.secrets(self._event))
        settings = guarded.call(function.settings.of, self._event)
        self._invocation.refuse_if_ended()
        return settings

    def _make_job(self, setup: Any, settings: Any, *, is_async: bool) -> Job | AsyncJob:
        from . import job

        kind = job.AsyncJob if is_async else job.Job
        return kind(self._invocation, self._context, self._event, log=self._log, setup=setup, settings=settings)

    def _call(self, guarded: guarding, function: UserFunction, job_input: Any) -> _Result | None:
        """What the handler returned; None if it stopped itself. All that it yielded is delivered by then.

        That is so also if it failed, before its failure is raised.
        """
        failure: BaseException | None = None
        result: _Result | None = None
        try:
            outcome = guarded.call(self._perform, function, job_input)
            if isinstance(outcome, _Unfinished):
                outcome = guarded.call(self._finish, outcome.value, apart=True)
            result = outcome
        except BaseException as error:
            if _is_exit_of_fork(error, self.pid):
                raise
            failure = error
        # Whatever the handler made of it: what has ended the job is the verdict.
        failure = self._reason_of(failure)
        if failure is None:
            self._finish_delivery()
            return result
        try:
            self._finish_delivery()
        except Exception as error:
            if error is not failure:
                logs.warn("not all that was yielded before the failure is delivered: %s", type(error).__name__)
                error.__traceback__ = None
        try:
            raise failure
        finally:
            del failure  # or this call and the error, which has come through it, would hold each other

    def _reason_of(self, failure: BaseException | None) -> BaseException | None:
        if self._invocation.reason is not None:
            return self._invocation.reason
        return None if failure is None or handlers.is_stop(failure) else failure

    def _perform(self, function: UserFunction, job_input: Any) -> _Result | _Unfinished:
        """User code begins here."""
        converter = function.converter()
        if converter is not None:
            # Of the input as it came, and before anything can be said about it.
            self._log.redactor = self._log.redactor.also(converter.secrets(job_input))
            job_input = converter(job_input)
        if self._job is not None:
            self._job.input = job_input
        value = function.call(job_input, self._job)
        if handlers.kind_of(value) in (handlers.PLAIN, handlers.STEPS):
            return self._finish(value)
        from . import coroutines

        # A loop does not run inside another one.
        return _Unfinished(value) if coroutines.is_loop_running() else self._finish(value)

    def _finish(self, value: Any) -> _Result:
        """The result of what the handler returned: drained, awaited, or as it is. Still among user code.

        For it is that of a model or a dataclass which says what their JSON is.
        """
        kind = handlers.kind_of(value)
        if kind is handlers.STEPS:
            value = handlers.drained(value, self._delivery(apart=self._invocation.backend.is_remote).offer)
        elif kind is not handlers.PLAIN:
            from . import coroutines

            # On a thread of its own even where it only writes to disk: the loop goes on meanwhile.
            value = coroutines.finished(value, self._invocation, lambda: self._delivery(apart=True))
        return _Result(value)

    def _delivery(self, *, apart: bool) -> Delivery:
        from . import delivery

        self._invocation.delivery = made = delivery.Delivery(self._invocation, self._context, apart=apart)
        return made

    def _finish_delivery(self) -> None:
        if self._invocation.delivery is not None:
            self._invocation.delivery.finish()

    def _deliver(self, result: _Result | None) -> None:
        """Push what the handler returned, as the last value."""
        if result is None or (result.value is None and self._invocation.pushed):
            return
        until, now = self._invocation.delivery_deadline, time.monotonic()
        if until is not None and now >= until:
            # Nobody could interrupt it: it has a SIGALRM of its own, or was in one long call into C.
            late_s = now - self._invocation.started
            raise errors.DeadlineExceeded(f"timed out: the handler returned after {late_s:.1f} s; its result is lost")
        key = keys.result_key(self._invocation.key_root)
        operations.deliver(self._invocation, self._context, result.value, result.text, key)

    def _end(self) -> None:
        if self.pid != os.getpid():
            return  # a fork: all that is its parent's, who still works with it
        if self._job is not None:
            self._job.end()
        self._invocation.backend.settle()


class _Result:
    """What a handler returned, and its JSON."""

    __slots__ = ("text", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        try:
            self.text = json_text.encode(value, what="result")
        finally:
            if hasattr(type(value), "__await__"):
                getattr(value, "close", int)()  # or Python complains that it was never awaited


class _Unfinished:
    """Something to be awaited, met where a loop is running already: it needs a thread of its own."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _remaining_seconds(lambda_context: Any, now: float) -> float | None:
    """What is left until the platform kills; within another run never more than that one has for itself."""
    remaining_s = deadline.remaining_seconds(lambda_context)
    outer = current.enclosing()
    if outer is None or outer.deadline is None:
        return remaining_s
    outer_s = outer.deadline - now
    return outer_s if remaining_s is None else min(remaining_s, outer_s)


def _attempt_of(event: Any) -> int:
    attempt = event.get("attempt")
    return attempt if type(attempt) is int and attempt > 0 else 1


def _redactor_of(event: Any) -> _redaction.Redactor:
    """Knows every secret of this job; an event that is no dict, or does not let itself be asked, has none."""
    redactor = _redaction.Redactor(_settings.secrets())
    for name in ("execution_token", "input_presigned_url"):
        try:
            value = event.get(name)
            redactor = redactor.also([value] if name == "execution_token" else _redaction.url_secrets(value))
        except (Exception, SystemExit):
            continue  # _run meets the same event, and says what is wrong with it
    return redactor


def _request_id_of(context: Any, redactor: _redaction.Redactor) -> str | int | float | None:
    """The request id of a Lambda context as the envelope can hold it; one that cannot be had costs no job."""
    try:
        return envelopes.request_id_of(getattr(context, "aws_request_id", None), redactor)
    except Exception:
        return None


def _is_exit_of_fork(error: BaseException, pid: int) -> bool:
    """Whether it ends a process that the handler has forked, and not the job: that is its parent's."""
    return issubclass(type(error), SystemExit) and os.getpid() != pid
