"""One job at a time, from its start to its verdict: the thread that looks after its process."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from uuid import uuid4

from .._redaction import Redactor, url_secrets
from . import changes, faults, inputs, output, planned_faults, records, settings, verdicts
from .database import NotStored, RecordGone
from .processes import BOOTSTRAP, Child
from .workers import IMPORT_LIMIT_S, cannot_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .changes import Claimed
    from .output import Line
    from .records import AttemptRow
    from .runner import Runner
    from .transactions import Transaction

    Error = dict[str, Any]

log = logging.getLogger("seekapi.dev")

# A handler that answers this much after its deadline is still heard.
SLACK_S = 0.1
# What a handler has for tidying up once it was told to end, and for saying where it stood.
TERM_GRACE_S = 2.0
STACK_WAIT_S = 0.2
# An input that is fetched at the very end of the attempt is still there.
URL_MARGIN_S = 60.0
# Of what a handler prints in one attempt. More is counted, and dropped.
MOST_LINES = 20_000
MOST_LOG_CHARS = 8 * 1024 * 1024
_OUR_FOLDER = str(BOOTSTRAP.parent)


class Slot(threading.Thread):
    """Runs one job after the other."""

    def __init__(self, runner: Runner, number: int) -> None:
        super().__init__(name=f"seekapi-slot-{number}", daemon=True)
        self.attempt: AttemptRow | None = None
        self._runner = runner
        self._is_to_end = False
        # Also taken by a signal handler, over whatever its thread is doing.
        self._lock = threading.RLock()
        self._wake_end = self._waking_end = -1

    def run(self) -> None:
        """Until the runner is stopped."""
        with self._lock:
            self._wake_end, self._waking_end = os.pipe()
            os.set_blocking(self._waking_end, False)
        try:
            self._run()
        finally:
            with self._lock:
                os.close(self._wake_end)
                os.close(self._waking_end)
                self._wake_end = self._waking_end = -1

    def _run(self) -> None:
        runner = self._runner
        while runner.waiting.get() is not None:
            while not runner.is_stopping and (claimed := runner.claim()) is not None:
                try:
                    self._work(claimed)
                except Exception as error:
                    log.exception("a job could not be looked after")
                    self._give_up(claimed.attempt, error)

    def end(self) -> None:
        """End what runs here. From any thread."""
        with self._lock:
            self._is_to_end = True
            try:
                if self._waking_end >= 0:
                    os.write(self._waking_end, b"x")
            except OSError:
                pass  # It was woken often enough.

    def end_if(self, job_number: int, attempt_number: int) -> None:
        """End what runs here, if it is this."""
        attempt = self.attempt
        if attempt is not None and (attempt.job_number, attempt.attempt) == (job_number, attempt_number):
            self.end()

    def _work(self, claimed: Claimed) -> None:
        self.attempt = claimed.attempt
        # What was asked before belongs to a job that is over; but the end of the platform stays the end.
        self._is_to_end = self._runner.is_ending
        try:
            if not self._is_over(claimed.attempt):
                _Attempt(self._runner, claimed, self._wake_end, lambda: self._is_to_end).run()
        finally:
            self.attempt = None

    def _give_up(self, attempt: AttemptRow, error: Exception) -> None:
        """A job whose slot has failed does not run for ever in the record."""
        fault = verdicts.lost(error)
        work = partial(changes.end_attempt, attempt=attempt, ok=False, error=fault)
        try:
            self._runner.platform.store.submit(work).result()
        except Exception:
            log.exception("nor could its end be written")

    def _is_over(self, attempt: AttemptRow) -> bool:
        """Whether it was cancelled before anybody could know that it is ours."""
        with self._runner.platform.store.read() as reader:
            row = records.attempt_of(reader, attempt.id)
        return row is None or row.ended_at is not None


class _Attempt:
    """One try of one job."""

    def __init__(self, runner: Runner, claimed: Claimed, wake: int, is_to_end: Callable[[], bool]) -> None:
        self._runner = runner
        self._platform = runner.platform
        self._clock = runner.platform.clock
        self._claimed = claimed
        self._about = claimed.attempt
        self._wake = wake
        self._is_to_end = is_to_end
        self._timeout_s = runner.platform.options.timeout_s
        self._noted: Error | None = None
        self._line_count = self._record_count = self._log_chars = self._dropped_count = 0
        self._pending: Future[object] | None = None
        self._cold_ms: float | None = None
        self._limit = 0.0
        self._redactor = Redactor()

    def run(self) -> None:
        """Start it, watch it, end it, judge it."""
        near = self._platform.options.faults.take(planned_faults.DEADLINE)
        if near is not None:
            self._timeout_s = min(self._timeout_s, near.seconds)
            self._post(partial(faults.note, job_id=self._about.job_id, fault=near))
        started_at = self._clock()
        try:
            child = Child(self._runner.worker.python, self._order(), self._runner.worker.environ, self._wake)
        except OSError as error:
            self._end(cannot_start(self._runner.worker.python, error), {})
            return
        try:
            reason = self._watch(child, started_at)
            if reason is None:
                self._judge(child)
            else:
                self._stop(child, reason)
        except BaseException:
            child.finish()
            raise

    def _order(self) -> dict[str, Any]:
        platform, claimed = self._platform, self._claimed
        expires_at = platform.now() + max(self._timeout_s, IMPORT_LIMIT_S) + self._timeout_s + URL_MARGIN_S
        url = inputs.url_of(platform, claimed.attempt.id, expires_at)
        self._redactor = Redactor([platform.secret, platform.api_key, claimed.token, *url_secrets(url)])
        event: dict[str, Any] = {
            "job_uuid": claimed.attempt.job_id,
            "execution_token": claimed.token,
            "input_presigned_url": url,
            "attempt": claimed.attempt.attempt,
        }
        if claimed.settings is not None:
            event["settings"] = settings.for_worker(claimed.settings)
        return self._runner.worker.order(
            "call",
            event=event,
            timeout_s=self._timeout_s,
            request_id=str(uuid4()),
            function_name=self._runner.worker.name,
        )

    def _watch(self, child: Child, started_at: float) -> Error | None:
        """Until it has ended: None. Or until it has to be ended: why."""
        self._limit = started_at + max(self._timeout_s, IMPORT_LIMIT_S)
        is_called = False
        while not child.has_ended:
            child.step(self._limit - self._clock())
            if child.was_called and not is_called:
                is_called, now = True, self._clock()
                self._limit = now + self._timeout_s + SLACK_S
                self._say_called(child, now - started_at)
            self._keep(child)
            if self._is_to_end():
                return verdicts.shut_down()
            if not child.has_ended and self._clock() >= self._limit:
                if not is_called:
                    return verdicts.late_import(max(self._timeout_s, IMPORT_LIMIT_S))
                return self._where_it_stands(child)
        return None

    def _say_called(self, child: Child, cold_s: float) -> None:
        self._cold_ms = round(cold_s * 1000, 1)
        deadline_at = self._platform.now() + self._timeout_s
        about = self._about

        def say(tx: Transaction) -> None:
            tx.execute("UPDATE attempt SET deadline_at = ? WHERE id = ?", (deadline_at, about.id))
            tx.event(about, "called", {"cold_ms": self._cold_ms, "deadline_at": deadline_at, "pid": child.pid})

        self._post(say)

    def _where_it_stands(self, child: Child) -> Error:
        child.ask_where()
        ends_at = self._clock() + STACK_WAIT_S
        while not child.has_ended and self._clock() < ends_at and "bootstrap.py" not in child.stack:
            child.step(ends_at - self._clock())
        place = verdicts.place_in(child.stack, _OUR_FOLDER)
        if place is None:
            return verdicts.late(self._timeout_s, None, None)
        path, number, function = place
        return verdicts.late(self._timeout_s, (_shown(path), number, function), _line_at(path, number))

    def _judge(self, child: Child) -> None:
        """It has ended by itself."""
        exit_code = child.finish()
        self._keep(child)
        self._say_dropped()
        more = _told(child, exit_code)
        self._end(verdicts.of_end(child.report, exit_code, self._noted), more)

    def _stop(self, child: Child, reason: Error) -> None:
        """It has to end. When its time is up, it is over before it knows: what it still says comes too late."""
        is_late = reason["code"] != "SHUTDOWN"
        is_told = False
        if is_late:
            self._keep(child)
            # Once: a full disk must not keep it alive, it may be the one who fills it.
            is_told = not self._write_end(reason, {})
        child.terminate()
        ends_at = self._clock() + TERM_GRACE_S
        while not child.has_ended and self._clock() < ends_at and not self._runner.is_urgent:
            child.step(ends_at - self._clock())
            self._keep(child)
        has_ended_by_itself = child.has_ended
        exit_code = child.finish()
        self._keep(child)
        self._say_dropped()
        if is_late:
            if not is_told:
                self._end(reason, _told(child, exit_code))
        else:  # Of a job that a person has cancelled this changes nothing any more.
            has_answered = has_ended_by_itself and child.report is not None
            is_done = has_answered and verdicts.of_end(child.report, exit_code, None) is None
            self._end(None if is_done else reason, _told(child, exit_code))

    def _end(self, error: Error | None, more: Error) -> None:
        """Write down the verdict; a disk that is full is asked again, for a job must not hang because of it."""
        problem = ""
        while told := self._write_end(error, more):
            if told != problem:
                log.error("the end of job %s cannot be written, and is tried again: %s", self._about.job_id, told)
            problem = told
            if self._runner.is_stopping or self._runner.stopped.wait(1.0):
                return
        if problem:
            log.error("the end of job %s is written now", self._about.job_id)

    def _write_end(self, error: Error | None, more: Error) -> str:
        """Why the verdict is not on the disk; "" if it is, or never will be."""
        masked = error and {name: self._redactor.text(text) for name, text in error.items()}
        known = {name: value for name, value in {"cold_ms": self._cold_ms, **more}.items() if value is not None}
        if self._dropped_count:
            known["lines_dropped"] = self._dropped_count
        work = partial(changes.end_attempt, attempt=self._about, ok=error is None, error=masked, more=known)
        try:
            self._platform.store.submit(work).result()
        except RecordGone:
            pass  # There is nothing left to write it to, and that was said.
        except NotStored as failure:
            return str(failure) or type(failure).__name__
        return ""

    # What it prints.

    def _keep(self, child: Child) -> None:
        """All that was printed meanwhile, in one work, after the one before it: so a flood waits for the disk."""
        rows = [row for source, line in child.taken_lines() if (row := self._row(source, line)) is not None]
        if not rows:
            return
        while self._pending is not None and not self._pending.done():
            if self._is_to_end() or self._clock() >= self._limit:
                break
            wait([self._pending], timeout=SLACK_S)

        def say(tx: Transaction) -> None:
            for kind, data in rows:
                tx.event(self._about, kind, data)

        self._pending = self._platform.store.submit(say)

    def _row(self, source: str, line: Line) -> tuple[str, dict[str, Any]] | None:
        record = output.record_of(line) if source == output.STDERR else None
        mask = self._redactor.text
        if record is None:
            self._line_count += 1
            self._log_chars += len(line.text)
            if self._line_count > MOST_LINES or self._log_chars > MOST_LOG_CHARS:
                self._dropped_count += 1
                return None
            shown = output.log_of_line(source, line)
            return "log", {**shown, "message": mask(shown["message"])}
        self._record_count += 1
        if self._record_count > MOST_LINES:
            self._dropped_count += 1
            return None
        done = output.progress_of(record)
        if done is not None:
            return "progress", {"done": done[0], "total": done[1], "message": done[2] and mask(done[2])}
        shown = output.log_of(record)
        if "code" in shown:
            self._noted = shown
        return "log", {name: mask(text) for name, text in shown.items()}

    def _say_dropped(self) -> None:
        if self._dropped_count:
            message = f"{self._dropped_count} more lines were not kept"
            line = {"source": output.PLATFORM, "level": "WARNING", "message": message}
            self._post(lambda tx: tx.event(self._about, "log", line))

    def _post(self, work: Callable[[Transaction], object]) -> None:
        """Something that may be lost with the disk."""
        self._platform.store.post(work, lambda value, error: None)


def _shown(path: str) -> str:
    """Relative, if that is shorter to read."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _line_at(path: str, number: int) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return next(islice(file, number - 1, None), "").strip() or None
    except OSError:
        return None


def _told(child: Child, exit_code: int) -> Error:
    report = child.report or {}
    ended = {"signal": -exit_code} if exit_code < 0 else {"exit_code": exit_code}
    return {**ended, "handler_ms": report.get("handler_ms"), "import_ms": child.import_ms}
