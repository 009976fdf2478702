"""The process in which `seekapi run` calls the handler: reads an order, calls once, leaves a report.

It holds its own time limit, outside of the interpreter's lock, so that it ends even if the handler never gives that
lock back or the command that started it is gone. Like a Lambda sandbox it ends with the handler, whatever threads
are left.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from contextlib import suppress

from .. import _redaction, _settings
from .._backends import fixtures
from .._protocol import json_text
from .._worker import logs, places
from ..errors import ConfigurationError, SerializationError
from . import targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import LogRecord
    from types import TracebackType
    from typing import Any, TextIO

    Report = dict[str, Any]

ORDER, REPORT, STACK = "order.json", "report.json", "stack.txt"
# A handler that answers this much after its deadline is still heard, and told that it was late.
GRACE_S = 0.25
# What Lambda gives a module to be imported. The handler's own time starts after it.
SHORTEST_IMPORT_LIMIT_S = 10.0
# Run with `python -c`, less the current folder that comes first there: a user's file may be named like one of ours.
BOOT = (
    "import sys; sys.path[: sys.path[0] == ''] = [sys.argv[1]]; from seekapi._cli import handler_process;"
    " handler_process.main(sys.argv[1], sys.argv[2])"
)


class LambdaContext:
    """What Lambda hands to a handler as `context`; the remaining time really shrinks."""

    function_version = "$LATEST"
    memory_limit_in_mb = "128"
    log_group_name = "/aws/lambda/seekapi-local"
    log_stream_name = "seekapi-run"
    identity = None
    client_context = None

    def __init__(self, function_name: str, request_id: str, timeout_s: float) -> None:
        self.function_name = function_name
        self.invoked_function_arn = f"arn:aws:lambda:local:000000000000:function:{function_name}"
        self.aws_request_id = request_id
        self._deadline = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the deadline, never below zero."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def main(package_parent: str, folder: str) -> None:
    """Carry out the order in `folder`. Does not return."""
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.remove(package_parent)  # ours; the handler's own place comes there
    with open(os.path.join(folder, ORDER), "rb") as file:
        order = json.load(file)
    with open(os.path.join(folder, STACK), "w", encoding="utf-8") as stack:
        try:
            report = _carry_out(order, stack)
        except KeyboardInterrupt as interrupt:
            report = {"outcome": "interrupted", **_place(interrupt.__traceback__)}
        faulthandler.cancel_dump_traceback_later()
    _leave(report, folder)


def _carry_out(order: dict[str, Any], stack: TextIO) -> Report:
    target = targets.parse(order["target"])
    timeout_s: float = order["timeout_s"]
    sys.argv = [target.place]
    failures = _noted_failures()
    with suppress(ConfigurationError):  # the command has looked at the fixtures, and said what is odd in them
        fixtures.is_warned_of(fixtures.check(_settings.read().local_fixtures))
    _end_after(import_limit(timeout_s), stack)
    try:
        handler = targets.load(target)
    except KeyboardInterrupt:
        raise
    except targets.Unusable as error:
        return {"outcome": "unimportable", "message": str(error)}
    except BaseException as error:
        return {"outcome": "unimportable", "message": f"cannot import {target.place}: {_said(error)}", **_fault(error)}
    _end_after(timeout_s + GRACE_S, stack, mark="handler\n")
    context = LambdaContext(target.name, order["request_id"], timeout_s)
    started = time.monotonic()
    try:
        value = handler(order["event"], context)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        report = _raised(error, order["event"])
    else:
        report = {**_returned(value), **(failures[-1] if failures else {})}
    return {**report, "seconds": time.monotonic() - started}


def _noted_failures() -> list[Report]:
    """Grows with every job that fails inside run(), which answers instead of raising: its code, and where it happened.

    A filter and not a handler: a logger with a handler of ours would no longer fall back to stderr by itself.
    """
    import logging

    failures: list[Report] = []

    def note(record: LogRecord) -> bool:
        code = getattr(record, logs.CODE, None)
        if code is not None:
            place = {"where": getattr(record, logs.WHERE, None), "line": getattr(record, logs.LINE, None)}
            failures.append({"failure_code": code, **place})
        return True

    logging.getLogger(logs.LOGGER_NAME).addFilter(note)
    return failures


def import_limit(timeout_s: float) -> float:
    """How long importing the handler may take, in seconds."""
    return max(timeout_s, SHORTEST_IMPORT_LIMIT_S)


def _end_after(seconds: float, stack: TextIO, mark: str = "") -> None:
    """Write down where every thread stands and exit, if this process is still here by then."""
    stack.write(mark)
    stack.flush()
    faulthandler.dump_traceback_later(seconds, exit=True, file=stack)


def _returned(value: object) -> Report:
    try:
        text = json_text.encode(value, what="result")
    except SerializationError as error:
        hint = ""
        if hasattr(value, "__await__"):
            getattr(value, "close", int)()  # or Python complains that it was never awaited
            hint = ". An `async def` handler is not awaited, neither here nor on Lambda"
        return {"outcome": "not_json", "message": f"what the handler returned is not JSON: {error}{hint}"}
    return {"outcome": "returned", "value_json": text}


def _raised(error: BaseException, event: Any) -> Report:
    import traceback

    redact = _redaction.Redactor([*_settings.secrets(), *event_secrets(event)]).text
    # The first frame is ours: the call of the handler.
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    text = "".join(traceback.format_exception(type(error), error, trace))
    sys.stderr.write(redact(text))
    return {"outcome": "raised", "message": redact(_said(error)), **_place(error.__traceback__)}


def event_secrets(event: Any) -> list[str]:
    """What in an event gives access; one that is no dict has nothing."""
    if not isinstance(event, dict):
        return []
    token = event.get("execution_token")
    return [token if isinstance(token, str) else "", *_redaction.url_secrets(event.get("input_presigned_url"))]


def _said(error: BaseException) -> str:
    """The exception as the last line of a traceback shows it."""
    try:
        text = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}".rstrip(": ")


def _fault(error: BaseException) -> Report:
    """Where importing failed: for a SyntaxError that is the file that Python could not read."""
    if isinstance(error, SyntaxError) and error.filename:
        return {"where": f"{places.shown_path(error.filename)}:{error.lineno}", "line": (error.text or "").strip()}
    return _place(error.__traceback__)


def _place(trace: TracebackType | None) -> Report:
    place = places.of(trace)
    return {"where": place[0], "line": place[1]} if place else {}


def _leave(report: Report, folder: str) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the handler may have closed or replaced it
            stream.flush()
    unfinished = os.path.join(folder, f"{REPORT}.tmp")
    with open(unfinished, "w", encoding="ascii") as file:
        json.dump(report, file)
    os.replace(unfinished, os.path.join(folder, REPORT))
    # Not sys.exit: a thread of the handler that never ends must not keep the process.
    os._exit(0)
