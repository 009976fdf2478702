"""Runs the handler's process to its end, whatever it does: passes its output on, holds its time, forwards signals.

The process is a session of its own: a signal reaches it once, through here, and what it started ends with it.
"""

from __future__ import annotations

import codecs
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

from . import handler_process, records, screen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

# What the process itself needs to start and to end, on a busy machine.
MARGIN_S = 3.0
# How long output is waited for that children of a finished handler may still hold open.
LAST_OUTPUT_S = 0.2
LOOK_EVERY_S = 0.05
# What a job has to come to an end once it is interrupted is promised by _worker/guard.py: GRACE_S, and a moment more.
CLEAN_UP_S = 6.0
# `timeout` and its like send a signal to the command and then to its group: what comes so soon after the first one
# was taken is that one again.
SAME_SIGNAL_S = 0.2
# How long the process has to write down where it stands.
TELL_WHERE_S = 1.0
LARGEST_LOG = 256 * 1024
# So much more is kept, since a secret can only be masked if it is whole. Longer than any that we know of.
LOG_MARGIN = 16 * 1024


class Ended:
    """How the process ended. `report` is None if it left none; `stack` is what it wrote when its time was up.

    `signal` is the number of the one that this command was interrupted by, 0 if by none; then `killed_late` says that
    the handler did not end in the time that it had for that.

    `log` is for `shown_log()`: as it was printed, and longer than what is to be seen of it. `progress` is the last that
    was told, or None. `withheld` is the record of a failure that was not shown, since a page is to tell it: its code,
    and the text.
    """

    __slots__ = ("killed_late", "log", "log_is_cut", "progress", "report", "return_code", "signal", "stack", "withheld")

    def __init__(self) -> None:
        self.report: dict[str, Any] | None = None
        self.return_code = 0
        self.stack = ""
        self.signal = 0
        self.killed_late = False
        self.log = ""
        self.log_is_cut = False
        self.progress: dict[str, Any] | None = None
        self.withheld: tuple[str, str] | None = None


def supervise(
    folder: str, environ: dict[str, str], timeout_s: float, mark: str = "", *, has_page: bool = False
) -> Ended:
    """Call the handler as the order in `folder` says. Both its stdout and its stderr go to our stderr.

    With the `mark` of the order the records of our log are known among what the handler prints. With `has_page` the
    failure of the job is left for the page to tell, if it comes last and has no traceback.

    Returns when the process is gone: at the latest when importing has had its limit, the handler `timeout_s`, and
    both a margin. On SIGINT, SIGTERM or SIGHUP the handler has CLEAN_UP_S to end; on the second one it ends at once.
    """
    package_parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    ended = Ended()
    with _Signals(ended) as signals:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", handler_process.BOOT, package_parent, folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environ, "PYTHONIOENCODING": "utf-8:backslashreplace"},
            start_new_session=True,
        )
        output = _Output(process, mark, screen.Screen(has_page=has_page))
        try:
            output.start()
            signals.forward_to(process, output.screen)
            _wait(process, output, signals, os.path.join(folder, handler_process.STACK), timeout_s)
            ended.killed_late = process.poll() is None
        finally:
            _end_session(process)
            output.finish()
            process.wait()
    ended.return_code = process.returncode
    ended.log, ended.log_is_cut = output.kept()
    ended.progress, ended.withheld = output.screen.progress, output.screen.withheld
    ended.report = _report_in(folder)
    ended.stack = _text_in(os.path.join(folder, handler_process.STACK))
    return ended


def shown_log(ended: Ended, redact: Callable[[str], str]) -> tuple[str, bool]:
    """The beginning of the log, at most LARGEST_LOG characters and masked by `redact`, and whether there was more."""
    log = redact(ended.log)
    if ended.log_is_cut:
        # Its end may be half a secret, which nobody recognises.
        log = log[:-LOG_MARGIN]
    return log[:LARGEST_LOG], ended.log_is_cut or len(log) > LARGEST_LOG


class _Output(threading.Thread):
    """Shows what the process prints while it prints it, and keeps the beginning of it, and a margin."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str, shown_on: screen.Screen) -> None:
        super().__init__(name="seekapi-output", daemon=True)
        assert process.stdout is not None
        self.screen = shown_on
        self._splitter = records.Splitter(mark) if mark else None
        self._pipe = process.stdout
        self._kept: list[str] = []
        self._room = LARGEST_LOG + LOG_MARGIN
        self._is_cut = False

    def run(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        while chunk := self._read():
            self._take(decoder.decode(chunk))
        self._take(decoder.decode(b"", final=True), is_last=True)
        self.screen.close()

    def finish(self) -> None:
        """Take what is still to come. A process that left the session may hold the pipe open: it is not waited for."""
        self.join(LAST_OUTPUT_S)
        if not self.is_alive():
            self._pipe.close()

    def kept(self) -> tuple[str, bool]:
        """The log, and whether it was longer."""
        return "".join(self._kept), self._is_cut

    def _read(self) -> bytes:
        try:
            while self.screen.wants_tick and os.name == "posix":
                # Nothing was said for a moment: the bar comes back.
                if select.select([self._pipe], [], [], screen.REDRAW_EVERY_S)[0]:
                    break
                self.screen.tick()
            return os.read(self._pipe.fileno(), 65536)
        except (OSError, ValueError):
            return b""

    def _take(self, text: str, *, is_last: bool = False) -> None:
        text = text.replace("\r\n", "\n")
        if self._splitter is None:
            pieces: list[str | records.Record] = [text]
        else:
            pieces = self._splitter.feed(text) + (self._splitter.finish() if is_last else [])
        for piece in pieces:
            if isinstance(piece, str):
                self._keep(piece)
                self.screen.say(piece)
            else:
                self._keep(self.screen.tell(piece))

    def _keep(self, text: str) -> None:
        self._is_cut = self._is_cut or len(text) > self._room
        self._kept.append(text[: self._room])
        self._room -= len(self._kept[-1])


class _Signals:
    """The first SIGINT, SIGTERM or SIGHUP goes on to the process, as SIGINT; the second one ends it.

    As SIGINT, because that is the one that any handler may clean up after.
    """

    def __init__(self, ended: Ended) -> None:
        # When the first one came, on the monotonic clock.
        self.came_at: float | None = None
        self._taken_at: float | None = None
        self._ended = ended
        self._process: subprocess.Popen[bytes] | None = None
        self._screen: screen.Screen | None = None
        self._before: dict[int, Any] = {}

    def forward_to(self, process: subprocess.Popen[bytes], shown_on: screen.Screen) -> None:
        """From now on, and for an interrupt that was faster than this, `process` is told."""
        self._process, self._screen = process, shown_on
        if self._ended.signal:
            _interrupt(process)

    def __enter__(self) -> _Signals:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # what `nohup` has set stays
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, action in self._before.items():
            signal.signal(number, action)

    def _take(self, number: int, frame: FrameType | None) -> None:
        # Nothing is raised here: an exception in the middle of Thread.join() makes it believe the thread has ended.
        now = time.monotonic()
        if self.came_at is None:
            self.came_at, self._ended.signal = now, number
            # Not print(): a signal may arrive in the middle of one. Below the bar, if there is one.
            below = b"\r\n" if self._screen is not None and self._screen.bar_width else b""
            again = b"Ctrl-C again" if number == signal.SIGINT else b"a second signal"
            with suppress(OSError):  # the terminal may be what has gone
                os.write(2, below + b"seekapi: interrupted; waiting for the handler to end (" + again + b": at once)\n")
            if self._process is not None:
                _interrupt(self._process)
            # On a busy machine all this may take a while, with the second one waiting already.
            self._taken_at = time.monotonic()
        elif self._process is not None and self._taken_at is not None and now - self._taken_at > SAME_SIGNAL_S:
            _end_session(self._process)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    # Elsewhere the console has told it already.
    if os.name == "posix" and process.poll() is None:
        process.send_signal(signal.SIGINT)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill the process if it is still there, and whatever it has started."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        elif process.poll() is None:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left in the session


def _wait(process: subprocess.Popen[bytes], output: _Output, signals: _Signals, stack: str, timeout_s: float) -> None:
    """Until the process has ended, or has had its time and should have ended itself."""
    last_moment = time.monotonic() + handler_process.import_limit(timeout_s) + MARGIN_S
    handler_runs = False
    while process.poll() is None and time.monotonic() < last_moment:
        if not handler_runs and _text_in(stack):
            handler_runs, last_moment = True, time.monotonic() + timeout_s + MARGIN_S
        if signals.came_at is not None:
            last_moment = min(last_moment, signals.came_at + CLEAN_UP_S)
        _pause(output)
    if signals.came_at is not None and process.poll() is None:
        _ask_where(process, output, stack)


def _ask_where(process: subprocess.Popen[bytes], output: _Output, stack: str) -> None:
    """Have the process write into `stack` where it stands."""
    if not hasattr(signal, "SIGXCPU"):
        return
    process.send_signal(signal.SIGXCPU)
    until = time.monotonic() + TELL_WHERE_S
    while handler_process.__file__ not in _text_in(stack) and process.poll() is None and time.monotonic() < until:
        _pause(output)


def _pause(output: _Output) -> None:
    if output.is_alive():
        # Its end closes its output, so this wakes at once; children may hold it open, so it looks again.
        output.join(LOOK_EVERY_S)
    else:
        time.sleep(LOOK_EVERY_S)


def _report_in(folder: str) -> dict[str, Any] | None:
    import json

    text = _text_in(os.path.join(folder, handler_process.REPORT))
    return json.loads(text) if text else None


def _text_in(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
