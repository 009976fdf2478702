"""What is to be seen and done below one job, beyond the protocol: result, files, events, cancel, rerun.

Moments in here are seconds since 1970, as in the record.
"""

from __future__ import annotations

import json
from pathlib import Path

from .._protocol import event_stream, jobs, json_text
from . import changes, contract, records, streams
from .exchange import JSON, Answer, Later, Refusal, Route
from .job_answers import created, decoded, encoded, missing, shown, unprocessable
from .jobs import make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exchange import Incoming
    from .platform import Platform
    from .records import JobRow
    from .streams import Batch, Source
    from .transactions import Event, Reader, Transaction

# One answer holds so many files, charges and pushes, each, and so much of them together; `next` says where to go on.
MOST_ROWS = 1000
MOST_BYTES = 32 * 1024 * 1024
DEFAULT_EVENTS = 500


def result(platform: Platform, request: Incoming) -> Answer:
    """GET …/result: all that the job has left behind so far. `?after=` takes the `next` of an answer that was cut."""
    with platform.store.read() as reader:
        job = records.job_of(reader, request.params["job_id"])
        if job is None:
            return missing(request.params["job_id"])
        rows, following = _page(reader, job, ("file", "charge", "push"), request)
        value = {
            "job_id": job.job_id,
            "status": job.status,
            "error": json.loads(job.fault_json) if job.fault_json else None,
            "next": following,
            "metered_event_count": job.metered_count,
            "charge_limit": job.charge_limit,
            "attempts": [_attempt(row) for row in records.attempts_of(reader, job.job_number)],
            "rerun_of": job.rerun_of,
        }
    return _with_rows(value, pushes=rows["push"], files=rows["file"], charges=rows["charge"])


def files(platform: Platform, request: Incoming) -> Answer:
    """GET …/files: page after page, as …/result."""
    with platform.store.read() as reader:
        job = records.job_of(reader, request.params["job_id"])
        if job is None:
            return missing(request.params["job_id"])
        rows, following = _page(reader, job, ("file",), request)
    return _with_rows({"next": following}, files=rows["file"])


def file_by_name(platform: Platform, request: Incoming) -> Answer:
    """GET …/files/{name}: the one with this id, which every file has; else the last one pushed under this name."""
    name = request.params["name"]
    with platform.store.read() as reader:
        job = records.job_of(reader, request.params["job_id"])
        if job is None:
            return missing(request.params["job_id"])
        event = records.file_of(reader, name)
        if event is None or event.job_number != job.job_number:
            event = records.file_named(reader, job.job_number, name)
    if event is None:
        raise Refusal(404, "NOT_FOUND", "the job has no file of this name")
    return _sent(platform, event.data, request)


def file_by_id(platform: Platform, request: Incoming) -> Answer:
    """GET /files/{file_id}; `?inline=1` lets a browser show a picture."""
    with platform.store.read() as reader:
        event = records.file_of(reader, request.params["file_id"])
    if event is None:
        raise Refusal(404, "NOT_FOUND", "there is no such file")
    return _sent(platform, event.data, request)


def events(platform: Platform, request: Incoming) -> Answer | Later:
    """GET …/events?after=&limit=&kinds=: a page, held back with `Prefer: wait=N`; or live as text/event-stream."""
    after = position_of(request)
    kinds = _kinds_of(request)
    limit = _limit_of(request, DEFAULT_EVENTS, jobs.MOST_EVENTS)
    job_id = request.params["job_id"]
    with platform.store.read() as reader:
        job = records.job_of(reader, job_id)
    if job is None:
        return missing(job_id)
    if event_stream.MEDIA_TYPE in request.headers.get("Accept"):
        return endless(lambda position: _batch(platform, position, kinds, job), after)
    wait_s = jobs.wait_of(request.headers.get("Prefer"))

    def ask(is_last: bool) -> Answer | None:
        found, next_seq, ended, status = _events_of(platform, job, after, kinds, limit)
        if not (is_last or found or ended):
            return None
        lines = ", ".join(map(records.event_line, found))
        text = f'{{"events": [{lines}], "next": {next_seq}, "ended": {json.dumps(ended)}, "status": "{status}"}}'
        applied = (("Preference-Applied", f"wait={wait_s}"),) if wait_s else ()
        return Answer(200, text.encode("utf-8", "replace"), "application/json", applied)

    return Later(ask, wait_s) if wait_s else ask(True) or missing(job_id)


def cancel(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
    """POST …/cancel: 200. A job that has ended stays as it is."""
    job = records.job_of(tx, request.params["job_id"])
    if job is None:
        return missing(request.params["job_id"])
    return Answer.json(shown(changes.cancel(tx, job), platform.options.zone))


def rerun(platform: Platform, request: Incoming, tx: Transaction) -> Answer | Later:
    """POST …/rerun: 201, a new job with the same input, or with the one that is sent as `request_payload`."""
    job = records.job_of(tx, request.params["job_id"])
    if job is None:
        return missing(request.params["job_id"])
    try:
        fields = jobs.rerun_of(decoded(request))
        value = fields["request_payload"] if "request_payload" in fields else json.loads(job.request_json)
        contract.check_input(platform, value)
        text = encoded(value, "request_payload")
    except jobs.Invalid as invalid:
        return unprocessable(invalid)
    return created(platform, make(platform, request, tx, text, rerun_of=job.job_id))


# All jobs at once, for the dashboard


def overview(platform: Platform, request: Incoming) -> Answer:
    """GET /overview?limit=&before=&status=&q=: jobs without their payloads, how many of each status, the last event."""
    limit = _limit_of(request, 100, 500)
    before = request.query.first("before", str(records.LAST_SECOND))
    if len(before) > 19 or not (before.isascii() and before.isdigit()):
        raise Refusal(400, "INVALID_REQUEST", "before is the number of a job")
    with platform.store.read() as reader:
        value = {
            "jobs": records.overview(
                reader,
                before=min(int(before), records.LAST_SECOND),
                limit=limit,
                status=request.query.first("status"),
                text=request.query.first("q"),
            ),
            "counts": records.counts_by_status(reader),
            "seq": records.last_seq(reader),
        }
    return Answer.json(value)


def live(platform: Platform, request: Incoming) -> Answer:
    """GET /events: what happens from now on, or after an event that was seen, in all jobs.

    Who has seen more than there is saw another record, that of an ephemeral server on the same port: it hears what
    happens from now on.
    """
    kinds = _kinds_of(request)
    with platform.store.read() as reader:
        now_at = records.last_seq(reader)
    after = min(position_of(request, now_at), now_at)
    return endless(lambda position: _batch(platform, position, kinds), after)


def endless(source: Source, position: int) -> Answer:
    """An answer that goes on for as long as somebody listens, or until the source says that it is over."""
    return Answer(200, streams.LiveEvents(source, position), event_stream.MEDIA_TYPE)


def position_of(request: Incoming, default: int = 0) -> int:
    """Where the client wants to go on: Last-Event-ID, or else `?after=`. Raises Refusal (400)."""
    texts = request.query.all("after")
    text = request.headers.get("Last-Event-ID")
    if not text and not texts:
        return default
    text = text or ",".join(texts)
    if len(text) > 18 or not (text.isascii() and text.isdigit()):
        raise Refusal(400, "INVALID_REQUEST", "Last-Event-ID and after are numbers of events")
    return int(text)


def _batch(platform: Platform, position: int, kinds: list[str], job: JobRow | None = None) -> Batch:
    found, last_seq, ended, _ = _events_of(platform, job, position, kinds, DEFAULT_EVENTS)
    return [(event.seq, event.kind, records.event_line(event)) for event in found], last_seq, ended


def _events_of(
    platform: Platform, job: JobRow | None, after: int, kinds: list[str], limit: int
) -> tuple[list[Event], int, bool, str]:
    """The next events, up to where that was all there is, whether nothing will follow, and the status of the job."""
    number = None if job is None else job.job_number
    with platform.store.read() as reader:
        found = records.events_after(reader, after, job_number=number, kinds=kinds, limit=limit)
        # Nobody has to look again at what was passed over.
        last_seq = found[-1].seq if len(found) == limit else max(after, records.last_seq(reader))
        now = None if job is None else records.job_of(reader, job.job_id)
    ended = now is not None and now.is_final and len(found) < limit
    return found, last_seq, ended, "" if now is None else now.status


def _page(
    reader: Reader, job: JobRow, kinds: tuple[str, ...], request: Incoming
) -> tuple[dict[str, list[bytes]], str | None]:
    """The next rows of each kind, as JSON, and where the page after this one begins; None if there is none."""
    rows: dict[str, list[bytes]] = {kind: [] for kind in kinds}
    places = _places_of(request, len(kinds))
    size_bytes, is_cut = 0, False
    for index, kind in enumerate(kinds):
        for event in records.effects(reader, job.job_number, kind, after=places[index], limit=MOST_ROWS + 1):
            row = _row(event)
            # However large it is, one there always is.
            if len(rows[kind]) == MOST_ROWS or (size_bytes and size_bytes + len(row) > MOST_BYTES):
                is_cut = True
                break
            rows[kind].append(row)
            size_bytes += len(row)
            places[index] = event.seq
    return rows, jobs.page_key(tuple(places)) if is_cut else None


def _places_of(request: Incoming, count: int) -> list[int]:
    """From `?after=`, of each kind the last event that was seen; one number is for all of them."""
    texts = request.query.all("after") or ["0"]
    places = jobs.page_key_of(",".join(texts))
    if places is None or len(places) not in (1, count):
        raise Refusal(400, "INVALID_REQUEST", "after is the `next` of an answer, or the number of an event")
    return list(places if len(places) == count else places * count)


def _row(event: Event) -> bytes:
    """What was kept, and when: its text is not read again."""
    moment = "charged_at" if event.kind == "charge" else "pushed_at"
    text = f'{event.text[:-1]}, "{moment}": {event.at!r}, "attempt": {event.attempt}}}'
    return text.encode("utf-8", "replace")


def _with_rows(value: dict[str, Any], **rows: list[bytes]) -> Answer:
    """`value` with lists that are JSON already."""
    head = json_text.encode(value, what="answer").encode("ascii")
    lists = [b'"%s": [%s]' % (name.encode("ascii"), b", ".join(found)) for name, found in rows.items()]
    return Answer(200, b"%s, %s}" % (head[:-1], b", ".join(lists)), JSON)


def _attempt(row: records.AttemptRow) -> dict[str, Any]:
    return {
        "attempt": row.attempt,
        "started_at": row.started_at,
        "deadline_at": row.deadline_at,
        "ended_at": row.ended_at,
        "outcome": row.outcome,
        "request_id": row.request_id,
    }


def _sent(platform: Platform, row: dict[str, Any], request: Incoming) -> Answer:
    # The id is ours: no text of a caller comes near a path.
    path = Path(platform.store.files, row["id"])
    if not path.is_file():
        raise Refusal(404, "NOT_FOUND", "the file is not in the data folder any more")
    name = row["name"].replace("\\", "/").rpartition("/")[2] or "file"
    inline = request.query.first("inline") == "1"
    answer = Answer.file(path, row["size_bytes"], name, row["content_type"], inline=inline)
    answer.headers += (("ETag", f'"{row["sha256"]}"'),)
    return answer


def _kinds_of(request: Incoming) -> list[str]:
    return [kind for kind in request.query.first("kinds").split(",") if kind][:32]


def _limit_of(request: Incoming, default: int, most: int) -> int:
    texts = request.query.all("limit")
    if not texts:
        return default
    text = texts[0]
    if len(texts) > 1 or len(text) > 6 or not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= most:
        raise Refusal(400, "INVALID_REQUEST", f"limit is a number from 1 to {most}")
    return int(text)


_JOB = jobs.JOBS + "/{job_id}/"
ROUTES = (
    Route("GET", _JOB + jobs.RESULT, result, auth="jobs", prefixed=True),
    Route("GET", _JOB + jobs.FILES, files, auth="jobs", prefixed=True),
    Route("GET", _JOB + jobs.FILES + "/{name}", file_by_name, auth="jobs", prefixed=True),
    Route("GET", _JOB + jobs.EVENTS, events, auth="jobs", prefixed=True),
    Route("POST", _JOB + jobs.CANCEL, cancel, writes=True, body="json", auth="jobs", prefixed=True),
    Route("POST", _JOB + jobs.RERUN, rerun, writes=True, body="json", auth="jobs", prefixed=True),
    Route("GET", "/files/{file_id}", file_by_id, auth="page"),
    Route("GET", "/overview", overview, auth="page"),
    Route("GET", "/events", live, auth="page"),
)
