"""What became of one `seekapi run`: status, exit code, error, and what the handler has left behind, as one dict.

This dict is what `--json` prints (docs/cli.md lists its fields) and what the page for a person is made of.
"""

from __future__ import annotations

import os
import re

from .._backends import local, local_names
from .._backends.local_rows import read_rows
from .._devserver import verdicts
from .._protocol import envelopes, json_text
from .._worker import places
from ..errors import SerializationError
from . import exit_codes, handler_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .supervisor import Ended

    Verdict = dict[str, Any]

_EXIT_CODE_OF_ERROR = {
    envelopes.CONFIGURATION_ERROR: exit_codes.CONFIGURATION,
    envelopes.TIMEOUT: exit_codes.TIMEOUT,
}
NOTHING_ADDED: Verdict = {"pushes": [], "files": [], "charges": [], "artifacts": None}
_ESCAPE = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U000[0-9a-f]{5}")
# How much deeper than a value is nested it is printed: inside the outcome, and below the calls that print it.
_DEEPER_PRINTED = 20


def of(ended: Ended, timeout_s: float) -> Verdict:
    """Status, exit code, error and answer of a process that has ended."""
    report, value = _read(ended.report or {})
    verdict = _judged(ended, report, value, timeout_s)
    if ended.signal:
        verdict = _of_interrupt(ended, report)
    return {
        **verdict,
        "envelope": value if _is_envelope(value) else None,
        "returned": value,
        "duration_ms": round(report["seconds"] * 1000, 1) if "seconds" in report else None,
    }


def refused(message: str) -> Verdict:
    """The verdict if nothing could be run at all."""
    return {
        **_bad("unusable", exit_codes.CONFIGURATION, envelopes.CONFIGURATION_ERROR, message, {}),
        **dict.fromkeys(("envelope", "returned", "duration_ms", "job_uuid", "request_id")),
        **NOTHING_ADDED,
        "progress": None,
        "log": "",
        "log_is_cut": False,
    }


def _read(report: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The report, and the value in it. One that this process cannot read and print again is no JSON to anybody else."""
    if "value_json" not in report:
        return report, None
    try:
        value = printed = json_text.parse(report["value_json"])
        for _ in range(_DEEPER_PRINTED):
            printed = [printed]
        json_text.encode(printed, what="result")
    except (json_text.JsonError, SerializationError) as error:
        reason = error if isinstance(error, SerializationError) else f"result: {error}"
        return {**report, "outcome": "not_json", "message": f"what the handler returned is not JSON: {reason}"}, None
    return report, value


def _judged(ended: Ended, report: dict[str, Any], value: Any, timeout_s: float) -> Verdict:
    outcome = report.get("outcome")
    if outcome is None:
        return _of_no_report(ended, timeout_s)
    if outcome == "unimportable":
        return _bad("unusable", exit_codes.CONFIGURATION, "NOT_IMPORTABLE", report["message"], report)
    if report.get("seconds", 0.0) > timeout_s:
        late_s = report["seconds"] - timeout_s
        message = f"the handler ended {late_s:.2f} s after its deadline of {timeout_s:g} s; the platform stops it there"
        return _bad("timeout", exit_codes.TIMEOUT, envelopes.TIMEOUT, message, report)
    if outcome == "raised":
        return _bad("failed", exit_codes.JOB_FAILED, "HANDLER_RAISED", report["message"], report)
    if outcome == "not_json":
        return _bad("failed", exit_codes.JOB_FAILED, "NOT_JSON", report["message"], report)
    if outcome == "interrupted":
        return _bad("failed", exit_codes.JOB_FAILED, "HANDLER_RAISED", "KeyboardInterrupt", report)
    # A handler may have overcome one failure, and then answered with another: failed() looks at the code.
    error = verdicts.failed(value, {**report, "code": report.get("failure_code")})
    if error is None:
        return {"status": "completed", "exit_code": exit_codes.OK, "error": None}
    code = error["code"]
    status = "timeout" if code == envelopes.TIMEOUT else "failed"
    return _bad(status, _EXIT_CODE_OF_ERROR.get(code, exit_codes.JOB_FAILED), code, error["message"], error)


def _of_interrupt(ended: Ended, report: dict[str, Any]) -> Verdict:
    """Somebody wanted it to end; by which signal only this command knows."""
    import signal

    place = report or _stack_place(ended.stack)
    message = f"interrupted by {'Ctrl-C' if ended.signal == signal.SIGINT else signal.Signals(ended.signal).name}"
    if ended.killed_late:
        function = f", in {place['function']}()" if place else ""
        message += f"; the handler did not end{function}, and was stopped"
    return _bad("interrupted", exit_codes.of_signal(ended.signal), envelopes.CANCELLED, message, place)


def _of_no_report(ended: Ended, timeout_s: float) -> Verdict:
    """The process ended without an answer: its time was up, or something ended it."""
    place = _stack_place(ended.stack)
    time_was_up = ended.killed_late or "Timeout (" in ended.stack
    if time_was_up and not ended.killed_late and not ended.stack.startswith("handler\n"):
        limit_s = handler_process.import_limit(timeout_s)
        message = f"importing the handler was not done after {limit_s:g} s; a longer --timeout gives it more"
        return _bad("unusable", exit_codes.CONFIGURATION, "NOT_IMPORTABLE", message, place)
    if time_was_up:
        function = f", in {place['function']}()" if place else ""
        message = f"the handler was still running at its deadline of {timeout_s:g} s{function}, and was stopped"
        return _bad("timeout", exit_codes.TIMEOUT, envelopes.TIMEOUT, message, place)
    error = verdicts.crashed(ended.return_code)
    return _bad("failed", exit_codes.JOB_FAILED, error["code"], error["message"], {})


def _stack_place(stack: str) -> dict[str, str]:
    """Where the user's code stood, in the stack that faulthandler wrote: the latest call comes first."""
    for escaped, line_number, function in verdicts.calls_in(stack, handler_process.__file__):
        path = _unescaped(escaped)
        if places.is_users(path):
            return {
                "where": f"{places.shown_path(path)}:{line_number}",
                "line": places.source(path, line_number),
                "function": _unescaped(function),
            }
    return {}


def _unescaped(text: str) -> str:
    """`text` as it was before faulthandler made ASCII of it. A backslash it leaves alone: an existing path stays."""
    if os.path.exists(text):
        return text
    return _ESCAPE.sub(lambda escape: chr(int(escape[0][2:], 16)), text)


def _bad(status: str, exit_code: int, code: str, message: str, place: dict[str, Any]) -> Verdict:
    error = {"code": code, "message": message, "where": place.get("where"), "line": place.get("line") or None}
    return {"status": status, "exit_code": exit_code, "error": error}


def _is_envelope(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("ok"), bool)


class Artifacts:
    """What local mode keeps of one job. Made before the run, so that only what the run added is told."""

    def __init__(self, local_dir: str, job_uuid: str) -> None:
        self.folder = os.path.join(local_dir, local_names.job_folder_name(job_uuid))
        self._counts_before = {
            name: len(self._all(name)) for name in (local.DATA_ROWS, local.FILE_ROWS, local.CHARGE_ROWS)
        }

    def added(self) -> Verdict:
        """The pushes, files and charges of this run."""
        return {
            "pushes": [_fields(row, "type", "data", "pushed_at") for row in self._new(local.DATA_ROWS)],
            "files": [
                {**_fields(row, "name", "content_type", "size_bytes"), "path": row.get("stored_path")}
                for row in self._new(local.FILE_ROWS)
            ],
            "charges": [
                _fields(row, "idempotency_key", "count", "justification", "charged_at")
                for row in self._new(local.CHARGE_ROWS)
            ],
            "artifacts": self.folder if os.path.isdir(self.folder) else None,
        }

    def _new(self, name: str) -> list[dict[str, Any]]:
        return self._all(name)[self._counts_before[name] :]

    def _all(self, name: str) -> list[dict[str, Any]]:
        try:
            return read_rows(os.path.join(self.folder, name))[0]
        except OSError:
            return []  # a folder that cannot be read: the job has met the same trouble, and says so


def _fields(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """The named fields; the execution token is left where it is."""
    return {name: row.get(name) for name in names}
