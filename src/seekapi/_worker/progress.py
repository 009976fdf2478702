"""How far a job is, as log lines: at most two a second however often it is told, and the last one always.

What is told a million times has to cost nothing, so `report` and `track` are closures over a few variables: a call that
writes no line compares two numbers and reads the clock, and whatever is unusual is found out later. There is no thread:
a line is written by a call, or at the end.
"""

from __future__ import annotations

from .frames import open_to_interrupts
from .logs import PROGRESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Protocol, TypeVar
    from weakref import ReferenceType

    from .logs import Log

    Item = TypeVar("Item")
    Number = int | float

    class Report(Protocol):
        """How far the job is: `done` of `total`."""

        def __call__(self, done: Number, total: Number | None = None, message: str | None = None) -> None: ...

    class Track(Protocol):
        """Each of the items; meanwhile how many of them are done is reported."""

        def __call__(self, items: Iterable[Item], total: Number | None = None) -> Iterator[Item]: ...


# Two lines a second.
LINE_EVERY_S = 0.5
LONGEST_MESSAGE = 200
# The largest whole number that every reader of JSON has.
_LARGEST = 2**53
_UNTOLD = object()


class Progress:
    """How far one job is. `log` gives the logger when the first line is due; `clock` counts seconds.

    `report(done, total=None, message=None)` tells it. `done` never goes back: what does, and what is no number, is
    ignored. `track(items, total=None)` yields the items and tells how many are done; the next one counts on from there,
    and one inside another only yields. `end()` sends what is not sent yet; after it nothing is. None of them ever
    raises (`track` what the items raise).
    """

    __slots__ = ("end", "report", "track")

    report: Report
    track: Track
    end: Callable[[], None]

    def __init__(self, log: Callable[[], Log], clock: Callable[[], float]) -> None:
        write_line = _Lines(log).write
        running: list[ReferenceType[Iterator[Any]]] = []
        highest: Any = 0
        written: Any = 0
        latest_total: object = _UNTOLD
        latest_message: object = None
        due = float("-inf")
        is_over = False

        def report(done: Number, total: Number | None = None, message: str | None = None) -> None:
            nonlocal highest, latest_total, latest_message
            try:
                # Not of a NaN, and of nothing after the end.
                if highest <= done:
                    highest = done
                    latest_total = total
                    latest_message = message
                    if clock() < due:
                        return
                look_at(done, total, message)
            except Exception:
                return  # no number, or one that does not let itself be compared

        def look_at(done: Number, total: Number | None, message: str | None) -> None:
            """A line is due, or something is unusual. Apart from `report`, each of whose variables costs it time."""
            nonlocal highest
            if highest < _LARGEST:
                if highest <= done:
                    write()
            elif not is_over:
                # This, or what came before it, was no sensible number.
                highest = written
                if written <= done < _LARGEST:
                    report(done, total, message)

        def write() -> None:
            nonlocal due, written
            written = highest
            write_line(highest, latest_total, latest_message)
            # Counted from when it is written: a slow log gets fewer lines.
            due = clock() + LINE_EVERY_S

        def complete() -> None:
            """Say at once that all is done, once ahead of time: what comes after it may take long, and tell nothing."""
            nonlocal due
            ahead_s = due - clock()
            if ahead_s <= LINE_EVERY_S:
                write()
                due += max(0.0, ahead_s)

        def track(items: Iterable[Item], total: Number | None = None) -> Iterator[Item]:
            from weakref import ref

            own: list[ReferenceType[Iterator[Any]]] = []
            counted = counting(items, _number(total) if total is not None else _length(items), own)
            # Not the generator itself: one that a `break` leaves behind has to come to its end.
            own.append(ref(counted))
            return counted

        @open_to_interrupts  # blocked in the user's own iterator it is their time that passes
        def counting(
            items: Iterable[Item], total: Number | None, own: list[ReferenceType[Iterator[Any]]]
        ) -> Iterator[Item]:
            if running:
                yield from items
                return
            running.extend(own)
            done = highest
            total = None if total is None else total + done
            report(done, total)
            try:
                for item in items:
                    yield item
                    done += 1
                    if clock() >= due:
                        report(done, total)
            finally:
                running.clear()
                report(done, total)
                if done == total:
                    complete()

        def end() -> None:
            nonlocal highest, is_over
            for counted in [reference() for reference in running]:
                try:
                    getattr(counted, "close", int)()  # then it says how far it came
                except Exception:  # noqa: S110 (a thread is at it)
                    pass
            write_line(highest, latest_total, latest_message)
            highest, is_over = float("inf"), True

        self.report, self.track, self.end = report, track, end


class _Lines:
    """Writes a line, if it says something new and no other thread is at it."""

    __slots__ = ("_log", "_sent", "_turn")

    def __init__(self, log: Callable[[], Log]) -> None:
        self._log = log
        self._sent: tuple[Number, Number | None, str | None] | None = None
        # Taken while a line is written. No lock: an interrupt could leave it held.
        self._turn = [True]

    def write(self, done: object, total: object, message: object) -> None:
        """Write one line; never raises."""
        if total is _UNTOLD or not self._turn:
            return
        try:
            self._turn.pop()
        except IndexError:
            return
        try:
            self._write(done, total, message)
        except Exception:  # noqa: S110 (it informs; it costs nobody a result)
            pass
        finally:
            self._turn.append(True)

    def _write(self, done: object, total: object, message: object) -> None:
        done_so_far = _number(done)
        if done_so_far is None or (self._sent is not None and done_so_far < self._sent[0]):
            return
        log = self._log()
        line = (done_so_far, _number(total), _text(message, log))
        if line == self._sent:
            return
        self._sent = line
        log.info("%s", _shown(*line), extra={PROGRESS: dict(zip(("done", "total", "message"), line, strict=True))})


def track(items: Iterable[Item], progress: Progress, total: Number | None = None) -> Iterator[Item]:
    """Each of `items`; meanwhile how many are done is reported."""
    return progress.track(items, total)


def _shown(done: Number, total: Number | None, message: str | None) -> str:
    shown = f"progress {done:.10g}" if isinstance(done, float) else f"progress {done}"
    if total is not None:
        shown += f"/{total:.10g}" if isinstance(total, float) else f"/{total}"
        # Never above, and 100 only when it is done.
        shown += f" ({min(100, int(100 * done / total))} %)" if total > 0 else ""
    return f"{shown}: {message}" if message else shown


def _text(message: object, log: Any) -> str | None:
    if message is None:
        return None
    from .._protocol import envelopes

    text = envelopes.text_of(message)
    redactor = getattr(getattr(log, "run_log", None), "redactor", None)
    return " ".join((redactor.start(text, LONGEST_MESSAGE, "…") if redactor else text[:LONGEST_MESSAGE]).split())


def _number(value: Any) -> Number | None:
    """A number of any kind as one that JSON has; None if it is none, or no sensible one."""
    try:
        real = float(value)
        if isinstance(value, str) or not 0 <= real < _LARGEST:
            return None
        return int(value) if int(value) == value else real
    except Exception:
        return None


def _length(items: object) -> int | None:
    try:
        return len(items)  # type: ignore[arg-type]
    except Exception:
        return None  # a generator, and whatever else has none
