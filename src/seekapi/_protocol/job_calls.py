"""The calls of the jobs API as requests, and what their answers mean: the client's end of `jobs`.

Answers are read with tolerance: any 2xx, fields that are missing, both shapes of a 422, a link to the next page that
lost its prefix or its filters. Nothing is taken for a job that does not have an id and a status.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from .. import errors
from ..errors import ArgumentError, ConfigurationError
from . import jobs, json_text, problems, routes
from .messages import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from .messages import Response
    from .problems import Redact

    # What is wrong with the value of an answer, "" if nothing.
    Check = Callable[[Any], str]

LONGEST_JOB_ID = 512
MOST_PROBLEMS = 100
# Their texts come from the server, and there may be many.
LONGEST_PROBLEM = 300

_WITHOUT_SCHEME = re.compile(
    r"(?i)(?:(?P<loopback>localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?|[a-z0-9.-]{1,253}:\d{1,5})"
    r"(?:/[A-Za-z0-9._~/-]{0,200})?"
)
_WHAT_NEXT = {
    300: "check SEEKAPI_URL",
    401: "check SEEKAPI_API_KEY, or the user name and password",
    403: "check SEEKAPI_API_KEY, or the user name and password",
    413: "the input is larger than the platform takes",
}
# Of a service that does not say itself which it is.
_CONFLICT = "the job's status does not allow it, or the idempotency key was used for another input"


class Service:
    """A jobs API: where it is, and what opens it."""

    __slots__ = ("_authorization", "base_url")

    def __init__(self, base_url: str, *, api_key: str = "", username: str = "", password: str = "") -> None:
        self.base_url = checked_base_url(base_url)
        self._authorization = _authorization(api_key, username, password)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        repeatable: bool = False,
        idempotency_key: str | None = None,
    ) -> Request:
        """A request to `path` below the base; `body` is sent as JSON if the method carries one."""
        fields = [("Accept", "application/json"), *headers]
        if self._authorization:
            fields.append(("Authorization", self._authorization))
        if idempotency_key is not None:
            fields.append(("Idempotency-Key", idempotency_key))
        segments: tuple[bytes, ...] = ()
        if method in ("POST", "PUT", "PATCH"):
            fields.append(("Content-Type", "application/json"))
            segments = (json_text.encode(body, what="input" if method == "POST" else "data").encode("ascii"),)
        return Request(
            method, self.base_url + path, fields, segments, repeatable=repeatable, idempotency_key=idempotency_key
        )

    def __repr__(self) -> str:
        return f"<Service {self.base_url}>"


# Requests


def submit(service: Service, job_input: object, idempotency_key: str | None = None) -> Request:
    """POST /jobs. Without a key it is never sent twice: the job might be run twice."""
    if idempotency_key is not None:
        _check_key(idempotency_key)
    return service.request("POST", jobs.JOBS, job_input, idempotency_key=idempotency_key)


def get(service: Service, job_id: str, wait_s: float = 0) -> Request:
    """GET /jobs/{id}. `wait_s`: a server that can holds its answer back that long, until the job is final."""
    return service.request("GET", path_of(job_id), headers=_prefer(wait_s))


def page(service: Service, pairs: Sequence[tuple[str, str]]) -> Request:
    """GET /jobs."""
    return service.request("GET", jobs.JOBS + _query(pairs))


def change(service: Service, job_id: str, status: str, errors: Sequence[str], warnings: Sequence[str]) -> Request:
    """PATCH /jobs/{id}. Sent again it would add its texts again; a status alone may be set twice."""
    added = {name: list(texts) for name, texts in (("errors", errors), ("warnings", warnings)) if texts}
    return service.request("PATCH", path_of(job_id), {"status": status, **added}, repeatable=not added)


def complete(service: Service, job_id: str, payload: object) -> Request:
    """PUT /jobs/{id}: the result, which may be set twice."""
    return service.request("PUT", path_of(job_id), payload, repeatable=True)


def below(
    service: Service, job_id: str, *parts: str, query: Mapping[str, str] | None = None, wait_s: float = 0
) -> Request:
    """GET of something below a job."""
    path = path_of(job_id, *parts)
    return service.request("GET", path + _query(tuple(query.items()) if query else ()), headers=_prefer(wait_s))


def cancel(service: Service, job_id: str) -> Request:
    """POST /jobs/{id}/cancel, which does nothing to a job that has ended."""
    return service.request("POST", path_of(job_id, jobs.CANCEL), {}, repeatable=True)


def rerun(service: Service, job_id: str, changed: Mapping[str, Any]) -> Request:
    """POST /jobs/{id}/rerun: a new job with the same input, or the one in `changed`."""
    return service.request("POST", path_of(job_id, jobs.RERUN), dict(changed))


def settings(service: Service) -> Request:
    """GET /settings."""
    return service.request("GET", jobs.SETTINGS)


def set_settings(service: Service, fields: Mapping[str, Any]) -> Request:
    """PATCH /settings."""
    return service.request("PATCH", jobs.SETTINGS, dict(fields), repeatable=True)


def health(service: Service) -> Request:
    """GET /healthcheck."""
    return service.request("GET", jobs.HEALTH)


def path_of(job_id: str, *parts: str) -> str:
    """The path of a job. Raises ArgumentError for what cannot be an id: an empty one would be the list of all jobs."""
    if not isinstance(job_id, str):
        raise ArgumentError(f"a job id is a text, not {type(job_id).__name__}; a job has it as .id")
    if not 0 < len(job_id) <= LONGEST_JOB_ID or not job_id.isprintable() or not job_id.strip():
        raise ArgumentError(f"a job id is a text of 1 to {LONGEST_JOB_ID} printable characters")
    return jobs.job_path(job_id, *parts)


def checked_base_url(url: str, source: str = "url=, or SEEKAPI_URL") -> str:
    """`url` without a slash at its end. Raises ConfigurationError, with the value if all it lacks is the scheme: any
    other may be a key, or hold a password.
    """
    if routes.is_base_url(url):
        return url.rstrip("/")
    bare = _WITHOUT_SCHEME.fullmatch(url) if isinstance(url, str) else None
    if bare is not None:
        scheme = "http" if bare["loopback"] else "https"
        raise ConfigurationError(f"{url} is not a base URL (from {source}): did you mean {scheme}://{url}?")
    raise ConfigurationError(
        f"the URL of the jobs API is not a base URL (from {source}): expected http://127.0.0.1:8788, or https://host, "
        "perhaps with a port and a path, without user, query or fragment"
    )


def _authorization(api_key: str, username: str, password: str) -> str:
    if api_key and (username or password):
        raise ConfigurationError("an API key, or a user name and a password: not both")
    if api_key:
        if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
            raise ConfigurationError("the API key holds a character that cannot travel in a header (SEEKAPI_API_KEY)")
        return f"Bearer {api_key}"
    if not username and not password:
        return ""
    if ":" in username:
        raise ConfigurationError("a user name cannot hold a colon")
    from base64 import b64encode

    return "Basic " + b64encode(f"{username}:{password}".encode("utf-8", "replace")).decode("ascii")


def _check_key(key: str) -> None:
    if isinstance(key, str) and 0 < len(key) <= 255 and key.isascii() and key.isprintable() and key == key.strip():
        return
    raise ArgumentError("an idempotency key is 1 to 255 printable ASCII characters, without a space at its ends")


def _query(pairs: Sequence[tuple[str, str]]) -> str:
    try:
        return f"?{urlencode(pairs)}" if pairs else ""
    except UnicodeEncodeError:
        pass
    raise ArgumentError("what is asked for holds half a character (a lone surrogate)")


def _prefer(wait_s: float) -> list[tuple[str, str]]:
    return [("Prefer", f"wait={int(wait_s)}")] if wait_s >= 1 else []


# Answers


def error_from(
    response: Response, check: Check, url: str = "", *, redact: Redact = str, wall_time: float = 0.0
) -> errors.ApiError | None:
    """The typed error that `response` to `url` stands for, None for a success whose value passes `check`."""
    if 200 <= response.status < 300:
        wrong = _fault_of(response, check)
        if not wrong:
            return None
        return errors.ApiError(
            f"HTTP {response.status}, but the answer is {wrong} ({problems.media_type_of(response)}): "
            "is this the URL of a jobs API?",
            status=response.status,
            code="UNREADABLE_REPLY",
            outcome="unknown",
            retryable=True,
        )
    listed = _problems_of(response, redact)
    what_next = {**_WHAT_NEXT, 404: f"asked for {redact(url.partition('?')[0])}"}
    if not problems.says_why(response):
        what_next[409] = _CONFLICT
    error = problems.refusal_of(response, what_next, said="; ".join(listed), redact=redact, wall_time=wall_time)
    if isinstance(error, errors.InvalidRequestError):
        error.problems = tuple(listed)
    return error


def is_job(value: Any) -> str:
    """What is wrong with a Job."""
    is_one = isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("job_id", "status"))
    return "" if is_one else "not a job"


def is_page(value: Any) -> str:
    """What is wrong with a page of jobs."""
    rows = value.get("Jobs") if isinstance(value, dict) else None
    return "" if isinstance(rows, list) and not any(map(is_job, rows)) else "not a list of jobs"


def is_object(value: Any) -> str:
    """What is wrong with an answer that has to be an object."""
    return "" if isinstance(value, dict) else "not a JSON object"


def value_of(response: Response) -> Any:
    """The JSON value of an answer that was judged good."""
    return json_text.decode(response.body)


def next_page(response: Response, asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]] | None:
    """What to ask for the page after this one; None if it was the last.

    Only the query of the link counts: whatever host or path it names, the next request goes where this one went. The
    filters that the link has lost are kept.
    """
    query = response.headers.get(jobs.NEXT_PAGE).strip().partition("?")[2].partition("#")[0]
    pairs = parse_qsl(query)
    if not any(name == "ekey" for name, _ in pairs):
        return None
    told = {name for name, _ in pairs}
    return pairs + [(name, value) for name, value in asked if name not in told]


def _fault_of(response: Response, check: Check) -> str:
    try:
        value = json_text.decode(response.body)
    except json_text.JsonError:
        return "not JSON"
    return check(value)


def _problems_of(response: Response, redact: Redact) -> list[str]:
    """The problems that a 422 lists, one line each; bare array, or under a name in an object."""
    try:
        body = json_text.decode(response.body)
    except json_text.JsonError:
        return []
    if isinstance(body, dict):
        body = next((body[name] for name in ("detail", "problems", "errors") if isinstance(body.get(name), list)), [])
    if not isinstance(body, list):
        return []
    return [_line_of(entry, redact) for entry in body[:MOST_PROBLEMS] if isinstance(entry, (dict, str))]


def _line_of(entry: Mapping[str, Any] | str, redact: Redact) -> str:
    if isinstance(entry, str):
        line = entry
    else:
        place = entry.get("loc")
        where = ".".join(map(str, place[:20])) if isinstance(place, list) else ""
        what = entry.get("msg") or entry.get("message") or entry.get("type") or "invalid"
        line = f"{where}: {what}" if where else str(what)
    return "".join(c if c.isprintable() else " " for c in problems.start_of(line, redact, LONGEST_PROBLEM))
