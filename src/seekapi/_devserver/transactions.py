"""What a work does in the record: it asks, changes, and says what happened."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Protocol

    class Subject(Protocol):
        """What an event is about: a job row or an attempt row."""

        job_number: int
        job_id: str
        attempt: int


KINDS = (
    "submitted",
    "callback",
    "started",
    "called",
    "input",
    "registered",
    "push",
    "file",
    "charge",
    "progress",
    "log",
    "status",
    "ended",
    "lost",
    "fault",
)


class Event:
    """One thing that happened. `text` is its data as one line of JSON; `at` is seconds since 1970.

    Whenever `data` has a `status`, that is what the job's status became.
    """

    __slots__ = ("at", "attempt", "job_id", "job_number", "kind", "seq", "text")

    def __init__(self, seq: int, job_number: int, job_id: str, attempt: int, at: float, kind: str, text: str) -> None:
        self.seq = seq
        self.job_number = job_number
        self.job_id = job_id
        self.attempt = attempt
        self.at = at
        self.kind = kind
        self.text = text

    @property
    def data(self) -> dict[str, Any]:
        """What is known about it."""
        data: dict[str, Any] = json.loads(self.text)
        return data

    def __repr__(self) -> str:
        return f"<Event {self.seq} {self.kind} of {self.job_id}>"


class Reader:
    """Asks the record; everything that is read through one Reader is of the same moment."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._execute(sql, values).fetchall()

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows one by one, for those that may be large."""
        return self._execute(sql, values)

    def row(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row, None if there is none."""
        row: tuple[Any, ...] | None = self._execute(sql, values).fetchone()
        return row


class Transaction(Reader):
    """What a work changes the record with. `now` is the wall clock at the start of its group, in seconds since 1970."""

    __slots__ = ("_after_commit", "_events", "now")

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        super().__init__(connection)
        self.now = now
        self._events: list[Event] = []
        self._after_commit: list[Callable[[], None]] = []

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """One statement."""
        return self._execute(sql, values)

    def event(self, about: Subject, kind: str, data: dict[str, Any]) -> int:
        """Say what happened to a job, in one of its attempts; its number in the record."""
        return self.event_text(about, kind, json.dumps(data))

    def event_text(self, about: Subject, kind: str, text: str) -> int:
        """`event` for data that is JSON already, on one line."""
        seq = self._execute(
            "INSERT INTO event (job, attempt, at, kind, data) VALUES (?, ?, ?, ?, ?)",
            (about.job_number, about.attempt, self.now, kind, text),
        ).lastrowid
        assert seq is not None
        self._events.append(Event(seq, about.job_number, about.job_id, about.attempt, self.now, kind, text))
        return seq

    def on_commit(self, action: Callable[[], None]) -> None:
        """`action` is called once the change is on the disk, before anybody is told; never if it was undone."""
        self._after_commit.append(action)
