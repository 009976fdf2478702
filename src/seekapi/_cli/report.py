"""The outcome of `seekapi run` as a page for a person. Whatever the worker made is shown escaped."""

from __future__ import annotations

import json

from . import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

# As many of each kind are shown as fit a screen; all of them are on disk.
MOST_SHOWN = 10
_LABEL_WIDTH = 11


def of(outcome: dict[str, Any], stream: TextIO) -> str:
    """The page, made for `stream`: colour and width are those of the terminal, if it is one."""
    error, took_ms = outcome["error"], outcome["duration_ms"]
    time_taken = "" if took_ms is None else f"   {terminal.duration(took_ms / 1000)}"
    colour = terminal.RED if error else terminal.GREEN
    status = terminal.painted(outcome["status"], colour, stream)
    lines = [f"{status}  {terminal.printable(outcome['target'])}{time_taken}"]
    if error:
        lines += [f"  {line}" for line in of_error(error).splitlines()]
    lines += _listed("push", outcome["pushes"], _push, stream)
    lines += _listed("file", outcome["files"], _file, stream)
    lines += _listed("charge", outcome["charges"], _charge, stream)
    if outcome["returned"] is not None and not _only_repeats(outcome["returned"], error):
        lines.append(_line("returned", _json(outcome["returned"]), stream))
    if outcome["artifacts"]:
        # Never cut: this is what one copies.
        lines.append(f"  {'artifacts':<{_LABEL_WIDTH}}{terminal.printable(outcome['artifacts'])}")
    return "\n".join(lines)


def of_error(error: dict[str, Any]) -> str:
    """What went wrong, and where in the user's code."""
    code, message = error["code"], error["message"]
    text = (
        message if code in ("NOT_IMPORTABLE", "CONFIGURATION_ERROR") and message else f"{code}: {message}".strip(": ")
    )
    lines = [terminal.printable(text)]
    if error["where"]:
        lines.append(f"  at {terminal.printable(error['where'])}   {terminal.printable(error['line'] or '')}".rstrip())
    return "\n".join(lines)


def _only_repeats(returned: object, error: dict[str, Any] | None) -> bool:
    """Whether an answer is a failure that says no more than the error on the page."""
    if error is None or not isinstance(returned, dict) or not returned.keys() <= {"ok", "error", "request_id"}:
        return False
    return bool(returned.get("error") == {"code": error["code"], "message": error["message"]})


def _listed(label: str, rows: list[dict[str, Any]], text_of: Any, stream: TextIO) -> list[str]:
    shown = [_line(label, text_of(row), stream) for row in rows[:MOST_SHOWN]]
    hidden_count = len(rows) - len(shown)
    return [*shown, _line("", f"... and {hidden_count} more", stream)] if hidden_count else shown


def _line(label: str, text: str, stream: TextIO) -> str:
    return terminal.cut(f"  {label:<{_LABEL_WIDTH}}{terminal.printable(text)}", terminal.width(stream))


def _push(row: dict[str, Any]) -> str:
    kind = "" if row["type"] == "json" else f"({row['type']}) "
    return kind + _json(row["data"])


def _file(row: dict[str, Any]) -> str:
    return f"{row['name']}   {terminal.size(row['size_bytes'])}   {row['content_type']}"


def _charge(row: dict[str, Any]) -> str:
    reason = "" if row["justification"] is None else f"   {_json(row['justification'])}"
    return f"{row['idempotency_key']}   x {row['count']}{reason}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
