"""What the jobs API answers, as typed values. Each keeps what it was made from as `.raw`.

Reading is tolerant: a field that a server does not have is None or empty, one of an odd type is as if it were not
there, one that nobody knows is only in `.raw`.
"""

from __future__ import annotations

from datetime import datetime, timezone

from .._protocol import jobs, lifecycles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class JobRecord:
    """A job as it was at one moment.

    `status` is one of pending, queued, validating, processing, completed, error, cancelled. `errors` and `warnings` are
    lists, also where the server has null. Moments are aware datetimes.
    """

    __slots__ = (
        "completed_at",
        "errors",
        "id",
        "input",
        "output",
        "raw",
        "registered_at",
        "result_count",
        "settings",
        "status",
        "updated_at",
        "warnings",
    )

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.id: str = raw["job_id"]
        self.status: str = raw["status"]
        self.registered_at = _moment(raw.get("registered_datetime"))
        self.updated_at = _moment(raw.get("updated_datetime"))
        self.completed_at = _moment(raw.get("completed_datetime"))
        self.errors = _texts(raw.get("errors"))
        self.warnings = _texts(raw.get("warnings"))
        self.input: Any = raw.get("request_payload")
        self.output: Any = raw.get("response_payload")
        self.result_count = _count(raw.get("result_count"))
        self.settings = _object(raw.get("settings"))

    @property
    def is_final(self) -> bool:
        """Whether nothing more is to be expected: completed, error or cancelled."""
        return self.status in lifecycles.FINAL

    @property
    def ok(self) -> bool:
        """Whether it is completed."""
        return self.status == lifecycles.COMPLETED

    def __repr__(self) -> str:
        return f"<JobRecord {self.id} {self.status}>"


class JobError:
    """Why a job failed: `code` says whose turn it is, `where` is the line of the worker's own code, if known."""

    __slots__ = ("code", "line", "message", "raw", "traceback", "where")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.code = _text(raw.get("code"))
        self.message = _text(raw.get("message"))
        self.where = _text(raw.get("where"))
        self.line = _text(raw.get("line"))
        self.traceback = _text(raw.get("traceback"))

    def __str__(self) -> str:
        return f"{self.code}: {self.message}".strip(": ")

    def __repr__(self) -> str:
        return f"<JobError {self.code}>"


class Push:
    """One value that a job delivered."""

    __slots__ = ("attempt", "data", "pushed_at", "raw", "type")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.type = _text(raw.get("type")) or "json"
        self.data: Any = raw.get("data")
        self.pushed_at = _moment(raw.get("pushed_at"))
        self.attempt = _count(raw.get("attempt"))

    def __repr__(self) -> str:
        return f"<Push {self.type}>"


class JobFile:
    """One file that a job delivered; `sha256` is "" where the server does not tell."""

    __slots__ = ("content_type", "name", "raw", "sha256", "size_bytes")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.name = _text(raw.get("name"))
        self.content_type = _text(raw.get("content_type"))
        self.size_bytes = _count(raw.get("size_bytes"))
        self.sha256 = _text(raw.get("sha256"))

    def __repr__(self) -> str:
        return f"<JobFile {self.name!r}, {self.size_bytes} bytes>"


class JobResult:
    """What a job has delivered so far, or in the end: `values` of its pushes in order, `files`, `charges`, `error`."""

    __slots__ = ("charges", "error", "files", "job_id", "pushes", "raw", "status")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.job_id = _text(raw.get("job_id"))
        self.status = _text(raw.get("status"))
        self.pushes = [Push(row) for row in _objects(raw.get("pushes"))]
        self.files = [JobFile(row) for row in _objects(raw.get("files"))]
        self.charges = _objects(raw.get("charges"))
        error = raw.get("error")
        self.error = JobError(error) if isinstance(error, dict) else None

    @property
    def values(self) -> list[Any]:
        """The data of each push."""
        return [push.data for push in self.pushes]

    @property
    def ok(self) -> bool:
        """Whether the job is completed."""
        return self.status == lifecycles.COMPLETED

    def __repr__(self) -> str:
        return f"<JobResult of {self.job_id}: {self.status}, {len(self.pushes)} pushes, {len(self.files)} files>"


class JobEvent:
    """One thing that happened to a job. `kind` is a word such as started, push, log, progress, ended."""

    __slots__ = ("at", "attempt", "data", "kind", "raw", "seq")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.seq = _count(raw.get("seq"))
        self.at = _moment(raw.get("at"))
        self.attempt = _count(raw.get("attempt"))
        self.kind = _text(raw.get("kind"))
        self.data = _object(raw.get("data")) or {}

    @property
    def text(self) -> str:
        """The words of a log line or of progress, "" for what has none."""
        return next((text for text in (_text(self.data.get(name)) for name in ("message", "text", "line")) if text), "")

    def __repr__(self) -> str:
        return f"<JobEvent {self.seq} {self.kind}>"


def _moment(value: object) -> datetime | None:
    """ISO-8601, or seconds since 1970."""
    try:
        if isinstance(value, str):
            return _datetime_of(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, timezone.utc)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _datetime_of(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.fromtimestamp(jobs.moment_of(text), timezone.utc)
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _object(value: object) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
