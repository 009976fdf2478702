"""The jobs of a service, call by call. What a service does not have beyond the protocol is done with what it has."""

from __future__ import annotations

from .._protocol import job_calls, jobs
from ..errors import ApiError, NotFoundError
from . import arguments, downloads, following, listing
from .records import JobEvent, JobFile, JobRecord, JobResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import Any, TypeAlias

    from .._protocol.messages import Request
    from .calling import Caller

    # In the class `list` is the call.
    JobFiles: TypeAlias = list[JobFile]

# A job may take long, and nobody should wait for ever by accident.
WAIT_TIMEOUT_S = 600.0
TRANSFER_TIMEOUT_S = 600.0
# No record numbers more, and no server reads more digits.
MOST_EVENTS = MOST_JOBS = 2**63
_NO_SUCH_ROUTE = frozenset((404, 405))
_SAME: Any = object()


class Jobs:
    """`client.jobs`.

    Every call takes `timeout` in seconds, total, and raises ApiError (NotFoundError, AuthError, InvalidRequestError
    with `.problems`, ...) for what the service refuses, TransportError if no answer could be had in that time.
    """

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def submit(self, input: Any, *, idempotency_key: str | None = None, timeout: float | None = None) -> JobRecord:
        """Hand in a job and return it; `wait` and `result` take its `.id`.

        With an `idempotency_key` it is sent again after a failure that may have come after the work, which is safe
        where the service keeps keys, as `seekapi dev` does. Without one such a failure is raised, with `.outcome`
        "unknown": the job may be there.
        """
        return self._job(job_calls.submit(self._caller.service, input, idempotency_key), timeout)

    def get(self, job_id: str, *, timeout: float | None = None) -> JobRecord:
        """The job as it is now. Raises NotFoundError."""
        return self._job(job_calls.get(self._caller.service, job_id), timeout)

    def list(
        self,
        *,
        status: str | None = None,
        since: datetime | str | float | None = None,
        until: datetime | str | float | None = None,
        job_ids: Sequence[str] | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[JobRecord]:
        """The jobs, newest first, at most `limit`; pages are fetched as they are needed, with `timeout` each.

        `since` and `until` are about the submission, to the second and both inclusive: a datetime (a naive one is
        local time), ISO-8601, or seconds since 1970. With `job_ids` only these, in their order, without those that
        the service does not know; the other filters then do not count.
        """
        if limit is not None:
            arguments.check_count(limit, "limit", 1, MOST_JOBS)
        if job_ids is not None:
            return listing.by_ids(self._caller, arguments.texts(job_ids, "job_ids"), limit, timeout)
        return listing.pages(self._caller, listing.filters(status, since, until), limit, timeout)

    def update(
        self,
        job_id: str,
        status: str,
        *,
        errors: Sequence[str] | str = (),
        warnings: Sequence[str] | str = (),
        timeout: float | None = None,
    ) -> JobRecord:
        """Set the status, and add to the errors and warnings of the job.

        With texts to add it is not sent again after a failure that may have come after the work.
        """
        arguments.check_text(status, "status")
        added = [
            [texts] if isinstance(texts, str) else arguments.texts(texts, name)
            for name, texts in (("errors", errors), ("warnings", warnings))
        ]
        return self._job(job_calls.change(self._caller.service, job_id, status, *added), timeout)

    def complete(self, job_id: str, output: Any, *, timeout: float | None = None) -> JobRecord:
        """Hand in the result of a job that you have done: it is then completed."""
        return self._job(job_calls.complete(self._caller.service, job_id, output), timeout)

    def wait(self, job_id: str, *, timeout: float = WAIT_TIMEOUT_S) -> JobRecord:
        """The job once it is final: completed, error or cancelled.

        Raises TransportTimeout, a TimeoutError, if it is not by then. The service is asked to answer when there is
        news; one that cannot is asked again and again, ever less often. Once it has answered, half a minute of
        silence is borne.
        """
        return following.wait(self._caller, job_id, timeout)

    def cancel(self, job_id: str, *, timeout: float | None = None) -> JobRecord:
        """Cancel the job if it has not ended, and return it as it then is."""
        deadline = self._caller.deadline(timeout)
        job = self._try(job_calls.cancel(self._caller.service, job_id), deadline, job_calls.is_job)
        if job is None:
            # A service that has only the protocol: there even a finished job would take the new status.
            record = JobRecord(self._get(job_id, deadline))
            if record.is_final:
                return record
            request = job_calls.change(self._caller.service, job_id, "cancelled", (), ())
            job = self._caller.value(request, deadline, job_calls.is_job)
        return JobRecord(job)

    def rerun(self, job_id: str, *, input: Any = _SAME, timeout: float | None = None) -> JobRecord:
        """A new job with the input of this one, or with another `input`."""
        deadline = self._caller.deadline(timeout)
        changed = {} if input is _SAME else {"request_payload": input}
        job = self._try(job_calls.rerun(self._caller.service, job_id, changed), deadline, job_calls.is_job)
        if job is None:
            again = self._get(job_id, deadline).get("request_payload") if input is _SAME else input
            job = self._caller.value(job_calls.submit(self._caller.service, again), deadline, job_calls.is_job)
        return JobRecord(job)

    def result(self, job_id: str, *, timeout: float | None = None) -> JobResult:
        """What the job has delivered so far: pushes, files, charges, and its error if it failed.

        A service that keeps no pushes has one value, the job's output, once the job is completed.
        """
        deadline = self._caller.deadline(timeout)
        result = self._try(job_calls.below(self._caller.service, job_id, jobs.RESULT), deadline, _is_result)
        if result is None:
            return JobResult(_result_of(self._get(job_id, deadline)))
        pages = [result, *self._further(job_id, jobs.RESULT, result, deadline, _is_result)]
        # Where the place is a number, each answer repeats all files and charges, and only the pushes go on.
        cut = ("pushes",) if isinstance(result.get("next"), int) else ("pushes", "files", "charges")
        whole = {name: [row for page in pages for row in _rows(page, name)] for name in cut}
        return JobResult({**pages[-1], **whole} if len(pages) > 1 else result)

    def files(self, job_id: str, *, timeout: float | None = None) -> JobFiles:
        """The files that the job has delivered so far. Raises NotFoundError if the service keeps none."""
        deadline = self._caller.deadline(timeout)
        first = self._caller.value(job_calls.below(self._caller.service, job_id, jobs.FILES), deadline, _is_files)
        pages = [first, *self._further(job_id, jobs.FILES, first, deadline, _is_files)]
        return [JobFile(row) for page in pages for row in page["files"]]

    def download(
        self,
        job_id: str,
        file: JobFile | str,
        to: str | os.PathLike[str] = ".",
        *,
        timeout: float = TRANSFER_TIMEOUT_S,
    ) -> Path:
        """Fetch one file of the job onto this disk and return its path. Memory does not grow with it.

        `to` is a file; or a folder, which is there or ends with a slash and is made: in it the file gets a name that
        cannot lead out of it. What is there is replaced when the new file is complete, and stays as it is if the
        download fails; a device or a pipe is refused. Size and digest of a `JobFile` are checked. Raises
        LocalWriteError if it cannot be kept.
        """
        deadline = self._caller.deadline(timeout)
        if not isinstance(file, JobFile):
            arguments.check_text(file, "file", least=1)
        wanted = file if isinstance(file, JobFile) else JobFile({"name": file})
        # By its id, if it has one: a worker may use a name twice, or one that no URL can hold.
        named = wanted.raw.get("id") or wanted.name
        request = job_calls.below(self._caller.service, job_id, jobs.FILES, str(named))
        return downloads.fetch(self._caller, request, wanted, to, deadline)

    def events(
        self,
        job_id: str,
        *,
        after: int = 0,
        kinds: Sequence[str] = (),
        follow: bool = True,
        timeout: float = WAIT_TIMEOUT_S,
    ) -> Iterator[JobEvent]:
        """What happens to the job, from behind event number `after`, until it has ended.

        Without `follow` only what has happened so far. `timeout` is for all of it: TransportTimeout is raised if the
        job has not ended by then. Raises NotFoundError if the service keeps no events.
        """
        arguments.check_count(after, "after", 0, MOST_EVENTS - 1)
        wanted = tuple(arguments.texts(kinds, "kinds"))
        return following.events(self._caller, job_id, after, wanted, timeout, follow=follow)

    def logs(self, job_id: str, *, follow: bool = False, timeout: float = WAIT_TIMEOUT_S) -> Iterator[JobEvent]:
        """The log lines of the job: `.text` is the line, `.data` its source and level."""
        return following.events(self._caller, job_id, 0, ("log",), timeout, follow=follow)

    def _job(self, request: Request, timeout: float | None) -> JobRecord:
        return JobRecord(self._caller.value(request, self._caller.deadline(timeout), job_calls.is_job))

    def _get(self, job_id: str, deadline: float) -> dict[str, Any]:
        job: dict[str, Any] = self._caller.value(
            job_calls.get(self._caller.service, job_id), deadline, job_calls.is_job
        )
        return job

    def _further(
        self, job_id: str, part: str, page: dict[str, Any], deadline: float, check: job_calls.Check
    ) -> Iterator[dict[str, Any]]:
        """The answers after one that was cut: each has the place of the next, until one has none or repeats one."""
        seen: set[int | str] = set()
        while type(place := page.get("next")) in (int, str) and place and place not in seen:
            seen.add(place)
            request = job_calls.below(self._caller.service, job_id, part, query={"after": str(place)})
            page = self._caller.value(request, deadline, check)
            yield page

    def _try(self, request: Request, deadline: float, check: job_calls.Check = job_calls.is_object) -> Any:
        """The value of something beyond the protocol; None if the service, or the job, is not there."""
        try:
            return self._caller.value(request, deadline, check)
        except NotFoundError:
            return None
        except ApiError as error:
            if error.status not in _NO_SUCH_ROUTE:
                raise
            return None

    def __repr__(self) -> str:
        return f"<Jobs of {self._caller.service.base_url}>"


def _result_of(job: dict[str, Any]) -> dict[str, Any]:
    record = JobRecord(job)
    failed = record.status == "error"
    return {
        "job_id": record.id,
        "status": record.status,
        "pushes": [{"data": record.output}] if record.output is not None else [],
        "error": {"code": "", "message": "\n".join(record.errors)} if failed else None,
        "job": job,
    }


def _rows(page: dict[str, Any], name: str) -> list[Any]:
    rows = page.get(name)
    return rows if isinstance(rows, list) else []


def _is_result(value: Any) -> str:
    is_one = isinstance(value, dict) and isinstance(value.get("pushes"), list) and not job_calls.is_job(value)
    return "" if is_one else "not a result"


def _is_files(value: Any) -> str:
    rows = value.get("files") if isinstance(value, dict) else None
    if isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows):
        return ""
    return "not a list of files"
