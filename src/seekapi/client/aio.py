"""`seekapi.AsyncClient`: every call of `Client`, to be awaited.

There is one implementation. A call runs in a thread; when its task is cancelled the thread is woken from whatever it
waits for, and has ended before the cancellation goes on: nothing is left behind.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import connect, interrupts, is_well
from .arguments import check_count
from .calling import DEFAULT_TIMEOUT_S
from .interrupts import Bell
from .jobs import Jobs
from .settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from types import TracebackType
    from typing import Concatenate, ParamSpec

    P = ParamSpec("P")

S = TypeVar("S")
R = TypeVar("R")

# A thread that waits costs little; more calls than this at once wait for their turn.
DEFAULT_CONCURRENCY = 32
MOST_CONCURRENCY = 1000
_END: Any = object()


class _Threads:
    """Runs calls in threads of its own, so that many that wait hold up nobody else's."""

    def __init__(self, concurrency: int) -> None:
        self._executor = ThreadPoolExecutor(concurrency, thread_name_prefix="seekapi-client")
        self._is_closed = False

    async def run(self, call: Callable[[], R]) -> R:
        """What `call` returns or raises. When cancelled, it has ended before this does."""
        if self._is_closed:
            raise RuntimeError("this AsyncClient is closed")
        bell = Bell()
        started = self._executor.submit(_heard, bell, call)
        ended = asyncio.wrap_future(started)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            if not started.cancel():
                bell.ring()
                await _end_of(ended)
            raise
        finally:
            bell.close()

    def close(self) -> None:
        """End the threads that have nothing to do, and the others after what they do."""
        self._is_closed = True
        self._executor.shutdown(wait=False)


def _heard(bell: Bell, call: Callable[[], R]) -> R:
    with interrupts.heard(bell):
        return call()


async def _end_of(ended: asyncio.Future[Any]) -> None:
    """Wait for it, however often this task is cancelled meanwhile; its outcome is nobody's."""
    while not ended.done():
        try:
            await asyncio.wait((ended,))
        except asyncio.CancelledError:
            continue
    if not ended.cancelled():
        ended.exception()


class _Asynchronous(Generic[S]):
    """The asynchronous face of `S`."""

    __slots__ = ("_face_of", "_threads")

    def __init__(self, face_of: S, threads: _Threads) -> None:
        self._face_of = face_of
        self._threads = threads

    def __repr__(self) -> str:
        return f"<asynchronous {self._face_of!r}>"


def _awaited(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[_Asynchronous[S], P], Coroutine[Any, Any, R]]:
    @wraps(method)
    async def call(self: _Asynchronous[S], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._threads.run(lambda: method(self._face_of, *args, **kwargs))

    return call


def _iterated(
    method: Callable[Concatenate[S, P], Iterator[R]],
) -> Callable[Concatenate[_Asynchronous[S], P], AsyncIterator[R]]:
    @wraps(method)
    async def iterate(self: _Asynchronous[S], /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        items = method(self._face_of, *args, **kwargs)
        while (item := await self._threads.run(lambda: next(items, _END))) is not _END:
            yield item

    return iterate


class AsyncJobs(_Asynchronous[Jobs]):
    """`client.jobs`, awaited: see `seekapi.client.jobs.Jobs`. `list`, `events` and `logs` are for `async for`."""

    __slots__ = ()

    submit = _awaited(Jobs.submit)
    get = _awaited(Jobs.get)
    list = _iterated(Jobs.list)
    update = _awaited(Jobs.update)
    complete = _awaited(Jobs.complete)
    wait = _awaited(Jobs.wait)
    cancel = _awaited(Jobs.cancel)
    rerun = _awaited(Jobs.rerun)
    result = _awaited(Jobs.result)
    files = _awaited(Jobs.files)
    download = _awaited(Jobs.download)
    events = _iterated(Jobs.events)
    logs = _iterated(Jobs.logs)


class AsyncServiceSettings(_Asynchronous[ServiceSettings]):
    """`client.settings`, awaited."""

    __slots__ = ()

    get = _awaited(ServiceSettings.get)
    update = _awaited(ServiceSettings.update)


class AsyncClient:
    """`Client` for asyncio: the same arguments, calls and results; each call is awaited.

    At most `concurrency` calls run at once, others wait for their turn. A cancelled call ends at once; what the service
    has already been told may have been done, as after any lost connection.

        async with seekapi.AsyncClient("http://127.0.0.1:8788") as client:
            job = await client.jobs.submit({"name": "world"})
            job = await client.jobs.wait(job.id)
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        check_count(concurrency, "concurrency", 1, MOST_CONCURRENCY)
        self._caller = connect(url, api_key, username, password, timeout, poll=interrupts.poll, pause=interrupts.pause)
        self._threads = _Threads(concurrency)
        self.jobs = AsyncJobs(Jobs(self._caller), self._threads)
        self.settings = AsyncServiceSettings(ServiceSettings(self._caller), self._threads)

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return self._caller.service.base_url

    async def health(self, *, timeout: float | None = None) -> bool:
        """Whether the service says that it is well."""
        return await self._threads.run(lambda: is_well(self._caller, timeout))

    async def close(self) -> None:
        """Close the idle connections and end the threads; a call after that raises RuntimeError."""
        self._threads.close()
        self._caller.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.url}>"
