"""Runs exchanges side by side on one thread, each by what it waits for.

An exchange is a generator that yields `(interests, until)`: descriptors with the events wanted of each, and a moment on
the clock. It is resumed with the pairs that are ready, or with none when the moment has come. So two requests share
the time that either spends waiting, without a thread that could outlive them.

An exchange belongs to the thread and process that started it; no other one touches it.
"""

from __future__ import annotations

import os
import select
from _thread import _local as ThreadLocal  # `threading.local` without importing threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias, TypeVar

    T = TypeVar("T")
    Interests: TypeAlias = tuple[tuple[int, int], ...]
    Wait: TypeAlias = tuple[Interests, float]
    Ready: TypeAlias = list[tuple[int, int]]
    Steps: TypeAlias = Generator[Wait, Ready, T]
    Poll: TypeAlias = Callable[[Interests, float], Ready]

READ = 1
WRITE = 4
# What settle() may still do with what is readable; each round is one poll.
MOST_SETTLING_ROUNDS = 64
# poll() counts milliseconds in an int.
LONGEST_POLL_S = 3600.0


class Task:
    """One exchange in the background: what it waits for, and whether it has ended. Its result is nobody's."""

    __slots__ = ("done", "interests", "is_running", "steps", "until")

    def __init__(self, steps: Steps[Any]) -> None:
        self.steps = steps
        self.interests: Interests = ()
        self.until = 0.0
        self.done = self.is_running = False

    def step(self, ready: Ready | None) -> None:
        """Go on until it waits again. What goes wrong in it ends it, and only it."""
        # A signal handler may send() while this very exchange is being stepped.
        if self.done or self.is_running:
            return
        waits = False
        self.is_running = True
        try:
            self.interests, self.until = next(self.steps) if ready is None else self.steps.send(ready)
            waits = True
        except Exception:
            waits = False
        finally:
            # Also when a signal's exception passes through: a generator that has raised is finished.
            self.done = not waits
            self.is_running = False

    def abandon(self) -> None:
        """End it here; closing the generator closes what it holds."""
        if not self.is_running:
            self.done = True
            self.steps.close()


class Driver:
    """The loop. `clock` is monotonic; `poll(interests, timeout_s)` returns what is ready."""

    def __init__(self, clock: Callable[[], float], poll: Poll | None = None) -> None:
        self._clock = clock
        self._poll = poll or default_poll
        self._of_thread = ThreadLocal()

    def finish(self, steps: Steps[T]) -> T:
        """Run `steps` to its end, and what is in the background along with it; return its result."""
        try:
            interests, until = next(steps)
            while True:
                background = self._background()
                if background:
                    ready = self._wait_with(background, interests, until)
                else:
                    ready = self._poll(interests, max(0.0, until - self._clock()))
                interests, until = steps.send(ready)
        except StopIteration as stop:
            result: T = stop.value
        finally:
            steps.close()
        return result

    def start(self, steps: Steps[Any]) -> None:
        """Take the first step of `steps` now; the others follow while `finish` waits for something else."""
        task = Task(steps)
        task.step(None)
        if not task.done:
            self._background().append(task)

    def settle(self) -> None:
        """End what is in the background: with what can be read and written at this moment, or unfinished."""
        for _ in range(MOST_SETTLING_ROUNDS):
            background = self._background()
            now = self._clock()
            ready = self._poll(_interests_of(background), 0.0) if background else []
            if not ready and all(task.until > now for task in background):
                break
            self._step(background, ready)
        background = self._background()
        while background:
            background.pop().abandon()

    def _wait_with(self, background: list[Task], interests: Interests, until: float) -> Ready:
        own = {fd for fd, _ in interests}
        while True:
            everything = _interests_of(background) + interests
            earliest = min(until, *(task.until for task in background)) if background else until
            ready = self._poll(everything, max(0.0, earliest - self._clock()))
            self._step(background, ready)
            mine = [pair for pair in ready if pair[0] in own]
            if mine or self._clock() >= until:
                return mine

    def _step(self, background: list[Task], ready: Ready) -> None:
        now = self._clock()
        for task in tuple(background):
            wanted = {fd for fd, _ in task.interests}
            fired = [pair for pair in ready if pair[0] in wanted]
            if fired or now >= task.until:
                task.step(fired)
        background[:] = [task for task in background if not task.done]

    def _background(self) -> list[Task]:
        """The tasks of this thread of this process."""
        mine = self._of_thread
        pid = os.getpid()
        if getattr(mine, "pid", None) != pid:
            # After a fork the copies are ours to close, and not ours to use.
            for task in getattr(mine, "tasks", ()):
                task.abandon()
            mine.pid = pid
            mine.tasks = []
        tasks: list[Task] = mine.tasks
        return tasks


def _interests_of(tasks: list[Task]) -> Interests:
    return tuple(pair for task in tasks for pair in task.interests)


def _poll_with_poll(interests: Interests, timeout_s: float) -> Ready:
    poller = select.poll()
    for fd, events in interests:
        poller.register(fd, events)
    # A part of a millisecond is rounded up: waking too early would only mean to poll again.
    return poller.poll(min(timeout_s, LONGEST_POLL_S) * 1000)


def _poll_with_select(interests: Interests, timeout_s: float) -> Ready:
    timeout_s = min(timeout_s, LONGEST_POLL_S)
    if not interests:
        from time import sleep

        # Windows refuses to select on nothing.
        sleep(timeout_s)
        return []
    readers = [fd for fd, events in interests if events & READ]
    writers = [fd for fd, events in interests if events & WRITE]
    # Windows reports a failed connect as exceptional, not as writable.
    readable, writable, failed = select.select(readers, writers, writers, timeout_s)
    ready = dict.fromkeys(readable, READ)
    for fd in {*writable, *failed}:
        ready[fd] = ready.get(fd, 0) | WRITE
    return list(ready.items())


default_poll: Poll = _poll_with_poll if hasattr(select, "poll") else _poll_with_select
