"""Jobs as a table and as a page for a person. Whatever a worker made is shown escaped."""

from __future__ import annotations

import json

from . import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import TextIO

    from ..client.records import JobRecord, JobResult

MOST_SHOWN = 20
_STATUS_WIDTH = len("processing")
_COLOURS = {"completed": terminal.GREEN, "error": terminal.RED, "cancelled": terminal.DIM}


def table(jobs: list[JobRecord], stream: TextIO) -> str:
    """One line each: id, status, when, how long, and the input or what went wrong."""
    id_width = max(len(terminal.printable(job.id)) for job in jobs)
    width = terminal.width(stream)
    lines = [f"{'id':<{id_width}}  {'status':<{_STATUS_WIDTH}}  {'submitted':<19}  {'took':>8}  input, or error"]
    for job in jobs:
        padding = " " * max(0, _STATUS_WIDTH - len(terminal.printable(job.status)))
        head = f"{terminal.printable(job.id):<{id_width}}  "
        middle = f"{padding}  {_moment(job.registered_at):<19}  {_took(job):>8}  "
        note = "; ".join(job.errors) if job.status == "error" and job.errors else _json(job.input)
        left = width - len(head) - _STATUS_WIDTH - len(middle) + len(padding)
        lines.append(f"{head}{status(job, stream)}{middle}{terminal.cut(terminal.printable(note), max(10, left))}")
    return "\n".join(lines)


def page(job: JobRecord, result: JobResult, stream: TextIO) -> str:
    """All that is known of one job."""
    lines = [f"{status(job, stream)}  {terminal.printable(job.id)}   {_took(job)}".rstrip()]
    if result.error is not None:
        lines += [f"  {line}" for line in terminal.printable(str(result.error), keep="\n").splitlines()]
        if result.error.where:
            where = f"    at {result.error.where}   {result.error.line}".rstrip()
            lines.append(terminal.printable(where))
    lines.append(terminal.labelled("submitted", _moment(job.registered_at), stream))
    lines.append(terminal.labelled("input", _json(job.input), stream))
    if job.settings:
        lines.append(terminal.labelled("settings", _json(job.settings), stream))
    lines += terminal.listed("push", [_json(value) for value in result.values], MOST_SHOWN, stream)
    sizes = [f"{file.name}   {terminal.size(file.size_bytes)}   {file.content_type}" for file in result.files]
    lines += terminal.listed("file", sizes, MOST_SHOWN, stream)
    lines += terminal.listed("charge", [_json(charge) for charge in result.charges], MOST_SHOWN, stream)
    lines += terminal.listed("warning", job.warnings, MOST_SHOWN, stream)
    if result.error is None:
        lines += terminal.listed("error", job.errors, MOST_SHOWN, stream)
    return "\n".join(lines)


def status(job: JobRecord, stream: TextIO) -> str:
    """The status, coloured for a terminal."""
    text = terminal.printable(job.status)
    colour = _COLOURS.get(job.status)
    return terminal.painted(text, colour, stream) if colour else text


def free_name(name: str, taken: set[str]) -> str:
    """A plain name for a file called `name` that is not among those `taken`, and now is."""
    from ..client.downloads import safe_name

    plain = safe_name(name)
    stem, dot, ending = plain.rpartition(".")
    number = 1
    free = plain
    # Without regard to case: on some disks two such names are one file.
    while free.lower() in taken:
        number += 1
        free = f"{stem} ({number}){dot}{ending}" if stem else f"{plain} ({number})"
    taken.add(free.lower())
    return free


def _moment(at: datetime | None) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _took(job: JobRecord) -> str:
    """From the submission to the end: the protocol tells whole seconds."""
    end = job.completed_at or (job.updated_at if job.is_final else None)
    if end is None or job.registered_at is None:
        return ""
    seconds = (end - job.registered_at).total_seconds()
    return "< 1 s" if seconds < 1 else f"{seconds:.0f} s"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
