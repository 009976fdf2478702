"""run() and @worker: fetch, call, push, answer. Whatever happens, an envelope comes back."""

from __future__ import annotations

import time

from .. import _redaction, _settings, errors

# `inputs` and `remote` bring the transport along: loaded with the handler, in Lambda's init phase, and not while the
# first job waits for them.
from .._backends import choose_backend, inputs, remote  # noqa: F401
from .._protocol import envelopes
from . import current, deadline, keys, logs, operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .._backends.port import Backend
    from .._protocol.envelopes import Envelope

    Handler = Callable[[Any, Any], Envelope]

PUSH_TIMEOUT_S = 8.0


def run(event: Mapping[str, Any], context: Any, user_fn: Callable[[Any], Any]) -> Envelope:
    """Run one job: fetch the input, call `user_fn(input)`, push what it returns, and return the verdict.

    Never raises (KeyboardInterrupt aside): every outcome is an envelope, `{"ok": True}` or
    `{"ok": False, "error": {"code", "message"}}`, with `request_id` where the context has one. `ok` means that the
    platform has the result. A result of None after the function pushed data by itself adds no push.

    `context` is the AWS Lambda context or None. All network time, retries included, fits into what its
    `get_remaining_time_in_millis()` leaves, less a reserve for the answer; without it the defaults of the single
    calls hold.
    """
    request_id: object = None
    redactor = _redaction.Redactor()
    try:
        # First what must not be seen: whatever is touched from here on may raise with a secret in its text.
        redactor = _redactor_of(event)
        request_id = _request_id_of(context, redactor)
        _run(event, context, user_fn, request_id)
        return envelopes.success(request_id)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        return _failure(error, request_id, redactor)


def worker(fn: Callable[[Any], Any]) -> Handler:
    """`fn` as an AWS Lambda handler: `handler = worker(fn)`, or `@worker` above the function.

    Calling `handler(event, context)` is `run(event, context, fn)`. The function itself stays at `__wrapped__`.
    """
    from functools import update_wrapper

    if not callable(fn):
        raise errors.ArgumentError(f"worker: expected a function, not {type(fn).__name__}")

    def handler(event: Any, context: Any) -> Envelope:
        return run(event, context, fn)

    return update_wrapper(handler, fn) if hasattr(fn, "__name__") else handler


def _run(event: Mapping[str, Any], lambda_context: Any, user_fn: Callable[[Any], Any], request_id: object) -> None:
    """The job itself; returns if and only if the result is delivered."""
    now = time.monotonic()
    job_deadline = deadline.job_deadline(now, deadline.remaining_seconds(lambda_context))
    if job_deadline is not None and job_deadline - now < deadline.SHORTEST_BUDGET_S:
        raise errors.DeadlineExceeded("no time left to run the job: nothing was started")
    settings = _settings.read()
    job_context = operations.create_context(event)
    operations.check_context("run", job_context, local_mode=settings.local_mode)
    backend = choose_backend(settings)
    with current.entered(current.Invocation(job_deadline, backend, job_context)) as invocation:
        try:
            _begin_registration(backend, job_context, request_id, job_deadline)
            job_input = operations.get_input(event, timeout=_input_timeout(job_deadline))
            result = user_fn(job_input)
            if result is not None or not invocation.pushed:
                _push_result(job_context, result)
        finally:
            backend.settle()


def _begin_registration(
    backend: Backend, job_context: Mapping[str, str], request_id: object, job_deadline: float | None
) -> None:
    """Send the request id off; it informs, so it can neither delay nor fail the run."""
    if not request_id:
        return
    at = deadline.step_deadline(
        time.monotonic(), job_deadline, deadline.REGISTRATION_TIMEOUT_S, deadline.REGISTRATION_SHARE
    )
    try:
        backend.begin_registration(job_context, request_id, deadline=at)
    except Exception as error:
        logs.warn("request id not registered, no live log for this job: %s", error)


def _input_timeout(job_deadline: float | None) -> float:
    now = time.monotonic()
    return deadline.step_deadline(now, job_deadline, deadline.INPUT_TIMEOUT_S, deadline.INPUT_SHARE) - now


def _push_result(job_context: Mapping[str, str], result: object) -> None:
    key = keys.result_key(job_context["execution_token"])
    try:
        operations.push_data(job_context, result, timeout=PUSH_TIMEOUT_S, idempotency_key=key)
        return
    except errors.SerializationError as error:
        # The handler knows this value as its result: `result.rows[3].price`.
        path, reason = error.path.replace("data", "result", 1), error.reason
        if hasattr(result, "__await__"):
            getattr(result, "close", int)()  # or Python complains that it was never awaited
    raise errors.SerializationError(f"{path} {reason}", path=path, reason=reason)


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


def _failure(error: BaseException, request_id: object, redactor: _redaction.Redactor) -> Envelope:
    """The envelope for what went wrong. The whole traceback, redacted, goes to the log."""
    code, message = envelopes.WORKER_ERROR, "the job failed with an error that cannot be shown"
    try:
        code = envelopes.code_shown(envelopes.code_of(error), redactor)
        message = envelopes.message_shown(envelopes.message_of(error), redactor)
        logs.log_failure(error, code, redactor)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:  # noqa: S110 (a broken log handler, or a hostile error, must not cost the answer)
        pass
    return envelopes.failure(code, message, request_id)
