"""Runs what an asynchronous handler returned: on a loop of its own, to its end, and leaves nothing of it behind.

`asyncio` is imported for async handlers only, so a plain one never pays for it. The loop is not made the thread's
current one: a program that has its own finds it as it was.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor, wait

from ..errors import SerializationError
from . import handlers, logs, places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from concurrent.futures import Future
    from typing import Any

    from .current import Invocation
    from .delivery import Delivery

# A cancelled handler may clean up for so long before it is cancelled again, and then left behind.
GRACE_S = 5.0
# What is left of tasks and threads after the handler gets so long where nobody set a limit.
LONGEST_CLEANING_S = 5.0
# After an interrupt there is little time: for a call that is just coming back.
SHORT_CLEANING_S = 0.05
# So often a task that nobody awaits may begin one more call of the job after the handler has returned.
MOST_ROUNDS = 1000

# Tasks that do not end. Collected as garbage, each would be asked once more to end, and one that swallows whatever is
# raised in it would go round for ever, in the middle of another job.
_left_behind: list[asyncio.Task[Any]] = []


def finished(value: Any, invocation: Invocation, delivery: Callable[[], Delivery]) -> Any:
    """The result of what a handler returned: a coroutine, an async generator, or an async function's generator.

    Raises what it raised; what has ended the job, if it did not end for that.
    """
    loop = asyncio.new_event_loop()
    # The job's calls have threads of their own: a handler may keep all of the loop's, and wait for its pushes.
    of_handler, of_job = Executor(), Executor()
    try:
        loop.set_default_executor(of_handler)
        invocation.executor = of_job
        invocation.coroutine = coroutine = _result_of(value, delivery, of_job)
        task = loop.create_task(coroutine)
        interrupt = _Interrupt(loop, task, invocation)
        invocation.interrupt = interrupt
        try:
            result = _run(loop, task, invocation, interrupt)
            _refuse_unawaited(invocation)
            _await_begun(loop, of_job, invocation)
            return result
        finally:
            interrupt.end()
            invocation.interrupt = None
            _clean_up(loop, (of_handler, of_job), invocation)
    finally:
        invocation.coroutine = invocation.executor = None
        for call in tuple(invocation.unawaited):
            call.close()
        loop.close()


def is_loop_running() -> bool:
    """Whether this thread is inside a loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], invocation: Invocation, interrupt: _Interrupt
) -> Any:
    try:
        return loop.run_until_complete(task)
    except asyncio.CancelledError:
        if invocation.reason is None:
            raise
    except RuntimeError:
        if not interrupt.has_given_up:
            raise
    assert invocation.reason is not None
    raise invocation.reason


def _refuse_unawaited(invocation: Invocation) -> None:
    """What the handler has not awaited is not delivered, so its job has not succeeded."""
    # One that was closed before it began was cancelled: somebody has decided that.
    left = [made for call, made in invocation.unawaited.items() if call.cr_frame is not None]
    if left:
        name, path, line = left[0]
        more = f", and {len(left) - 1} more" if len(left) > 1 else ""
        where = f"job.{name}() at {places.shown_path(path)}:{line}"
        raise RuntimeError(f"not awaited, so nothing of it was delivered: {where}{more}")


def _await_begun(loop: asyncio.AbstractEventLoop, of_job: Executor, invocation: Invocation) -> None:
    """The calls that are on their way when the handler returns arrive, or their failure is the job's."""
    for _ in range(MOST_ROUNDS):
        begun = of_job.running | of_job.unseen
        if not begun:
            return
        left_s = None if invocation.deadline is None else max(0.0, invocation.deadline - time.monotonic())
        loop.run_until_complete(asyncio.wait([asyncio.wrap_future(call, loop=loop) for call in begun], timeout=left_s))
        for call in begun:
            if call.done() and not call.cancelled():
                call.result()
        invocation.check()
        # Whoever waits for one of them may begin another.
    raise RuntimeError(
        "the handler has returned, and a task that it left behind makes one call of the job after another"
    )


async def _result_of(value: Any, delivery: Callable[[], Delivery], executor: Executor) -> Any:
    if handlers.kind_of(value) is handlers.AWAITABLE:
        value = await value
    kind = handlers.kind_of(value)
    if kind is handlers.ASYNC_STEPS:
        return await _drained(value, delivery(), executor)
    if kind is handlers.STEPS:
        return await _drained(_Asynchronous(value), delivery(), executor)
    return value


async def _drained(steps: Any, delivery: Delivery, executor: Executor) -> Any:
    """As `handlers.drained`, without ever blocking the loop."""
    try:
        value = await steps.__anext__()
        while True:
            try:
                await _offer(value, delivery, executor)
            except SerializationError as error:
                value = await steps.athrow(error.with_traceback(None))
            else:
                value = await steps.__anext__()
    except StopAsyncIteration:
        return getattr(steps, "result", None)
    except BaseException:
        try:
            await steps.aclose()
        except Exception as error:
            handlers.warn_of_close(error)
        raise


async def _offer(value: Any, delivery: Delivery, executor: Executor) -> None:
    item = delivery.prepared(value)
    if delivery.has_room(item):
        delivery.put(item)
        return
    await asyncio.get_running_loop().run_in_executor(executor, delivery.put, item)


class _Asynchronous:
    """A plain generator that an async function returned, in the manners of an async one."""

    def __init__(self, steps: Generator[Any, Any, Any]) -> None:
        self._steps = steps
        self.result: Any = None

    async def __anext__(self) -> Any:
        return self._next(lambda: next(self._steps))

    async def athrow(self, error: BaseException) -> Any:
        return self._next(lambda: self._steps.throw(error))

    async def aclose(self) -> None:
        self._steps.close()

    def _next(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except StopIteration as end:
            self.result = end.value
        raise StopAsyncIteration


class _Interrupt:
    """Cancels the handler's task; may be called again and again, from any thread and from a signal handler.

    The first call cancels. A handler that goes on all the same is cancelled a second time and then left behind, in
    good time for what is still to be delivered.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], invocation: Invocation) -> None:
        self.has_given_up = False
        self._loop = loop
        self._task = task
        self._invocation = invocation
        self._again_at = self._give_up_at = float("inf")
        self._cancel_count = 0
        self._is_over = False

    def __call__(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._act)
        except RuntimeError:
            return  # the loop is closed: there is nothing left to interrupt

    def end(self) -> None:
        """The handler's task is over; what is on its way to the loop must not stop what comes after."""
        self._is_over = True

    def _act(self) -> None:
        now = time.monotonic()
        if self._is_over:
            return
        if self._cancel_count == 0:
            self._plan(now)
        elif now >= self._give_up_at:
            self.has_given_up = True
            self._loop.stop()
            return
        elif now < self._again_at or self._cancel_count > 1:
            return
        self._cancel_count += 1
        self._task.cancel()

    def _plan(self, now: float) -> None:
        deadline, delivery_deadline = self._invocation.deadline, self._invocation.delivery_deadline
        self._again_at, self._give_up_at = now + GRACE_S, now + 2 * GRACE_S
        if deadline is None or delivery_deadline is None:
            return
        third_s = min(GRACE_S, (delivery_deadline - deadline) / 3)
        self._again_at = min(self._again_at, max(now, deadline) + third_s)
        self._give_up_at = min(self._give_up_at, max(now, deadline) + 2 * third_s)


class Executor(ThreadPoolExecutor):
    """It knows what is still running, so that waiting for it can end, and which outcomes have not come back yet."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="seekapi-async")
        self.running: set[Future[Any]] = set()
        self.unseen: set[Future[Any]] = set()

    async def outcome(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises on a thread of this."""
        call = self.submit(work)
        # Between its end and the moment when the task that waits goes on, it is neither running nor heard of.
        self.unseen.add(call)
        try:
            return await asyncio.wrap_future(call)
        finally:
            self.unseen.discard(call)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        self.running.add(future)
        future.add_done_callback(self.running.discard)
        return future


def _clean_up(loop: asyncio.AbstractEventLoop, executors: Sequence[Executor], invocation: Invocation) -> None:
    """End the tasks, async generators and threads that the handler left; as far as there is time."""
    ends_at = time.monotonic() + _cleaning_s(invocation)
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=max(0.0, ends_at - time.monotonic())))
    for task in left:
        if not task.done():
            _left_behind.append(task)
            logs.warn("a task of the handler does not end when it is cancelled; it is left behind")
        elif not task.cancelled() and task.exception() is not None:
            logs.warn("a task that the handler left behind failed: %s", type(task.exception()).__name__)
    closing = loop.create_task(loop.shutdown_asyncgens())
    loop.run_until_complete(asyncio.wait((closing,), timeout=max(0.0, ends_at - time.monotonic())))
    running = {future for executor in executors for future in tuple(executor.running)}
    running = wait(running, timeout=max(0.0, ends_at - time.monotonic())).not_done
    if running and invocation.reason is None:
        logs.warn("a thread that the handler started is still running; it is left behind")
    for executor in executors:
        executor.shutdown(wait=not running, cancel_futures=True)


def _cleaning_s(invocation: Invocation) -> float:
    if invocation.reason is not None:
        return SHORT_CLEANING_S
    if invocation.deadline is None:
        return LONGEST_CLEANING_S
    # Not up to the deadline, or the guard would take the work for unfinished.
    return max(SHORT_CLEANING_S, min(LONGEST_CLEANING_S, (invocation.deadline - time.monotonic()) / 2))
