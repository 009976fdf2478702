"""Where the values go that a handler yields: to the backend, one after the other, in the order of the yields.

To the platform they travel on a thread of their own, while the handler works on the next one. A value becomes text at
its yield, so nothing that happens to it later matters. The queue is short: a handler that is faster than the network
waits. Whatever could not be delivered is raised at the next yield, push or charge, or at the end: never lost.
"""

from __future__ import annotations

import os
import time

from .._protocol import json_text
from ..errors import DeadlineExceeded, TransportTimeout
from . import keys, operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping
    from threading import Condition, Thread

    from .current import Invocation

MOST_QUEUED = 8
MOST_QUEUED_LENGTH = 4 * 1024 * 1024
# How long a wait goes on before it looks whether the job has ended meanwhile.
LONGEST_WAIT_S = 0.1
# A delivery ends at its deadline by itself; this is for the thread to notice.
JOINING_S = 0.2


class Yielded:
    """One value on its way."""

    __slots__ = ("key", "text", "value")

    def __init__(self, value: object, text: str, key: str) -> None:
        self.value = value
        self.text = text
        self.key = key


class Delivery:
    """The yields of one run. With `apart` they are sent on a thread of their own, else by whoever yields."""

    def __init__(self, invocation: Invocation, context: Mapping[str, str], *, apart: bool) -> None:
        self._invocation = invocation
        self._context = context
        self._count = 0
        self._error: BaseException | None = None
        self._queue = _Queue(self) if apart else None

    def offer(self, value: object) -> None:
        """Take one value: when this returns it is delivered, or will be before the run ends, or the run fails.

        Raises SerializationError if it has no JSON form: then it counts as never yielded.
        """
        self.put(self.prepared(value))

    def prepared(self, value: object) -> Yielded:
        """`value` as it will be sent. Raises what an earlier one met, and what has ended the job."""
        self.raise_failure()
        self._invocation.check()
        text = json_text.encode(value, what=f"yield[{self._count}]")
        key = keys.yield_key(self._invocation.key_root, self._count, text)
        self._count += 1
        if self._queue is not None:
            # Only what writes to disk asks for more than the text, and the handler may go on changing its value.
            value = None if self._invocation.backend.is_remote else json_text.parse(text)
        return Yielded(value, text, key)

    def has_room(self, item: Yielded) -> bool:
        """Whether put() would not have to wait."""
        return self._queue is not None and self._queue.has_room(item)

    def put(self, item: Yielded) -> None:
        """Hand `item` on; waits while the queue is full, at most until the handler's deadline."""
        if self._queue is not None:
            self._queue.put(item)
            return
        self.send(item)
        self.raise_failure()

    def flush(self, until: float) -> None:
        """Return when all that was yielded so far is delivered. Raises TransportTimeout if that is not so `until`."""
        if self._queue is not None:
            self._queue.flush(until)
        self.raise_failure()

    def finish(self) -> None:
        """Deliver what is left, and end the thread. Raises what could not be delivered."""
        if self._queue is not None:
            self._queue.finish()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what the first value met that could not be delivered."""
        if self._error is not None:
            raise self._error

    def send(self, item: Yielded) -> bool:
        """Deliver one value; whether it went well. After a failure nothing more is sent: the order is a promise."""
        try:
            operations.deliver(self._invocation, self._context, item.value, item.text, item.key)
        except BaseException as error:
            self.fail(error)
            return False
        return True

    def fail(self, error: BaseException) -> None:
        """From here on every call says so."""
        self._error = self._error or error

    def check(self) -> None:
        """Raise what has ended the deliveries, or the job; for a handler that waits to hand over its value."""
        self.refuse_if_ended()
        if self._invocation.is_late():
            raise DeadlineExceeded("the job's time was up while what it had yielded was still on its way")

    def refuse_if_ended(self) -> None:
        """Raise what has ended the deliveries, or the job, except for its deadline."""
        self.raise_failure()
        self._invocation.refuse_if_ended()

    @property
    def ends_at(self) -> float | None:
        """When all has to be delivered."""
        return self._invocation.delivery_deadline


class _Queue:
    """The values on their way to the thread that sends them. The thread starts with the first one."""

    def __init__(self, delivery: Delivery) -> None:
        from collections import deque
        from threading import Condition

        self._delivery = delivery
        self._waiting: deque[Yielded] = deque()
        self._length = 0
        self._is_closing = False
        self._changed: Condition = Condition()
        self._thread: Thread | None = None
        self._pid = os.getpid()

    def has_room(self, item: Yielded) -> bool:
        if not self._waiting:
            return True
        return len(self._waiting) < MOST_QUEUED and self._length + len(item.text) <= MOST_QUEUED_LENGTH

    def put(self, item: Yielded) -> None:
        with self._changed:
            while not self.has_room(item):
                self._changed.wait(LONGEST_WAIT_S)
                self._delivery.check()
            if self._is_closing:
                # A handler that was left behind still yields.
                self._delivery.refuse_if_ended()
                raise TransportTimeout("the run has ended: this value comes too late", outcome="not_sent")
            self._waiting.append(item)
            self._length += len(item.text)
            self._changed.notify_all()
        if self._thread is None:
            self._start()

    def flush(self, until: float) -> None:
        if self._pid != os.getpid():
            return  # a fork: the thread is its parent's, who delivers what it has yielded
        with self._changed:
            while self._waiting:
                self._delivery.refuse_if_ended()
                left_s = until - time.monotonic()
                if left_s <= 0:
                    raise TransportTimeout("what was yielded before is still on its way", outcome="not_sent")
                self._changed.wait(min(left_s, LONGEST_WAIT_S))

    def finish(self) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread is None:
            return
        from threading import TIMEOUT_MAX

        ends_at = self._delivery.ends_at
        left_s = TIMEOUT_MAX if ends_at is None else max(0.0, ends_at - time.monotonic()) + JOINING_S
        self._thread.join(min(left_s, TIMEOUT_MAX))
        if self._waiting:
            self._delivery.fail(TransportTimeout("not all that was yielded could be delivered in time"))

    def _start(self) -> None:
        from contextvars import copy_context
        from threading import Thread

        run = copy_context().run
        thread = Thread(target=run, args=(self._send_all,), name="seekapi-delivery", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system gives no more threads: then without.
            self._send_waiting()
            return
        self._thread = thread

    def _send_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closing:
                    self._changed.wait()
            if not self._send_waiting():
                return
            if self._is_closing and not self._waiting:
                return

    def _send_waiting(self) -> bool:
        """Send what is there; False after a failure. A value leaves the queue when it has arrived."""
        while self._waiting:
            item = self._waiting[0]
            went_well = self._delivery.send(item)
            with self._changed:
                if went_well:
                    self._waiting.popleft()
                    self._length -= len(item.text)
                else:
                    self._waiting.clear()
                    self._length = 0
                self._changed.notify_all()
            if not went_well:
                return False
        return True
