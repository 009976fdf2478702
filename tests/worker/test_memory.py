"""However a job ends, nothing of it stays: what its handler held is free when run() returns."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
import weakref
from collections.abc import AsyncIterator, Iterator

import faults.table  # noqa: F401  (loads the faults, so that they can be named)
import pytest
from faults.server import FAULTS

import seekapi
from worker.conftest import LambdaContext

LONG_S = 30.0


class Large:
    """Stands for the megabytes that a handler has loaded."""


held: list[weakref.ref[Large]] = []


def load() -> Large:
    large = Large()
    held.append(weakref.ref(large))
    return large


def returns(job_input):
    large = load()
    return [large is None]


def raises(job_input):
    large = load()
    raise ValueError(f"of {large}")


def fails(job_input):
    large = load()
    raise seekapi.Fail("NO_STOCK", f"of {large is None}")


def fails_from_another(job_input):
    large = load()
    try:
        raises(large)
    except ValueError as error:
        raise RuntimeError("chained") from error


def returns_what_is_no_json(job_input):
    large = load()
    return {large}


def exits(job_input):
    large = load()
    raise SystemExit(large is None)


def is_late(job_input):
    large = load()
    time.sleep(LONG_S)
    return large


def is_late_and_swallows(job_input):
    large = load()
    while large:
        with contextlib.suppress(Exception):
            time.sleep(LONG_S)


def yields_and_raises(job_input) -> Iterator[int]:
    large = load()
    yield 1
    raise ValueError(f"of {large}")


def yields_and_is_late(job_input) -> Iterator[int]:
    large = load()
    yield 1
    time.sleep(LONG_S)
    yield large is None


async def awaits_and_raises(job_input):
    large = load()
    await asyncio.sleep(0)
    raise ValueError(f"of {large}")


async def awaits_and_is_late(job_input):
    large = load()
    await asyncio.sleep(LONG_S)
    return large


async def yields_awaits_and_raises(job_input) -> AsyncIterator[int]:
    large = load()
    yield 1
    raise ValueError(f"of {large}")


def swallows_what_is_no_json(job_input, job):
    large = load()
    with contextlib.suppress(seekapi.SerializationError):
        job.push_data({"large": large})


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the main thread is guarded by a timer")
@pytest.mark.parametrize(
    "fn",
    [
        returns,
        raises,
        fails,
        fails_from_another,
        returns_what_is_no_json,
        exits,
        is_late,
        is_late_and_swallows,
        yields_and_raises,
        yields_and_is_late,
        awaits_and_raises,
        awaits_and_is_late,
        yields_awaits_and_raises,
        swallows_what_is_no_json,
    ],
    ids=lambda fn: fn.__name__,
)
def test_what_the_handler_held_is_free_when_the_job_is_over(platform, without_collector, fn):
    """Without the collector: it counts objects, and a few of them may hold all the memory there is."""
    seekapi.run(platform.event, LambdaContext(1_000 if "late" in fn.__name__ else 30_000), fn)

    assert held and not any(large() for large in held)


def test_a_push_that_fails_holds_nothing(platform, without_collector):
    """Not even if the handler goes on with the next one."""
    platform.server.fault, platform.server.endpoint = FAULTS["rst_mid_body"], "push"
    outcomes: list[str] = []

    def push(job: seekapi.Job) -> None:
        large = load()
        try:
            job.push_data({"large": large is None}, timeout=2)
        except seekapi.DeliveryError as error:
            outcomes.append(error.outcome)

    def fn(job_input, job: seekapi.Job):
        push(job)
        outcomes.append("free" if held[0]() is None else "held")
        raise seekapi.Fail("ENOUGH")

    seekapi.run(platform.event, LambdaContext(30_000), fn)

    assert outcomes == ["unknown", "free"]


@pytest.fixture
def without_collector() -> Iterator[None]:
    held.clear()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
