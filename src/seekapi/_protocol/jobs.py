"""The jobs protocol as both ends see it: paths, the Job object, what a list may ask, what a change says, error bodies.

The shapes are those of a job-state service in the field, as seen on its wire; where it is broken (paging, several job
ids, dates across months), the meaning is the documented one. Moments are whole seconds since 1970 inside, and ISO-8601
with a numeric offset outside; the zone is handed in.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

from . import json_text, lifecycles, routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo
    from typing import Any

    Pairs = Sequence[tuple[str, str]]
    Problem = dict[str, Any]

JOBS = "/jobs"
SETTINGS = "/settings"
HEALTH = "/healthcheck"
OPENAPI_PAGE = "/openapi"
OPENAPI_SCHEMA = "/openapi/schema"
OPENAPI_JSON = "/openapi/openapi.json"
# Beyond the protocol: below one job, so that no name of the protocol is taken.
RESULT, EVENTS, FILES, CANCEL, RERUN = "result", "events", "files", "cancel", "rerun"

# The link to the next page travels in this header; an empty one says that there is none.
NEXT_PAGE = "X-Next"
NEXT_PAGE_EXPOSED = ("Access-Control-Expose-Headers", NEXT_PAGE)

JOB_FIELDS = (
    "job_id",
    "registered_datetime",
    "updated_datetime",
    "completed_datetime",
    "status",
    "errors",
    "warnings",
    "result_count",
    "settings",
    "request_payload",
    "response_payload",
)
LEAST_LIMIT, MOST_LIMIT, DEFAULT_LIMIT = 50, 500, 250
MOST_JOB_IDS = 175
# A long poll is shorter than what proxies and clients take for a dead connection.
LONGEST_WAIT_S = 25
MOST_EVENTS = 1000
# Of the errors of a job, and of its warnings, as ASCII JSON: each list of jobs carries them.
MOST_NOTE_BYTES = 1024 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# The calendar in UTC; in other zones a few hours more can be asked for. No job is older, or younger.
_EARLIEST = int(datetime.min.replace(tzinfo=timezone.utc).timestamp())
_LATEST = int(datetime.max.replace(tzinfo=timezone.utc, microsecond=0).timestamp())
_OFFSET_WITHOUT_COLON = re.compile(r"([+-]\d\d)(\d\d)")
_PREFER_WAIT = re.compile(r"(?i)(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)?)?")
PAGE_KEY = "[0-9]{1,18}([.][0-9]{1,18}){0,3}"
_PAGE_KEY = re.compile(PAGE_KEY)


class Invalid(Exception):
    """422: the request is not what the protocol asks for. `body` is the answer's, as the field has it."""

    def __init__(self, body: list[Problem] | dict[str, str]) -> None:
        super().__init__("invalid request")
        self.body = body


# Bodies of errors


def message(text: str) -> dict[str, str]:
    """The body of most refusals."""
    return {"message": text}


def not_found(job_id: str) -> dict[str, str]:
    """The body of 404 for a job that nobody knows."""
    return message(f"job_id({job_id}) not found")


def problem(kind: str, where: Iterable[str | int], text: str, given: object) -> Problem:
    """One entry of the array that is the body of a 422: what is wrong, where, and what was given there."""
    return {"type": kind, "loc": list(where), "msg": text, "input": given}


# The Job object


def job_object(
    *,
    job_id: str,
    registered_at: float,
    updated_at: float,
    completed_at: float | None,
    status: str,
    errors: list[str] | None,
    warnings: list[str] | None,
    settings: Mapping[str, Any] | None,
    request_payload: Any,
    response_payload: Any,
    zone: tzinfo,
) -> dict[str, Any]:
    """A job as it travels: all of its eleven fields, always."""
    return {
        "job_id": job_id,
        "registered_datetime": moment_text(registered_at, zone),
        "updated_datetime": moment_text(updated_at, zone),
        "completed_datetime": None if completed_at is None else moment_text(completed_at, zone),
        "status": status,
        "errors": errors,
        "warnings": warnings,
        "result_count": result_count_of(response_payload),
        "settings": dict(settings) if settings else None,
        "request_payload": request_payload,
        "response_payload": response_payload,
    }


def result_count_of(response_payload: object) -> int:
    """What the result says of its own size; 0 if it says nothing."""
    count = response_payload.get("result_count") if isinstance(response_payload, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else 0


def moment_text(at: float, zone: tzinfo) -> str:
    """Seconds since 1970 as ISO-8601, whole seconds, with a numeric offset (never `Z`)."""
    # Not fromtimestamp: Windows has no moments before 1970.
    return (_EPOCH + timedelta(seconds=int(at))).astimezone(zone).isoformat(timespec="seconds")


def moment_of(text: str, zone: tzinfo = timezone.utc) -> float:
    """ISO-8601 as seconds since 1970; one without an offset is in `zone`. Raises ValueError."""
    text = text.strip()
    if not _MOMENT.fullmatch(text):
        raise ValueError("not an ISO-8601 date or datetime")
    text = text.replace(" ", "T").replace(",", ".")
    if text[-1] in "zZ":
        text = text[:-1] + "+00:00"
    # Python 3.10 takes an offset only with its colon, and a fraction only with three or six digits.
    text = text[:10] + _OFFSET_WITHOUT_COLON.sub(r"\1:\2", re.sub(r"\.\d+", _six_digits, text[10:]))
    at = datetime.fromisoformat(text)
    try:
        return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()
    except OverflowError:
        pass
    raise ValueError("outside of the calendar")


def _six_digits(fraction: re.Match[str]) -> str:
    return fraction[0][:7].ljust(7, "0")


# GET /jobs


class ListQuery:
    """What a list asks for. `job_ids`, if any, stand alone; `since` and `until` are whole seconds, both inclusive.

    `after` is where the page before ended, as `page_key` was given it; () for the first page.
    """

    __slots__ = ("after", "job_ids", "limit", "since", "status", "until")

    def __init__(
        self,
        *,
        limit: int = DEFAULT_LIMIT,
        job_ids: tuple[str, ...] = (),
        status: str = "",
        since: int | None = None,
        until: int | None = None,
        after: tuple[int, ...] = (),
    ) -> None:
        self.limit = limit
        self.job_ids = job_ids
        self.status = status
        self.since = since
        self.until = until
        self.after = after


def list_query(
    pairs: Pairs,
    zone: tzinfo,
    *,
    least: int = LEAST_LIMIT,
    most: int = MOST_LIMIT,
    default: int = DEFAULT_LIMIT,
) -> ListQuery:
    """The decoded query of GET /jobs; what the protocol does not know is ignored. Raises Invalid.

    `job_id` may be one id, several with commas, and repeated. Of any other parameter the last one counts.
    """
    last = dict(pairs)
    problems: list[Problem] = []
    limit = _limit(last, default, least, most, problems)
    status = _status(last, problems)
    since = _moment(last, "registered_datetime_gte", zone, problems)
    until = _moment(last, "registered_datetime_lte", zone, problems)
    after = _after(last, problems)
    job_ids = [part.strip() for name, text in pairs if name == "job_id" for part in text.split(",") if part.strip()]
    if "job_id" in last and not job_ids:  # Not a list of all jobs: that would be the opposite of what was meant.
        problems.append(problem("list_type", ["job_id"], "Input should be a valid list", last["job_id"]))
    if problems:
        raise Invalid(problems)
    if len(job_ids) > MOST_JOB_IDS:
        raise Invalid(message(f'ERROR - "job_id" filter count({len(job_ids)}) > MAX_FILTER_JOBIDS({MOST_JOB_IDS})!'))
    return ListQuery(
        limit=limit, job_ids=tuple(dict.fromkeys(job_ids)), status=status, since=since, until=until, after=after
    )


def next_link(prefix: str, query: ListQuery, ends_at: tuple[int, ...]) -> str:
    """The link to the page after the one that ends at `ends_at`; it keeps the filters. Its moments are in UTC."""
    fields = {"ekey": page_key(ends_at), "limit": str(query.limit)}
    if query.job_ids:
        fields["job_id"] = ",".join(query.job_ids)
    if query.status:
        fields["status"] = query.status
    if query.since is not None:
        fields["registered_datetime_gte"] = moment_text(query.since, timezone.utc)
    if query.until is not None:
        fields["registered_datetime_lte"] = moment_text(query.until, timezone.utc)
    return f"{prefix}{JOBS}?{urlencode(fields)}"


def page_key(ends_at: tuple[int, ...]) -> str:
    """Where a page ends, as a text that may stand in a URL; of no meaning to clients."""
    return ".".join(map(str, ends_at))


def page_key_of(text: str) -> tuple[int, ...] | None:
    """What `page_key` was given, None if this is not one of ours."""
    return tuple(map(int, text.split("."))) if _PAGE_KEY.fullmatch(text) else None


def _limit(last: Mapping[str, str], default: int, least: int, most: int, problems: list[Problem]) -> int:
    if "limit" not in last:
        return default
    text = last["limit"].strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        what = "Input should be a valid integer, unable to parse string as an integer"
        problems.append(problem("int_parsing", ["limit"], what, text))
        return default
    if int(text) < least:
        problems.append(
            problem("greater_than_equal", ["limit"], f"Input should be greater than or equal to {least}", text)
        )
    if int(text) > most:
        problems.append(problem("less_than_equal", ["limit"], f"Input should be less than or equal to {most}", text))
    return int(text)


def _status(last: Mapping[str, str], problems: list[Problem]) -> str:
    status = last.get("status")
    if status is not None and status not in lifecycles.STATUSES:
        problems.append(_no_status(["status"], status))
    return status or ""


def _moment(last: Mapping[str, str], name: str, zone: tzinfo, problems: list[Problem]) -> int | None:
    if name not in last:
        return None
    text = last[name]
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text.strip()):
        raise Invalid(message(f'ERROR - url encoded, "{text}", can not be processed as ISO-8601 datetime!'))
    try:
        return min(max(int(moment_of(text, zone) // 1), _EARLIEST), _LATEST)
    except ValueError:
        hint = "; a + has to be sent as %2B" if re.search(r"\d \d\d:?\d\d$", text) else ""
        text_of_it = f"Input should be a valid datetime or date (ISO-8601){hint}"
        problems.append(problem("datetime_from_date_parsing", [name], text_of_it, text))
    return None


def _after(last: Mapping[str, str], problems: list[Problem]) -> tuple[int, ...]:
    text = last.get("ekey", "")
    after = page_key_of(text) if text else ()
    if after is None:
        problems.append(problem("value_error", ["ekey"], f"Input should be taken from {NEXT_PAGE}", text))
    return after or ()


# PATCH and PUT /jobs/{id}, PATCH /settings, POST /jobs


class Change:
    """A change of a job: its new status, and what is added to its errors and warnings."""

    __slots__ = ("errors", "status", "warnings")

    def __init__(self, status: str, errors: Sequence[str] = (), warnings: Sequence[str] = ()) -> None:
        self.status = status
        self.errors = tuple(errors)
        self.warnings = tuple(warnings)


def change_of(body: object) -> Change:
    """The body of PATCH /jobs/{id}; fields that the protocol does not know are ignored. Raises Invalid."""
    fields = object_of(body)
    problems: list[Problem] = []
    if "status" not in fields:
        problems.append(problem("missing", ["status"], "Field required", fields))
    elif fields["status"] not in lifecycles.STATUSES:
        problems.append(_no_status(["status"], fields["status"]))
    added = [_texts(fields, name, problems) for name in ("errors", "warnings")]
    if problems:
        raise Invalid(problems)
    return Change(fields["status"], *added)


def object_of(body: object) -> dict[str, Any]:
    """A decoded body that has to be a JSON object. Raises Invalid."""
    if isinstance(body, dict):
        return body
    raise Invalid([problem("model_type", [], "Input should be a valid dictionary", body)])


def rerun_of(body: object) -> dict[str, Any]:
    """The body of POST /jobs/{id}/rerun. Raises Invalid, also for a member that is not known: whoever sends `input`
    means another one, and the job would run with the old.
    """
    fields = object_of(body)
    for name in fields:
        if name != "request_payload":
            text = f"unknown member {name[:100]!r}; expected request_payload"
            raise Invalid([problem("extra_forbidden", [], text, None)])
    return fields


def _texts(fields: Mapping[str, Any], name: str, problems: list[Problem]) -> list[str]:
    texts = fields.get(name)
    if texts is None:
        return []
    if not isinstance(texts, list):
        problems.append(problem("list_type", [name], "Input should be a valid list", texts))
        return []
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            problems.append(problem("string_type", [name, index], "Input should be a valid string", text))
    if len(json_text.encode([text for text in texts if isinstance(text, str)])) > MOST_NOTE_BYTES:
        what = f"Texts should have at most {MOST_NOTE_BYTES} bytes together"
        problems.append(problem("too_long", [name], what, None))
    return texts


def _no_status(where: list[str], given: object) -> Problem:
    names = [f"'{status}'" for status in lifecycles.STATUSES]
    return problem("enum", where, f"Input should be {', '.join(names[:-1])} or {names[-1]}", given)


# Beyond the protocol

# The place in …/result: of files, charges and pushes.
RESULT_KEY = "[0-9]{1,18}([.][0-9]{1,18}[.][0-9]{1,18})?"


def wait_of(prefer: str) -> int:
    """How many seconds an answer may be held back, from the header `Prefer: wait=20` (RFC 7240); 0 for not at all."""
    asked = _PREFER_WAIT.search(prefer)
    return min(int(asked[1]), LONGEST_WAIT_S) if asked else 0


def job_path(job_id: str, *more: str) -> str:
    """The path of a job, or of something below it; each part is encoded as one segment."""
    return "/".join([JOBS, *(segment(part) for part in (job_id, *more))])


def segment(text: str) -> str:
    """`text` as one path segment. `.` and `..`, which a proxy would resolve, are written so that none does."""
    return text.replace(".", "%2E") if text in (".", "..") else routes.quote_segment(text)
