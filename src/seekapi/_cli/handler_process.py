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
from .._devserver import bootstrap
from .._devserver import bootstrap_targets as finder
from .._devserver.bootstrap import LambdaContext
from .._protocol import json_text
from .._worker import log_records, logs, places, tracebacks
from ..errors import ArgumentError, ConfigurationError, SerializationError
from . import targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import LogRecord
    from types import TracebackType
    from typing import Any, TextIO

    Report = dict[str, Any]

# What of a report is text that the user's code had a hand in.
_TEXTS = ("message", "where", "line")
ORDER, REPORT, STACK = "order.json", "report.json", "stack.txt"
# How a record of ours begins in the output, before the mark that only the two processes know.
RECORD, HEARD, UNHEARD = "\x1e", "+", "-"
# A handler that answers this much after its deadline is still heard, and told that it was late.
GRACE_S = 0.25
# What Lambda gives a module to be imported. The handler's own time starts after it.
SHORTEST_IMPORT_LIMIT_S = 10.0
# Run with `python -c`, less the current folder that comes first there: a user's file may be named like one of ours.
# An interrupt before main() could see to it is no traceback: the command knows of it.
BOOT = """
import os, sys
try:
    sys.path[: sys.path[0] == ''] = [sys.argv[1]]
    from seekapi._cli import handler_process
    handler_process.main(sys.argv[1], sys.argv[2])
except KeyboardInterrupt:
    os._exit(130)
"""


def main(package_parent: str, folder: str) -> None:
    """Carry out the order in `folder`. Does not return."""
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.remove(package_parent)  # ours; the handler's own place comes there
    with open(os.path.join(folder, ORDER), "rb") as file:
        order = json.load(file)
    own_pid, secrets = os.getpid(), event_secrets(order["event"])
    # Never closed: the handler may have closed the descriptor already (os.closerange), and opened another in its place.
    stack = open(os.path.join(folder, STACK), "w", encoding="utf-8")  # noqa: SIM115
    bootstrap.show_stack_on_request(stack.fileno())
    try:
        report = _carry_out(order, stack, own_pid)
    except KeyboardInterrupt:
        report = {"outcome": "interrupted", **_place(sys.exc_info()[2])}
    _end_if_forked(own_pid)
    faulthandler.cancel_dump_traceback_later()
    _leave(_redacted(report, secrets), folder)


def _carry_out(order: dict[str, Any], stack: TextIO, own_pid: int) -> Report:
    secrets = event_secrets(order["event"])  # as it came: the handler may change it
    target = targets.parse(order["target"])
    timeout_s: float = order["timeout_s"]
    sys.argv = [target.place]
    if order.get("mark"):
        _tell_records(order["mark"])
    failures = _noted_failures()
    with suppress(ConfigurationError):  # the command has looked at the fixtures, and said what is odd in them
        fixtures.is_warned_of(fixtures.check(_settings.read().local_fixtures))
    _end_after(import_limit(timeout_s), stack)
    try:
        place = {"place": target.place, "name": target.name, "is_file": target.is_file}
        handler = finder.load(place, to_call=not order.get("describes"))
        if order.get("describes"):
            return _described(handler)
    except KeyboardInterrupt:
        raise
    except finder.Unusable as error:
        return {"outcome": "unimportable", "message": str(error)}
    except BaseException as error:
        return {
            "outcome": "unimportable",
            "message": f"cannot import {target.place}: {finder.said(error)}",
            **_fault(error),
        }
    _end_if_forked(own_pid)
    log_records.enable()
    _end_after(timeout_s + GRACE_S, stack, mark="handler\n")
    context = LambdaContext(target.name, order["request_id"], timeout_s)
    started = time.monotonic()
    try:
        value = handler(order["event"], context)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        report = _raised(error, secrets)
    else:
        report = {**_returned(value), **(failures[-1] if failures else {})}
    return {**report, "seconds": time.monotonic() - started}


def _described(handler: Callable[..., Any]) -> Report:
    """The JSON Schema of the handler's input, or of a class, instead of a call."""
    from .._protocol import schemas

    try:
        schema = schemas.schema(bootstrap.taker_of(handler) if isinstance(handler, type) else handler)
    except ArgumentError as error:
        return {"outcome": "unimportable", "message": str(error)}
    return {"outcome": "described", "schema": schema}


def _tell_records(mark: str) -> None:
    """Tell the command each record of ours, in between what the handler prints: `mark` is at its beginning.

    So it comes in its place, and also if the handler has a logging of its own, or has closed its streams.
    """
    pipe = _high_copy(2)
    whole = os.fstat(pipe)

    def take(line: str, is_heard: bool) -> None:
        frame = f"{RECORD}{mark}{HEARD if is_heard else UNHEARD}{line}\n".encode("ascii")
        with suppress(OSError):
            # The handler may have closed all that it found (os.closerange), and opened a file of its own there.
            if os.path.samestat(os.fstat(pipe), whole):
                while frame:
                    frame = frame[os.write(pipe, frame) :]

    log_records.hand_on(take)


def _high_copy(descriptor: int) -> int:
    """A copy out of the way of who closes, or counts on, the low numbers."""
    try:
        from fcntl import F_DUPFD_CLOEXEC, fcntl

        return fcntl(descriptor, F_DUPFD_CLOEXEC, 200)
    except (ImportError, OSError):
        return os.dup(descriptor)


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
    """As Lambda would send it. Why it cannot is told in our words, if we cannot either: they say where in the value."""
    report = bootstrap.encoded(value)
    if "value_json" not in report:
        try:
            json_text.encode(value, what="result")
        except SerializationError as error:
            return bootstrap.not_json(value, str(error))
        except Exception:  # noqa: S110 (of the user's own classes; the report tells of it)
            pass
    return report


def _raised(error: BaseException, secrets: list[str]) -> Report:
    story = finder.safely(lambda: tracebacks.of(error, _redactor(secrets)).text, "")
    bootstrap.show((story or _redactor(secrets).text(finder.said(error))) + "\n")
    return {"outcome": "raised", "message": finder.said(error), **_place(sys.exc_info()[2])}


def _redacted(report: Report, secrets: list[str]) -> Report:
    """The report without the secrets that are known here; a module may have set some that the command does not know."""
    redact = _redactor(secrets).text
    return {**report, **{name: redact(str(report[name])) for name in _TEXTS if report.get(name)}}


def _redactor(secrets: list[str]) -> _redaction.Redactor:
    return _redaction.Redactor([*_settings.secrets(), *secrets])


def event_secrets(event: Any) -> list[str]:
    """What in an event gives access; one that is no dict has nothing."""
    if not isinstance(event, dict):
        return []
    token = event.get("execution_token")
    return [token if isinstance(token, str) else "", *_redaction.url_secrets(event.get("input_presigned_url"))]


def _fault(error: BaseException) -> Report:
    """Where importing failed: for a SyntaxError that is the file that Python could not read."""

    def of_syntax() -> Report:
        if isinstance(error, SyntaxError) and error.filename:
            return {"where": f"{places.shown_path(error.filename)}:{error.lineno}", "line": (error.text or "").strip()}
        return {}

    return finder.safely(of_syntax, {}) or _place(sys.exc_info()[2])


def _place(trace: TracebackType | None) -> Report:
    place = finder.safely(lambda: places.of(trace), None)
    return {"where": place[0], "line": place[1]} if place else {}


def _end_if_forked(own_pid: int) -> None:
    """End a child that the handler has forked and that came back from it: only the first process has a report to leave.

    Nor has it the watchdog's thread, which to call off (or set anew) would be to wait for ever.
    """
    if os.getpid() != own_pid:
        bootstrap.flush()
        os._exit(0)


def _leave(report: Report, folder: str) -> None:
    bootstrap.flush()
    unfinished = os.path.join(folder, f"{REPORT}.tmp")
    # As bytes: looking up a codec imports it, which fails where the handler has removed the current folder.
    with open(unfinished, "wb") as file:
        file.write(json.dumps(report).encode("ascii"))
    os.replace(unfinished, os.path.join(folder, REPORT))
    # Not sys.exit: a thread of the handler that never ends must not keep the process.
    os._exit(0)
