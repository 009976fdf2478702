"""The calls of a worker, one by one: what user code calls itself, and what run() is made of.

Each checks its arguments at the border, takes the deadline of the invocation it runs in, and hands the rest to
the backend. A normal return means that it is kept; everything else is a typed error.
"""

from __future__ import annotations

import os
import time

from .. import _redaction, _settings
from .._backends import choose_backend
from .._protocol import json_text, routes, worker_calls
from ..errors import ArgumentError, ConfigurationError, InvalidEvent, TransportTimeout
from . import current, deadline, interrupts, keys, logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from .._backends.port import Backend
    from .current import Invocation
    from .sources import FileArgument

    Context = Mapping[str, str]
    Reply = dict[str, Any]

# A float, and the very object: so a call that gave no timeout is told from one that gave 15.
PUSH_FILE_TIMEOUT_S = 15.0
# What an upload may take above the timeout when the caller named none: 8 MiB in 15 s, then a second for each MiB.
PUSH_FILE_INCLUDED_BYTES = 8 * 1024 * 1024
PUSH_FILE_BYTES_PER_EXTRA_S = 1024 * 1024
# What each value gets that run() delivers by itself, and a second more for each MiB.
DELIVERY_TIMEOUT_S = 8.0
# Longer than anybody waits, and short enough to be added to a clock.
LONGEST_TIMEOUT_S = 1e19
# Beyond it some reader of the bill counts in floats, and wrongly.
LARGEST_COUNT = 2**53 - 1


def get_input(event: Mapping[str, Any], timeout: float = 10) -> Any:
    """Fetch the job's input from `event["input_presigned_url"]` and parse it: any JSON value.

    `timeout` is in seconds and total: name lookup, connecting, every redirect and retry, and the whole body.
    In local mode a `file://` URL, a plain path, or the "input" of the fixtures will do.

    Raises MissingInputError if the event has no URL, InputFetchError (both are ValueErrors) if the input cannot
    be had or is not JSON, InvalidEvent if the event is not a dict.
    """
    from .._backends import inputs

    url = _event_text(event, "input_presigned_url")
    return inputs.read_input(url, _settings.read(), _deadline_of("get_input", timeout))


def create_context(event: Mapping[str, Any]) -> dict[str, str]:
    """The context of the job's calls: `job_uuid`, `execution_token`, `api_base` and `secret`, four strings.

    The last two come from WORKER_API_BASE_URL and WORKER_INTERNAL_SECRET; in local mode stand-ins take the place of
    what is unset. Nothing is refused here if it is missing: the call that needs it says so. A printed context shows
    the secret and the token as `***`; the strings themselves are unchanged.

    Raises InvalidEvent if the event is not a dict, or an id in it is not a string.
    """
    settings = _settings.read()
    api_base, secret = settings.api_base_url, settings.internal_secret
    if settings.local_mode:
        api_base, secret = api_base or routes.LOCAL_API_BASE, secret or routes.LOCAL_SECRET
    return {
        "job_uuid": _event_text(event, "job_uuid"),
        "execution_token": _redaction.Secret(_event_text(event, "execution_token")),
        "api_base": api_base,
        "secret": _redaction.Secret(secret),
    }


def push_data(
    context: Context, data: Any, type: str = "json", timeout: float = 8, *, idempotency_key: str | None = None
) -> Reply:
    """Push one JSON value to the job; return the platform's reply, usually `{"ok": True}`.

    A normal return means that the platform has it. `timeout` is in seconds and total, every retry included; each
    carries the same idempotency key. Without `idempotency_key` the key follows from the content, so calling again
    after an error adds no second push, and pushing an equal value later does.

    Raises SerializationError, before any request, if `data` is not JSON; ConfigurationError if the context lacks
    something; DeliveryError (an OSError) with `.outcome` if the platform does not have it, or may not; in local
    mode LocalWriteError (an OSError).
    """
    return prepared_push(context, data, type, timeout, idempotency_key)()


def prepared_push(
    context: Context, data: Any, type: str, timeout: float, idempotency_key: str | None, *, is_detached: bool = False
) -> Callable[[], Reply]:
    """push_data in two steps: everything is checked and encoded here, and sent by the function that is returned.

    With `is_detached` the caller may change `data` in between, and `timeout` counts from the sending.
    """
    backend = _backend_for("push_data", context)
    at = _deadline_of("push_data", timeout, context)
    if not isinstance(type, str):
        raise ArgumentError("push_data: type must be a string")
    text = json_text.encode(data, what="data")
    if is_detached:
        data = None if backend.is_remote else json_text.parse(text)

    def send() -> Reply:
        # Detached, it may have waited for a thread while others were sent.
        until = _deadline_of("push_data", timeout, context) if is_detached else at
        with _due(context):
            _deliver_yields_first(context, until)
            with _key(backend, context, "push_data", idempotency_key, lambda: _digest(type, text)) as key:
                reply = backend.push_data(context, data, type, text=text, idempotency_key=key, deadline=until)
        invocation = current.invocation_of(context)
        if invocation is not None:
            invocation.pushed = True
        return reply

    return send


def deliver(invocation: Invocation, context: Context, data: Any, text: str, key: str) -> None:
    """Push one value that run() owes the platform (a yield, the result), by the deadline for that. `text` is its JSON.

    Raises as push_data.
    """
    timeout_s = DELIVERY_TIMEOUT_S + len(text) / PUSH_FILE_BYTES_PER_EXTRA_S
    at = deadline.step_deadline(time.monotonic(), invocation.delivery_deadline, timeout_s)
    invocation.backend.push_data(context, data, "json", text=text, idempotency_key=key, deadline=at)
    invocation.pushed = True


def push_file(
    context: Context,
    name: str,
    local_path: FileArgument,
    content_type: str | None = None,
    timeout: float = PUSH_FILE_TIMEOUT_S,
    *,
    idempotency_key: str | None = None,
) -> Reply:
    """Upload one file to the job's temporary files; return the platform's reply, usually `{"ok": True}`.

    `local_path` is a path, bytes, or an open binary file. The file is streamed: the platform bounds its size, memory
    does not. `content_type` is guessed from the name if not given. `timeout` is in seconds and total, every retry
    included; if you name none, a file above 8 MiB gets a second more for each MiB.

    Raises FileNotFoundError, before any request, if the file is missing; ArgumentError if it is not a regular file or
    its name or type cannot travel; otherwise as push_data.
    """
    from .sources import content_digest, open_source

    backend = _backend_for("push_file", context)
    checked_type = _file_type(name, local_path, content_type)
    source = open_source(local_path)
    extra_s = 0.0
    if timeout is PUSH_FILE_TIMEOUT_S:
        extra_s = max(0, source.size_bytes - PUSH_FILE_INCLUDED_BYTES) / PUSH_FILE_BYTES_PER_EXTRA_S
    at = _deadline_of("push_file", timeout, context, extra_s)

    def digest() -> str:
        return _digest(name, checked_type, content_digest(source))

    with _due(context):
        _deliver_yields_first(context, at)
        with _key(backend, context, "push_file", idempotency_key, digest) as key:
            return backend.push_file(context, name, source, checked_type, idempotency_key=key, deadline=at)


def charge(
    context: Context,
    idempotency_key: str,
    count: int = 1,
    timeout: float = 8,
    justification: Mapping[str, Any] | None = None,
) -> Reply:
    """Meter `count` events, once per `idempotency_key` within the job; the reply tells the total and the limit.

    The reply holds `ok`, `metered_event_count` and `limit_reached`: stop when that is true. `justification` is kept
    with the bill. `timeout` is in seconds and total, every retry included.

    Raises ArgumentError (a ValueError) if the key is blank, `count` is below 1 or `justification` is not a dict;
    ConfigurationError and DeliveryError as push_data does.
    """
    if idempotency_key is not None and not isinstance(idempotency_key, str):
        raise ArgumentError(f"charge: idempotency_key must be a string, not {type(idempotency_key).__name__}")
    key = (idempotency_key or "").strip()
    if not key:
        raise ArgumentError("charge: idempotency_key is required")
    if isinstance(count, bool) or not (isinstance(count, int) or (isinstance(count, float) and count.is_integer())):
        raise ArgumentError(f"charge: count must be a whole number, not {count!r:.40}")
    if count < 1:
        raise ArgumentError("charge: count must be >= 1")
    if count > LARGEST_COUNT:
        raise ArgumentError(f"charge: count must be at most {LARGEST_COUNT}")
    if justification is not None and not isinstance(justification, dict):
        raise ArgumentError("charge: justification must be a JSON object")
    backend = _backend_for("charge", context)
    at = _deadline_of("charge", timeout, context)
    with _due(context):
        _deliver_yields_first(context, at)
        return backend.charge(context, key, int(count), justification, deadline=at)


def register_request_id(job_uuid: str, request_id: object, timeout: float = 3) -> None:
    """Tell the platform under which request id this job logs, so that its log can be followed live.

    It only informs, so it never raises: without settings, in local mode, or with nothing to register it does nothing,
    and a failure is one line in the log. `timeout` is in seconds and total.
    """
    try:
        settings = _settings.read()
        if settings.local_mode or not (settings.api_base_url and settings.internal_secret and job_uuid and request_id):
            return
        context = registration_context(settings, job_uuid)
        choose_backend(settings).register_request_id(
            context, request_id, deadline=_deadline_of("register_request_id", timeout)
        )
    except Exception as error:
        logs.warn("request id not registered, no live log for this job: %s", error)


def get_job_fixture() -> dict[str, Any]:
    """The "get_job" object of the fixtures file (SEEKAPI_LOCAL_FIXTURES), or `{}`; for assertions in local mode.

    Raises ConfigurationError (a ValueError) if the file is not what it should be, FileNotFoundError if it is missing.
    """
    from .._backends import fixtures

    return fixtures.job(_settings.read().local_fixtures)


def registration_context(settings: _settings.Settings, job_uuid: str) -> Context:
    """What a registration needs; it carries no execution token."""
    return {
        "job_uuid": job_uuid,
        "execution_token": "",
        "api_base": settings.api_base_url,
        "secret": settings.internal_secret,
    }


def check_context(operation: str, context: Context, *, local_mode: bool) -> None:
    """Refuse a context that cannot deliver, before anything is done for it.

    Raises ConfigurationError, naming the variable, or InvalidEvent, naming the field.
    """
    for field in ("job_uuid", "execution_token"):
        value = context.get(field)
        if value is not None and not isinstance(value, str):
            raise InvalidEvent(f"{operation}: {field} must be a string, not {type(value).__name__}")
        if not value or not value.strip():
            raise InvalidEvent(f"{operation} requires job_uuid and execution_token; the event carries no {field}")
    if local_mode:
        return
    variables = (("api_base", _settings.API_BASE_URL), ("secret", _settings.INTERNAL_SECRET))
    missing = [variable for field, variable in variables if not context.get(field)]
    if missing:
        raise ConfigurationError(
            f"{operation}: not set: {', '.join(missing)}; so nothing can be delivered. "
            f"Set what is missing, or {_settings.LOCAL_MODE}=1 to write the results to disk instead."
            + (f" (As it is set, {_settings.LOCAL_MODE} is off.)" if _settings.is_local_mode_unclear() else "")
        )
    routes.checked_api_base(context["api_base"])
    worker_calls.checked_secret(context["secret"])
    try:
        routes.checked_job_uuid(context["job_uuid"])
    except ArgumentError as error:
        message = str(error)
    else:
        return
    raise InvalidEvent(message)


def _backend_for(operation: str, context: Context) -> Backend:
    if not hasattr(context, "get"):
        raise ArgumentError(f"{operation}: the context must be what create_context returned")
    invocation = current.invocation_of(context)
    if invocation is not None:
        check_context(operation, context, local_mode=not invocation.backend.is_remote)
        return invocation.backend
    settings = _settings.read()
    check_context(operation, context, local_mode=settings.local_mode)
    return choose_backend(settings)


def _event_text(event: Mapping[str, Any], field: str) -> str:
    """A string of the event, stripped; "" if it is not there."""
    if not hasattr(event, "get"):
        raise InvalidEvent(f"the event must be a dict, not {type(event).__name__}")
    value = event.get(field)
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise InvalidEvent(f"the event's {field} must be a string, not {type(value).__name__}")
    return value.strip()


def _deadline_of(operation: str, timeout: float, context: Context | None = None, extra_s: float = 0.0) -> float:
    """When the call has to be over: by its own timeout, and by the job's deadline.

    Raises what has ended the job, if it has ended; it has if there is no time left for a call that delivers.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 <= timeout <= LONGEST_TIMEOUT_S:
        raise ArgumentError(f"{operation}: timeout must be a number of seconds, zero or more")
    invocation = (current.invocation_of(context) if context else None) or current.invocation()
    now = time.monotonic()
    if invocation is None:
        return now + timeout + extra_s
    interrupts.keep_armed()
    invocation.refuse_if_ended()
    if context is not None and invocation.is_late(deadline.SHORTEST_BUDGET_S):
        from . import guard

        guard.end_for_call(invocation)
    return deadline.step_deadline(now, invocation.deadline, timeout + extra_s)


class _due:
    """`with _due(context):` around what the platform has to get: if there is no time left for it, the job has ended.

    A handler that takes that for an error, and goes on without the call, must not have succeeded.
    """

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None or not issubclass(kind, TransportTimeout):
            return
        invocation = current.invocation_of(self._context)
        if invocation is not None and invocation.is_late(deadline.SHORTEST_BUDGET_S):
            from . import guard

            guard.end_for_call(invocation, error)


def _deliver_yields_first(context: Context, until: float) -> None:
    """What the handler yielded before this call arrives before it, or the call says why it did not."""
    invocation = current.invocation_of(context)
    if invocation is not None and invocation.delivery is not None:
        invocation.delivery.flush(until)


def _key(
    backend: Backend, context: Context, operation: str, given: str | None, digest: Callable[[], str]
) -> AbstractContextManager[str]:
    """The idempotency key of one push: the caller's, or one that follows from the content."""
    if given is not None and (not isinstance(given, str) or not given.strip()):
        raise ArgumentError(f"{operation}: idempotency_key must be a string that is not blank")
    if given is not None or not backend.is_remote:
        return keys.Given(given or "")
    token = context["execution_token"]
    invocation = current.invocation_of(context)
    ledger = invocation.delivered if invocation is not None else keys.ledger_of(context["job_uuid"], token)
    return ledger.reserve(token, operation, digest())


def _digest(*parts: str) -> str:
    from hashlib import sha256

    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _file_type(name: str, file: FileArgument, content_type: str | None) -> str:
    from .._protocol import multipart
    from . import media_types
    from .sources import path_of

    multipart.checked_name(name)
    path = os.path.basename(path_of(file)) if isinstance(file, (str, os.PathLike)) else ""
    return multipart.checked_media_type(content_type or media_types.guess(name, path))
