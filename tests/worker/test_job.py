"""The Job: the calls of 1.0.5 by their names, the job's time, its folder, and a no once it has ended."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import shutil
import threading
import time
from pathlib import Path

import pytest
from faults.server import Exchange, Fault

import seekapi
from seekapi._worker import current, deadline
from worker.conftest import LambdaContext
from worker.hosts import local_host, remote_host


@pytest.fixture(params=["local", "remote"])
def host(request, tmp_path, monkeypatch):
    """The same job on a disk and on a platform."""
    if request.param == "local":
        return local_host(tmp_path, {"a": 1}, monkeypatch)
    return remote_host(request.getfixturevalue("platform"), {"a": 1})


def limit_at(platform, number: int) -> None:
    """The charge number `number` reaches the limit."""
    seen = [0]

    def act(exchange: Exchange) -> None:
        seen[0] += 1
        _, body = exchange.process()
        reply = {**json.loads(body), "limit_reached": seen[0] >= number}
        exchange.respond(200, json.dumps(reply).encode())

    platform.server.fault, platform.server.endpoint = Fault("limit", "request", act), "charge"


def test_a_job_knows_what_it_is(platform):
    """Its input, its event, its ids."""
    seen = []
    event = {**platform.event, "attempt": 3}

    seekapi.run(event, LambdaContext(), lambda job_input, job: seen.append(job))

    [job] = seen
    assert (job.id, job.input, job.event, job.request_id, job.attempt, job.setup) == (
        "job-1",
        {},
        event,
        "req-1",
        3,
        None,
    )
    assert repr(job) == "<Job job-1>"


@pytest.mark.parametrize("attempt", [None, 0, -1, "2", 1.5, True])
def test_an_attempt_that_is_no_number_is_the_first(platform, attempt):
    """The event is a stranger's word."""
    seen = []

    seekapi.run({**platform.event, "attempt": attempt}, None, lambda job_input, job: seen.append(job.attempt))

    assert seen == [1]


def test_the_calls_have_the_results_of_the_low_level_ones(host, tmp_path):
    """Names, arguments and replies are those of seekapi.push_data, push_file and charge."""
    replies = []
    (tmp_path / "b.txt").write_text("b")

    def fn(job_input, job):
        replies.append(job.push_data({"x": 1}, "json", 5, idempotency_key="k"))
        replies.append(job.push_file("a.txt", b"a", "text/plain", 5, idempotency_key="k"))
        replies.append(job.push_file("b.txt", tmp_path / "b.txt"))
        replies.append(job.push_file("c.txt", io.BytesIO(b"c")))
        replies.append(job.charge("k", 2, 5, {"why": "pages"}))

    assert host.run(fn) == {"ok": True}
    assert replies[:4] == [{"ok": True}] * 4
    assert replies[4] == dict(replies[4]) and replies[4].ok and not replies[4].limit_reached
    assert (host.pushes, host.files, host.charges) == ([{"x": 1}], ["a.txt", "b.txt", "c.txt"], ["k"])


def test_the_calls_are_awaited_in_an_async_handler(host):
    """The same names and replies; the loop goes on meanwhile."""
    replies, threads = [], set()

    async def fn(job_input, job):
        data, busy = {"x": 1}, threading.Event()
        for _ in range(64):  # no thread is free
            asyncio.get_running_loop().run_in_executor(None, busy.wait, 20)
        push = asyncio.create_task(job.push_data(data))
        await asyncio.sleep(0)
        data["x"] = 2  # a task that has begun has taken its value
        busy.set()
        replies.append(await push)
        replies.append(await job.push_file("a.txt", b"a", "text/plain"))
        replies.append(await job.charge("k", 2, justification={"why": "pages"}))
        threads.add(threading.current_thread().name)

    assert host.run(fn) == {"ok": True}
    assert [reply["ok"] for reply in replies] == [True] * 3 and isinstance(replies[2], seekapi.Charge)
    assert (host.pushes, host.files, host.charges) == ([{"x": 1}], ["a.txt"], ["k"])


def test_an_awaited_call_does_not_hold_the_loop(platform):
    """Another task has its turns while the platform takes its time."""
    arrived, answer = threading.Event(), threading.Event()

    def act(exchange: Exchange) -> None:
        _ = exchange.body
        arrived.set()
        answer.wait(20)
        exchange.respond(*exchange.process())

    platform.server.fault, platform.server.endpoint = Fault("slow", "request", act), "push"

    async def fn(job_input, job):
        push = asyncio.create_task(job.push_data(1))
        while not arrived.is_set():
            await asyncio.sleep(0.001)
        assert not push.done()
        answer.set()
        await push

    assert seekapi.run(platform.event, LambdaContext(10_000, None), fn) == {"ok": True}


def test_many_awaited_calls_at_once(platform):
    """They go side by side, and each arrives once."""

    async def fn(job_input, job):
        await asyncio.gather(*(job.push_data(number) for number in range(30)))

    before = set(threading.enumerate())
    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    assert sorted(platform.pushes) == list(range(30))
    assert not [thread for thread in set(threading.enumerate()) - before if "seekapi" in thread.name]


@pytest.mark.parametrize(
    "reply, count, limit, duplicate",
    [
        ({"ok": True, "metered_event_count": 3, "limit_reached": True, "duplicate": True}, 3, True, True),
        ({"ok": True}, 0, False, False),
        ({"ok": True, "metered_event_count": None, "limit_reached": "yes", "duplicate": 1}, 0, False, False),
    ],
)
def test_a_charge_is_a_dict_with_names(reply, count, limit, duplicate):
    """What the platform did not say is false, or zero."""
    charge = seekapi.Charge(reply)

    assert (charge.ok, charge.metered_event_count, charge.limit_reached, charge.duplicate) == (
        True, count, limit, duplicate,
    )  # fmt: skip
    assert charge == reply and json.loads(json.dumps(charge)) == reply


def stop_plain(job_input, job):
    for number in range(10):
        job.push_data(number)
        job.charge(f"k{number}", on_limit="stop")
    return "not reached"


def stop_steps(job_input, job):
    for number in range(10):
        yield number
        try:
            job.charge(f"k{number}", on_limit="stop")
        except Exception:  # noqa: S110
            pass


def test_the_timeout_of_an_awaited_push_counts_from_its_sending(platform):
    """One of many that are pushed at once waits for a thread first; that is not the platform's silence."""
    answer = threading.Event()

    def act(exchange: Exchange) -> None:
        _ = exchange.body
        answer.wait(20)
        exchange.respond(*exchange.process())

    platform.server.fault, platform.server.endpoint = Fault("slow", "request", act), "push"

    async def fn(job_input, job):
        asyncio.get_running_loop().call_later(1.3, answer.set)
        many = [job.push_data(number) for number in range(64)]  # more than there are threads
        await asyncio.gather(*many, job.push_data("last", timeout=1.2))

    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    assert platform.server.ledger.count("push") == 65


def test_awaited_calls_do_not_need_the_handlers_threads(platform):
    """A handler may keep all of them busy until its push has arrived."""

    async def fn(job_input, job):
        pushed = threading.Event()
        waiting = [asyncio.to_thread(pushed.wait, 20) for _ in range(64)]
        tasks = [asyncio.ensure_future(wait) for wait in waiting]
        await asyncio.sleep(0)
        await job.push_data(1)
        pushed.set()
        assert all(await asyncio.gather(*tasks))

    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    assert platform.pushes == [1]


async def forgets_one(job_input, job):
    job.push_data("lost")
    await job.push_data("kept")


async def forgets_among_steps(job_input, job):
    yield "kept"
    job.charge("lost")


async def begins_none(job_input, job):
    await job.push_data("kept")
    asyncio.get_running_loop().kept = [job.push_file("lost", b"")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("fn", [forgets_one, forgets_among_steps, begins_none])
def test_a_call_that_is_not_awaited_fails_the_job(host, fn):
    """It did nothing, and the handler thinks that it has delivered; where it was made is told."""
    verdict = host.run(fn)

    assert verdict["error"]["code"] == "WORKER_ERROR"
    line = fn.__code__.co_firstlineno
    assert re.search(
        rf"nothing of it was delivered: job\.\w+\(\) at \S+test_job\.py:({line + 1}|{line + 2})",
        verdict["error"]["message"],
    )
    assert host.pushes == ["kept"] and not host.charges


def test_what_is_on_its_way_when_the_handler_returns_arrives(host):
    """Tasks that nobody awaits, more of them than there are threads."""

    async def fn(job_input, job):
        asyncio.get_running_loop().kept = [asyncio.create_task(job.push_data(number)) for number in range(60)]  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    assert host.run(fn)["ok"]
    assert sorted(host.pushes) == list(range(60))


@pytest.mark.parametrize("pause_s", [0.0, 0.2])
def test_what_fails_after_the_handler_has_returned_fails_the_job(platform, pause_s):
    """It would be a push that is lost in a task that nobody awaits."""

    def act(exchange: Exchange) -> None:
        exchange.respond(403, b'{"message": "no"}') if b"lost" in exchange.body else exchange.respond(
            *exchange.process()
        )

    platform.server.fault, platform.server.endpoint = Fault("refuse", "request", act), "push"

    async def fn(job_input, job):
        asyncio.get_running_loop().kept = asyncio.create_task(job.push_data("lost"))  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        # Whether or not the platform has refused it by now: the loop has not come to hear of it.
        time.sleep(pause_s)

    assert seekapi.run(platform.event, None, fn)["error"]["code"] == "DELIVERY_FAILED"


def test_one_call_after_the_other_arrives_when_the_handler_has_returned(host):
    """A task that nobody awaits goes on with its next call, and none of them is lost."""

    async def push_all(job):
        for number in range(5):
            await job.push_data(number)

    async def fn(job_input, job):
        asyncio.get_running_loop().kept = asyncio.create_task(push_all(job))  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    assert host.run(fn)["ok"]
    assert host.pushes == list(range(5))


def test_calls_without_an_end_fail_the_job(host, monkeypatch):
    """Somewhere it has to be cut off, and what was cut off has not succeeded."""
    from seekapi._worker import coroutines

    async def push_on(job):
        while True:
            await job.push_data(1)

    async def fn(job_input, job):
        asyncio.get_running_loop().kept = asyncio.create_task(push_on(job))  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    monkeypatch.setattr(coroutines, "MOST_ROUNDS", 10)
    verdict = host.run(fn)

    assert (
        verdict["error"]["code"] == "WORKER_ERROR"
        and "one call of the job after another" in verdict["error"]["message"]
    )


def test_a_call_that_was_cancelled_before_it_began_is_not_missed(host):
    """Somebody has decided that; so does a timeout around many pushes."""

    async def fn(job_input, job):
        task = asyncio.create_task(job.push_data("cancelled"))
        task.cancel()
        await asyncio.wait((task,))
        job.push_data("closed").close()
        return "kept"

    assert host.run(fn)["ok"] and host.pushes == ["kept"]


def test_a_key_that_was_charged_before_is_a_duplicate(host):
    """Whether or not the platform says so."""
    seen = []

    def fn(job_input, job):
        seen.extend(job.charge(key).duplicate for key in ("a", "b", "a", "a"))

    assert host.run(fn)["ok"]
    assert seen == [False, False, True, True]


async def stop_async(job_input, job):
    for number in range(10):
        await job.push_data(number)
        await job.charge(f"k{number}", on_limit="stop")


async def stop_async_steps(job_input, job):
    for number in range(10):
        yield number
        await job.charge(f"k{number}", on_limit="stop")


@pytest.mark.parametrize("fn", [stop_plain, stop_steps, stop_async, stop_async_steps])
def test_a_job_may_stop_at_the_limit(platform, fn, caplog):
    """A clean end, with what it has delivered; nothing is added to it, and the log says why it ended."""
    caplog.set_level(logging.INFO, "seekapi")
    limit_at(platform, 3)

    assert seekapi.run(platform.event, None, fn) == {"ok": True}
    assert platform.pushes == [0, 1, 2]
    assert platform.server.ledger.count("charge") == 3
    assert "stopped: the buyer's limit is reached with the charge k2" in caplog.messages


def test_a_stop_in_a_group_of_tasks_is_a_stop(platform):
    """Only if nothing else went wrong in it."""
    group = getattr(__import__("builtins"), "BaseExceptionGroup", None)
    if group is None:
        pytest.skip("Python 3.11")
    limit_at(platform, 1)

    def together(*others):
        def fn(job_input, job):
            try:
                job.charge("k", on_limit="stop")
            except BaseException as stop:
                raise group("tasks", [stop, group("inner", [stop]), *others]) from None

        return fn

    assert seekapi.run(platform.event, None, together()) == {"ok": True}
    assert seekapi.run(platform.event, None, together(ValueError("oh")))["ok"] is False


def test_without_on_limit_the_handler_decides(platform):
    """The reply says it."""
    limit_at(platform, 1)

    assert seekapi.run(platform.event, None, lambda job_input, job: job.charge("k").limit_reached) == {"ok": True}
    assert platform.pushes == [True]


def test_an_unknown_on_limit_charges_nothing(platform):
    """Money is not for guessing."""
    envelope = seekapi.run(platform.event, None, lambda job_input, job: job.charge("k", on_limit="halt"))

    assert 'on_limit must be "continue" or "stop"' in envelope["error"]["message"]
    assert platform.server.ledger.count("charge") == 0


def test_a_job_knows_its_time(platform):
    """`remaining()` counts to the moment at which the handler is interrupted."""
    seen = []

    def fn(job_input, job):
        seen.append((job.remaining(), job.deadline - time.monotonic(), job.cancelled))
        job.check()

    assert seekapi.run(platform.event, LambdaContext(30_000), fn)["ok"] is True
    [(remaining_s, until_deadline_s, cancelled)] = seen
    assert 25 < remaining_s <= 29.4 and abs(remaining_s - until_deadline_s) < 1 and not cancelled


def test_without_a_limit_there_is_all_the_time_in_the_world(platform):
    """Infinity compares as one expects."""
    seen = []

    seekapi.run(
        platform.event, None, lambda job_input, job: seen.append((job.remaining(), job.deadline, job.cancelled))
    )

    assert seen == [(float("inf"), None, False)]


def test_a_cancelled_job_says_so_and_refuses_everything(platform):
    """Whoever swallowed the first interrupt meets it at every call."""
    met = []

    def fn(job_input, job):
        current.invocation().cancel(seekapi.Cancelled("by a person"))
        assert job.cancelled
        context = seekapi.create_context(platform.event)
        calls = (
            job.check,
            lambda: job.push_data(1),
            lambda: job.push_file("a", b""),
            lambda: job.charge("k"),
            lambda: job.tmp,
            lambda: seekapi.push_data(context, 1),
            lambda: seekapi.push_file(context, "a", b""),
            lambda: seekapi.charge(context, "k"),
            lambda: seekapi.get_input(platform.event),
        )
        for call in calls:
            try:
                call()
            except seekapi.Cancelled as error:
                met.append(str(error))
        return "swallowed"

    envelope = seekapi.run(platform.event, None, fn)

    assert envelope["error"] == {"code": "CANCELLED", "message": "by a person"}
    assert met == ["by a person"] * 9
    assert platform.server.ledger.effects == []


@pytest.mark.parametrize("fails", [False, True])
def test_an_answered_job_refuses_whatever_still_calls(platform, fails):
    """A thread that a handler left behind pushes nothing into an answered job."""
    left, met = [], []

    def fn(job_input, job):
        left.append(job)
        if fails:
            raise ValueError
        return 1

    seekapi.run(platform.event, None, fn)
    count = len(platform.server.ledger.effects)
    for call in (lambda: left[0].push_data(1), lambda: left[0].charge("k"), lambda: left[0].tmp, left[0].check):
        try:
            call()
        except seekapi.Cancelled as error:
            met.append("answered already" in str(error))

    assert met == [True] * 4 and len(platform.server.ledger.effects) == count


def test_an_answered_async_job_refuses_too(platform):
    """Whatever loop it is awaited on."""
    left = []

    async def fn(job_input, job):
        left.append(job)

    async def late():
        for call in (left[0].push_data(1), left[0].push_file("a", b""), left[0].charge("k")):
            with pytest.raises(seekapi.Cancelled, match="answered already"):
                await call

    seekapi.run(platform.event, None, fn)
    asyncio.run(late())

    assert [effect.kind for effect in platform.server.ledger.effects] == ["push"]


def test_low_level_calls_of_a_task_left_behind_are_refused(platform):
    """They find the run that they belong to, which is over; not a later one of the same job."""
    import contextvars

    kept, met = [], []

    def first(job_input):
        kept.append(contextvars.copy_context())

    def late():
        try:
            seekapi.push_data(seekapi.create_context(platform.event), "late")
        except seekapi.Cancelled:
            met.append("refused")

    def second(job_input):
        thread = threading.Thread(target=kept[0].run, args=(late,))
        thread.start()
        thread.join(20)
        return "second"

    seekapi.run(platform.event, None, first)
    seekapi.run({**platform.event}, None, second)

    assert met == ["refused"] and "late" not in platform.pushes


def test_after_its_run_a_program_may_still_call_by_itself(platform):
    """Outside of run() the low-level calls are what they were."""
    assert seekapi.run(platform.event, None, lambda job_input: 1) == {"ok": True}

    assert seekapi.push_data(seekapi.create_context(platform.event), "after")["ok"] is True


def test_the_folder_of_a_job_is_its_own_and_goes_with_it(host):
    """Made at the first use, with all that is in it removed: after a success and after a failure."""
    seen = []

    def fn(job_input, job):
        assert job.tmp is job.tmp and isinstance(job.tmp, Path) and job.tmp.is_dir()
        (job.tmp / "inner").mkdir()
        (job.tmp / "inner" / "file").write_text("x")
        seen.append(job.tmp)

    def fails(job_input, job):
        fn(job_input, job)
        raise ValueError

    host.run(fn)
    host.run(fails)

    assert len(set(seen)) == 2 and not any(path.exists() for path in seen)


def test_the_answer_does_not_wait_for_a_folder_that_takes_too_long(platform, monkeypatch, caplog):
    """A disk that is slow stands for a million files; it goes on being removed, and that is told."""
    answered, remove, seen = threading.Event(), shutil.rmtree, []

    def slowly(*arguments):
        answered.wait(20)
        remove(*arguments)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    assert seekapi.run(platform.event, LambdaContext(2_000), lambda job_input, job: seen.append(job.tmp))["ok"]
    answered.set()

    assert f"the job's temporary folder is still being removed: {seen[0]}" in caplog.messages
    for thread in threading.enumerate():
        if thread.name == "seekapi-tmp":
            thread.join(20)
    assert not seen[0].exists()


def test_two_threads_get_the_same_folder(platform):
    """However close they come."""
    seen = []

    def fn(job_input, job):
        together = threading.Barrier(8)

        def ask():
            together.wait()
            seen.append(job.tmp)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

    seekapi.run(platform.event, None, fn)

    assert len(seen) == 8 and len(set(seen)) == 1 and not seen[0].exists()


def test_the_log_and_the_progress_are_those_of_the_job(host, caplog):
    """Each record says which job it is; the last report always comes."""
    caplog.set_level(logging.INFO, "seekapi")

    def fn(job_input, job):
        job.log.info("hello from the job")
        for _ in job.track(range(5)):
            pass
        job.progress(7, 10, "seven")

    assert host.run(fn) == {"ok": True}
    [hello] = [record for record in caplog.records if record.getMessage() == "hello from the job"]
    assert hello.job_uuid == "job-1" and hello.attempt == 1
    assert [record.seekapi_progress["done"] for record in caplog.records if hasattr(record, "seekapi_progress")][
        -1
    ] == 7


def test_a_call_with_no_time_left_is_not_started(platform, monkeypatch):
    """Less than a quarter of a second is no time for a request."""
    assert deadline.SHORTEST_BUDGET_S == 0.25

    def fn(job_input, job):
        monkeypatch.setattr(deadline, "SHORTEST_BUDGET_S", job.remaining())  # as if it were late
        job.push_data(1)

    envelope = seekapi.run(platform.event, LambdaContext(10_000, None), fn)

    assert envelope["error"]["code"] == "TIMEOUT"
    assert platform.pushes == []


def test_a_run_inside_of_a_run_has_no_more_time_than_that_one(platform):
    """Whatever its own context says."""
    seen = []

    def inner(job_input, job):
        seen.append(job.remaining())

    def outer(job_input, job):
        seen.append(job.remaining())
        seekapi.run({**platform.event, "job_uuid": "job-2"}, LambdaContext(900_000), inner)
        seekapi.run({**platform.event, "job_uuid": "job-3"}, None, inner)

    assert seekapi.run(platform.event, LambdaContext(10_000), outer)["ok"] is True
    assert len(seen) == 3 and seen[1] < seen[0] and seen[2] < seen[0]


def test_a_run_in_another_thread_has_its_own_time(platform):
    """Another job that happens to run in this process lends it none of its deadline."""
    seen = []

    def other(job_input, job):
        seen.append(job.remaining())

    def fn(job_input, job):
        thread = threading.Thread(
            target=seekapi.run, args=({**platform.event, "job_uuid": "job-2"}, LambdaContext(900_000), other)
        )
        thread.start()
        thread.join(20)

    assert seekapi.run(platform.event, LambdaContext(10_000), fn)["ok"] is True
    assert seen and seen[0] > 100


def test_a_run_of_the_job_inside_of_itself_loses_nothing(platform):
    """Its values are not taken for repetitions of the outer one's; when the event runs again, all are."""

    def inner(job_input, job):
        job.push_data("same")
        yield "inner"
        return "inner result"

    def outer(job_input, job):
        job.push_data("same")
        yield "outer"
        job.push_data("between")  # and "outer" has arrived
        assert seekapi.run(job.event, None, inner)["ok"]
        return "outer result"

    expected = ["same", "outer", "between", "same", "inner", "inner result", "outer result"]
    for _ in range(2):
        assert seekapi.run(platform.event, None, outer)["ok"] is True
        assert platform.pushes == expected
