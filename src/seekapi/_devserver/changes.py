"""What happens to a job: every change of the record, each with its event. Each takes a Transaction.

A job is the platform's as long as one of its attempts is open. An attempt ends once: by its verdict, because a client
took the job elsewhere, or because the server died under it. From then on its token opens nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from itertools import accumulate
from uuid import uuid4

from .._protocol import jobs, json_text, lifecycles
from . import records
from .records import AttemptRow, JobRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .transactions import Subject, Transaction

# What the Job object shows of a result; all of it is at /result.
SHOWN_PUSHES = 100
SHOWN_RESULT_CHARS = 1024 * 1024
SHOWN_FILES = 1000
# Who reads a list of errors does not read more than that.
MOST_NOTES = 1000


class Claimed:
    """A job that was taken from the queue: its attempt, and what the worker is to be given.

    The token is here in clear, and nowhere else: the record holds its digest.
    """

    __slots__ = ("attempt", "settings", "token")

    def __init__(self, attempt: AttemptRow, token: str, settings: dict[str, Any] | None) -> None:
        self.attempt = attempt
        self.token = token
        self.settings = settings

    def __repr__(self) -> str:
        return f"<Claimed {self.attempt!r}>"


def submit(
    tx: Transaction,
    request_text: str,
    *,
    settings_json: str | None = None,
    charge_limit: int | None = None,
    key: str | None = None,
    digest: bytes | None = None,
    rerun_of: str | None = None,
    platform_only: bool = False,
    awaits_callback: bool = False,
) -> JobRow:
    """A new job, in the queue. `request_text` is its input as JSON text; `platform_only`: no worker is run here.

    With `awaits_callback` no worker gets it before `release`.
    """
    job_id = str(uuid4())
    now = tx.now
    number = tx.execute(
        "INSERT INTO job (job_id, status, registered_at, updated_at, charge_limit, rerun_of, awaits_callback, "
        "submit_key, submit_digest, settings_json, request_json) VALUES (?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (job_id, now, now, charge_limit, rerun_of, awaits_callback, key, digest, settings_json, request_text),
    ).lastrowid
    job = JobRow(
        (
            *(number, job_id, lifecycles.QUEUED, now, now, None, 0, 0, charge_limit, rerun_of, int(awaits_callback)),
            *(None, None, None, settings_json, None, request_text),
        )
    )
    # Ids and numbers: nothing in it wants escaping.
    more = "" if rerun_of is None else f', "rerun_of": "{rerun_of}"'
    more += ', "platform_only": true' if platform_only else ""
    tx.event_text(job, "submitted", f'{{"status": "queued", "size_bytes": {len(request_text)}{more}}}')
    return job


def release(tx: Transaction, job_id: str, reason: str = "") -> None:
    """The callback has answered: a worker may have the job now; or, for a `reason` against it, the job has failed."""
    job = records.job_of(tx, job_id)
    if job is None or not job.awaits_callback:
        return
    tx.execute("UPDATE job SET awaits_callback = 0 WHERE number = ?", (job.job_number,))
    if reason:
        tx.event(job, "callback", {"ok": False})
        fail(tx, job, "CALLBACK_FAILED", reason)
    else:
        tx.event(job, "callback", {"ok": True, "status": job.status})


def release_all(tx: Transaction) -> None:
    """Nobody is asked any more: what waited for that may run."""
    while (job := records.next_untold(tx)) is not None:
        release(tx, job.job_id)


# Attempts: what the runner does


def claim(tx: Transaction, timeout_s: float) -> Claimed | None:
    """The oldest waiting job begins an attempt that may take `timeout_s`; None if no job is waiting."""
    job = records.next_waiting(tx)
    return None if job is None else start(tx, job, timeout_s)


def start(tx: Transaction, job: JobRow, timeout_s: float) -> Claimed:
    """`job` begins its next attempt."""
    token = secrets.token_urlsafe(24)
    number = job.attempt + 1
    row = (secrets.token_hex(16), job.job_number, job.job_id, number, digest_of(token), tx.now, tx.now + timeout_s)
    attempt = AttemptRow((*row, None, None, None))
    tx.execute(
        "INSERT INTO attempt (id, job, number, token_digest, started_at, deadline_at) VALUES (?, ?, ?, ?, ?, ?)",
        (attempt.id, job.job_number, number, attempt.token_digest, attempt.started_at, attempt.deadline_at),
    )
    tx.execute(
        "UPDATE job SET status = 'processing', attempt = ?, updated_at = ?, fault_json = NULL WHERE number = ?",
        (number, tx.now, job.job_number),
    )
    said = {"status": lifecycles.PROCESSING, "timeout_s": timeout_s, "deadline_at": attempt.deadline_at}
    tx.event(attempt, "started", said)
    settings = None if job.settings_json is None else json.loads(job.settings_json)
    return Claimed(attempt, token, settings)


def end_attempt(
    tx: Transaction,
    attempt: AttemptRow,
    *,
    ok: bool,
    error: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> bool:
    """The verdict: the job is completed, or has failed with `error`. False, and nothing changes, if it came too late.

    `error` has a code and a message, and what is known of where, line, traceback. `more` goes into the event.
    """
    if not _close(tx, attempt, "completed" if ok else (error or {}).get("code", "ERROR")):
        return False
    fault = None if ok else {"code": "WORKER_ERROR", "message": "", **(error or {})}
    status = lifecycles.COMPLETED if ok else lifecycles.ERROR
    job = _job(tx, attempt)
    if ok:
        tx.execute(
            "UPDATE job SET status = ?, updated_at = ?, completed_at = ?, response_json = ?, fault_json = NULL "
            "WHERE number = ?",
            (status, tx.now, tx.now, json.dumps(result_of(tx, attempt)), job.job_number),
        )
    else:
        assert fault is not None
        _fail(tx, job, fault)
    said = {"status": status, "ok": ok, "duration_s": round(tx.now - attempt.started_at, 6), **(more or {})}
    if fault is not None:
        said["error"] = fault
    tx.event(attempt, "ended", said)
    return True


def lose_running(tx: Transaction) -> list[AttemptRow]:
    """Called once, at the start: what ran when the last server ended is lost, and its job says so."""
    lost = records.open_attempts(tx)
    for attempt in lost:
        _close(tx, attempt, "lost")
        job = _job(tx, attempt)
        fault = {"code": "LOST", "message": "the server ended while the job was running"}
        if not job.is_final:
            _fail(tx, job, fault)
            tx.event(attempt, "lost", {"status": lifecycles.ERROR, "error": fault})
    return lost


def result_of(tx: Transaction, attempt: AttemptRow) -> dict[str, Any]:
    """What the Job object shows as the result of a job that the platform ran: what this attempt pushed."""
    pushes: list[Any] = []
    count = chars = 0
    for event in records.effects(tx, attempt.job_number, "push", attempt=attempt.attempt):
        count += 1
        chars += len(event.text)
        if len(pushes) < SHOWN_PUSHES and chars <= SHOWN_RESULT_CHARS:
            pushes.append(event.data["data"])
    files = [event.data["name"] for event in records.effects(tx, attempt.job_number, "file", attempt=attempt.attempt)]
    result: dict[str, Any] = {"result_count": count, "pushes": pushes, "files": files[:SHOWN_FILES]}
    if len(pushes) < count or len(files) > SHOWN_FILES:
        result["truncated"] = True
    return result


# What clients do


def change(
    tx: Transaction, job: JobRow, status: str, errors: Sequence[str] = (), warnings: Sequence[str] = ()
) -> JobRow:
    """PATCH: another status, and notes that are added. Both lists of notes exist from then on."""
    fault_json = job.fault_json
    if status == lifecycles.ERROR and job.status != status:
        message = "\n".join(errors)[:2048] or "set by a client"
        fault_json = json.dumps({"code": "SET_BY_CLIENT", "message": message})
    elif status == lifecycles.CANCELLED and job.status != status:
        fault_json = json.dumps({"code": "CANCELLED", "message": "cancelled by a client"})
    elif status != job.status:
        fault_json = None
    tx.execute(
        "UPDATE job SET status = ?, updated_at = ?, errors_json = ?, warnings_json = ?, fault_json = ? "
        "WHERE number = ?",
        (
            *(status, tx.now, _with_notes(job.errors_json, errors), _with_notes(job.warnings_json, warnings)),
            *(fault_json, job.job_number),
        ),
    )
    said: dict[str, Any] = {"status": status, "before": job.status, "by": "client"}
    for name, notes in (("errors", errors), ("warnings", warnings)):
        if notes:
            said[name] = list(notes)
    _moved(tx, job, status, said)
    return _job(tx, job)


def complete(tx: Transaction, job: JobRow, response_text: str) -> JobRow:
    """PUT: the result, from a client."""
    tx.execute(
        "UPDATE job SET status = 'completed', updated_at = ?, completed_at = ?, response_json = ?, fault_json = NULL "
        "WHERE number = ?",
        (tx.now, tx.now, response_text, job.job_number),
    )
    said = {"status": lifecycles.COMPLETED, "before": job.status, "by": "client", "size_bytes": len(response_text)}
    _moved(tx, job, lifecycles.COMPLETED, said)
    return _job(tx, job)


def cancel(tx: Transaction, job: JobRow, reason: str = "cancelled by a client") -> JobRow:
    """The job ends now, if it has not ended. Whoever runs it hears of it by the event."""
    if job.is_final:
        return job
    _set_status(tx, job.job_number, lifecycles.CANCELLED)
    tx.execute(
        "UPDATE job SET fault_json = ? WHERE number = ?",
        (json.dumps({"code": "CANCELLED", "message": reason}), job.job_number),
    )
    _moved(tx, job, lifecycles.CANCELLED, {"status": lifecycles.CANCELLED, "before": job.status, "reason": reason})
    return _job(tx, job)


def fail(tx: Transaction, job: JobRow, code: str, note: str) -> JobRow:
    """The platform gives the job up, with a note among its errors; not one that has ended."""
    if job.is_final:
        return job
    _fail(tx, job, {"code": code, "message": note})
    said = {"status": lifecycles.ERROR, "before": job.status, "error": {"code": code, "message": note}}
    _moved(tx, job, lifecycles.ERROR, said)
    return _job(tx, job)


def digest_of(text: str) -> bytes:
    """What the record keeps of a secret or of a body."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _moved(tx: Transaction, job: JobRow, status: str, said: dict[str, Any]) -> None:
    """Say it, and end the attempt that is still at a job which is not the platform's any more."""
    if status not in lifecycles.ACTIVE:
        for attempt in records.open_attempts(tx, job.job_number):
            _close(tx, attempt, "cancelled" if status == lifecycles.CANCELLED else "superseded")
            said["attempt_closed"] = attempt.attempt
    tx.event(job, "status", said)


def _close(tx: Transaction, attempt: AttemptRow, outcome: str) -> bool:
    done = tx.execute(
        "UPDATE attempt SET ended_at = ?, outcome = ? WHERE id = ? AND ended_at IS NULL", (tx.now, outcome, attempt.id)
    )
    return done.rowcount == 1


def _fail(tx: Transaction, job: JobRow, fault: dict[str, Any]) -> None:
    note = f"{fault['code']}: {fault['message']}".strip(": ")
    tx.execute(
        "UPDATE job SET status = 'error', updated_at = ?, fault_json = ?, errors_json = ?, warnings_json = ? "
        "WHERE number = ?",
        (
            *(tx.now, json.dumps(fault), _with_notes(job.errors_json, [note])),
            *(_with_notes(job.warnings_json, []), job.job_number),
        ),
    )


def _set_status(tx: Transaction, job_number: int, status: str) -> None:
    tx.execute("UPDATE job SET status = ?, updated_at = ? WHERE number = ?", (status, tx.now, job_number))


def _with_notes(notes_json: str | None, added: Sequence[str]) -> str:
    """The list with `added` at its end; of a list that nobody could read the last ones stay."""
    notes = json.loads(notes_json) if notes_json else []
    texts = [json_text.encode(note) for note in [*notes, *added][-MOST_NOTES:]]
    sizes = accumulate(len(text) for text in reversed(texts))
    count = sum(size_bytes <= jobs.MOST_NOTE_BYTES for size_bytes in sizes) or 1
    return f"[{', '.join(texts[-count:])}]"


def _job(tx: Transaction, about: Subject) -> JobRow:
    job = records.job_of(tx, about.job_id)
    assert job is not None
    return job
