"""Questions to the record. Each takes a Reader (or a Transaction, which is one) and changes nothing."""

from __future__ import annotations

import json

from .._protocol import lifecycles
from .transactions import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .._protocol.jobs import ListQuery
    from .transactions import Reader

# An event with more data than this is shown by its size; a view must not carry megabytes to every open page.
SHOWN_EVENT_BYTES = 64 * 1024
# A page of jobs ends early where its payloads would fill memory; the next page goes on there. In bytes of UTF-8; where
# one text has no such form, all of them are sent as escapes, which are up to three times as long.
PAGE_BYTES = 16 * 1024 * 1024
FIRST_SECOND, LAST_SECOND = -(2**62), 2**62

_JOB_COLUMNS = (
    "number",
    "job_id",
    "status",
    "registered_at",
    "updated_at",
    "completed_at",
    "attempt",
    "metered_count",
    "charge_limit",
    "rerun_of",
    "awaits_callback",
    "errors_json",
    "warnings_json",
    "fault_json",
    "settings_json",
    "response_json",
    "request_json",
)
_JOB = f"SELECT {', '.join(_JOB_COLUMNS)} FROM job"
_SECOND = "CAST(registered_at AS INTEGER)"
_ATTEMPT = (
    "SELECT attempt.id, attempt.job, job.job_id, attempt.number, token_digest, started_at, deadline_at, ended_at, "
    "outcome, request_id FROM attempt JOIN job ON job.number = attempt.job"
)
_FILE = (
    "SELECT event.seq, event.job, job.job_id, event.attempt, event.at, event.kind, event.data "
    "FROM file JOIN event ON event.seq = file.seq JOIN job ON job.number = event.job"
)


class JobRow:
    """A job as it stands. `attempt` is the number of the last one, 0 before the first.

    One that `awaits_callback` is queued, but no worker of ours gets it before the callback has answered.
    """

    __slots__ = ("job_number", *_JOB_COLUMNS[1:])

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.job_number: int
        self.job_id: str
        self.status: str
        self.registered_at: float
        self.updated_at: float
        self.completed_at: float | None
        self.attempt: int
        self.metered_count: int
        self.charge_limit: int | None
        self.rerun_of: str | None
        self.awaits_callback: int
        self.errors_json: str | None
        self.warnings_json: str | None
        self.fault_json: str | None
        self.settings_json: str | None
        self.response_json: str | None
        self.request_json: str
        (
            self.job_number,
            self.job_id,
            self.status,
            self.registered_at,
            self.updated_at,
            self.completed_at,
            self.attempt,
            self.metered_count,
            self.charge_limit,
            self.rerun_of,
            self.awaits_callback,
            self.errors_json,
            self.warnings_json,
            self.fault_json,
            self.settings_json,
            self.response_json,
            self.request_json,
        ) = row

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.status in lifecycles.FINAL

    @property
    def size_bytes(self) -> int:
        """About what it takes to show it."""
        texts = (self.request_json, self.response_json, self.settings_json, self.errors_json, self.warnings_json)
        return sum(len(text) if text.isascii() else len(text.encode("utf-8", "replace")) for text in texts if text)

    def __repr__(self) -> str:
        return f"<JobRow {self.job_id} {self.status}>"


class AttemptRow:
    """One try of a job. `attempt` is its number, `id` what the input's URL calls it."""

    __slots__ = (
        "attempt",
        "deadline_at",
        "ended_at",
        "id",
        "job_id",
        "job_number",
        "outcome",
        "request_id",
        "started_at",
        "token_digest",
    )

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.id: str
        self.job_number: int
        self.job_id: str
        self.attempt: int
        self.token_digest: bytes
        self.started_at: float
        self.deadline_at: float
        self.ended_at: float | None
        self.outcome: str | None
        self.request_id: str | None
        (
            self.id,
            self.job_number,
            self.job_id,
            self.attempt,
            self.token_digest,
            self.started_at,
            self.deadline_at,
            self.ended_at,
            self.outcome,
            self.request_id,
        ) = row

    def __repr__(self) -> str:
        return f"<AttemptRow {self.attempt} of {self.job_id}>"


# Jobs and attempts


def job_of(reader: Reader, job_id: str) -> JobRow | None:
    """The job with this id."""
    row = reader.row(f"{_JOB} WHERE job_id = ?", (job_id,))
    return None if row is None else JobRow(row)


def next_waiting(reader: Reader) -> JobRow | None:
    """The job that has been in the queue longest."""
    row = reader.row(f"{_JOB} WHERE status = 'queued' AND awaits_callback = 0 ORDER BY number LIMIT 1")
    return None if row is None else JobRow(row)


def next_untold(reader: Reader) -> JobRow | None:
    """The job that the callback is to be asked about next."""
    row = reader.row(f"{_JOB} WHERE awaits_callback = 1 ORDER BY number LIMIT 1")
    return None if row is None else JobRow(row)


def attempt_of(reader: Reader, attempt_id: str) -> AttemptRow | None:
    """The attempt with this id."""
    row = reader.row(f"{_ATTEMPT} WHERE attempt.id = ?", (attempt_id,))
    return None if row is None else AttemptRow(row)


def attempts_of(reader: Reader, job_number: int) -> list[AttemptRow]:
    """All attempts of a job, the first one first."""
    return [
        AttemptRow(row)
        for row in reader.rows(f"{_ATTEMPT} WHERE attempt.job = ? ORDER BY attempt.number", (job_number,))
    ]


def open_attempts(reader: Reader, job_number: int | None = None) -> list[AttemptRow]:
    """The attempts that have not ended, of one job or of all."""
    if job_number is None:
        return [AttemptRow(row) for row in reader.rows(f"{_ATTEMPT} WHERE ended_at IS NULL")]
    return [
        AttemptRow(row) for row in reader.rows(f"{_ATTEMPT} WHERE ended_at IS NULL AND attempt.job = ?", (job_number,))
    ]


def page_of_jobs(reader: Reader, query: ListQuery) -> tuple[list[JobRow], tuple[int, ...]]:
    """A page, newest first, and where it ended; () if nothing comes after it.

    By ids: those that exist, whatever the other filters say.
    """
    rows = _by_ids(reader, query) if query.job_ids else _filtered(reader, query)
    limit = len(query.job_ids) or query.limit
    jobs: list[JobRow] = []
    size_bytes = 0
    for row in rows:
        job = JobRow(row)
        size_bytes += job.size_bytes
        if jobs and (len(jobs) == limit or size_bytes > PAGE_BYTES):
            return jobs, _place(jobs[-1])
        jobs.append(job)
    return jobs, ()


def _filtered(reader: Reader, query: ListQuery) -> Iterator[tuple[Any, ...]]:
    since = FIRST_SECOND if query.since is None else query.since
    until = LAST_SECOND if query.until is None else query.until
    where, values = "second BETWEEN ? AND ?", [since, until]
    if query.after:
        where, values = f"{where} AND (second, number) < (?, ?)", [*values, *(*query.after, 0)[:2]]
    if query.status:
        where, values = f"{where} AND status = ?", [*values, query.status]  # type: ignore[list-item]
    sql = f"{_JOB} WHERE {where} ORDER BY second DESC, number DESC LIMIT ?"
    return reader.each(sql.replace("second", _SECOND), [*values, query.limit + 1])


def _by_ids(reader: Reader, query: ListQuery) -> Iterator[tuple[Any, ...]]:
    """Row by row: as many jobs as may be asked for do not fit into memory."""
    where = f"job_id IN ({', '.join('?' * len(query.job_ids))})"
    places = sorted(reader.rows(f"SELECT {_SECOND}, number FROM job WHERE {where}", query.job_ids), reverse=True)
    for place in places:
        if not query.after or place < (*query.after, 0)[:2]:
            yield reader.rows(f"{_JOB} WHERE number = ?", place[1:])[0]


def _place(job: JobRow) -> tuple[int, int]:
    return int(job.registered_at), job.job_number


# Events


def last_seq(reader: Reader) -> int:
    """The number of the last event; 0 for a new record."""
    row = reader.row("SELECT max(seq) FROM event")
    return 0 if row is None or row[0] is None else int(row[0])


def events_after(
    reader: Reader, seq: int, *, job_number: int | None = None, kinds: Iterable[str] = (), limit: int = 500
) -> list[Event]:
    """At most `limit` events behind `seq`, of one job or of all. One that is too large to show says so instead."""
    where, values = "event.seq > ?", [seq]
    if job_number is not None:
        where, values = f"{where} AND event.job = ?", [*values, job_number]
    wanted = list(kinds)
    if wanted:
        where = f"{where} AND event.kind IN ({', '.join('?' * len(wanted))})"
    shown = (
        f"CASE WHEN length(CAST(event.data AS BLOB)) <= {SHOWN_EVENT_BYTES} THEN event.data "
        "ELSE '{\"cut\": true, \"size_bytes\": ' || length(CAST(event.data AS BLOB)) || '}' END"
    )
    # A join from the events: the planner must not walk all jobs first.
    sql = (
        f"SELECT event.seq, event.job, job.job_id, event.attempt, event.at, event.kind, {shown} FROM event "
        f"CROSS JOIN job ON job.number = event.job WHERE {where} ORDER BY event.seq LIMIT ?"
    )
    return [Event(*row) for row in reader.rows(sql, [*values, *wanted, limit])]


def event_line(event: Event) -> str:
    """An event as one line of JSON, as all views show it."""
    return (
        f'{{"seq": {event.seq}, "job_id": {json.dumps(event.job_id)}, "attempt": {event.attempt}, '
        f'"at": {event.at!r}, "kind": "{event.kind}", "data": {event.text}}}'
    )


# What a job has left behind


def effects(
    reader: Reader, job_number: int, kind: str, *, attempt: int | None = None, after: int = 0, limit: int = -1
) -> Iterator[Event]:
    """The pushes, files or charges of a job in order; of one attempt, or of all."""
    job_id = ""
    where = "" if attempt is None else " AND attempt = ?"
    values = [job_number, kind, after, *([] if attempt is None else [attempt]), limit]
    sql = (
        "SELECT seq, job, attempt, at, kind, data FROM event "
        f"WHERE job = ? AND kind = ? AND kind IN ('push', 'file', 'charge') AND seq > ?{where} ORDER BY seq LIMIT ?"
    )
    for seq, job, number, at, its_kind, text in reader.each(sql, values):
        yield Event(seq, job, job_id, number, at, its_kind, text)


def effect_counts(reader: Reader, job_number: int) -> dict[str, int]:
    """How many pushes, files and charges there are."""
    sql = "SELECT kind, count(*) FROM event WHERE job = ? AND kind IN ('push', 'file', 'charge') GROUP BY kind"
    return dict(reader.rows(sql, (job_number,)))


def file_of(reader: Reader, file_id: str) -> Event | None:
    """The push of the file with this id."""
    row = reader.row(f"{_FILE} WHERE file.id = ?", (file_id,))
    return None if row is None else Event(*row)


def file_named(reader: Reader, job_number: int, name: str) -> Event | None:
    """The job's last push of a file under this name."""
    row = reader.row(f"{_FILE} WHERE file.job = ? AND file.name = ? ORDER BY file.seq DESC LIMIT 1", (job_number, name))
    return None if row is None else Event(*row)


# For the list of the dashboard


def overview(
    reader: Reader, *, before: int = LAST_SECOND, limit: int = 100, status: str = "", text: str = ""
) -> list[dict[str, Any]]:
    """Jobs without their payloads, the last submitted first; `text` has to be part of the id or of the input."""
    where, values = "job.number < ?", [before]
    if status:
        where, values = f"{where} AND status = ?", [*values, status]  # type: ignore[list-item]
    if text:
        where = f"{where} AND (instr(job_id, ?) OR instr(request_json, ?))"
        values = [*values, text, text]  # type: ignore[list-item]
    sql = (
        "SELECT job.number, job_id, status, registered_at, updated_at, started_at, attempt.ended_at, job.attempt, "
        "metered_count, charge_limit, fault_json, substr(request_json, 1, 200) FROM job "
        "LEFT JOIN attempt ON attempt.job = job.number AND attempt.number = job.attempt "
        f"WHERE {where} ORDER BY job.number DESC LIMIT ?"
    )
    return [_overview_row(reader, row) for row in reader.rows(sql, [*values, limit])]


def counts_by_status(reader: Reader) -> dict[str, int]:
    """How many jobs there are in each of the seven statuses."""
    counts: dict[str, int] = dict.fromkeys(lifecycles.STATUSES, 0)
    counts.update(reader.rows("SELECT status, count(*) FROM job GROUP BY status"))
    return counts


def _overview_row(reader: Reader, row: tuple[Any, ...]) -> dict[str, Any]:
    number, job_id, status, registered_at, updated_at, started_at, ended_at, attempt, metered, limit, fault, text = row
    counts = effect_counts(reader, number)
    return {
        "number": number,
        "job_id": job_id,
        "status": status,
        "registered_at": registered_at,
        "updated_at": updated_at,
        "started_at": started_at,
        "ended_at": ended_at,
        "attempt": attempt,
        "pushes": counts.get("push", 0),
        "files": counts.get("file", 0),
        "metered_event_count": metered,
        "charge_limit": limit,
        "error_code": json.loads(fault)["code"] if fault else None,
        "input": text,
    }
