"""What is left of one invocation: the verdict, and everything that the platform has of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class Served:
    """One request of the worker, as the platform saw it. `status` is that of the answer, also of one that was cut."""

    __slots__ = ("idempotency_key", "method", "operation", "path", "status")

    def __init__(self, method: str, path: str, operation: str, status: int, idempotency_key: str) -> None:
        self.method = method
        self.path = path
        # input, register, push, file or charge, as faults are armed for them; else the last part of the path.
        self.operation = operation
        self.status = status
        self.idempotency_key = idempotency_key

    def __repr__(self) -> str:
        return f"<Served {self.method} {self.path} {self.status}>"


class File:
    """One file that the worker pushed."""

    __slots__ = ("content_type", "name", "path", "size_bytes")

    def __init__(self, name: str, content_type: str, size_bytes: int, path: Path) -> None:
        self.name = name
        self.content_type = content_type
        self.size_bytes = size_bytes
        # Where the platform keeps it; gone with the platform.
        self.path = path

    def read(self) -> bytes:
        """Its content."""
        return self.path.read_bytes()

    def __repr__(self) -> str:
        return f"<File {self.name!r} {self.content_type} {self.size_bytes} bytes>"


class Invoked:
    """One job that was run.

    `envelope` is what the handler answered. `pushes`, `files` and `charges` are what the platform has in order: values,
    `File`s, and `{"idempotency_key", "count", "justification", ...}`. `progress` are the reports that were sent
    (`{"done", "total", "message"}`), `logs` the records of `logging`, masked. `requests` is each call that came in,
    repeated ones too.
    """

    def __init__(
        self,
        job_id: str,
        envelope: Any,
        *,
        pushes: list[Any],
        files: list[File],
        charges: list[dict[str, Any]],
        progress: list[dict[str, Any]],
        logs: list[Any],
        requests: list[Served],
    ) -> None:
        self.job_id = job_id
        self.envelope = envelope
        self.pushes = pushes
        self.files = files
        self.charges = charges
        self.progress = progress
        self.logs = logs
        self.requests = requests

    @property
    def ok(self) -> bool:
        """Whether the handler answered that the job is done."""
        return isinstance(self.envelope, dict) and self.envelope.get("ok") is True

    @property
    def error(self) -> dict[str, str] | None:
        """`{"code", "message"}` of a job that failed, else None."""
        error = self.envelope.get("error") if isinstance(self.envelope, dict) else None
        return None if self.ok or not isinstance(error, dict) else error

    def __repr__(self) -> str:
        verdict = "ok" if self.ok else (self.error or {}).get("code", "no verdict")
        return f"<Invoked {verdict}, {len(self.pushes)} pushes, {len(self.files)} files, {len(self.charges)} charges>"
