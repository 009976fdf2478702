"""A log record as one line of JSON, or as text for a person. No `logging` here: what comes in is a record, ready.

JSON: {"timestamp", "level", "message", "logger", "job_uuid", "request_id", "attempt", ... and "traceback" if any}; the
first four are what AWS's own runtime writes, too. Text: each line that does not begin a record is indented, so that no
message can pass for another record.
"""

from __future__ import annotations

import json
import time

from .._protocol import envelopes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import LogRecord

RED, YELLOW, DIM = "31", "33", "2"
_INDENT = "  "
# As much of a job's id as tells it from its neighbours on a screen.
_SHORT_ID = 8


def as_json(record: LogRecord, fields: Mapping[str, object]) -> str:
    """One line, whatever the record holds; `fields` are what it carries beside the usual."""
    told = {
        "timestamp": _timestamp(record.created),
        "level": record.levelname,
        "message": record.msg if isinstance(record.msg, dict) else record.getMessage(),
        "logger": record.name,
        **{name: value for name, value in fields.items() if name not in ("timestamp", "level", "message", "logger")},
    }
    if record.exc_text:
        told["traceback"] = record.exc_text
    try:
        return json.dumps(told, default=envelopes.text_of, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        # NaN, a circle, a key that is none: then the doubtful ones as their text.
        plain = {str(name): value if _is_plain(value) else envelopes.text_of(value) for name, value in told.items()}
        return json.dumps(plain)


def as_text(record: LogRecord, fields: Mapping[str, object]) -> str:
    """For a file or a pipe: with time, level and ids in front."""
    ids = [
        f"{label}={fields[name]}"
        for label, name in (("job", "job_uuid"), ("request", "request_id"), ("attempt", "attempt"))
        if fields.get(name) is not None
    ]
    return _lines(" ".join([_timestamp(record.created), record.levelname, *ids]), record)


def for_a_terminal(record: LogRecord, fields: Mapping[str, object], *, is_coloured: bool) -> str:
    """For somebody who watches: shorter, and in colours."""
    clock = time.strftime("%H:%M:%S", time.localtime(record.created))
    job = fields.get("job_uuid")
    front = clock if job is None else f"{clock} {str(job)[:_SHORT_ID]}"
    if not is_coloured:
        return _lines(f"{printable(front)} {record.levelname}", record)
    colour = RED if record.levelno >= 40 else YELLOW if record.levelno >= 30 else DIM
    return _lines(f"\x1b[{DIM}m{printable(front)}\x1b[0m \x1b[{colour}m{record.levelname}\x1b[0m", record, is_safe=True)


def printable(text: str, *, keep: str = "") -> str:
    """`text` with everything escaped that could move the cursor, colour, hide or reorder what is on the screen."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def _lines(front: str, record: LogRecord, *, is_safe: bool = False) -> str:
    message = record.getMessage().split("\n")
    rest = [line if line.startswith(_INDENT) else _INDENT + line for line in message[1:]]
    rest += [(_INDENT + line).rstrip() for line in (record.exc_text or "").split("\n") if record.exc_text]
    front = front if is_safe else printable(front)
    return "\n".join([f"{front} {printable(message[0], keep=chr(9))}", *(printable(x, keep=chr(9)) for x in rest)])


def _timestamp(seconds: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03}Z"


def _is_plain(value: object) -> bool:
    return type(value) in (str, int, bool, type(None)) or (type(value) is float and abs(value) < float("inf"))
