"""A worker's process, from outside: started with an order, listened to, told to end, killed with all that it started.

One thread looks after one process. `step()` waits for whatever comes next and takes it; nothing here blocks for longer
than it was asked to. What is not taken stays in the pipes: a worker that prints faster than it is heard has to wait.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path

from .output import STDERR, STDOUT, Line, Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Report = dict[str, Any]

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
READ_BYTES = 64 * 1024
# What a handler returns is at most 6 MB of characters, each of which JSON may write as twelve bytes.
LARGEST_REPORT_BYTES = 80 * 1024 * 1024
# Where the threads of a worker stand takes less. The pipe is open to the handler, which could write there for ever.
LARGEST_STACK_CHARS = 1024 * 1024
# How long output is waited for that others may still hold open, once the process itself has ended.
LAST_OUTPUT_S = 0.2
# However late it is by then, so often is read what the process itself has left: a pipe holds 1 MB at most.
LAST_READS = 16
# Where the system cannot tell that a process has ended, one has to look.
LOOK_EVERY_S = 0.02
# A process that is killed may have started another one a moment before.
PASSES = 3
_ORDER, _REPORT, _WAKE, _END = "order", "report", "wake", "end"
_TOO_DEEP = {"outcome": "not_json", "message": "what the handler returned is nested too deeply"}
# Of a report, what is relied upon; None stands for what is not known.
_TEXTS = ("outcome", "message", "name", "doc", "python", "seekapi", "schema_error")
_NUMBERS = ("import_ms", "handler_ms")
_OBJECTS = ("error", "input_schema", "settings_schema")


class Child:
    """A process that carries out one order. Raises OSError if it cannot be started.

    `report` is what it reported last, `stack` where its threads stood when it was asked, `lines` what it has printed
    since they were last taken, each with its source.
    """

    def __init__(
        self, python: Sequence[str], order: dict[str, Any], environ: Mapping[str, str], wake: int = -1
    ) -> None:
        self.lines: list[tuple[str, Line]] = []
        self.report: Report | None = None
        self.stack = ""
        self.was_called = False
        self.import_ms: float | None = None
        self.has_ended = False
        self._order = memoryview(json.dumps(order).encode("ascii") + b"\n")
        self._report = bytearray()
        self._splitters = {STDOUT: Lines(), STDERR: Lines()}
        self._selector = selectors.DefaultSelector()
        self._pidfd = -1
        self._exit_code: int | None = None
        report_end, childs_end = os.pipe()
        self._report_end = report_end
        try:
            self._process = subprocess.Popen(
                [*python, "-u", str(BOOTSTRAP), str(childs_end)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**environ, "PYTHONIOENCODING": "utf-8:backslashreplace"},
                bufsize=0,
                start_new_session=True,
                pass_fds=(childs_end,),
            )
        except BaseException:
            os.close(report_end)
            self._selector.close()
            raise
        finally:
            os.close(childs_end)
        self.pid = self._process.pid
        self._listen(wake)

    def step(self, timeout_s: float) -> None:
        """Wait for what comes next, at most `timeout_s`, and take it."""
        if self._pidfd < 0:
            timeout_s = min(timeout_s, LOOK_EVERY_S)
        for key, _ in self._selector.select(max(0.0, timeout_s)):
            self._take(key.data, key.fd)
        if self._pidfd < 0 and self._process.poll() is not None:
            self.has_ended = True

    def ask_where(self) -> None:
        """Have it write down where every thread stands; `stack` gets it."""
        if self.was_called and not self.has_ended:
            self._signal(signal.SIGXCPU)

    def terminate(self) -> None:
        """Ask it, and all that it has started, to end."""
        self._signal_all(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and all that it has started: its session. What has left that (setsid) is not its own any more."""
        self._signal_all(signal.SIGKILL)

    def finish(self) -> int:
        """Kill what is left, take what is still to come, and return the exit code; negative is a signal.

        Once is enough: after that the exit code is known, and nothing else happens.
        """
        if self._exit_code is not None:
            return self._exit_code
        self.kill()
        ends_at, read_count = time.monotonic() + LAST_OUTPUT_S, 0
        while any(key.data in (STDOUT, STDERR, _REPORT) for key in self._selector.get_map().values()):
            left_s = ends_at - time.monotonic()
            if left_s <= 0 and read_count >= LAST_READS:
                break
            self.step(left_s)
            read_count += 1
        for source, lines in self._splitters.items():
            self.lines += [(source, line) for line in lines.finish()]
        self._read_report(is_whole=True)
        self._exit_code = self._close()
        return self._exit_code

    def taken_lines(self) -> list[tuple[str, Line]]:
        """What was printed since the last time."""
        lines, self.lines = self.lines, []
        return lines

    def _listen(self, wake: int) -> None:
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        for end in (process.stdin.fileno(), process.stdout.fileno(), process.stderr.fileno(), self._report_end):
            os.set_blocking(end, False)
        self._selector.register(process.stdin.fileno(), selectors.EVENT_WRITE, _ORDER)
        self._selector.register(process.stdout.fileno(), selectors.EVENT_READ, STDOUT)
        self._selector.register(process.stderr.fileno(), selectors.EVENT_READ, STDERR)
        self._selector.register(self._report_end, selectors.EVENT_READ, _REPORT)
        if wake >= 0:
            self._selector.register(wake, selectors.EVENT_READ, _WAKE)
        try:
            self._pidfd = os.pidfd_open(process.pid)  # type: ignore[attr-defined,unused-ignore]
            self._selector.register(self._pidfd, selectors.EVENT_READ, _END)
        except (AttributeError, OSError):
            self._pidfd = -1

    def _take(self, what: str, descriptor: int) -> None:
        if what == _END:
            self.has_ended = True
            self._selector.unregister(descriptor)
        elif what == _ORDER:
            self._send_order(descriptor)
        elif what == _WAKE:
            os.read(descriptor, 1024)
        else:
            self._take_output(what, descriptor)

    def _send_order(self, descriptor: int) -> None:
        try:
            self._order = self._order[os.write(descriptor, self._order) :]
        except BlockingIOError:
            return
        except OSError:  # It has ended, or is no Python at all.
            self._order = memoryview(b"")
        if not self._order:
            self._selector.unregister(descriptor)  # And stays open: the child ends when it closes.

    def _take_output(self, what: str, descriptor: int) -> None:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(descriptor)
        elif what == _REPORT:
            self._report += data
            if len(self._report) > LARGEST_REPORT_BYTES:
                self.kill()
            if b"\n" in data:
                self._read_report()
        else:
            self.lines += [(what, line) for line in self._splitters[what].feed(data)]

    def _read_report(self, *, is_whole: bool = False) -> None:
        """JSON in lines; whatever is none is a stack that was asked for."""
        *complete, rest = self._report.split(b"\n")
        if is_whole and rest:
            complete.append(rest)
            rest = bytearray()
        self._report = rest
        for line in complete:
            if not line.startswith(b"{"):
                if len(self.stack) < LARGEST_STACK_CHARS:
                    self.stack += line.decode("ascii", "replace") + "\n"
                continue
            report = _report_of(line)
            if report is None:
                continue
            if "called" in report:
                self.was_called, self.import_ms = True, report.get("import_ms")
            else:
                self.report = report

    def _signal(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except OSError:
            pass

    def _signal_all(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except OSError:
            pass  # Nobody is left in the group.
        # Not before SIGKILL has its victims: who is asked to end may still start somebody.
        for _ in range(PASSES if number == signal.SIGKILL else 1):
            others = _in_other_groups(self.pid)
            for pid in others:
                try:
                    os.kill(pid, number)
                except OSError:
                    pass  # It has ended meanwhile, or is another user's.
            if not others:
                return

    def _close(self) -> int:
        code = self._process.wait()
        self._selector.close()
        for end in (self._process.stdin, self._process.stdout, self._process.stderr):
            if end is not None:
                end.close()
        os.close(self._report_end)
        if self._pidfd >= 0:
            os.close(self._pidfd)
        return code


def _in_other_groups(session: int) -> list[int]:
    """Who lives in this session, but in a group of its own. Only Linux lists them; elsewhere it is nobody.

    The id of a session is not given to another one while it has members.
    """
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    return [pid for pid in pids if _is_in_other_group(pid, session)]


def _is_in_other_group(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session != os.getpgid(pid)
    except OSError:  # It has just ended.
        return False


def _report_of(line: bytes | bytearray) -> Report | None:
    """What the bootstrap reported; None for what it cannot have written: then it was the handler."""
    try:
        report: Report = json.loads(line)
    except ValueError:
        return None
    except RecursionError:
        return dict(_TOO_DEEP)
    is_sound = (
        all(_is_text(report.get(name)) for name in _TEXTS)
        and all(_is_number(report.get(name)) for name in _NUMBERS)
        and all(isinstance(report.get(name), (dict, type(None))) for name in _OBJECTS)
        and _is_error(report.get("error"))
        and (report.get("outcome") not in ("raised", "unimportable") or report.get("error") is not None)
    )
    return report if is_sound else None


def _is_error(told: Report | None) -> bool:
    """As `verdicts.error` takes it, but for the code."""
    if told is None:
        return True
    is_known = set(told) <= {"message", "where", "line", "traceback"} and told.get("message") is not None
    return is_known and all(map(_is_text, told.values()))


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: object) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value < 1e12)  # type: ignore[operator]
