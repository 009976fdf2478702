"""The public types, pinned: what users may write, and what a type checker must refuse. Checked, never run.

A line that must be refused carries an ignore, and an ignore that is not needed is itself an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import seekapi
from seekapi import AsyncJob, Charge, Choices, Doc, Job, Pattern, Range, Secret, worker
from seekapi.testing import DevPlatform, FakeLambdaContext, make_event


@dataclass
class Input:
    """Markers stand in Annotated, and the type is what it is."""

    name: Annotated[str, Pattern("[a-z]+"), Doc("in small letters")] = "world"
    times: Annotated[int, Range(1, 10)] = 1
    kind: Annotated[str, Choices("a", "b")] = "a"
    key: Annotated[str, Secret()] = ""


def plain(job_input: dict[str, Any]) -> dict[str, int]:
    return {"length": len(job_input)}


def typed(job_input: Input) -> str:
    return job_input.name * job_input.times


def with_job(job_input: Input, job: Job) -> None:
    reply: dict[str, Any] = job.push_data({"a": 1})
    count: int = job.charge("key", on_limit="stop").metered_event_count
    reached: bool = job.charge("key", 2, justification={"why": "test"}).limit_reached
    left: float = job.remaining()
    ends: float | None = job.deadline
    folder: Path = job.tmp
    for number in job.track([1, 2, 3]):
        doubled: int = number * 2
        job.progress(doubled, 6, "half")
    job.push_file("a.txt", folder / "a.txt")
    job.push_file("b.txt", b"bytes", "text/plain", timeout=3)
    job.log.info("left %s", left)
    job.check()
    _ = (reply, count, reached, ends, job.id, job.attempt, job.cancelled)
    job.charge("key", on_limit="never")  # type: ignore[arg-type]
    job.push_data()  # type: ignore[call-arg]


def by_name(job_input: object, *, job: Job) -> int:
    return job.attempt


async def awaited(job_input: Input, job: AsyncJob) -> int:
    reply: dict[str, Any] = await job.push_data([1])
    charge: Charge = await job.charge("k", on_limit="stop")
    facts: tuple[bool, int, bool, bool] = (
        charge.ok,
        charge.metered_event_count,
        charge.limit_reached,
        charge.duplicate,
    )
    as_before: dict[str, Any] = charge
    await asyncio.gather(job.push_file("a", b"a"), job.charge("k"))
    job.progress(1)  # is not awaited
    _ = (facts, as_before)
    return len(reply)


def steps(job_input: Input, job: Job) -> Iterator[dict[str, int]]:
    yield {"a": 1}


async def async_steps(job_input: Input) -> AsyncIterator[int]:
    yield 1


class Callable_:
    """An object will do."""

    def __call__(self, job_input: Any, job: Job) -> None: ...


def no_parameter() -> int:
    return 1


def load() -> list[int]:
    return [1]


def three(job_input: Any, job: Job, more: int) -> int:
    return more


handlers = [
    worker(plain),
    worker(typed),
    worker(with_job),
    worker(by_name),
    worker(awaited),
    worker(steps),
    worker(async_steps),
    worker(Callable_()),
    worker(partial(three, more=1)),
    worker(lambda job_input: job_input),
    worker(plain, setup=load, settings=Input),
    worker(setup=load)(plain),
]
every: list[Callable[[Any, Any], dict[str, Any]]] = handlers
envelope: dict[str, Any] = handlers[0]({}, None)
envelope = seekapi.run({}, None, awaited)
envelope = seekapi.run({}, FakeLambdaContext(3), with_job)
worker(no_parameter)  # type: ignore[arg-type]
worker(three)  # type: ignore[arg-type]
worker(plain, setup=1)  # type: ignore[call-overload]


@worker
def by_decorator(job_input: Input, job: Job) -> Iterator[int]:
    yield job_input.times


@worker(setup=load, settings=Input)
async def by_a_call(job_input: Input, job: AsyncJob) -> None:
    await job.push_data(job.setup)


decorated: list[Callable[[Any, Any], dict[str, Any]]] = [by_decorator, by_a_call]
worker(settings=Input())  # type: ignore[call-overload]
worker(1)  # type: ignore[call-overload]
seekapi.run({}, None)  # type: ignore[call-arg]
Range("a", 2)  # type: ignore[arg-type]
Pattern(1)  # type: ignore[arg-type]
Doc()  # type: ignore[call-arg]

document: dict[str, Any] = seekapi.schema(typed)
document = seekapi.schema(by_a_call)
event: dict[str, Any] = make_event("input.json")


def low_level() -> dict[str, Any]:
    """The eleven names of 1.0.5, with its arguments by position and by name."""
    context = seekapi.create_context(event)
    job_input: Any = seekapi.get_input(event, timeout=10)
    replies: list[dict[str, Any]] = [
        seekapi.push_data(context, job_input, "json", 8),
        seekapi.push_file(context, "a.txt", Path("a.txt"), "text/plain", timeout=15),
        seekapi.charge(context, "key", 2, 8, {"why": "test"}),
    ]
    seekapi.register_request_id("job", "request")
    fixture: Any = seekapi.get_job_fixture()
    _ = (replies, fixture)
    seekapi.push_data(context)  # type: ignore[call-arg]
    seekapi.charge(context, 1)  # type: ignore[arg-type]
    return seekapi.success("r") or seekapi.failure("CODE", "message", request_id=None)


# The tree: the root, and the second bases that are the promise of 1.0.5.
errors: list[type[seekapi.SeekApiError]] = [
    seekapi.ArgumentError,
    seekapi.ConfigurationError,
    seekapi.DeliveryError,
    seekapi.Fail,
    seekapi.InvalidEvent,
    seekapi.InvalidInput,
    seekapi.LocalWriteError,
    seekapi.SerializationError,
]
of_the_input: list[type[ValueError]] = [
    seekapi.InputExpired,
    seekapi.InputFetchError,
    seekapi.InvalidInput,
    seekapi.MissingInputError,
]
of_transport: list[type[seekapi.TransportError]] = [
    seekapi.ConnectError,
    seekapi.DnsError,
    seekapi.ProtocolError,
    seekapi.TlsError,
    seekapi.TransportTimeout,
]
of_the_platform: list[type[seekapi.ApiError]] = [
    seekapi.AuthError,
    seekapi.ConflictError,
    seekapi.InvalidRequestError,
    seekapi.NotFoundError,
    seekapi.PayloadTooLargeError,
    seekapi.RateLimitError,
    seekapi.ServerError,
]
as_os_errors: list[type[OSError]] = [seekapi.ApiError, seekapi.TransportError, seekapi.LocalWriteError]
through_except_exception: list[type[BaseException]] = [seekapi.DeadlineExceeded, seekapi.Cancelled]
swallowed: list[type[Exception]] = [seekapi.Cancelled]  # type: ignore[list-item]


def failing() -> None:
    try:
        seekapi.push_data(seekapi.create_context(event), 1)
    except seekapi.ApiError as error:
        status: int = error.status
        key: str | None = error.idempotency_key
        _ = (status, key)
    except seekapi.InvalidInput as error:
        problems: tuple[str, ...] = error.problems
        _ = problems
    raise seekapi.Fail("NO_STOCK", "only 2 left")


def submitting() -> None:
    with seekapi.Client("http://127.0.0.1:8788") as client:
        job = client.jobs.submit({"name": "Ada"})
        is_ok: bool = client.jobs.wait(job.id, timeout=60).ok
        values: list[Any] = client.jobs.result(job.id).values
        for one in client.jobs.list(status="error", limit=10):
            name: str = one.id
            _ = (is_ok, values, name)


async def submitting_async() -> str:
    async with seekapi.AsyncClient("http://127.0.0.1:8788") as client:
        job = await client.jobs.submit({"name": "Ada"})
        return (await client.jobs.wait(job.id)).id


def testing() -> None:
    with DevPlatform(charge_limit=2) as platform:
        result = platform.run(with_job, {"name": "Ada"}, faults={"push": "http_503_once"})
        content: bytes = result.files[0].read()
        error: dict[str, str] | None = platform.invoke(handlers[0], 1, timeout=3).error
        _ = (content, error)
