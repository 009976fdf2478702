"""Progress: two lines a second at most, the last one always, never back, nothing after the end, and never an error."""

from __future__ import annotations

import decimal
import fractions
import logging
import queue
import threading
import time

import pytest

import seekapi
from seekapi._redaction import Redactor
from seekapi._worker import logs
from seekapi._worker.progress import LINE_EVERY_S, Progress, track
from worker.conftest import LambdaContext


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    """The progress of one run."""
    return Progress(logs.RunLog("job-1", "req-1", 1, Redactor(["a secret of mine"])).adapter, clock)


@pytest.fixture
def told(caplog):
    """`told()`: the lines so far, as (done, total) or (done, total, message)."""

    def told() -> list[tuple[object, ...]]:
        lines = [record.seekapi_progress for record in caplog.records]
        assert all(record.levelno == logging.INFO and record.name == "seekapi.job" for record in caplog.records)
        return [(x["done"], x["total"], x["message"]) if x["message"] else (x["done"], x["total"]) for x in lines]

    return told


def test_however_often_it_is_told_there_are_two_lines_a_second(progress, clock, told):
    """100,000 calls in ten seconds: the first, every half second one, and the last."""
    for done in range(1, 100_001):
        clock.now += 0.0001
        progress.report(done, 100_000)
    progress.end()

    lines = told()
    assert lines[0] == (1, 100_000) and lines[-1] == (100_000, 100_000)
    assert 19 <= len(lines) <= 22


def test_a_line_comes_within_half_a_second_of_its_time(progress, clock, told):
    """After a burst of calls comes a slow one: the next line does not wait for another burst."""
    for done in range(10_000):
        progress.report(done)
    clock.now += LINE_EVERY_S
    progress.report(10_000)

    assert told() == [(0, None), (10_000, None)]


def test_the_last_one_is_always_sent_and_once(progress, told):
    """Also if nothing came after it in time; what was sent is not sent again."""
    progress.report(1, 3)
    progress.report(2, 3, "two")
    progress.end()
    progress.end()

    assert told() == [(1, 3), (2, 3, "two")]


def test_nothing_is_told_after_the_end(progress, clock, told):
    """A thread that was left behind has nothing to report."""
    progress.report(1)
    progress.end()
    clock.now += 10
    progress.report(2)
    for _ in track([1, 2], progress):
        clock.now += 10
    progress.end()

    assert told() == [(1, None)]


def test_who_tells_nothing_has_no_line(progress, told):
    """No progress is not zero progress."""
    progress.end()

    assert told() == []


def test_it_never_goes_back(progress, clock, told):
    """Workers side by side report in any order; the same again says something new only with another message."""
    for done, message in [(5, None), (3, None), (5, None), (5, "still"), (4, "back"), (6, None)]:
        clock.now += 1
        progress.report(done, 10, message)
    progress.end()

    assert told() == [(5, 10), (5, 10, "still"), (6, 10)]


class Uncomparable:
    def __le__(self, other: object) -> bool:
        raise SystemError("no")

    __ge__ = __lt__ = __gt__ = __le__


@pytest.mark.parametrize(
    "odd",
    [float("nan"), -1, -0.5, "7", None, [], 1j, Uncomparable(), object()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_sensible_number_is_ignored(progress, clock, told, odd):
    """It neither raises, nor takes the place of what was told before, nor stops what comes after."""
    progress.report(1, 10)
    progress.report(2, 10)
    progress.report(odd, 10)
    progress.end()

    assert told() == [(1, 10), (2, 10)]


@pytest.mark.parametrize("odd", [float("inf"), 2**53, 10**5000], ids=["inf", "large", "huge"])
@pytest.mark.parametrize("pause_s", [0, 1])
def test_a_number_without_end_stops_nothing(progress, clock, told, odd, pause_s):
    """It is not told, and what comes after it is."""
    progress.report(1, 10)
    clock.now += pause_s
    progress.report(odd, 10)
    progress.report(2, 10)
    progress.end()
    for late in (odd, 3):
        clock.now += 10
        progress.report(late, 10)

    assert told() == [(1, 10), (2, 10)]


@pytest.mark.parametrize(
    "odd", [float("nan"), -1, "10", [], 10**5000, Uncomparable(), float("inf")], ids=lambda value: type(value).__name__
)
def test_a_total_that_is_none_is_left_out(progress, told, odd):
    """What is known is told."""
    progress.report(1, odd)
    assert list(progress.track([1, 2], odd)) == [1, 2]
    progress.end()

    assert told() == [(1, None), (3, None)]


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (3, 10, "progress 3/10 (30 %)"),
        (0, 0, "progress 0/0"),
        (7, None, "progress 7"),
        (12, 10, "progress 12/10 (100 %)"),
        (999, 1000, "progress 999/1000 (99 %)"),
        (0.25, 1, "progress 0.25/1 (25 %)"),
        (True, 2, "progress 1/2 (50 %)"),
        (decimal.Decimal("1.5"), fractions.Fraction(3), "progress 1.5/3 (50 %)"),
    ],
)
def test_how_a_line_reads(progress, caplog, done, total, text):
    """For a person; beside it the record has the numbers."""
    progress.report(done, total)

    assert [record.getMessage() for record in caplog.records] == [text]


def test_a_message_is_one_short_line_without_secrets(progress, told):
    """Whatever it is."""
    progress.report(1, None, "a secret of mine\n" + "x" * 1000)
    progress.report(2, None, 5)
    progress.end()

    (_, _, first), (_, _, second) = told()
    assert first.startswith("*** xxx") and len(first) <= 200
    assert second == "5"


def test_tracking_tells_how_many_are_done(progress, clock, told):
    """An item is done when the next one is asked for; the total is the length, where there is one."""
    for _ in track("abcd", progress):
        clock.now += 1

    assert told() == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_tracking_what_has_no_length(progress, clock, told):
    """A generator is not counted in advance, unless somebody knows."""
    for _ in track((n for n in range(2)), progress):
        clock.now += 1
    for _ in track((n for n in range(2)), progress, total=2):
        clock.now += 1

    assert told() == [(0, None), (1, None), (2, None), (3, 4), (4, 4)]


def test_tracking_is_told_to_the_end(progress, clock, told):
    """The last line says that all is done, at once, however fast it went; the second loop counts on."""
    list(track(range(1000), progress))
    assert told() == [(0, 1000), (1000, 1000)]

    list(track(range(500), progress))
    progress.end()
    assert told()[2:] == [(1500, 1500)]


def test_many_short_loops_have_no_more_lines_than_one_long(progress, clock, told):
    """Being done early is no way around two lines a second."""
    for _ in range(1000):
        clock.now += 0.01
        list(track(range(10), progress))
    progress.end()

    assert len(told()) <= 10 * 2 + 3
    assert told()[-1] == (10_000, 10_000)


def test_a_loop_that_is_left_tells_how_far_it_came(progress, clock, told):
    """By `break`, and by an error, also if somebody still holds it when the job ends."""
    for item in track(range(100), progress):
        if item == 7:
            break
    held = track(range(100), progress)
    with pytest.raises(ZeroDivisionError):
        for item in held:
            1 / (item - 4)
    progress.end()

    assert told() == [(0, 100), (11, 107)]


def test_a_loop_inside_another_only_yields(progress, clock, told):
    """How far the job is, is how far the outer one is."""
    for _ in track(range(3), progress):
        assert list(track("ab", progress)) == ["a", "b"]
        clock.now += 1

    assert told() == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_loop_that_was_never_begun_is_in_nobodys_way(progress, clock, told):
    """Only what runs counts."""
    unused = progress.track(range(3))
    list(track(range(2), progress))

    assert told() == [(0, 2), (2, 2)]
    assert next(unused) == 0


def test_what_the_items_raise_is_the_users(progress):
    """track() is a loop over them, and no more."""

    def items():
        yield 1
        raise LookupError("of the user's")

    with pytest.raises(LookupError, match="of the user's"):
        list(track(items(), progress))
    with pytest.raises(TypeError):
        list(track(5, progress))  # type: ignore[arg-type]


def test_a_log_that_fails_is_no_error(clock):
    """It informs; it costs nobody a result."""

    def no_log():
        raise OSError("no log")

    progress = Progress(no_log, clock)
    progress.report(1)
    assert list(progress.track([1])) == [1]
    progress.end()


def test_a_handler_that_reports_progress_itself_does_not_go_round(progress, clock, caplog):
    """A log handler of the user's may call whatever it likes."""

    class Reporting(logging.Handler):
        def emit(self, record):
            clock.now += 10
            progress.report(99)

    logger, reporting = logging.getLogger("seekapi.job"), Reporting()
    logger.addHandler(reporting)
    try:
        progress.report(1)
    finally:
        logger.removeHandler(reporting)

    assert len(caplog.records) == 1


def test_threads_may_report_side_by_side(caplog):
    """Each line is whole, and none is behind the one before."""
    progress = Progress(logs.RunLog("job-1", None, 1, Redactor()).adapter, iter(range(10**9)).__next__)

    def report(offset: int) -> None:
        for done in range(offset, 400, 4):
            progress.report(done, 400)

    threads = [threading.Thread(target=report, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.end()

    lines = [record.seekapi_progress["done"] for record in caplog.records]
    assert lines == sorted(set(lines))


def test_it_works_with_the_real_clock(caplog):
    """As the job makes it."""
    progress = Progress(logs.RunLog("job-1", None, 1, Redactor()).adapter, time.monotonic)
    for _ in track(range(100_000), progress):
        pass
    progress.end()

    lines = [record.seekapi_progress["done"] for record in caplog.records]
    assert lines[0] == 0 and lines[-1] == 100_000


def test_a_handler_that_waits_for_the_next_item_is_interrupted(platform):
    """The time that passes in track() is that of the user's own iterator."""

    def work(job_input, job):
        for _ in job.track(iter(queue.Queue().get, None)):
            pass

    envelope = seekapi.run(platform.event, LambdaContext(remaining_ms=900), work)

    assert envelope["error"]["code"] == "TIMEOUT"
