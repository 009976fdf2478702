"""A thread that makes one call after another for somebody who may give up waiting.

An exception is never injected into it: it is left behind, and ends when its call does.
"""

from __future__ import annotations

import os
import sys
import threading
from contextvars import copy_context
from queue import SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Call = tuple[Callable[..., Any], tuple[Any, ...]]
    # The value, and the exception if there was one.
    Outcome = tuple[Any, BaseException | None]


class Apart:
    """One thread, one context (a copy of the caller's): what a call sets there, the next one finds."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._outcome: Outcome | None = None
        # Held until there is something to look at. A lock: its waiting can be timed, and it may be released from a
        # signal handler. (A SimpleQueue may be, too, but one whose timed get() meets a signal may wait for ever.)
        self._bell = threading.Lock()
        self._bell.acquire()
        self._is_idle = True
        self._pid = os.getpid()
        context = copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._work,), name="seekapi-handler", daemon=True)
        self._thread.start()

    def begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Start the next call; the one before must have ended."""
        self._is_idle, self._outcome = False, None
        self._calls.put((function, arguments))

    def outcome(self, timeout_s: float | None) -> Outcome | None:
        """What became of the call; None if it is not over after `timeout_s`, or somebody called wake()."""
        self._bell.acquire(timeout=-1 if timeout_s is None else min(timeout_s, threading.TIMEOUT_MAX))
        self._is_idle = self._outcome is not None
        return self._outcome

    def wake(self) -> None:
        """Have outcome() return now; from any thread, and from a signal handler."""
        try:
            self._bell.release()
        except RuntimeError:
            pass  # somebody else has rung, and nobody has come yet

    def frame(self) -> FrameType | None:
        """Where the thread is at this moment."""
        return sys._current_frames().get(self._thread.ident or 0)

    @property
    def kernel_id(self) -> int | None:
        """The id of the thread in the kernel."""
        return self._thread.native_id

    def end(self) -> None:
        """Let the thread end: now if it is idle, else after its call, which nobody waits for."""
        self._calls.put(None)
        if self._is_idle:
            self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, arguments = call
            outcome: Outcome
            try:
                outcome = function(*arguments), None
            except BaseException as error:
                outcome = None, error
            if os.getpid() != self._pid:
                # A fork, in which this thread is the only one: nobody waits for the outcome, or has another call.
                if outcome[1] is not None:
                    raise outcome[1]
                return
            self._outcome = outcome
            self.wake()
            # Neither the value nor the frames of an exception are kept alive by a thread that waits.
            del call, function, arguments, outcome
