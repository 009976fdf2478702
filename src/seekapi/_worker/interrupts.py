"""The signals of the main thread while jobs run in it: a timer that comes again, SIGTERM and SIGINT.

They belong to the process, so they are taken once for all jobs that run one inside the other, and put back as they
were: handlers, and a timer that somebody else had set, which meanwhile still goes off when it should. What the job
itself installs is its own affair: it works, and it stays.
"""

from __future__ import annotations

import _thread
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, Protocol

    class Watch(Protocol):
        """What is told of the signals: one job in the main thread."""

        due: float | None
        stopped_at: float | None

        def look(self, now: float, frame: FrameType | None) -> BaseException | None: ...
        def stop(self, now: float, name: str, frame: FrameType | None) -> None: ...

else:
    import _signal  # signal.py makes enums of everything, at a price that each cold start would pay

# Without a timer (Windows) SIGINT and SIGTERM are still ours.
HAS_TIMER = hasattr(_signal, "setitimer")
_ALARM: int = getattr(_signal, "SIGALRM", -1)
_STOPS: tuple[int, ...] = (_signal.SIGINT, _signal.SIGTERM)
_NAMES = {int(_signal.SIGINT): "SIGINT", int(_signal.SIGTERM): "SIGTERM"}
# If a signal goes astray the timer comes again by itself; so odd that our timer is known by it.
REPEAT_S = 0.049_999
SHORTEST_S = 0.001
# Who is to wait longer looks in between: no system takes every delay, and a context may say that 10^15 s are left.
LONGEST_S = 86_400.0
# `timeout` and its like send a signal to the process and then to its group: that is one signal.
SAME_SIGNAL_S = 0.1

_taken: list[Taken] = []
_missed: list[int] = []
_is_hooked = False
# A signal may come in the middle of what an earlier one has begun.
_is_looking = False


class Taken:
    """What one job has taken over, and how to give it back."""

    __slots__ = ("_alarm_due", "_alarm_every_s", "_handlers", "thread", "watch")

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.thread = _thread.get_ident()
        self._handlers: dict[int, Any] = {}
        # Of the timer that ran before, and of the handler that it belongs to.
        self._alarm_due: float | None = None
        self._alarm_every_s = 0.0

    def take(self) -> bool:
        """Whether the signals are ours now: not outside of the main thread, nor from a handler that is not Python's."""
        if HAS_TIMER and _signal.getsignal(_ALARM) is None:
            return False
        try:
            # First in, last out: with our own handlers here nothing is raised between two of these steps.
            for number in _STOPS:
                if _signal.getsignal(number) in (_signal.SIG_DFL, _signal.default_int_handler):
                    self._take(number, _on_stop)
            if HAS_TIMER:
                self._take(_ALARM, _on_alarm)
        except ValueError:  # not the main thread
            return False
        except BaseException:
            self.put_handlers_back()
            raise
        try:
            self._begin()
        except BaseException:  # of a timer of before that has gone off meanwhile
            self.give_back()
            raise
        return True

    def give_back(self) -> None:
        """All as it was before, but for what the job itself has put in the place of ours."""
        if self in _taken:
            _taken.remove(self)
        if _ALARM not in self._handlers:
            _arm()
        elif _signal.getitimer(_signal.ITIMER_REAL)[1] == REPEAT_S:
            # Ours, whoever's handler it would call.
            _signal.setitimer(_signal.ITIMER_REAL, 0)
        is_alarm_ours = self._owns(_ALARM)
        self.put_handlers_back()
        if is_alarm_ours and self._alarm_due is not None:
            left_s = max(self._alarm_due - time.monotonic(), SHORTEST_S)
            _signal.setitimer(_signal.ITIMER_REAL, left_s, self._alarm_every_s)
        while _missed and not _taken:
            _signal.raise_signal(_missed.pop())

    def put_handlers_back(self) -> None:
        """The handlers of before, where ours are still in place."""
        for number in reversed(self._handlers):
            if self._owns(number):
                _signal.signal(number, self._handlers[number])

    def pass_on_alarm(self, now: float, frame: FrameType | None) -> None:
        """Let the timer of before go off, if it is time; its handler may raise."""
        if self._alarm_due is None or now < self._alarm_due:
            return
        self._alarm_due = max(self._alarm_due + self._alarm_every_s, now) if self._alarm_every_s else None
        handler = self._handlers[_ALARM]
        if callable(handler):
            handler(_ALARM, frame)
        elif handler == _signal.SIG_DFL:
            _end_by(_ALARM)

    def alarm_due(self) -> float | None:
        """When the timer of before goes off."""
        return self._alarm_due

    def _begin(self) -> None:
        _hook_forks()
        if _ALARM in self._handlers:
            left_s, self._alarm_every_s = _signal.setitimer(_signal.ITIMER_REAL, 0)
            if left_s:
                self._alarm_due = time.monotonic() + left_s
        _taken.append(self)
        _arm()
        while _missed:
            _on_stop(_missed.pop(), None)

    def _take(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        if _signal.getsignal(number) is not handler:
            self._handlers[number] = _signal.signal(number, handler)

    def _owns(self, number: int) -> bool:
        return number in self._handlers and _signal.getsignal(number) in (_on_alarm, _on_stop)


def poke() -> None:
    """Have the main thread look at its jobs now; from any thread."""
    if HAS_TIMER:
        import threading

        _signal.pthread_kill(threading.main_thread().ident or 0, _ALARM)


def keep_armed() -> None:
    """Set the timer again if the job has switched it off: a decorator for timeouts ends with `signal.alarm(0)`.

    Not from another thread, which may come while all is given back: the timer would end the process.
    """
    is_ours = HAS_TIMER and _taken and _taken[-1].thread == _thread.get_ident()
    if is_ours and not _signal.getitimer(_signal.ITIMER_REAL)[0]:
        _arm()


def _on_alarm(number: int, frame: FrameType | None) -> None:
    global _is_looking
    if _is_looking:
        _arm()
        return
    try:
        _is_looking = True
        reason = _reason_to_raise(time.monotonic(), frame)
    except RecursionError:
        return  # the program has no room left to look in; the timer comes again
    finally:
        _is_looking = False
    if reason is not None:
        raise reason


def _reason_to_raise(now: float, frame: FrameType | None) -> BaseException | None:
    try:
        for taken in tuple(_taken):
            taken.pass_on_alarm(now, frame)
        # The outermost first: when its time is up, that of the inner ones is.
        for taken in tuple(_taken):
            reason = taken.watch.look(now, frame)
            if reason is not None:
                return reason
        return None
    finally:
        _arm()


def _on_stop(number: int, frame: FrameType | None) -> None:
    global _is_looking
    if not _taken:
        _missed.append(number)  # while the signals are taken, or given back: whoever does it sees to it
        return
    now = time.monotonic()
    before = [taken.watch.stopped_at for taken in _taken if taken.watch.stopped_at is not None]
    if before:
        if now - max(before) > SAME_SIGNAL_S:
            _end_by(number)
        return
    was_looking = _is_looking
    try:
        _is_looking = True
        for taken in tuple(_taken):
            taken.watch.stop(now, _NAMES[number], frame)
    finally:
        _is_looking = was_looking
    _on_alarm(number, frame)


def _arm() -> None:
    """Set the timer to the next moment at which somebody has to look."""
    if not HAS_TIMER or _signal.getsignal(_ALARM) is not _on_alarm:
        return  # the job has an alarm of its own now
    dues = [due for taken in _taken for due in (taken.watch.due, taken.alarm_due()) if due is not None]
    if dues:
        delay_s = min(max(min(dues) - time.monotonic(), SHORTEST_S), LONGEST_S)
        _signal.setitimer(_signal.ITIMER_REAL, delay_s, REPEAT_S)
    else:
        _signal.setitimer(_signal.ITIMER_REAL, 0)


def _end_by(number: int) -> None:
    """End this process as if nobody had ever handled the signal."""
    _signal.signal(number, _signal.SIG_DFL)
    _signal.raise_signal(number)


def _hook_forks() -> None:
    global _is_hooked
    if not _is_hooked and hasattr(os, "register_at_fork"):
        _is_hooked = True
        os.register_at_fork(after_in_child=_let_go)


def _let_go() -> None:
    """In a child that the job has forked: signals mean there what they always did. Timers are not inherited."""
    for taken in reversed(_taken):
        taken.put_handlers_back()
    _taken.clear()
    _missed.clear()
