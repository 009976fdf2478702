"""The jobs API: submit, list, look, change. The protocol itself is in `_protocol/jobs.py`.

Where the service in the field is broken, this one does what its documents say: pages go on, keep their filters and
their prefix, and come to an end; several ids may be asked for; dates work across months.
"""

from __future__ import annotations

from .._protocol import jobs, lifecycles
from . import changes, contract, records, settings
from .exchange import Answer, Later, Refusal, Route
from .job_answers import created, decoded, encoded, missing, shown, unprocessable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exchange import Incoming
    from .platform import Platform
    from .records import JobRow
    from .transactions import Transaction

CHARGE_LIMIT = "SeekAPI-Charge-Limit"
_MOST_CHARGES = 2**53


def submit(platform: Platform, request: Incoming, tx: Transaction) -> Answer | Later:
    """POST /jobs: 201 and the Job. With an Idempotency-Key, once: the same key and body get the same job."""
    key = request.idempotency_key()
    try:
        value = decoded(request)
        contract.check_input(platform, value)
        text = encoded(value, "input")
    except jobs.Invalid as invalid:
        return unprocessable(invalid)
    if not key:
        return created(platform, make(platform, request, tx, text))
    digest = changes.digest_of(text)
    row = tx.row("SELECT job_id, submit_digest FROM job WHERE submit_key = ?", (key,))
    if row is not None and row[1] != digest:
        raise Refusal(409, "IDEMPOTENCY_CONFLICT", "this Idempotency-Key was used for another job")
    if row is not None:
        job = records.job_of(tx, row[0])
        assert job is not None
        return created(platform, job)
    return created(platform, make(platform, request, tx, text, key=key, digest=digest))


def make(platform: Platform, request: Incoming, tx: Transaction, text: str, **more: Any) -> JobRow:
    """A new job with the input `text`, the settings of this moment, and the limit that the caller set."""
    limit = _charge_limit(platform, request)
    more |= {
        "settings_json": settings.snapshot(platform, tx),
        "platform_only": platform.runner is None,
        "awaits_callback": bool(platform.options.callback_url),
    }
    return changes.submit(tx, text, charge_limit=limit, **more)


def page(platform: Platform, request: Incoming) -> Answer:
    """GET /jobs: newest first; the way to the next page is in X-Next."""
    zone = platform.options.zone
    try:
        query = jobs.list_query(list(request.query), zone)
    except jobs.Invalid as invalid:
        return unprocessable(invalid)
    with platform.store.read() as reader:
        rows, ends_at = records.page_of_jobs(reader, query)
    link = jobs.next_link(platform.options.prefix, query, ends_at) if ends_at else ""
    headers = ((jobs.NEXT_PAGE, link), jobs.NEXT_PAGE_EXPOSED)
    return Answer.json({"Jobs": [shown(row, zone) for row in rows]}, headers=headers)


def show(platform: Platform, request: Incoming) -> Answer | Later:
    """GET /jobs/{job_id}; with `Prefer: wait=N` once the job has ended, or after N seconds."""
    job_id = request.params["job_id"]
    wait_s = jobs.wait_of(request.headers.get("Prefer"))

    def ask(is_last: bool) -> Answer | None:
        with platform.store.read() as reader:
            job = records.job_of(reader, job_id)
        if job is None:
            return missing(job_id)
        if not (is_last or job.is_final):
            return None
        applied = (("Preference-Applied", f"wait={wait_s}"),) if wait_s else ()
        return Answer.json(shown(job, platform.options.zone), headers=applied)

    return Later(ask, wait_s) if wait_s else ask(True) or missing(job_id)


def change(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
    """PATCH /jobs/{job_id}: 202. Notes are added to those that are there."""
    try:
        wanted = jobs.change_of(decoded(request))
    except jobs.Invalid as invalid:
        return unprocessable(invalid)
    job = records.job_of(tx, request.params["job_id"])
    if job is None:
        return missing(request.params["job_id"])
    _check_transition(platform, job, wanted.status)
    job = changes.change(tx, job, wanted.status, wanted.errors, wanted.warnings)
    return Answer.json(shown(job, platform.options.zone), 202)


def complete(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
    """PUT /jobs/{job_id}: the result, and with it the end."""
    try:
        text = encoded(jobs.object_of(decoded(request)), "result")
    except jobs.Invalid as invalid:
        return unprocessable(invalid)
    job = records.job_of(tx, request.params["job_id"])
    if job is None:
        return missing(request.params["job_id"])
    if platform.options.strict and job.status == lifecycles.COMPLETED:
        # A client whose answer was lost sends the same again; anything else would replace what others have read.
        if job.response_json != text:
            raise Refusal(409, "INVALID_TRANSITION", "a job that is completed has its result (--strict)")
        return Answer.json(shown(job, platform.options.zone))
    _check_transition(platform, job, lifecycles.COMPLETED)
    return Answer.json(shown(changes.complete(tx, job, text), platform.options.zone))


def healthcheck(platform: Platform, request: Incoming) -> Answer:
    """GET /healthcheck."""
    return Answer.json({"status": "OK"})


def _check_transition(platform: Platform, job: JobRow, status: str) -> None:
    if not lifecycles.may_follow(job.status, status, strict=platform.options.strict):
        raise Refusal(409, "INVALID_TRANSITION", f"a job that is {job.status} cannot become {status} (--strict)")


def _charge_limit(platform: Platform, request: Incoming) -> int | None:
    text = request.headers.get(CHARGE_LIMIT).strip()
    if CHARGE_LIMIT not in request.headers:
        return platform.options.charge_limit
    if len(text) > 16 or not (text.isascii() and text.isdigit()) or int(text) > _MOST_CHARGES:
        raise Refusal(400, "INVALID_REQUEST", f"{CHARGE_LIMIT} is not a number of units")
    return int(text)


ROUTES = (
    Route("POST", jobs.JOBS, submit, writes=True, body="json", auth="jobs", prefixed=True),
    Route("GET", jobs.JOBS, page, auth="jobs", prefixed=True),
    Route("GET", jobs.JOBS + "/{job_id}", show, auth="jobs", prefixed=True),
    Route("PATCH", jobs.JOBS + "/{job_id}", change, writes=True, body="json", auth="jobs", prefixed=True),
    Route("PUT", jobs.JOBS + "/{job_id}", complete, writes=True, body="json", auth="jobs", prefixed=True),
    Route("GET", jobs.HEALTH, healthcheck, auth="jobs", prefixed=True),
)
