"""What a worker calls: /v1/internal/jobs/{job_id}/...

The secret opens the door, the token says which attempt is speaking. A call with an idempotency key has one effect: the
same key gets the answer that it got before, also when the attempt is over by then, since what was kept is kept. Any
other call of an attempt that is over is refused.
"""

from __future__ import annotations

import hmac
import json

from .._protocol import json_text, routes
from ..errors import SerializationError
from . import changes, records, uploads
from .exchange import UNKNOWN_TYPE, Answer, Refusal, Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exchange import Incoming
    from .platform import Platform
    from .records import AttemptRow, JobRow
    from .transactions import Transaction
    from .uploads import Upload

LONGEST_CHARGE_KEY = 1024
LONGEST_TYPE = 64
LONGEST_REQUEST_ID = 256
MOST_AT_ONCE = 2**31 - 1
OK = {"ok": True}


def register(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
    """The id that the worker's host gave to this run. It carries no token, so it is for the attempt that is running."""
    fields = _fields_of(request)
    request_id = fields.get("request_id")
    if isinstance(request_id, bool) or not isinstance(request_id, (str, int)) or not str(request_id).strip():
        raise _invalid("request_id is missing")
    text = _text(str(request_id), "request_id", LONGEST_REQUEST_ID)
    job = _job_of(tx, request)
    attempt = next(iter(records.open_attempts(tx, job.job_number)), None)
    if attempt is None:
        raise _not_running(job)
    if attempt.request_id != text:
        tx.execute("UPDATE attempt SET request_id = ? WHERE id = ?", (text, attempt.id))
        tx.event(attempt, "registered", {"request_id": text})
    return Answer.json(OK)


def push_data(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
    """One value of the job's result."""
    fields = _fields_of(request)
    if "data" not in fields:
        raise _invalid("data is missing")
    kind = "json" if fields.get("type") is None else fields["type"]
    if not isinstance(kind, str) or len(kind) > LONGEST_TYPE:
        raise _invalid(f"type is not a text of at most {LONGEST_TYPE} characters")
    text = _encoded({"type": kind, "data": fields["data"]})
    attempt = _attempt_of(tx, _job_of(tx, request), fields.get("execution_token"))
    call = _Call(tx, attempt, "push", request.idempotency_key(), changes.digest_of(text))
    if call.answered is not None:
        return call.answered
    call.check_is_open()
    tx.event_text(attempt, "push", text)
    return call.answer(OK)


def push_file(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
    """A file, which is on the disk already."""
    upload: Upload = request.body
    if not isinstance(upload, uploads.Upload):
        raise _invalid("the form is missing")
    name = upload.text(uploads.NAME)
    attempt = _attempt_of(tx, _job_of(tx, request), upload.text(uploads.TOKEN))
    call = _Call(tx, attempt, "file", request.idempotency_key(), bytes.fromhex(upload.sha256))
    if call.answered is not None:
        return call.answered
    call.check_is_open()
    row = {
        "id": upload.id,
        "name": name,
        "content_type": upload.content_type or UNKNOWN_TYPE,
        "size_bytes": upload.size_bytes,
        "sha256": upload.sha256,
    }
    seq = tx.event(attempt, "file", row)
    tx.execute("INSERT INTO file (id, seq, job, name) VALUES (?, ?, ?, ?)", (upload.id, seq, attempt.job_number, name))
    tx.on_commit(upload.keep)
    return call.answer(OK)


def charge(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
    """Metered units. The key is the caller's own: once per key and job, with one count."""
    fields = _fields_of(request)
    key, count, justification = (fields.get(name) for name in ("idempotency_key", "count", "justification"))
    key = _text(key.strip() if isinstance(key, str) else "", "idempotency_key", LONGEST_CHARGE_KEY)
    if isinstance(count, float) and count.is_integer():
        count = int(count)  # 2.0 is a whole number in JSON.
    if type(count) is not int or not 1 <= count <= MOST_AT_ONCE:
        raise _invalid("count is not a whole number of at least 1")
    if justification is not None and not isinstance(justification, dict):
        raise _invalid("justification is not an object")
    job = _job_of(tx, request)
    attempt = _attempt_of(tx, job, fields.get("execution_token"))
    call = _Call(tx, attempt, "charge", key, b"%d" % count)
    if call.answered is not None:
        if not call.is_same:
            raise Refusal(409, "IDEMPOTENCY_CONFLICT", "this idempotency_key was charged with another count")
        return call.answered
    call.check_is_open()
    total = job.metered_count + count
    reached = job.charge_limit is not None and total >= job.charge_limit
    tx.execute("UPDATE job SET metered_count = ? WHERE number = ?", (total, job.job_number))
    metered = {"metered_event_count": total, "limit_reached": reached}
    row = {"idempotency_key": key, "count": count, "justification": justification, **metered}
    tx.event_text(attempt, "charge", _encoded(row))
    return call.answer({**OK, **metered})


class _Call:
    """One call of an attempt, and the answer that its key has got already: `answered`, None for a new call.

    `is_same` says whether what was sent then is what is sent now.
    """

    def __init__(self, tx: Transaction, attempt: AttemptRow, name: str, key: str, digest: bytes) -> None:
        self._tx = tx
        self._attempt = attempt
        self._name = name
        self._key = key
        self._digest = digest
        self.answered: Answer | None = None
        self.is_same = True
        if not key:
            return
        row = tx.row(
            "SELECT digest, answer FROM answer WHERE job = ? AND call = ? AND key = ?", (attempt.job_number, name, key)
        )
        if row is not None:
            self.is_same = hmac.compare_digest(row[0], digest)
            self.answered = Answer.json(json.loads(row[1]))

    def check_is_open(self) -> None:
        """Raises Refusal (409) if the attempt is over."""
        if self._attempt.ended_at is not None:
            raise Refusal(409, "JOB_NOT_RUNNING", f"this attempt is over ({self._attempt.outcome})")

    def answer(self, value: dict[str, Any]) -> Answer:
        """`value`, also for everybody who comes with the same key."""
        if self._key:
            self._tx.execute(
                "INSERT INTO answer (job, call, key, digest, answer) VALUES (?, ?, ?, ?, ?)",
                (self._attempt.job_number, self._name, self._key, self._digest, json.dumps(value)),
            )
        return Answer.json(value)


def _job_of(tx: Transaction, request: Incoming) -> JobRow:
    job = records.job_of(tx, request.params["job_id"])
    if job is None:
        raise Refusal(404, "JOB_NOT_FOUND", "there is no such job")
    return job


def _attempt_of(tx: Transaction, job: JobRow, token: object) -> AttemptRow:
    """The attempt whose token this is, open or not. Every token of the job is compared, in constant time."""
    if not isinstance(token, str) or not token:
        raise _invalid("execution_token is missing")
    digest = changes.digest_of(token)
    fits = [one for one in records.attempts_of(tx, job.job_number) if hmac.compare_digest(one.token_digest, digest)]
    if not fits:
        raise Refusal(403, "INVALID_EXECUTION_TOKEN", "execution_token is not one of this job")
    return fits[0]


def _fields_of(request: Incoming) -> dict[str, Any]:
    fields = request.json()
    if not isinstance(fields, dict):
        raise _invalid("the body is not an object")
    return fields


def _text(text: str, name: str, longest: int) -> str:
    """`text`, if it has a UTF-8 form: JSON can spell half of a character that has none."""
    is_whole = not any("\ud800" <= character <= "\udfff" for character in text)
    if is_whole and 0 < len(text) <= longest:
        return text
    raise _invalid(f"{name} is not a text of 1 to {longest} characters")


def _encoded(value: dict[str, Any]) -> str:
    try:
        return json_text.encode(value, what="body", ascii_only=False, wrapping=1)
    except SerializationError as error:
        reason = str(error)
    raise _invalid(reason)


def _not_running(job: JobRow) -> Refusal:
    return Refusal(409, "JOB_NOT_RUNNING", f"no attempt of this job is running; the job is {job.status}")


def _invalid(reason: str) -> Refusal:
    return Refusal(400, "INVALID_REQUEST", reason)


_BASE = routes.WORKER_PATHS + "jobs/{job_id}/"
ROUTES = (
    Route("POST", _BASE + routes.REGISTER, register, writes=True, body="json", auth="secret"),
    Route("POST", _BASE + routes.PUSH_DATA, push_data, writes=True, body="json", auth="secret"),
    Route(
        *("POST", _BASE + routes.PUSH_FILE, push_file),
        writes=True,
        body="file",
        auth="secret",
        receiver=uploads.receive,
    ),
    Route("POST", _BASE + routes.CHARGE, charge, writes=True, body="json", auth="secret"),
)
