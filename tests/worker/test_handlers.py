"""Every shape of a handler: told without calling it, and with the same results wherever it runs."""

from __future__ import annotations

import asyncio
import functools
import gc
import subprocess
import sys
import threading
import time
from contextvars import ContextVar

import pytest

import seekapi
from seekapi._worker import deadline, handlers
from worker.conftest import LambdaContext
from worker.hosts import local_host, remote_host

INPUT = [3, 1, 2]


@pytest.fixture(params=["local", "remote"])
def host(request, tmp_path, monkeypatch):
    """The same job on a disk and on a platform."""
    if request.param == "local":
        return local_host(tmp_path, INPUT, monkeypatch)
    return remote_host(request.getfixturevalue("platform"), INPUT)


# what a callable looks like from outside --------------------------------------------------------------------------


def passing_on(fn):
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return fn(*args, **kwargs)

    return wrapper


def input_only(fn):
    @functools.wraps(fn)
    def wrapper(job_input):
        return fn(job_input, None)

    return wrapper


class Class:
    def __call__(self, job_input, job):
        return job_input, job

    def method(self, job_input, job):
        return job_input, job

    def one(self, job_input):
        return job_input

    @staticmethod
    def static(job_input, job):
        return job_input, job

    @classmethod
    def of_class(cls, job_input, job):
        return job_input, job

    async def coroutine(self, job_input, *, job):
        return job_input, job


class StaticCall:
    @staticmethod
    def __call__(job_input, job):
        return job_input, job


class PartialCall:
    __call__ = functools.partial(lambda tag, job_input, job: (tag, job_input, job), "tag")


class Record:
    def __init__(self, job_input, job):
        self.job = job


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError("go away")

    def __call__(self, job_input):
        return job_input


def two(job_input, job):
    return job_input, job


def by_name(job_input, *, job):
    return job_input, job


def three(tag, job_input, job):
    return job_input, job


def tagged(job_input, tag, job):
    return job_input, job


async def asynchronous(job_input, job):
    return job_input, job


async def async_steps(job_input, job):
    yield job


def one_with_default(job_input, verbose=False):
    return job_input


def third_by_name(job_input, verbose=False, job=None):
    return job_input, job


def called_job(job):
    return job


def any_arguments(*args, **kwargs):
    return args


NO, SECOND, NAMED = handlers.NOT_AT_ALL, handlers.AS_SECOND, handlers.BY_NAME
SHAPES = {
    "lambda": (lambda job_input: 0, NO, False),
    "no parameter at all": (lambda: 0, NO, False),
    "function of two": (two, SECOND, False),
    "keyword only": (by_name, NAMED, False),
    "a default": (one_with_default, NO, False),
    "a default before it": (third_by_name, NAMED, False),
    "job with a default": (lambda job_input, job=None: 0, SECOND, False),
    "the input is called job": (called_job, NO, False),
    "positional only": (lambda job_input, job, /: 0, SECOND, False),
    "any arguments": (any_arguments, NO, False),
    "input and any arguments": (lambda job_input, *args: 0, NO, False),
    "async def": (asynchronous, SECOND, True),
    "async generator": (async_steps, SECOND, True),
    "method": (Class().method, SECOND, False),
    "method of one": (Class().one, NO, False),
    "static method": (Class.static, SECOND, False),
    "static method object": (Class.__dict__["static"], SECOND, False),
    "class method": (Class.of_class, SECOND, False),
    "async method": (Class().coroutine, NAMED, True),
    "object": (Class(), SECOND, False),
    "object with a static call": (StaticCall(), SECOND, False),
    "class": (Record, SECOND, False),
    "builtin": (len, NO, False),
    "builtin class": (dict, NO, False),
    "partial": (functools.partial(three, "tag"), SECOND, False),
    "partial of all but the input": (functools.partial(two, job=None), NO, False),
    "partial by name": (functools.partial(tagged, tag=1), NAMED, False),
    "partial of partial": (functools.partial(functools.partial(three), "tag"), SECOND, False),
    "partial of a method": (functools.partial(Class().method), SECOND, False),
    "partial of async": (functools.partial(asynchronous), SECOND, True),
    "wrapper that passes on": (passing_on(two), SECOND, False),
    "wrapper by name": (passing_on(by_name), NAMED, False),
    "wrapper of async": (passing_on(asynchronous), SECOND, True),
    "wrapper with a signature": (input_only(two), NO, False),
    "lru_cache": (functools.lru_cache(two), SECOND, False),
    "hostile object": (Hostile(), NO, False),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_told_without_a_call(name):
    """A second parameter without a default, or a later one called `job`, takes the Job; async is known before."""
    fn, job, is_async = SHAPES[name]

    shape = handlers.shape_of(fn)

    assert (shape.job, shape.is_async) == (job, is_async)


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape[1] != NO])
def test_whoever_asks_for_the_job_gets_it(platform, monkeypatch, name):
    """An async function the AsyncJob, every other one the Job; the input stays the input."""
    fn, _, is_async = SHAPES[name]
    seen = []
    call = handlers.Shape.call

    def spy(shape, fn, job_input, job):
        value = call(shape, fn, job_input, job)
        seen.append((job_input, job))
        return value

    monkeypatch.setattr(handlers.Shape, "call", spy)
    platform.serve("the input")

    seekapi.run(platform.event, None, fn)

    [(job_input, job)] = seen
    assert job_input == job.input == "the input" and job.id == "job-1"
    assert type(job) is (seekapi.AsyncJob if is_async else seekapi.Job)


def test_a_circle_of_wrappers_is_a_plain_function():
    """Whoever has made it will hear of it when it is called."""

    def fn(*args):
        return args

    fn.__wrapped__ = fn

    assert handlers.shape_of(fn).job == NO


# the same results everywhere -------------------------------------------------------------------------------------


def returns(job_input, job):
    return sorted(job_input)


def pushes_and_returns(job_input, job):
    for value in job_input:
        job.push_data(value)
    job.push_file("a.txt", b"abc")
    return "end"


def steps(job_input):
    yield from job_input
    yield None
    return "end"


def steps_and_pushes(job_input, job):
    yield 1
    job.push_data(2)
    yield 3
    job.push_file("a.txt", b"abc")


async def async_returns(job_input, job):
    await asyncio.sleep(0)
    return sorted(job_input)


async def async_steps_and_pushes(job_input, job):
    yield 1
    await job.push_data(2)
    yield 3
    await job.push_file("a.txt", b"abc")


async def async_returns_steps(job_input):
    return steps(job_input)


async def async_returns_async_steps(job_input):
    async def inner():
        yield 1

    return inner()


def nothing(job_input):
    return
    yield


async def async_nothing(job_input):
    return
    yield


MATRIX = {
    "value": (returns, [[1, 2, 3]], []),
    "pushes, then a value": (pushes_and_returns, [3, 1, 2, "end"], ["a.txt"]),
    "generator": (steps, [3, 1, 2, None, "end"], []),
    "generator that pushes too": (steps_and_pushes, [1, 2, 3], ["a.txt"]),
    "generator expression": (lambda job_input: (value for value in job_input), [3, 1, 2], []),
    "coroutine": (async_returns, [[1, 2, 3]], []),
    "coroutine of a lambda": (lambda job_input: async_returns(job_input, None), [[1, 2, 3]], []),
    "async generator that pushes too": (async_steps_and_pushes, [1, 2, 3], ["a.txt"]),
    "coroutine with a generator": (async_returns_steps, [3, 1, 2, None, "end"], []),
    "coroutine with an async generator": (async_returns_async_steps, [1], []),
    "empty generator": (nothing, [None], []),
    "empty async generator": (async_nothing, [None], []),
    "builtin": (len, [3], []),
    "class": (list, [[3, 1, 2]], []),
    "partial": (functools.partial(sorted, reverse=True), [[3, 2, 1]], []),
    "method": (Class().one, [[3, 1, 2]], []),
}


@pytest.mark.parametrize("name", MATRIX)
def test_a_shape_leaves_the_same_on_every_host(host, name):
    """Pushes in order, the returned value last; None adds nothing unless there was nothing."""
    fn, pushes, files = MATRIX[name]

    assert host.run(fn) == {"ok": True}
    assert (host.pushes, host.files) == (pushes, files)


@pytest.mark.parametrize("name", MATRIX)
def test_a_shape_leaves_the_same_outside_of_the_main_thread(host, name):
    """A web server, a pull worker: with a deadline the handler has a thread of its own."""
    fn, pushes, files = MATRIX[name]
    answers = []

    thread = threading.Thread(target=lambda: answers.append(host.run(fn, LambdaContext(20_000, None))))
    thread.start()
    thread.join(30)

    assert answers == [{"ok": True}]
    assert (host.pushes, host.files) == (pushes, files)


@pytest.mark.parametrize("name", MATRIX)
def test_a_shape_leaves_the_same_inside_a_running_loop(host, name):
    """A loop does not run in another one: the handler gets a thread with its own."""
    fn, pushes, files = MATRIX[name]

    async def main():
        return host.run(fn, LambdaContext(20_000, None))

    assert asyncio.run(main()) == {"ok": True}
    assert (host.pushes, host.files) == (pushes, files)


def fails_midway(job_input):
    yield 1
    yield 2
    raise ValueError("halfway there")


async def async_fails_midway(job_input):
    yield 1
    yield 2
    raise ValueError("halfway there")


def exits_midway(job_input):
    yield 1
    yield 2
    sys.exit("halfway there")


@pytest.mark.parametrize("fn", [fails_midway, async_fails_midway, exits_midway])
def test_a_generator_that_fails_midway_keeps_what_it_pushed(host, fn):
    """And fails."""
    envelope = host.run(fn)

    assert envelope["error"]["code"] == "WORKER_ERROR" and "halfway there" in envelope["error"]["message"]
    assert host.pushes == [1, 2]


def test_what_has_no_json_form_is_refused_at_its_yield(host):
    """The handler can see to it there; if it does not, the job fails and the error leads to the value."""

    def forgiving(job_input):
        yield 1
        try:
            yield {"price": float("nan")}
        except seekapi.SerializationError as error:
            yield error.path

    def strict(job_input):
        yield 1
        yield {"price": float("nan")}

    async def async_forgiving(job_input):
        try:
            yield {"price": float("nan")}
        except seekapi.SerializationError as error:
            yield error.path

    assert host.run(forgiving) == {"ok": True}
    assert host.run(strict)["error"]["message"].startswith("yield[1].price is NaN")
    assert host.run(async_forgiving) == {"ok": True}
    assert "yield[1].price" in host.pushes


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_generator_is_always_closed(platform, kind):
    """Its `finally` runs also when nobody can take its values any more."""
    closed = []

    def plain(job_input):
        try:
            for number in range(100):
                yield number
                time.sleep(0.01)
        finally:
            closed.append("plain")

    async def asynchronous(job_input):
        try:
            for number in range(100):
                yield number
                await asyncio.sleep(0.01)
        finally:
            await asyncio.sleep(0)
            closed.append("async")

    def fn(job_input):
        platform.server.ledger.token = "another"
        return plain(job_input) if kind == "plain" else asynchronous(job_input)

    assert seekapi.run(platform.event, None, fn)["error"]["code"] == "DELIVERY_FAILED"
    assert closed == [kind]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_generator_that_fails_while_it_is_closed_does_not_hide_why(platform, kind, caplog):
    """What counts is what came first."""

    def plain(job_input):
        try:
            while True:
                yield "x" * 1000
                time.sleep(0.01)
        finally:
            raise ValueError("in finally")

    async def asynchronous(job_input):
        try:
            while True:
                yield "x" * 1000
                await asyncio.sleep(0.01)
        finally:
            raise ValueError("in finally")

    def fn(job_input):
        platform.server.ledger.token = "another"
        return plain(job_input) if kind == "plain" else asynchronous(job_input)

    assert seekapi.run(platform.event, None, fn)["error"]["code"] == "DELIVERY_FAILED"
    assert "failed again" in caplog.text


# loops and threads -----------------------------------------------------------------------------------------------


def test_nothing_of_an_async_handler_is_left_behind(host):
    """Its tasks are cancelled and awaited, its async generators closed, its threads ended, its loop gone."""
    ended = []

    async def forever():
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0)
            ended.append("task")

    async def abandoned():
        try:
            yield 1
        finally:
            ended.append("generator")

    kept = []

    async def fn(job_input):
        kept.append(asyncio.create_task(forever()))
        kept.append(abandoned())
        await kept[1].__anext__()
        await asyncio.sleep(0)
        await asyncio.to_thread(time.sleep, 0)
        asyncio.get_running_loop().run_in_executor(None, lambda: (time.sleep(0.05), ended.append("thread")))
        kept.append(asyncio.get_running_loop())
        return "done"

    before = {thread for thread in threading.enumerate() if "seekapi" in thread.name}
    assert host.run(fn) == {"ok": True}

    assert sorted(ended) == ["generator", "task", "thread"]
    assert kept[2].is_closed()
    assert {thread for thread in threading.enumerate() if "seekapi" in thread.name} <= before
    assert host.pushes == ["done"]


def test_the_current_loop_of_the_program_stays_as_it_was(platform):
    """A program that has its own finds it again."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        assert seekapi.run(platform.event, None, async_returns_steps)["ok"] is True
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_context_variables_reach_the_handler(host):
    """From the caller, into every thread that is ours, and back into the handler's own steps."""
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("mine")

    async def main(fn):
        return host.run(fn, LambdaContext(20_000, None))

    async def asynchronous(job_input):
        yield variable.get()

    def plain(job_input):
        yield variable.get()
        variable.set("changed")
        yield variable.get()

    assert asyncio.run(main(asynchronous)) == {"ok": True}
    assert host.run(plain) == {"ok": True}
    assert host.pushes in (["mine", "mine", "changed"], ["mine", "changed"])  # the platform knows the first yield


def test_two_runs_at_once_do_not_meet(platform):
    """Each thread has its own job."""
    platform.serve(None)
    together = threading.Barrier(2, timeout=20)

    def job(name):
        def fn(job_input, job):
            together.wait()
            for number in range(20):
                yield [job.id, number]
            together.wait()

        answers.append(seekapi.run({**platform.event, "job_uuid": name}, LambdaContext(20_000, None), fn))

    answers: list[object] = []
    threads = [threading.Thread(target=job, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert answers == [{"ok": True}] * 2
    for name in ("one", "two"):
        kept = [effect.detail for effect in platform.server.ledger.effects if effect.job == name]
        assert [entry for entry in kept if isinstance(entry, list)] == [[name, number] for number in range(20)]


def test_a_coroutine_that_swallows_everything_does_not_hold_the_next_job(platform):
    """It is left behind with an answer before the kill; nothing of it ever runs again."""
    wakes = []

    async def stubborn(job_input):
        while len(wakes) < 100_000:
            try:
                await asyncio.sleep(20)
            except BaseException:
                wakes.append(1)

    started = time.monotonic()
    envelope = seekapi.run(platform.event, LambdaContext(1_200, None), stubborn)

    assert envelope["error"]["code"] == "TIMEOUT" and time.monotonic() - started < 10
    gc.collect()
    assert seekapi.run(platform.event, None, lambda job_input: 1) == {"ok": True}
    gc.collect()
    assert len(wakes) < 100


def test_a_task_that_cannot_be_ended_does_not_hold_the_answer(platform, monkeypatch):
    """With little time left it is left behind."""
    monkeypatch.setattr(deadline, "HANDLER_RESERVE_S", 2.0)
    stubborn_until = time.monotonic() + 20

    async def stubborn():
        while time.monotonic() < stubborn_until:
            try:
                await asyncio.sleep(20)
            except asyncio.CancelledError:
                continue

    async def fn(job_input):
        asyncio.get_running_loop().stubborn = asyncio.create_task(stubborn())  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return "done"

    started = time.monotonic()
    envelope = seekapi.run(platform.event, LambdaContext(3_000, None), fn)

    assert envelope == {"ok": True} and time.monotonic() - started < 10
    assert platform.pushes == ["done"]
    gc.collect()


def test_a_plain_handler_loads_nothing_that_it_does_not_need(tmp_path):
    """A cold start pays for the job it does."""
    (tmp_path / "input.json").write_text("1")
    program = (
        "import sys; from seekapi import run; before = set(sys.modules);"
        "assert run({'job_uuid': 'j', 'execution_token': 't', 'input_presigned_url': 'input.json'}, None,"
        " lambda job_input: job_input)['ok'];"
        "print(*set(sys.modules))"
    )
    environment = {"SEEKAPI_LOCAL_MODE": "1", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    heavy = {"asyncio", "typing", "dataclasses", "inspect", "logging", "threading", "signal", "concurrent.futures"}
    ours = {"seekapi._worker.job", "seekapi._worker.delivery", "seekapi._worker.coroutines", "seekapi._worker.setup"}
    assert not (heavy | ours) & set(done.stdout.split())
