"""A platform in a thread of this process, and a handler that is called in it as production calls it."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from copy import copy

from .. import _settings
from .._devserver import changes, inputs, records, verdicts
from .._devserver.app import routes
from .._devserver.exchange import Refusal
from .._devserver.faults import operation_of
from .._devserver.planned_faults import DEADLINE, Plan
from .._devserver.platform import Options, Platform
from .._devserver.serve import Server
from .._devserver.store import Store
from .._protocol import json_text
from .._worker import logs as worker_logs
from .._worker.invocation import worker
from ..errors import ConfigurationError
from .invoked import File, Invoked, Served
from .lambda_side import FakeLambdaContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .._devserver.changes import Claimed
    from .._devserver.exchange import Answer, Incoming, Route
    from .._devserver.planned_faults import Fault
    from .._devserver.transactions import Transaction
    from .._worker.handlers import UserFn

    Handler = Callable[[Any, Any], Any]
    Faults = Mapping[str, str | list[str]]

# Of the environment: what would lead a worker elsewhere than to this platform.
_REMOVED = (_settings.LOCAL_MODE, _settings.LOCAL_DIR, _settings.LOCAL_FIXTURES, _settings.LAMBDA_FUNCTION_NAME)


class DevPlatform:
    """The platform of `seekapi dev`, on a free port of 127.0.0.1, for as long as the `with` block lasts.

    `charge_limit` is how many metered events a job may charge for. `faults` are met by the worker's calls, by the names
    of docs/dev-server.md: `{"push": "http_503_once"}`.
    """

    def __init__(self, *, charge_limit: int | None = None, faults: Faults | None = None) -> None:
        self._charge_limit = charge_limit
        self._faults = faults or {}
        self._held = ExitStack()
        self._served: list[Served] = []
        self._plans = _Plans()
        self._up: Platform | None = None

    def __enter__(self) -> DevPlatform:
        with ExitStack() as held:
            store = Store(None)
            held.callback(store.close)
            self._plans = plan = _Plans()
            plan.load(dict(self._faults) if isinstance(self._faults, Mapping) else self._faults)
            options = Options(data_dir=store.folder, charge_limit=self._charge_limit, faults=plan)
            keys = {"secret": secrets.token_hex(16), "api_key": secrets.token_hex(16)}
            platform = Platform(store, options, **keys, now=time.time, clock=time.monotonic)
            server = Server(platform, served=[self._noted(route) for route in routes()])
            held.callback(server.stop)
            server.start()
            self._up = platform
            self._held = held.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._up = None
        self._held.close()

    @property
    def _platform(self) -> Platform:
        if self._up is None:
            raise RuntimeError("this platform is not running: use it within `with DevPlatform() as platform:`")
        return self._up

    @property
    def url(self) -> str:
        """Where the platform listens."""
        return self._platform.url

    @property
    def secret(self) -> str:
        """What a worker sends as X-Internal-Secret."""
        return self._platform.secret

    @property
    def api_key(self) -> str:
        """What a client sends as its Bearer key."""
        return self._platform.api_key

    def environ(self) -> dict[str, str]:
        """The environment variables that lead a worker here."""
        return {_settings.API_BASE_URL: self.url, _settings.INTERNAL_SECRET: self.secret}

    def invoke(
        self,
        handler: Handler,
        input: Any = None,
        *,
        timeout: float = 60.0,
        settings: Mapping[str, Any] | None = None,
        context: Any = None,
        faults: Faults | None = None,
    ) -> Invoked:
        """Submit `input` as a job and call `handler(event, context)` with it, here and now; return what is left of it.

        `handler` is a Lambda handler: one that calls `run()`, or one that `worker` made. It runs in this thread, with
        the environment variables of a worker; its calls go over real sockets. `timeout` is in seconds and becomes the
        job's deadline; nobody kills the handler at it. `context` replaces the one that Lambda would hand over. `faults`
        are armed for this job alone.

        Several threads may do so at once, with one platform: faults of one job may then be met by another that runs.
        Raises ConfigurationError while a job of another platform runs in this process: both have one environment.
        What the handler raises comes through: on Lambda it would be a crash. `run()` and `worker` never raise.
        """
        with _environment.leads_to(self), self._armed(faults or {}), _listening() as heard:
            near = self._plans.take(DEADLINE)
            timeout = min(timeout, near.seconds) if near is not None else timeout
            claimed = self._submitted(input, timeout, settings)
            event = self._event(claimed, timeout, settings)
            first = len(self._served)
            try:
                envelope = handler(event, context if context is not None else FakeLambdaContext(timeout))
            except BaseException as error:
                self._end(claimed, verdicts.error("HANDLER_RAISED", f"{type(error).__name__} left the handler"))
                raise
        self._end(claimed, verdicts.of_end({"outcome": "returned", "value": envelope}, 0, None))
        return self._left_of(claimed, envelope, heard, self._served[first:])

    def run(self, fn: UserFn, input: Any = None, **more: Any) -> Invoked:
        """`invoke(worker(fn), input, ...)`: for a function from input to output that is no handler yet.

        Raises ArgumentError for one that is.
        """
        return self.invoke(worker(fn), input, **more)

    def _submitted(self, value: Any, timeout_s: float, settings: Mapping[str, Any] | None) -> Claimed:
        text = json_text.encode(value, what="input")
        settings_json = None if settings is None else json_text.encode(dict(settings), what="settings")

        def submit(tx: Transaction) -> Claimed:
            job = changes.submit(tx, text, settings_json=settings_json, charge_limit=self._charge_limit)
            return changes.start(tx, job, timeout_s)

        claimed: Claimed = self._platform.store.submit(submit).result()
        return claimed

    def _event(self, claimed: Claimed, timeout_s: float, settings: Mapping[str, Any] | None) -> dict[str, Any]:
        event = {
            "job_uuid": claimed.attempt.job_id,
            "execution_token": claimed.token,
            "input_presigned_url": inputs.url_of(self._platform, claimed.attempt.id, time.time() + timeout_s + 60),
            "attempt": claimed.attempt.attempt,
        }
        return event if settings is None else {**event, "settings": dict(settings)}

    def _end(self, claimed: Claimed, error: dict[str, Any] | None) -> None:
        def end(tx: Transaction) -> bool:
            return changes.end_attempt(tx, claimed.attempt, ok=error is None, error=error)

        self._platform.store.submit(end).result()

    def _left_of(self, claimed: Claimed, envelope: Any, heard: list[Any], served: list[Served]) -> Invoked:
        attempt = claimed.attempt
        with self._platform.store.read() as reader:
            left = {
                kind: [event.data for event in records.effects(reader, attempt.job_number, kind)]
                for kind in ("push", "file", "charge")
            }
        own = [one for one in served if attempt.job_id in one.path or attempt.id in one.path]
        return Invoked(
            attempt.job_id,
            envelope,
            pushes=[push["data"] for push in left["push"]],
            files=[self._file(one) for one in left["file"]],
            charges=left["charge"],
            progress=[p for record in heard if (p := getattr(record, "seekapi_progress", None)) is not None],
            logs=heard,
            requests=own,
        )

    def _file(self, pushed: dict[str, Any]) -> File:
        path = self._platform.store.files / pushed["id"]
        return File(pushed["name"], pushed["content_type"], pushed["size_bytes"], path)

    def _noted(self, route: Route) -> Route:
        """`route`, but what it is asked and how it answers is written down."""
        handler, noted = route.handler, copy(route)

        def note(request: Incoming, status: int) -> None:
            operation = operation_of(route) or route.path.rpartition("/")[2]
            key = request.headers.get("Idempotency-Key")
            self._served.append(Served(request.method, request.path, operation, status, key))

        def asked(platform: Platform, request: Incoming, *tx: Transaction) -> Answer:
            try:
                answer: Answer = handler(platform, request, *tx)
            except Refusal as refusal:
                note(request, refusal.status)
                raise
            note(request, getattr(answer, "status", 200))
            return answer

        noted.handler = asked
        return noted

    @contextmanager
    def _armed(self, own: Faults) -> Iterator[None]:
        """The faults of one job, as long as it runs."""
        plan = Plan()
        plan.load(dict(own) if isinstance(own, Mapping) else own)
        self._plans.of_jobs.append(plan)
        try:
            yield
        finally:
            self._plans.of_jobs.remove(plan)


class _Plans(Plan):
    """What the jobs meet that run, the latest first; where they have nothing, what is armed for all."""

    def __init__(self) -> None:
        super().__init__()
        self.of_jobs: list[Plan] = []

    def take(self, operation: str) -> Fault | None:
        """The fault that this call meets, if there is one."""
        own = (fault for plan in self.of_jobs[::-1] if (fault := plan.take(operation)) is not None)
        return next(own, None) or super().take(operation)


class _Environment:
    """The variables of this process: set for the first job that runs, put back after the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._platform: DevPlatform | None = None
        self._job_count = 0
        self._before: dict[str, str | None] = {}

    @contextmanager
    def leads_to(self, platform: DevPlatform) -> Iterator[None]:
        """Raises ConfigurationError if it leads to another one now."""
        self._begin(platform)
        try:
            yield
        finally:
            self._end()

    def _begin(self, platform: DevPlatform) -> None:
        changed = {**platform.environ(), **dict.fromkeys(_REMOVED)}
        with self._lock:
            if self._platform not in (None, platform):
                raise ConfigurationError(
                    f"{_settings.API_BASE_URL} of this process leads to another DevPlatform, whose job is running: "
                    "run the jobs of two platforms one after the other, or share one platform"
                )
            if self._platform is None:
                self._before = {name: os.environ.get(name) for name in changed}
                _put(changed)
                self._platform = platform
            self._job_count += 1

    def _end(self) -> None:
        with self._lock:
            self._job_count -= 1
            if self._job_count == 0:
                _put(self._before)
                self._platform = None


_environment = _Environment()


class _Heard(logging.Handler):
    """Keeps the records of the seekapi loggers."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def _listening() -> Iterator[list[Any]]:
    logger, heard = logging.getLogger(worker_logs.LOGGER_NAME), _Heard()
    logger.addHandler(heard)
    try:
        yield heard.records
    finally:
        logger.removeHandler(heard)


def _put(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
