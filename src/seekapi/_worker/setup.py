"""What a worker loads once per process, before its first job: a model, a connection, a table."""

from __future__ import annotations

import os
import time
from _thread import RLock  # `threading.RLock` without importing threading

from .._protocol import envelopes
from ..errors import ArgumentError, Cancelled, DeadlineExceeded
from . import handlers, logs
from .delivery import LONGEST_WAIT_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .current import Invocation


class SetupError(Exception):
    """The worker's setup failed. Its traceback and its causes are those of what failed."""


class Setup:
    """The value of `load()`, once it has succeeded. Jobs that come meanwhile wait for it."""

    def __init__(self, load: Callable[[], Any]) -> None:
        if not callable(load):
            raise ArgumentError(f"worker: setup must be a function, not {type(load).__name__}")
        if handlers.shape_of(load).is_async:
            raise ArgumentError("worker: setup must be a plain function; what is asynchronous belongs into the handler")
        self._load = load
        self._value: Any = None
        self._is_done = False
        self._lock = RLock()
        self._pid = os.getpid()

    def value(self, invocation: Invocation, call: Callable[[Callable[[], Any]], Any]) -> Any:
        """What setup returned, made at the first job; `call` runs user code. A failure is tried again at the next job.

        Raises SetupError, and what ended the job.
        """
        if self._is_done:
            return self._value
        self._lock_until_the_end_of(invocation)
        try:
            if not self._is_done:
                self._value = self._loaded(call)
                self._is_done = True
            return self._value
        finally:
            self._lock.release()

    def _loaded(self, call: Callable[[Callable[[], Any]], Any]) -> Any:
        started = time.monotonic()
        try:
            value = call(self._load)
        except (DeadlineExceeded, Cancelled, KeyboardInterrupt, GeneratorExit):
            logs.warn("setup was interrupted after %.3f s; the next job tries again", time.monotonic() - started)
            raise
        except BaseException as error:
            logs.warn("setup failed after %.3f s; the next job tries again", time.monotonic() - started)
            failure = _failure_of(error)
        else:
            if handlers.kind_of(value) is handlers.AWAITABLE:
                getattr(value, "close", int)()  # or Python complains that it was never awaited
                raise SetupError("setup failed: it is asynchronous; it must be a plain function")
            logs.inform("setup took %.3f s", time.monotonic() - started)
            return value
        # Raised out here, so that what failed is told once.
        raise failure

    def _lock_until_the_end_of(self, invocation: Invocation) -> None:
        if self._pid != os.getpid():
            # A fork while another thread was at it: nobody is left here who would release it.
            self._lock, self._pid = RLock(), os.getpid()
        while not self._lock.acquire(timeout=LONGEST_WAIT_S):
            invocation.check()


def _failure_of(error: BaseException) -> SetupError:
    failure = SetupError(f"setup failed: {envelopes.message_of(error)}").with_traceback(error.__traceback__)
    failure.__cause__, failure.__context__ = error.__cause__, error.__context__
    failure.__suppress_context__ = error.__suppress_context__
    return failure
