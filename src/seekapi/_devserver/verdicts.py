"""What became of one attempt: from the report, the exit code and the stack of the worker's process to a verdict. Pure.

The codes are those of the envelope where there is one, else ours: HANDLER_RAISED, NOT_JSON, NO_REASON, NOT_IMPORTABLE,
CRASHED, TIMEOUT, SHUTDOWN.
"""

from __future__ import annotations

import re
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Error = dict[str, Any]
    # File, line, function.
    Place = tuple[str, int, str]

NOT_IMPORTABLE = "NOT_IMPORTABLE"
CRASHED = "CRASHED"
_STACK_LINE = re.compile(r'^  File "(?P<path>.+)", line (?P<line>\d+) in (?P<function>.+)$', re.MULTILINE)
# 70 is what the bootstrap ends with if it cannot report.
_HINTS = {
    0: "; a handler returns, it does not exit",
    70: "; has the handler closed a descriptor that was not its own?",
}
# Of whichever Python the worker has.
_NOT_THE_USERS = re.compile(r"[/\\](site|dist)-packages[/\\]|[/\\]lib(64)?[/\\]python3\.\d+[/\\]|^<")


def of_end(report: dict[str, Any] | None, exit_code: int, noted: Error | None) -> Error | None:
    """The error of a process that has ended by itself; None if the job is done.

    `noted` is what the job's log told last about a failure: code, where, line, traceback.
    """
    if report is None:
        return crashed(exit_code)
    outcome = report.get("outcome")
    if outcome == "returned":
        return failed(report.get("value"), noted)
    if outcome == "unimportable":
        return error(NOT_IMPORTABLE, **report["error"])
    if outcome == "raised":
        return error("HANDLER_RAISED", **report["error"])
    return error("NOT_JSON", report.get("message", "what the handler returned is not JSON"))


def error(
    code: str, message: str, where: str | None = None, line: str | None = None, traceback: str | None = None
) -> Error:
    """An error as the record has it; what is not known is left out."""
    fields = {"where": where, "line": line, "traceback": traceback}
    return {"code": code, "message": message, **{name: value for name, value in fields.items() if value}}


def crashed(exit_code: int) -> Error:
    """The process ended without an answer."""
    if exit_code >= 0:
        hint = _HINTS.get(exit_code, "")
        return error(CRASHED, f"the worker's process ended without an answer: exit code {exit_code}{hint}")
    try:
        known = signal.Signals(-exit_code)
        name = f"{known.name} ({signal.strsignal(known)})"
    except ValueError:
        name = f"signal {-exit_code}"
    hint = "; was it out of memory?" if exit_code == -signal.SIGKILL else ""
    return error(CRASHED, f"the worker's process was ended by {name}{hint}")


def late(timeout_s: float, place: Place | None, line: str | None) -> Error:
    """It was still running at its deadline, at this place of the user's own and this line of it, if that is known."""
    where = f"{place[0]}:{place[1]}" if place else None
    at = f" at {where} in {place[2]}" if place else ""
    message = f"the handler was still running at its deadline of {timeout_s:g} s{at}, and was stopped"
    return error("TIMEOUT", message, where, line)


def late_import(limit_s: float) -> Error:
    """It could not even be imported in time."""
    message = f"importing the worker was not done after {limit_s:g} s; a longer --timeout gives it more"
    return error(NOT_IMPORTABLE, message)


def shut_down() -> Error:
    """The platform was stopped over it."""
    return error("SHUTDOWN", "the platform was stopped while the job was running")


def lost(failure: Exception) -> Error:
    """The platform itself failed over it."""
    return error("LOST", f"the platform failed while the job was running ({type(failure).__name__}): its log says why")


def place_in(stack: str, ours: str) -> Place | None:
    """Where the handler stood, by what faulthandler wrote. `ours` is the folder of the bootstrap, that calls it."""
    for path, line_number, function in calls_in(stack, ours):
        if not path.startswith(ours) and not _NOT_THE_USERS.search(path):
            return path, line_number, function
    return None


def calls_in(stack: str, ours: str) -> list[Place]:
    """The calls of the thread that has `ours` in it, the latest first, by what faulthandler wrote."""
    main_thread = next((block for block in stack.split("\n\n") if ours in block), stack)
    return [(call["path"], int(call["line"]), call["function"]) for call in _STACK_LINE.finditer(main_thread)]


def failed(value: Any, noted: Error | None) -> Error | None:
    """The error that an envelope tells; None if it is none, or tells of none."""
    if not (isinstance(value, dict) and value.get("ok") is False):
        return None
    told = value.get("error")
    fields = told if isinstance(told, dict) else {"message": told or ""}
    code, message = _text(fields.get("code")), _text(fields.get("message"))
    if not code and not message:
        return error("NO_REASON", 'the handler answered {"ok": false} and gave no reason')
    # A handler may have overcome one failure, and then answered with another.
    place = noted if noted is not None and noted.get("code") == code else {}
    return error(code or "WORKER_ERROR", message, place.get("where"), place.get("line"), place.get("traceback"))


def _text(value: object) -> str:
    """What a handler says; half of a character, which JSON can spell, has no place in the record."""
    text = "" if value is None else str(value)[:4096]
    return text.encode("utf-8", "replace").decode("utf-8")
