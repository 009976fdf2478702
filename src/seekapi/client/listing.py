"""Pages of jobs as one run of them, which ends whatever the service answers.

Services are met whose link to the next page leads to the same page for ever, and that look at the first of several ids
only.
"""

from __future__ import annotations

from datetime import date, datetime, timezone

from .._protocol import job_calls, jobs
from ..errors import ArgumentError, NotFoundError
from .arguments import check_text
from .records import JobRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .calling import Caller

    Pairs = list[tuple[str, str]]

# So many ids make a URL of 2 KiB, which every server takes.
IDS_PER_REQUEST = 50
# A page without a new job says that the next may have some; for ever it may not.
MOST_PAGES_WITHOUT_NEWS = 50


def filters(status: str | None, since: datetime | str | float | None, until: datetime | str | float | None) -> Pairs:
    """The query of a list. Raises ArgumentError."""
    pairs: Pairs = []
    if status is not None:
        check_text(status, "status")
        pairs.append(("status", status))
    if since is not None:
        pairs.append(("registered_datetime_gte", _moment_text(since, "since")))
    if until is not None:
        pairs.append(("registered_datetime_lte", _moment_text(until, "until")))
    return pairs


def pages(caller: Caller, asked: Pairs, limit: int | None, timeout_s: float | None) -> Iterator[JobRecord]:
    """Page after page, each job once, until there is no next page, or it is one that was there before."""
    page_size = jobs.MOST_LIMIT if limit is None else min(max(limit, jobs.LEAST_LIMIT), jobs.MOST_LIMIT)
    pairs: Pairs | None = [*asked, ("limit", str(page_size))]
    seen_pages: set[str] = set()
    seen_jobs: set[str] = set()
    pages_without_news = 0
    while pairs is not None and pages_without_news < MOST_PAGES_WITHOUT_NEWS:
        request = job_calls.page(caller.service, pairs)
        response = caller.response(request, caller.deadline(timeout_s), job_calls.is_page)
        pages_without_news += 1
        for raw in job_calls.value_of(response)["Jobs"]:
            if raw["job_id"] in seen_jobs:
                continue
            seen_jobs.add(raw["job_id"])
            pages_without_news = 0
            yield JobRecord(raw)
            if len(seen_jobs) == limit:
                return
        pairs = job_calls.next_page(response, asked)
        key = dict(pairs)["ekey"] if pairs else ""
        if key in seen_pages:
            return
        seen_pages.add(key)


def by_ids(caller: Caller, job_ids: Sequence[str], limit: int | None, timeout_s: float | None) -> Iterator[JobRecord]:
    """These jobs, in this order. What the list leaves out is asked for by itself."""
    wanted = list(dict.fromkeys(job_ids))
    found_count = 0
    for start in range(0, len(wanted), IDS_PER_REQUEST):
        batch = wanted[start : start + IDS_PER_REQUEST]
        for job_id in batch:
            job_calls.path_of(job_id)  # an id that cannot be one is refused before anything is sent
        request = job_calls.page(caller.service, [("job_id", job_id) for job_id in batch])
        rows = caller.value(request, caller.deadline(timeout_s), job_calls.is_page)["Jobs"]
        by_id = {row["job_id"]: row for row in rows}
        for job_id in batch:
            row = by_id.get(job_id) or _get(caller, job_id, timeout_s)
            if row is None:
                continue
            yield JobRecord(row)
            found_count += 1
            if found_count == limit:
                return


def _get(caller: Caller, job_id: str, timeout_s: float | None) -> dict[str, object] | None:
    request = job_calls.get(caller.service, job_id)
    try:
        row: dict[str, object] = caller.value(request, caller.deadline(timeout_s), job_calls.is_job)
        return row
    except NotFoundError:
        return None


def _moment_text(at: datetime | str | float, name: str) -> str:
    try:
        if isinstance(at, str):
            # A text without an offset is left so: it is then the service's own time.
            jobs.moment_of(at)
            return at.strip()
        if isinstance(at, datetime):
            return at.astimezone().isoformat(timespec="seconds")
        if isinstance(at, date):
            return datetime(at.year, at.month, at.day).astimezone().isoformat(timespec="seconds")
        if isinstance(at, (int, float)) and not isinstance(at, bool):
            return jobs.moment_text(at, timezone.utc)
    except (ValueError, OverflowError, OSError):
        pass
    raise ArgumentError(f"{name} must be a datetime, ISO-8601 or seconds since 1970")
