"""run(): whatever happens, an envelope comes back, and `ok` means that the platform has the result."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import faults.table  # noqa: F401  (loads the faults, so that they can be named)
import pytest
from faults.server import FAULTS

import seekapi
from seekapi import errors
from seekapi._worker import deadline
from worker.conftest import SECRET, SIGNATURE, TOKEN, LambdaContext


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raising(error: BaseException):
    def fn(job_input):
        raise error

    return fn


def code_of(envelope) -> str:
    assert envelope["ok"] is False
    return envelope["error"]["code"]


def message_of(envelope) -> str:
    return envelope["error"]["message"]


def test_the_whole_story(platform, lambda_context):
    """Registered, fetched, called, pushed, answered."""
    platform.serve({"name": "ada"})

    envelope = seekapi.run(platform.event, lambda_context, lambda job_input: {"message": f"hello {job_input['name']}"})

    assert envelope == {"ok": True, "request_id": "req-1"}
    assert platform.pushes == [{"message": "hello ada"}]
    assert platform.details("register") == ["req-1"]


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "text", [], {}, [1, {"a": None}], "\ud800"])
def test_any_json_value_is_a_legal_input_and_result(platform, value):
    """The echo of a value is the value."""
    platform.serve(value)

    assert seekapi.run(platform.event, None, lambda job_input: job_input) == {"ok": True}
    assert platform.pushes == [value]


def test_none_after_an_own_push_adds_no_push(platform):
    """The handler has said what it had to say."""

    def fn(job_input):
        seekapi.push_data(seekapi.create_context(platform.event), {"own": 1})

    assert seekapi.run(platform.event, None, fn)["ok"] is True
    assert platform.pushes == [{"own": 1}]


def test_a_push_for_another_job_is_none_of_this_one(platform):
    """`ok` with nothing pushed would be a lost result."""
    other = {**platform.event, "job_uuid": "job-2"}

    def fn(job_input):
        seekapi.push_data(seekapi.create_context(other), "for the other")

    assert seekapi.run(platform.event, None, fn)["ok"] is True
    assert [(e.job, e.detail) for e in platform.server.ledger.effects if e.kind == "push"] == [
        ("job-2", "for the other"),
        ("job-1", None),
    ]


def test_pushes_from_threads_of_two_runs_at_once_are_their_own(platform):
    """No stray null after the real data."""
    both_run = threading.Barrier(2, timeout=20)

    def job(name: str) -> None:
        event = {**platform.event, "job_uuid": name}

        def fn(job_input):
            both_run.wait()
            pusher = threading.Thread(target=seekapi.push_data, args=(seekapi.create_context(event), name))
            pusher.start()
            pusher.join()
            both_run.wait()

        assert seekapi.run(event, None, fn)["ok"] is True

    threads = [threading.Thread(target=job, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(platform.pushes) == ["one", "two"]


def test_a_setting_changed_by_the_function_does_not_divert_the_result(platform, monkeypatch, tmp_path):
    """Where a job delivers is decided when it starts."""

    def fn(job_input):
        monkeypatch.setenv("SEEKAPI_LOCAL_MODE", "1")
        monkeypatch.setenv("SEEKAPI_LOCAL_DIR", str(tmp_path))
        return "delivered"

    assert seekapi.run(platform.event, None, fn)["ok"] is True
    assert platform.pushes == ["delivered"]


def test_without_a_request_id_nothing_is_registered(platform):
    """A local call has none."""
    assert seekapi.run(platform.event, LambdaContext(request_id=None), lambda job_input: 1) == {"ok": True}
    assert platform.details("register") == []


def test_the_same_event_run_again_adds_nothing(platform, lambda_context):
    """Lambda may run an event twice; the first result stays."""
    for answer in (1, 2):
        assert seekapi.run(platform.event, lambda_context, lambda job_input, answer=answer: answer)["ok"] is True

    assert platform.pushes == [1]


@pytest.mark.parametrize(
    "error, code, message",
    [
        (ValueError("no such row"), "WORKER_ERROR", "no such row"),
        (KeyError("name"), "WORKER_ERROR", "KeyError: 'name'"),
        (ValueError(), "WORKER_ERROR", "ValueError"),
        (Unprintable(), "WORKER_ERROR", "Unprintable (its text cannot be had)"),
        (SystemExit(0), "WORKER_ERROR", "SystemExit: 0"),
        (SystemExit(5), "WORKER_ERROR", "SystemExit: 5"),
        (RecursionError("maximum recursion depth exceeded"), "WORKER_ERROR", "maximum recursion depth exceeded"),
        (MemoryError(), "WORKER_ERROR", "MemoryError"),
        (BaseException("odd one out"), "WORKER_ERROR", "odd one out"),
        (seekapi.Fail("NO_STOCK", "only 2 left"), "NO_STOCK", "only 2 left"),
        (seekapi.InvalidInput("$.urls: expected array"), "INVALID_INPUT", "$.urls: expected array"),
        (errors.DeadlineExceeded("time is up"), "TIMEOUT", "time is up"),
        (errors.Cancelled("by a person"), "CANCELLED", "by a person"),
        (RuntimeError("a" * 5000 + " b"), "WORKER_ERROR", "a" * 2045 + "…"),
    ],
)
def test_whatever_the_function_raises_is_an_envelope(platform, lambda_context, error, code, message):
    """The code says whose turn it is, the message what happened; nothing is pushed."""
    envelope = seekapi.run(platform.event, lambda_context, raising(error))

    assert envelope == {"ok": False, "error": {"code": code, "message": message}, "request_id": "req-1"}
    assert platform.pushes == []


def test_an_endless_recursion_is_an_envelope(platform):
    """The real thing, not only its exception."""

    def fn(job_input):
        return fn(job_input)

    assert code_of(seekapi.run(platform.event, None, fn)) == "WORKER_ERROR"


def test_a_keyboard_interrupt_is_the_persons_at_the_keyboard(platform):
    """The one thing that passes through."""
    with pytest.raises(KeyboardInterrupt):
        seekapi.run(platform.event, None, raising(KeyboardInterrupt()))


@pytest.mark.parametrize("event", [None, [], "event", 5])
def test_an_event_that_is_no_dict_is_an_envelope(platform, event):
    """1.0.5 raised AttributeError at the platform."""
    assert code_of(seekapi.run(event, None, lambda job_input: 1)) == "INVALID_EVENT"


@pytest.mark.parametrize(
    "change, code, named",
    [
        ({"job_uuid": None}, "INVALID_EVENT", "job_uuid"),
        ({"job_uuid": "  "}, "INVALID_EVENT", "job_uuid"),
        ({"job_uuid": 7}, "INVALID_EVENT", "job_uuid"),
        ({"job_uuid": "../../admin?x="}, "INVALID_EVENT", "job_uuid"),
        ({"job_uuid": "a\r\nX: 1"}, "INVALID_EVENT", "job_uuid"),
        ({"execution_token": None}, "INVALID_EVENT", "execution_token"),
        ({"execution_token": ["t"]}, "INVALID_EVENT", "execution_token"),
        ({"input_presigned_url": None}, "MISSING_INPUT", "input_presigned_url"),
        ({"input_presigned_url": 7}, "INVALID_EVENT", "input_presigned_url"),
        ({"input_presigned_url": "file:///etc/passwd"}, "INPUT_UNAVAILABLE", "http or https"),
        ({"input_presigned_url": "/etc/passwd"}, "INPUT_UNAVAILABLE", "http or https"),
        ({"input_presigned_url": "data:,1"}, "INPUT_UNAVAILABLE", "http or https"),
        ({"input_presigned_url": "ftp://h/x"}, "INPUT_UNAVAILABLE", "http or https"),
    ],
)
def test_a_bad_event_is_named_before_the_function_runs(platform, change, code, named):
    """Nothing is computed that could not be delivered."""
    envelope = seekapi.run({**platform.event, **change}, None, raising(AssertionError("must not run")))

    assert code_of(envelope) == code and named in envelope["error"]["message"]


@pytest.mark.parametrize("variable", ["WORKER_API_BASE_URL", "WORKER_INTERNAL_SECRET"])
@pytest.mark.parametrize("value", [None, "", "bad\nvalue"])
def test_a_missing_setting_fails_before_the_function_runs(platform, monkeypatch, variable, value):
    """1.0.5 ran the job, dropped the result and said ok."""
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)

    envelope = seekapi.run(platform.event, None, raising(AssertionError("must not run")))

    assert code_of(envelope) == "CONFIGURATION_ERROR" and variable in envelope["error"]["message"]
    assert platform.server.requests == []


def test_a_missing_setting_names_the_way_out(platform, monkeypatch):
    """Whoever tries the worker on a laptop learns of local mode."""
    monkeypatch.delenv("WORKER_INTERNAL_SECRET")

    assert "SEEKAPI_LOCAL_MODE=1" in seekapi.run(platform.event, None, lambda job_input: 1)["error"]["message"]


@pytest.mark.parametrize("remaining_ms", [0, -5, 800])
def test_without_time_nothing_is_started(platform, remaining_ms):
    """A request that Lambda would cut off helps nobody."""
    envelope = seekapi.run(platform.event, LambdaContext(remaining_ms), raising(AssertionError("must not run")))

    assert code_of(envelope) == "TIMEOUT"
    assert platform.server.requests == []


@pytest.mark.parametrize("remaining_ms", [86_400_000 * 400, 1e15, sys.maxsize, 1e308])
def test_no_limit_is_too_far_away(platform, remaining_ms):
    """A mock says so, and systems refuse such a timer; nor does it cost the jobs after it anything."""

    def steps(job_input):
        yield 1
        return 2

    async def awaited(job_input):
        return 3

    def run(fn):
        envelopes.append(seekapi.run(platform.event, LambdaContext(remaining_ms, None), fn))

    envelopes: list[object] = []
    for fn in (steps, awaited, lambda job_input: 3):
        run(fn)
    apart = threading.Thread(target=run, args=(lambda job_input: 4,))
    apart.start()
    apart.join(20)

    assert envelopes == [{"ok": True}] * 4
    assert platform.pushes[0] == 1


LATE_CALLS = {
    "push": lambda job: job.push_data(1),
    "file": lambda job: job.push_file("n", b"content"),
    "charge": lambda job: job.charge("k"),
    "in a thread": lambda job: in_a_pool(lambda: job.push_data(1)),
}


def in_a_pool(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@pytest.mark.parametrize("name", LATE_CALLS)
def test_a_call_that_finds_no_time_left_ends_the_job(platform, caplog, monkeypatch, name):
    """As the guard does: a loop that breaks at any Exception has not succeeded, and its line is told."""

    def fn(job_input, job):
        monkeypatch.setattr(deadline, "SHORTEST_BUDGET_S", job.remaining())  # as if it were late
        try:
            LATE_CALLS[name](job)
        except Exception:
            pytest.fail("no Exception")

    envelope = seekapi.run(platform.event, LambdaContext(10_000, None), fn)

    [record] = caplog.records
    assert code_of(envelope) == "TIMEOUT" and platform.pushes == []
    assert re.match(
        r"timed out after \d+\.\d s at tests/worker/test_invocation\.py:\d+ in <lambda>: .*job\.", message_of(envelope)
    )
    assert "test_invocation.py:" in record.seekapi_where and "job." in record.seekapi_line


def test_whatever_a_handler_makes_of_a_late_call_it_has_timed_out(platform, monkeypatch):
    """Nor is a handler that swallows everything believed."""

    def fn(job_input, job):
        job.push_data("in time")
        monkeypatch.setattr(deadline, "SHORTEST_BUDGET_S", job.remaining())  # as if it were late
        with contextlib.suppress(BaseException):
            job.push_data("late")
        return "done"

    envelope = seekapi.run(platform.event, LambdaContext(10_000, None), fn)

    assert code_of(envelope) == "TIMEOUT"
    assert platform.pushes == ["in time"]


def test_a_late_call_that_is_awaited_ends_the_job(platform, monkeypatch):
    """With the line that awaits it, also where a thread finds no time left."""

    async def fn(job_input, job):
        monkeypatch.setattr(deadline, "SHORTEST_BUDGET_S", job.remaining())  # as if it were late
        await asyncio.gather(job.charge("k"))

    envelope = seekapi.run(platform.event, LambdaContext(10_000, None), fn)

    assert code_of(envelope) == "TIMEOUT"
    assert message_of(envelope).endswith('in fn: await asyncio.gather(job.charge("k"))')


@pytest.mark.parametrize(("name", "endpoint"), [*zip(LATE_CALLS, ("push", "file", "charge", "push"), strict=True)])
def test_a_call_that_is_cut_off_by_the_deadline_ends_the_job(platform, caplog, name, endpoint):
    """It was on its way, and what became of it is not known: a handler that goes on without it has not succeeded."""
    platform.server.fault, platform.server.endpoint = FAULTS["stall_headers"], endpoint

    def fn(job_input, job):
        with contextlib.suppress(Exception):
            LATE_CALLS[name](job)
        return "done"

    envelope = seekapi.run(platform.event, LambdaContext(2_000, None), fn)

    [record] = caplog.records
    assert re.match(r"timed out after \S+ s at .*test_invocation\.py:\d+ in <lambda>: .*job\.", message_of(envelope))
    # Where the main thread waits for another it may be interrupted first.
    assert "job." in record.seekapi_line or name == "in a thread"
    assert "TransportTimeout" in record.traceback
    assert "done" not in platform.pushes


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the main thread is guarded by a timer")
def test_a_handler_that_could_not_be_interrupted_and_returns_too_late_has_timed_out(platform):
    """Not the platform, nor the disk, is at fault."""

    def fn(job_input):
        before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
        try:
            time.sleep(0.8)
        finally:
            signal.signal(signal.SIGALRM, before)
        return "late"

    envelope = seekapi.run(platform.event, LambdaContext(1_000), fn)

    assert code_of(envelope) == "TIMEOUT" and "the handler returned after" in message_of(envelope)
    assert platform.pushes == []


def test_a_call_with_a_timeout_of_its_own_fails_as_any_other(platform):
    """There is time left, so it is the handler's to go on."""
    platform.server.fault, platform.server.endpoint = FAULTS["stall_headers_once"], "push"

    def fn(job_input, job):
        with contextlib.suppress(seekapi.TransportTimeout):
            job.push_data(1, timeout=0.05)
        return "done"

    assert seekapi.run(platform.event, LambdaContext(30_000, None), fn) == {"ok": True}


def test_a_result_that_is_not_json_names_the_culprit(platform):
    """The path starts at what the function returned."""
    envelope = seekapi.run(platform.event, None, lambda job_input: {"rows": [0, {"price": float("nan")}]})

    assert envelope["error"] == {
        "code": "WORKER_ERROR",
        "message": "result.rows[1].price is NaN, which JSON does not have (None or a string can stand for it)",
    }
    assert platform.pushes == []


def test_a_coroutine_within_a_result_is_told_apart(platform):
    """What an async function returned is awaited; what stands inside of that is a mistake."""

    async def inner():
        return 1

    async def fn(job_input):
        return inner()

    envelope = seekapi.run(platform.event, None, fn)

    assert envelope["error"]["message"] == (
        "result is of type coroutine, which has no JSON form: an async function was called, and not awaited"
    )
    assert platform.pushes == []


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"NaN", b"\xff"])
def test_an_input_that_is_not_json_is_not_the_functions_trouble(platform, body):
    """It is not called."""
    platform.serve(body)

    envelope = seekapi.run(platform.event, None, raising(AssertionError("must not run")))

    assert code_of(envelope) == "INPUT_UNAVAILABLE"


def test_no_secret_leaves_in_envelope_or_log(platform, lambda_context, caplog):
    """Not in the message, not in the traceback, in no encoding."""
    url = platform.event["input_presigned_url"]
    text = f"{SECRET} and {TOKEN} and {url} and https://u:p@h/x and {json.dumps(SECRET)}"

    with caplog.at_level(logging.DEBUG):
        envelope = seekapi.run(platform.event, lambda_context, raising(RuntimeError(text)))

    seen = json.dumps(envelope) + caplog.text
    for secret in (SECRET, TOKEN, SIGNATURE, "u:p@"):
        assert secret not in seen
    assert "/input.json?***" in seen


def test_the_whole_traceback_is_in_the_log(platform, caplog):
    """The envelope is short; the log tells the line."""
    seekapi.run(platform.event, None, raising(KeyError("name")))

    assert "job failed: WORKER_ERROR" in caplog.text and "in fn" in caplog.text and "KeyError: 'name'" in caplog.text


def test_the_log_starts_at_the_users_own_line(platform, caplog):
    """Our own frames come before it and say nothing; what ours alone refuse has no frames at all."""
    seekapi.run(platform.event, None, raising(KeyError("name")))
    seekapi.run({}, None, raising(KeyError("name")))

    assert "_worker/invocation.py" not in caplog.text
    assert "run requires job_uuid" in caplog.text


def test_a_broken_log_handler_costs_nothing(platform):
    """The answer is what counts."""

    class Broken(logging.Handler):
        def emit(self, record):
            raise OSError("disk full")

    logger, handler = logging.getLogger("seekapi"), Broken()
    logger.addHandler(handler)
    try:
        assert code_of(seekapi.run(platform.event, None, raising(KeyError("name")))) == "WORKER_ERROR"
    finally:
        logger.removeHandler(handler)


def test_a_context_that_misbehaves_costs_nothing(platform):
    """Any of its members may be missing or raise."""

    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError("go away")

    assert code_of(seekapi.run(platform.event, Hostile(), lambda job_input: 1)) == "WORKER_ERROR"


def test_nothing_of_a_run_is_left_behind(platform, lambda_context):
    """No thread, no invocation: a sandbox is frozen after the answer and reused for somebody else's job."""
    from seekapi._worker import current

    before = set(threading.enumerate())
    seekapi.run(platform.event, lambda_context, lambda job_input: 1)
    more = set(threading.enumerate()) - before

    assert current.invocation() is None
    assert not [thread for thread in more if "seekapi" in thread.name] and len(more) <= 3  # the platform's own


def test_one_invocation_takes_two_connections(platform, lambda_context):
    """Input and API are two; the push goes out where the registration came back, and the next job reuses both."""
    for _ in range(3):
        event = {**platform.event, "execution_token": TOKEN}
        assert seekapi.run(event, lambda_context, lambda job_input: 1)["ok"] is True

    assert platform.server.connections <= 2


def test_worker_is_run_with_the_function_in_it(platform, lambda_context):
    """As a decorator or a call; the name and the function stay."""

    @seekapi.worker
    def handler(job_input):
        """Says hello."""
        return {"hello": job_input}

    platform.serve("ada")

    assert handler(platform.event, lambda_context) == {"ok": True, "request_id": "req-1"}
    assert platform.pushes == [{"hello": "ada"}]
    assert (handler.__name__, handler.__doc__) == ("handler", "Says hello.")
    assert handler.__wrapped__("x") == {"hello": "x"}


def test_worker_takes_any_callable_and_nothing_else(platform):
    """A class with __call__ will do; a value is a mistake that shows at import."""

    class Doubler:
        def __call__(self, job_input):
            return job_input * 2

    platform.serve(21)

    assert seekapi.worker(Doubler())(platform.event, None) == {"ok": True}
    assert platform.pushes == [42]
    with pytest.raises(seekapi.ArgumentError, match="expected a function"):
        seekapi.worker("handler")


class Slow(Exception):
    def __str__(self) -> str:
        told.append("begun")
        time.sleep(30)
        return str(told.append("ended"))


class SlowHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        Slow().__str__()


told: list[str] = []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the main thread is guarded by a timer")
def test_an_error_that_takes_long_to_tell_is_cut_short(platform):
    """The answer is out in time, and says whose error it was."""
    told.clear()

    envelope = seekapi.run(platform.event, LambdaContext(2_000), raising(Slow()))

    assert (code_of(envelope), message_of(envelope)) == ("WORKER_ERROR", "Slow (its text cannot be had)")
    assert told == ["begun"]


def test_whose_turn_it_is_is_known_even_if_nothing_else_can_be_told(platform, monkeypatch):
    """The code of an error follows from its type: no time is needed for it, and no text."""

    class Redactor(seekapi._redaction.Redactor):
        def start(self, text: str, length: int, mark: str = "") -> str:
            raise MemoryError

    monkeypatch.setattr("seekapi._worker.invocation._redactor_of", lambda event: Redactor())

    assert code_of(seekapi.run({**platform.event, "input_presigned_url": ""}, None, id)) == "MISSING_INPUT"


def test_an_error_is_asked_for_its_text_once(platform):
    """For the envelope, the line in the log and the traceback."""

    class Counting(Exception):
        def __str__(self) -> str:
            asked.append(self)
            return "a text of several words"

    asked: list[object] = []
    envelope = seekapi.run(platform.event, None, raising(Counting()))

    assert message_of(envelope) == "a text of several words" and len(asked) == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the main thread is guarded by a timer")
@pytest.mark.parametrize(
    "fn", [raising(KeyError("k")), lambda job_input: time.sleep(30), lambda job_input, job: job.log.warning("blocks")]
)
@pytest.mark.parametrize("is_pythons", [True, False])
def test_a_log_handler_that_blocks_does_not_cost_the_answer(platform, fn, is_pythons):
    """One of the user's own, and one of Python's with a stream that nobody reads."""
    told.clear()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write_end, b"x" * 4096)
    os.set_blocking(write_end, True)
    handler = logging.StreamHandler(open(write_end, "w")) if is_pythons else SlowHandler()  # noqa: SIM115
    # Or else this would hang.
    rescue = threading.Timer(20, lambda: told.append("ended") or os.read(read_end, 1 << 20))
    rescue.start()
    logging.getLogger().addHandler(handler)
    try:
        envelope = seekapi.run(platform.event, LambdaContext(2_000), fn)
    finally:
        rescue.cancel()
        logging.getLogger().removeHandler(handler)
        os.close(read_end)
        if is_pythons:
            with contextlib.suppress(BrokenPipeError):
                handler.stream.close()
        else:
            os.close(write_end)

    assert code_of(envelope) in ("WORKER_ERROR", "TIMEOUT") and "ended" not in told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_the_exit_of_a_forked_child_is_its_own(platform):
    """It is none of the job's: it passes through, and what its parent works with stays."""

    def fn(job_input, job):
        kept = job.tmp / "kept"
        kept.write_text("by the parent")
        pid = os.fork()
        if not pid:
            sys.exit(7)
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), kept.read_text()]

    parent = os.getpid()
    try:
        envelope = seekapi.run(platform.event, LambdaContext(), fn)
    except SystemExit as exit:
        os._exit(exit.code if os.getpid() != parent else 8)
    finally:
        if os.getpid() != parent:
            os._exit(9)

    assert envelope["ok"] and platform.pushes == [[7, "by the parent"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("end", [sys.exit, int, lambda: 1 / 0])
def test_a_child_that_is_forked_in_a_thread_comes_to_an_end(platform, end):
    """There its only thread is the handler's, and nobody else is left to end it."""

    def fn(job_input, job):
        pid = os.fork()
        if not pid:
            return end()
        limit = time.monotonic() + 10
        while not (ended := os.waitpid(pid, os.WNOHANG)[0]) and time.monotonic() < limit:
            time.sleep(0.002)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return bool(ended)

    thread = threading.Thread(target=seekapi.run, args=(platform.event, LambdaContext(), fn))
    thread.start()
    thread.join(20)

    assert platform.pushes == [True]
