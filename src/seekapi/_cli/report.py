"""The outcome of `seekapi run` as a page for a person. Whatever the worker made is shown escaped."""

from __future__ import annotations

import json
import re

from .._devserver import verdicts
from .._protocol import envelopes
from .._worker import deadline
from . import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

# As many of each kind are shown as fit a screen; all of them are on disk.
MOST_SHOWN = 10
_ROWS = {"push": "pushes", "file": "files", "charge": "charges"}
# What to do, for the codes whose message does not say it.
_REMEDIES = {
    envelopes.WORKER_ERROR: "the traceback is in the log, on stderr",
    "HANDLER_RAISED": "the traceback is in the log; seekapi.run() answers with a verdict instead of raising",
    envelopes.TIMEOUT: f"--timeout gives it longer; {deadline.HANDLER_RESERVE_S:g} s of it, or 2 %, are kept for the "
    "answer of a worker; job.remaining() tells it how much is left",
    envelopes.CANCELLED: "run it again: what was pushed before stays pushed",
    envelopes.MISSING_INPUT: "--input JSON gives it one",
    envelopes.INVALID_INPUT: "correct the --input; `seekapi schema TARGET` shows what the handler takes",
    envelopes.INVALID_EVENT: "correct the --event",
    envelopes.INPUT_UNAVAILABLE: "look at the input_presigned_url of the event, or give an --input",
    envelopes.DELIVERY_FAILED: "--out names another place for the results",
    "NOT_JSON": "return dicts with text keys, lists, texts, numbers, true, false and null",
    "NO_REASON": "seekapi.failure(code, message) gives one",
    verdicts.CRASHED: "what it said last is in the log, on stderr",
}


def of(outcome: dict[str, Any], stream: TextIO) -> str:
    """The page, made for `stream`: colour and width are those of the terminal, if it is one."""
    error, took_ms = outcome["error"], outcome["duration_ms"]
    time_taken = "" if took_ms is None else f"   {terminal.duration(took_ms / 1000)}"
    colour = terminal.RED if error else terminal.GREEN
    status = terminal.painted(outcome["status"], colour, stream)
    lines = [f"{status}  {terminal.printable(outcome['target'])}{time_taken}"]
    if error:
        lines += [f"  {line}" for line in of_error(error).splitlines()]
        # What was found after the handler had returned has a place in nobody's code, and no traceback.
        has_traceback = error["code"] != envelopes.WORKER_ERROR or error["where"]
        if error["code"] in _REMEDIES and has_traceback:
            remedy = _REMEDIES[error["code"]].replace("TARGET", terminal.printable(outcome["target"]))
            lines.append(terminal.painted(f"    {remedy}", terminal.DIM, stream))
        if outcome.get("progress"):
            lines.append(terminal.labelled("progress", _progress(outcome["progress"]), stream))
    for label, text_of in (("push", _push), ("file", _file), ("charge", _charge)):
        lines += terminal.listed(label, [text_of(row) for row in outcome[_ROWS[label]]], MOST_SHOWN, stream)
    if outcome["returned"] is not None and not _only_repeats(outcome["returned"], error):
        lines.append(terminal.labelled("returned", _json(outcome["returned"]), stream))
    if outcome["artifacts"]:
        # Never cut: this is what one copies.
        lines.append(f"  {'artifacts':<{terminal.LABEL_WIDTH}}{terminal.printable(outcome['artifacts'])}")
    return "\n".join(lines)


def of_error(error: dict[str, Any]) -> str:
    """What went wrong, and where in the user's code."""
    code, message = error["code"], error["message"]
    text = (
        message if code in ("NOT_IMPORTABLE", "CONFIGURATION_ERROR") and message else f"{code}: {message}".strip(": ")
    )
    lines = [terminal.printable(line) for line in _one_each(text) if line]
    if error["where"]:
        lines.append(f"  at {terminal.printable(error['where'])}   {terminal.printable(error['line'] or '')}".rstrip())
    return "\n".join(lines)


def _one_each(text: str) -> list[str]:
    """`2 problems: $.a: is missing; $.b: is missing`, a line each."""
    front, problems, rest = text.partition(" problems: $")
    if not problems or not front.rpartition(" ")[2].isdigit():
        return [text]
    each = re.split(r"; (?=\$|and \d+ more$)", f"${rest}")
    return [f"{front} problems:", *(f"  {problem}" for problem in each)]


def _only_repeats(returned: object, error: dict[str, Any] | None) -> bool:
    """Whether an answer is a failure that says no more than the error on the page."""
    if error is None or not isinstance(returned, dict) or not returned.keys() <= {"ok", "error", "request_id"}:
        return False
    told = returned.get("error")
    if error["code"] == envelopes.CANCELLED:
        return isinstance(told, dict) and told.get("code") == envelopes.CANCELLED
    return bool(told == {"code": error["code"], "message": error["message"]})


def _push(row: dict[str, Any]) -> str:
    kind = "" if row["type"] == "json" else f"({row['type']}) "
    return kind + _json(row["data"])


def _file(row: dict[str, Any]) -> str:
    return f"{row['name']}   {terminal.size(row['size_bytes'])}   {row['content_type']}"


def _charge(row: dict[str, Any]) -> str:
    reason = "" if row["justification"] is None else f"   {_json(row['justification'])}"
    return f"{row['idempotency_key']}   x {row['count']}{reason}"


def _progress(progress: dict[str, Any]) -> str:
    done, total, message = (progress.get(name) for name in ("done", "total", "message"))
    counts = f"{done}" if total is None else f"{done} of {total}"
    return f"{counts}   {message}" if message else counts


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
