"""What a handler yields arrives, in order, while it goes on; or the run says that it did not."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults.server import Exchange, Fault

import seekapi
from seekapi._worker import current, deadline, delivery, operations
from worker.conftest import LambdaContext
from worker.hosts import local_host


def refuse_from(platform, number: int, status: int = 403) -> None:
    """Push number `number` (from 1) and all after it are refused."""
    seen = [0]

    def act(exchange: Exchange) -> None:
        seen[0] += 1
        if seen[0] >= number:
            exchange.respond(status, b'{"ok": false, "error": {"code": "NO", "message": "no"}}')
        else:
            exchange.respond(*exchange.process())

    platform.server.fault, platform.server.endpoint = Fault("refuse", "request", act), "push"


def until(condition) -> None:
    """Wait for what another thread brings about, but not for ever."""
    ends_at = time.monotonic() + 20
    while not condition() and time.monotonic() < ends_at:
        time.sleep(0.002)


class Gate:
    """Pushes wait at the platform until the gate is opened."""

    def __init__(self, platform) -> None:
        self.opened = threading.Event()
        self.arrived = threading.Event()
        platform.server.fault, platform.server.endpoint = Fault("gate", "request", self._act), "push"

    def _act(self, exchange: Exchange) -> None:
        _ = exchange.body
        self.arrived.set()
        self.opened.wait(20)
        exchange.respond(*exchange.process())


def test_delivery_overlaps_with_the_work(platform):
    """The handler goes on while its first value is still on the way."""
    gate = Gate(platform)

    def fn(job_input):
        yield 1
        assert gate.arrived.wait(20)  # on its way, and not there
        yield 2
        assert platform.pushes == []
        gate.opened.set()

    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    assert platform.pushes == [1, 2]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_handler_that_is_faster_than_the_network_waits(platform, kind):
    """No more than a few values are ever on their way; an async one does not hold its loop meanwhile."""
    gate, produced, turns = Gate(platform), [], []
    count = delivery.MOST_QUEUED * 3

    async def ticking():
        while True:
            turns.append(len(produced))
            await asyncio.sleep(0.005)

    async def asynchronous(job_input):
        task = asyncio.create_task(ticking())
        for number in range(count):
            produced.append(number)
            yield number
        task.cancel()

    def plain(job_input):
        for number in range(count):
            produced.append(number)
            yield number

    def open_when_full():
        until(lambda: len(produced) > delivery.MOST_QUEUED)
        until(lambda: kind == "plain" or turns.count(delivery.MOST_QUEUED + 1) > 5)
        time.sleep(0.1)  # nothing more comes
        at_the_gate.append(len(produced))
        gate.opened.set()

    at_the_gate: list[int] = []
    watcher = threading.Thread(target=open_when_full)
    watcher.start()
    envelope = seekapi.run(platform.event, None, plain if kind == "plain" else asynchronous)
    watcher.join(20)

    assert envelope == {"ok": True} and platform.pushes == list(range(count))
    # One is with the handler, waiting for room.
    assert at_the_gate == [delivery.MOST_QUEUED + 1]
    assert kind == "plain" or turns.count(delivery.MOST_QUEUED + 1) > 5


def test_large_values_are_counted_by_their_size(platform):
    """Memory does not grow with what is yielded; a value above the limit goes alone."""
    gate, produced = Gate(platform), []
    text = "x" * (delivery.MOST_QUEUED_LENGTH // 2 + 1)

    def fn(job_input):
        for number in range(3):
            produced.append(number)
            yield [number, text]
        yield "y" * (delivery.MOST_QUEUED_LENGTH + 1)

    def open_later():
        until(lambda: len(produced) > 1)
        time.sleep(0.1)  # nothing more comes
        at_the_gate.append(len(produced))
        gate.opened.set()

    at_the_gate: list[int] = []
    watcher = threading.Thread(target=open_later)
    watcher.start()
    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    watcher.join(20)

    assert at_the_gate == [2] and len(platform.pushes) == 4


def test_a_value_is_what_it_was_at_its_yield(platform):
    """Whoever reuses one dict for all rows pushes all rows."""

    def fn(job_input):
        row = {}
        for number in range(20):
            row["number"] = number
            yield row

    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    assert platform.pushes == [{"number": number} for number in range(20)]


def test_a_value_is_what_it_was_at_its_yield_on_disk(tmp_path, monkeypatch):
    """Also where an async handler's values are written beside it."""
    host = local_host(tmp_path, None, monkeypatch)

    async def fn(job_input):
        row = {"name": "\u00e9"}
        for number in range(20):
            row["number"] = number
            yield row

    assert host.run(fn) == {"ok": True}
    assert host.pushes == [{"name": "\u00e9", "number": number} for number in range(20)]


@pytest.mark.parametrize("number", [1, 3, 5])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_yield_that_was_not_delivered_never_ends_in_ok(platform, number, kind):
    """Whichever it is, the last one too; what came before it stays, and nothing after it gets through."""
    refuse_from(platform, number)

    def plain(job_input):
        yield from range(1, 6)

    async def asynchronous(job_input):
        for value in range(1, 6):
            yield value

    envelope = seekapi.run(platform.event, None, plain if kind == "plain" else asynchronous)

    assert envelope["error"]["code"] == "DELIVERY_FAILED"
    assert platform.pushes == list(range(1, number))


def test_a_failure_surfaces_at_the_next_yield_whatever_the_handler_makes_of_it(platform):
    """The handler is closed there: it does no more work for nothing."""
    refuse_from(platform, 1)
    reached = []

    def fn(job_input):
        yield 1
        for thread in [thread for thread in threading.enumerate() if thread.name == "seekapi-delivery"]:
            thread.join(20)  # it ends with the failure
        try:
            yield 2
        except Exception:
            reached.append("the error was thrown")
        reached.append("the next step")

    assert seekapi.run(platform.event, None, fn)["error"]["code"] == "DELIVERY_FAILED"
    assert reached == []


@pytest.mark.parametrize("call", ["push_data", "push_file", "charge", "low level"])
def test_a_failure_surfaces_at_the_next_call(platform, call):
    """A charge is not made for what did not arrive; and who catches the error still does not end in ok."""
    refuse_from(platform, 1)
    caught = []

    def fn(job_input, job):
        yield 1
        try:
            if call == "push_data":
                job.push_data(2)
            elif call == "push_file":
                job.push_file("a", b"")
            elif call == "charge":
                job.charge("k")
            else:
                seekapi.push_data(seekapi.create_context(platform.event), 2)
        except seekapi.DeliveryError as error:
            caught.append(error.status)

    assert seekapi.run(platform.event, None, fn)["error"]["code"] == "DELIVERY_FAILED"
    assert caught == [403]
    assert [effect.kind for effect in platform.server.ledger.effects] == []


def test_a_call_comes_after_what_was_yielded_before(platform):
    """The order of the program is the order at the platform, files and charges included."""

    def fn(job_input, job):
        yield 1
        job.push_file("a", b"")
        yield 2
        job.charge("k")
        yield 3
        job.push_data(4)
        yield 5

    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    assert [effect.kind for effect in platform.server.ledger.effects] == [
        "push", "file", "push", "charge", "push", "push", "push",
    ]  # fmt: skip
    assert platform.pushes == [1, 2, 3, 4, 5]


def test_the_same_event_run_again_adds_no_yield(platform):
    """Each has the key of its number."""

    def fn(job_input):
        yield "same"
        yield "same"
        return "end"

    for _ in range(2):
        assert seekapi.run(platform.event, None, fn) == {"ok": True}

    assert platform.pushes == ["same", "same", "end"]
    keys = [effect.key for effect in platform.server.ledger.effects]
    assert len(set(keys)) == 3


def test_passing_troubles_are_tried_again_in_order(platform):
    """A 503 in the middle neither loses a value nor doubles one."""
    seen = []

    def act(exchange: Exchange) -> None:
        seen.append(1)
        reply = exchange.process()
        exchange.respond(*(reply if len(seen) % 3 else (503, b"{}")))

    platform.server.fault, platform.server.endpoint = Fault("busy", "request", act), "push"

    assert seekapi.run(platform.event, None, lambda job_input: (number for number in range(6))) == {"ok": True}
    assert platform.pushes == list(range(6))


def test_what_was_yielded_before_a_failure_is_delivered_before_the_verdict(platform):
    """Also what was still waiting."""
    gate = Gate(platform)

    def fn(job_input):
        yield 1
        yield 2
        threading.Timer(0.2, gate.opened.set).start()
        raise ValueError("halfway there")

    envelope = seekapi.run(platform.event, None, fn)

    assert envelope["error"]["message"] == "halfway there"
    assert platform.pushes == [1, 2]


def test_the_error_of_the_handler_wins_over_that_of_the_delivery(platform, caplog):
    """It came first; the log tells of the other."""
    gate = Gate(platform)

    def fn(job_input):
        yield 1
        platform.server.ledger.token = "another"
        gate.opened.set()
        raise ValueError("halfway there")

    assert seekapi.run(platform.event, None, fn)["error"]["message"] == "halfway there"
    assert "AuthError" in caplog.text


def test_no_thread_outlives_the_run(platform):
    """Not after a success, not after a failure."""
    before = set(threading.enumerate())

    def ours():
        return {thread for thread in set(threading.enumerate()) - before if "seekapi" in thread.name}

    def fails(job_input):
        yield 1
        raise ValueError

    seekapi.run(platform.event, None, lambda job_input: (number for number in range(3)))
    assert not ours()
    seekapi.run(platform.event, None, fails)
    assert not ours()
    refuse_from(platform, 1)
    seekapi.run(platform.event, None, lambda job_input: (number for number in range(30)))
    assert not ours()


def test_without_a_thread_it_goes_one_by_one(platform, monkeypatch):
    """A system that gives no more threads costs the overlap only."""

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        real = threading.Thread.start
        patched.setattr(
            threading.Thread, "start", lambda self: refuse(self) if self.name == "seekapi-delivery" else real(self)
        )
        envelope = seekapi.run(platform.event, None, lambda job_input: (number for number in range(20)))

    assert envelope == {"ok": True} and platform.pushes == list(range(20))


def test_what_hangs_at_the_platform_ends_with_the_job(platform):
    """A platform that never answers costs the job's time and no more; the answer comes before the kill."""
    gate = Gate(platform)
    started = time.monotonic()

    def fn(job_input):
        yield from range(100)

    envelope = seekapi.run(platform.event, LambdaContext(3_000, None), fn)
    took_s = time.monotonic() - started
    gate.opened.set()

    assert envelope["error"]["code"] == "TIMEOUT"
    # Whoever notices first, the handler that waits to hand over its value or the thread with the push.
    assert re.search("still on its way|^timed out after", envelope["error"]["message"])
    assert took_s < 10


def test_the_queue_is_delivered_after_the_handlers_time_is_up(platform, monkeypatch):
    """What was yielded in time arrives: that is what the time behind the handler's is for."""
    monkeypatch.setattr(deadline, "HANDLER_RESERVE_S", 2.0)
    gate = Gate(platform)

    def fn(job_input):
        try:
            yield from range(5)
            while True:
                time.sleep(0.01)
        finally:
            gate.opened.set()

    envelope = seekapi.run(platform.event, LambdaContext(3_000, None), fn)

    assert envelope["error"]["code"] == "TIMEOUT"
    assert platform.pushes == list(range(5))


def test_a_result_after_the_handlers_last_moment_is_delivered(platform, monkeypatch):
    """A handler that is done just before its deadline is done."""

    def fn(job_input, job):
        monkeypatch.setattr(deadline, "SHORTEST_BUDGET_S", job.remaining())  # as if a call were late
        return "in time"

    assert seekapi.run(platform.event, LambdaContext(10_000, None), fn) == {"ok": True}
    assert platform.pushes == ["in time"]


def test_many_yields(tmp_path, monkeypatch):
    """Ten thousand rows are an ordinary job."""
    host = local_host(tmp_path, None, monkeypatch)

    assert host.run(lambda job_input: (number for number in range(2000))) == {"ok": True}
    assert host.pushes == list(range(2000))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_wait_for_what_its_parent_yielded(platform):
    """The thread that delivers is in the parent; a call of the child goes out by itself."""
    gate = Gate(platform)
    statuses = []

    def fn(job_input, job):
        yield 1
        assert gate.arrived.wait(20)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                job.charge("child", timeout=3)
                status = 0
            finally:
                os._exit(status)
        statuses.append(os.waitpid(pid, 0)[1])
        gate.opened.set()

    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    assert statuses == [0] and platform.pushes == [1]


def test_a_generator_that_goes_on_where_its_last_attempt_ended_loses_nothing(platform):
    """Yields are repetitions only if they are the same: a resumed handler yields something else from the start."""
    seekapi.run(platform.event, None, lambda job_input: (number for number in (0, 1, 2)))
    seekapi.run(platform.event, None, lambda job_input: (number for number in (0, 1, 2)))
    seekapi.run(platform.event, None, lambda job_input: (number for number in (3, 4, 5)))

    assert platform.pushes == [0, 1, 2, 3, 4, 5]


def test_runs_of_a_job_within_itself_keep_their_results_apart(platform):
    """Also in threads, which know nothing of the run that they are in."""

    def outer(job_input):
        def within(number):
            return seekapi.run(platform.event, None, lambda job_input: number)

        with ThreadPoolExecutor(3) as pool:
            assert all(verdict["ok"] for verdict in pool.map(within, range(3)))
        return "outer"

    assert seekapi.run(platform.event, None, outer) == {"ok": True}
    assert sorted(platform.pushes, key=str) == [0, 1, 2, "outer"]


def test_a_push_that_comes_after_the_answer_is_told(platform, caplog):
    """Its error may end in a future that nobody asks."""
    answered, late = threading.Event(), []

    def fn(job_input, job):
        def push(number):
            answered.wait(20)
            job.push_data(number)

        late.extend(pool.submit(push, number) for number in range(3))

    pool = ThreadPoolExecutor(1)
    seekapi.run(platform.event, None, fn)
    answered.set()
    pool.shutdown()

    assert [type(future.exception()) for future in late] == [seekapi.Cancelled] * 3
    told = [record.getMessage() for record in caplog.records if "after its answer" in record.getMessage()]
    assert told == ["a call of job job-1 came after its answer, and is not delivered: wait for threads"]


def test_a_large_result_gets_a_second_more_for_each_mebibyte():
    """As an upload does: over a slow line it is not cut while it moves."""

    class Backend:
        def push_data(self, *arguments, deadline, **more):
            self.left_s = deadline - time.monotonic()

    backend, context = Backend(), {"job_uuid": "job-1", "execution_token": "t"}
    operations.deliver(current.Invocation(None, backend, context), context, None, "x" * (12 << 20), "key")  # type: ignore[arg-type]

    assert 19 < backend.left_s <= 20
