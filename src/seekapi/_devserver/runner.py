"""Runs the jobs: takes them from the queue in order, each in a fresh process, and holds its time, whatever it does.

A slot is a thread that looks after one process at a time; `concurrency` of them are there. The worker comes in by the
production path, over HTTP with its token; what this file adds to the record is what only the one who started the
process can know: that the handler is called now, what it printed, and how it ended.

As on Lambda a handler's time begins when it is called. At its deadline it is over, for the record and for the API;
then the process and all that it has started are asked to end (SIGTERM), and after a grace made to (SIGKILL).
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from queue import SimpleQueue

from .._protocol import lifecycles
from . import changes
from .database import RecordGone
from .slots import Slot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .changes import Claimed
    from .platform import Platform
    from .transactions import Event
    from .workers import Worker

log = logging.getLogger("seekapi.dev")

# How long jobs that run may go on when the platform is stopped; then they are ended.
STOP_GRACE_S = 5.0
# A disk that takes nothing is asked again.
RETRY_S = 1.0
_ANNOUNCED = frozenset(("submitted", "callback", "status"))


class Runner:
    """Works through the queue of `platform` with `worker`: `start()` once the platform has its URL, then `stop()`."""

    def __init__(self, platform: Platform, worker: Worker, *, concurrency: int = 4) -> None:
        self.platform = platform
        self.worker = worker
        self.concurrency = concurrency
        # No more jobs; an end to those that run; and at once.
        self.is_stopping = self.is_ending = self.is_urgent = False
        # Something to look for in the queue; None: come to an end.
        self.waiting: SimpleQueue[bool | None] = SimpleQueue()
        self.stopped = threading.Event()
        self._slots = [Slot(self, number) for number in range(concurrency)]
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def input_schema(self) -> object:
        """The JSON Schema of the worker's input; None if it has none, or may have another since its file was saved."""
        return self.worker.description.input_schema if self.worker.is_current else None

    @property
    def settings_schema(self) -> object:
        """The JSON Schema of the worker's settings, None if it has none."""
        return self.worker.description.settings_schema

    @property
    def running_count(self) -> int:
        """How many jobs run now."""
        return sum(slot.attempt is not None for slot in self._slots)

    def start(self) -> Runner:
        """Begin with what is in the queue."""
        self._unsubscribe = self.platform.store.subscribe(self._happened)
        if not self.platform.options.callback_url:  # What an earlier server was to ask about.
            self.platform.store.post(changes.release_all)
        for slot in self._slots:
            self.waiting.put(True)
            slot.start()
        return self

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Take no more jobs; those that run may end by themselves, for `grace_s`, and are ended then."""
        self.is_stopping = True
        for _ in self._slots:
            self.waiting.put(None)
        ends_at = self.platform.clock() + grace_s
        for slot in self._slots:
            slot.join(max(0.0, ends_at - self.platform.clock()) if slot.is_alive() else 0)
        self.is_ending = True
        for slot in self._slots:
            slot.end()
        for slot in self._slots:
            if slot.is_alive():
                slot.join()
        if self._unsubscribe is not None:
            self._unsubscribe()
        self.stopped.set()

    def hurry(self) -> None:
        """End whatever runs at once. From any thread, also from a signal handler."""
        self.is_stopping = self.is_ending = self.is_urgent = True
        for slot in self._slots:
            slot.end()

    def claim(self) -> Claimed | None:
        """The next job, None if there is none."""
        while not self.is_stopping:
            try:
                return self.platform.store.submit(
                    partial(changes.claim, timeout_s=self.platform.options.timeout_s)
                ).result()
            except RecordGone:
                return None
            except Exception as error:
                log.error("no job can be started: %s", error)
                self.stopped.wait(RETRY_S)
        return None

    def _happened(self, events: list[Event]) -> None:
        """On the store's thread."""
        for event in events:
            if event.kind not in _ANNOUNCED:
                continue
            data = event.data
            if data.get("status") == lifecycles.QUEUED:
                self.waiting.put(True)
            elif "attempt_closed" in data:
                for slot in self._slots:
                    slot.end_if(event.job_number, data["attempt_closed"])
