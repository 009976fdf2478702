"""The guard: a handler ends in time, our own code is never cut, and the process is afterwards as it was before."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

import seekapi
from seekapi._worker import children, current, frames, guard, interrupts
from seekapi.errors import Cancelled, DeadlineExceeded
from worker.conftest import LambdaContext

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the main thread is guarded by a timer")

SOON_S = 0.05
LONG_S = 30.0
SIGNALS = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)


def invocation(seconds: float | None = SOON_S) -> current.Invocation:
    deadline = None if seconds is None else time.monotonic() + seconds
    return current.Invocation(deadline, None, {"job_uuid": "j", "execution_token": "t"})  # type: ignore[arg-type]


def left_threads() -> list[threading.Thread]:
    """Those of handlers; a test that ran before may have left others."""
    return [thread for thread in threading.enumerate() if thread.name == "seekapi-handler"]


def guarded_call(of: current.Invocation, fn, *arguments, **options):
    with guard.guarding(of) as guarded:
        return guarded.call(fn, *arguments, **options)


def state() -> tuple[object, ...]:
    return (*map(signal.getsignal, SIGNALS), signal.getitimer(signal.ITIMER_REAL))


def loop() -> None:
    end = time.monotonic() + LONG_S
    while time.monotonic() < end:
        pass


def receive() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.recv(1)


def made_in(folder: Path, source: str) -> dict[str, Any]:
    """Functions as if a module in `folder` had them."""
    names: dict[str, Any] = {"time": time}
    exec(compile(textwrap.dedent(source), str(folder / "invented.py"), "exec"), names)
    return names


def ours(source: str) -> dict[str, Any]:
    return made_in(Path(seekapi.__file__).parent, source)


@pytest.fixture(autouse=True)
def as_it_was():
    """Every test leaves the process as it found it: the law of them all."""
    before, threads = state(), set(threading.enumerate())
    yield
    end = time.monotonic() + LONG_S
    while time.monotonic() < end and (state() != before or set(threading.enumerate()) - threads):
        pass
    # Those of an earlier test may have ended meanwhile.
    assert state() == before and not set(threading.enumerate()) - threads


# the main thread ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "work", [lambda: time.sleep(LONG_S), loop, receive, threading.Event().wait, lambda: subprocess.run(["sleep", "30"])]
)
def test_whatever_takes_too_long_is_interrupted(work):
    """Asleep, busy, blocked in a call of Python's or of a package's."""
    late = invocation()

    with pytest.raises(DeadlineExceeded) as raised:
        guarded_call(late, work)

    assert raised.value is late.reason


def test_what_is_in_time_is_not_touched():
    """Its value, its exception, its signals."""
    assert guarded_call(invocation(LONG_S), lambda first, second: first + second, 1, 2) == 3
    with pytest.raises(KeyError):
        guarded_call(invocation(None), {}.__getitem__, "key")


def test_a_handler_that_swallows_is_interrupted_again():
    """And however often it did, what ended the job is known."""
    swallowed = []

    def work():
        while len(swallowed) < 4:
            try:
                time.sleep(LONG_S)
            except BaseException as error:
                swallowed.append(error)
        return "done"

    late = invocation()

    assert guarded_call(late, work) == "done"
    assert swallowed == [late.reason] * 4


def test_a_finally_has_a_moment_before_the_next_interrupt(monkeypatch):
    """Between the first and the second interrupt lies the time to clean up."""
    monkeypatch.setattr(guard, "CLEAN_UP_S", 2.0)
    cleaned = []

    def work():
        try:
            loop()
        finally:
            time.sleep(0.15)
            cleaned.append(True)

    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), work)

    assert cleaned == [True]


def test_the_message_names_the_place():
    """The file, the line, the function and the source, of the user's own code and not of what it called."""
    late = invocation()

    with pytest.raises(DeadlineExceeded):
        guarded_call(late, lambda: threading.Event().wait())

    line = guarded_call_line()
    assert str(late.reason).startswith("timed out after ")
    assert f"test_guard.py:{line} in <lambda>: guarded_call(late, lambda: threading.Event().wait())" in str(late.reason)


def guarded_call_line() -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(
        n for n, text in enumerate(lines, 1) if text.endswith("guarded_call(late, lambda: threading.Event().wait())")
    )


def test_our_own_code_is_never_interrupted():
    """A call of ours that is under way at the deadline comes to its end; then the handler is interrupted."""
    call = ours(
        """
        def call():
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                time.sleep(0.001)
            return "whole"
        """
    )["call"]
    results = []

    def work():
        results.append(call())
        loop()

    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), work)

    assert results == ["whole"]


def test_python_called_by_our_own_code_is_not_interrupted():
    """What stands between is ours, so it is left alone."""
    call = ours("def call(wait): return wait(0.2)")["call"]
    late = invocation()

    assert guarded_call(late, call, threading.Event().wait) is False
    assert late.reason is None


def test_code_without_a_file_called_by_our_own_code_is_not_interrupted():
    """The methods of a namedtuple that a call of ours makes come from a `<string>`."""
    names: dict[str, Any] = {"time": time}
    exec("def make():\n end = time.monotonic() + 0.2\n while time.monotonic() < end: pass\n return 'made'", names)
    call = ours("def call(make): return make()")["call"]
    late = invocation()

    assert guarded_call(late, call, names["make"]) == "made"
    assert late.reason is None


def test_an_import_hook_called_by_our_own_code_is_not_interrupted(tmp_path, monkeypatch):
    """It stands in site-packages, and works for whoever imports: half an import of ours would be half a delivery."""
    hook = made_in(
        tmp_path / "site-packages",
        """
        def look():
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                pass

        class Hook:
            def find_spec(name, path=None, target=None):
                look()
        """,
    )["Hook"]
    monkeypatch.setattr(sys, "meta_path", [hook, *sys.meta_path])
    late = invocation()

    with pytest.raises(ModuleNotFoundError):
        guarded_call(late, ours("def call(): import a_module_that_is_not_there")["call"])
    assert late.reason is None


def test_an_import_hook_that_hangs_a_handler_is_interrupted(tmp_path, monkeypatch):
    """Whoever imports there has no more time than for anything else."""
    hook = made_in(tmp_path / "site-packages", f"class Hook:\n def find_spec(name, *more):\n  time.sleep({LONG_S})")[
        "Hook"
    ]
    monkeypatch.setattr(sys, "meta_path", [hook, *sys.meta_path])

    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), made_in(tmp_path, "def call(): import a_module_that_is_not_there")["call"])


def test_before_and_after_the_handler_nothing_is_raised():
    """The guard's own steps and what run() does around the handler are not the handler."""
    late = invocation()

    with guard.guarding(late) as guarded:
        time.sleep(1.5 * SOON_S)  # right between two looks
        assert guarded.call(int, "7") == 7
        time.sleep(2 * SOON_S)

    assert late.reason is None


def test_a_delivery_that_used_up_its_time_leaves_a_moment_to_tell():
    """What is kept back for the answer is enough to say what went wrong, too."""
    late = invocation()
    late.delivery_deadline = began = time.monotonic()
    dues: list[float | None] = []

    with guard.guarding(late) as guarded:
        guarded.say(lambda: dues.append(guarded.due))

    assert dues[0] is not None and dues[0] >= began + guard.TELL_S


def test_a_cancelled_job_begins_no_handler():
    """A signal while the input is read is seen before the handler is called."""
    early = invocation(LONG_S)
    with guard.guarding(early) as guarded:
        signal.raise_signal(signal.SIGTERM)

        with pytest.raises(Cancelled, match="SIGTERM"):
            guarded.call(pytest.fail, "called")


def test_reading_the_input_is_cut_off_by_a_cancellation_only():
    """It only reads, so it may be interrupted; but not for the deadline, which it keeps by itself."""
    read = ours("def read(): time.sleep(0.2); return 'input'")["read"]
    reading = invocation()
    reading.is_interruptible = True
    with guard.guarding(reading):
        assert read() == "input"
        assert reading.reason is None

        with pytest.raises(Cancelled):
            signal.raise_signal(signal.SIGINT)

    assert reading.is_interruptible is False


def test_a_lock_of_pythons_own_is_not_left_held():
    """The standard library holds locks for moments: unless it is blocked, an interrupt waits until it is done."""
    use = made_in(
        Path(os.__file__).parent,
        """
        def use(lock, tick):
            lock.acquire()
            tick()
            try:
                return "used"
            finally:
                lock.release()
        """,
    )["use"]
    lock, late = threading.Lock(), invocation(LONG_S)
    tick = functools.partial(signal.raise_signal, signal.SIGALRM)  # has no frame: it strikes in that of `use`

    def work():
        guarded.due = 0.0
        assert use(lock, tick) == "used"
        loop()

    with guard.guarding(late) as guarded, pytest.raises(DeadlineExceeded):
        guarded.call(work)

    assert not lock.locked()


def test_python_blocked_is_interrupted_at_the_second_look(monkeypatch):
    """Where it waits it holds nothing that it would not give back; so nobody waits for it for long."""
    monkeypatch.setattr(guard, "MOST_STEPS", 1_000_000)

    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), threading.Event().wait)


def test_python_that_is_never_blocked_is_interrupted_after_some_steps():
    """A long way through the standard library is no way out."""
    walk = made_in(Path(os.__file__).parent, "def walk():\n" + "    time.sleep(0.001)\n" * 5000)["walk"]

    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), lambda: walk())


def test_code_of_the_interactive_prompt_is_interrupted():
    """A function without a file is the user's, if run() was given it."""
    names = {"time": time}
    exec("def work():\n while True: time.sleep(0.01)", names)

    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), names["work"])


def test_a_function_without_frames_is_interrupted():
    """`time.sleep` itself, say."""
    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), time.sleep, LONG_S)


@pytest.mark.parametrize("room", range(2, 14))
def test_deep_in_a_recursion_the_guard_itself_fails_nobody(room, monkeypatch):
    """Where there is no room to look where the program is, the handler is interrupted when there is."""
    # Where there is no room even to close a file that was just opened, its end closes it, and complains; pytest's hook
    # for that has no room either.
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    late = invocation(LONG_S)
    tick = functools.partial(signal.raise_signal, signal.SIGALRM)
    outcomes: list[object] = []

    def down() -> int:
        try:
            above_the_end = down() + 1
        except RecursionError:
            return 0
        if above_the_end == room:
            try:
                guarded.due = 0.0
                tick()
                outcomes.append("went on")
            except BaseException as error:
                outcomes.append(type(error))
        return above_the_end

    with guard.guarding(late) as guarded, contextlib.suppress(DeadlineExceeded):
        guarded.call(down)

    assert outcomes[0] in ("went on", DeadlineExceeded)


def test_whatever_goes_wrong_in_the_guard_it_tries_again(monkeypatch):
    """Nothing but what ended the job is ever raised in the handler."""
    real, failures = children.started_since, [MemoryError(), OSError()]

    def started_since(before, thread):
        if failures:
            raise failures.pop()
        return real(before, thread)

    monkeypatch.setattr(children, "started_since", started_since)

    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), loop)

    assert failures == []


def test_a_job_is_ended_even_if_nobody_can_tell_where_it_was(monkeypatch):
    """The place is for people; the verdict does not depend on it."""
    monkeypatch.setattr(frames, "place", {}.__getitem__)

    with pytest.raises(DeadlineExceeded, match=r"^timed out after \d+\.\d s$"):
        guarded_call(invocation(), loop)


def test_an_async_handler_is_told_each_time_and_interrupted_if_it_does_not_wait():
    """Its task is cancelled; a loop that never gives way is interrupted as any other."""
    late = invocation()
    told = []
    late.interrupt = lambda: told.append(True)

    with pytest.raises(DeadlineExceeded):
        guarded_call(late, loop)

    assert told == [True]


# SIGTERM and SIGINT -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels(number):
    """With the name of the signal and the place."""
    running = invocation(LONG_S)

    with pytest.raises(Cancelled) as raised:
        guarded_call(running, lambda: signal.raise_signal(number))

    assert raised.value is running.reason
    assert f"cancelled by {number.name} at " in str(raised.value)
    assert "in <lambda>: guarded_call(running, lambda: signal.raise_signal(number))" in str(raised.value)


@pytest.mark.parametrize("seconds", [LONG_S, None])
def test_a_cancelled_handler_has_its_grace_and_is_then_interrupted_again(monkeypatch, seconds):
    """The grace is its own; with its deadline known or not."""
    monkeypatch.setattr(guard, "GRACE_S", 0.4)
    swallowed = []

    def work():
        signal.raise_signal(signal.SIGTERM)

    def stubborn():
        try:
            work()
        except Cancelled:
            swallowed.append(time.monotonic())
            try:
                loop()
            finally:
                swallowed.append(time.monotonic())

    with pytest.raises(Cancelled):
        guarded_call(invocation(seconds), stubborn)

    assert swallowed[1] - swallowed[0] > 0.3


def test_a_handler_that_does_not_end_when_cancelled_is_interrupted_ever_less_often(monkeypatch):
    """Each time it may have its say; but at its deadline it is at its end."""
    monkeypatch.setattr(guard, "GRACE_S", 0.0)
    monkeypatch.setattr(guard, "AGAIN_S", 1.0)
    monkeypatch.setattr(guard, "LONGEST_PAUSE_S", 5.0)
    cancelled, pauses = invocation(100.0), []

    with guard.guarding(cancelled) as guarded:
        cancelled.cancel(Cancelled("by a person"))
        for now in (0.0, 1.0, 2.0, 3.0, 98.0, 100.5, 101.0):
            guarded._begin_interrupt(cancelled.deadline - 100.0 + now, None)
            pauses.append(round(guarded.due - cancelled.deadline + 100.0 - now, 3))

    assert pauses == [0.0, 4.0, 5.0, 5.0, 2.0, 1.0, 1.0]


def test_the_grace_ends_at_the_deadline(monkeypatch):
    """However much grace a cancelled handler would have."""
    monkeypatch.setattr(guard, "GRACE_S", 1000.0)

    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Cancelled:
            loop()

    with pytest.raises(Cancelled):
        guarded_call(invocation(0.2), work)


def test_a_signal_sent_twice_at_once_counts_once(monkeypatch):
    """`timeout` sends it to the process and to its group."""
    monkeypatch.setattr(interrupts, "SAME_SIGNAL_S", LONG_S)

    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Cancelled:
            signal.raise_signal(signal.SIGTERM)
            return "still here"

    assert guarded_call(invocation(LONG_S), work) == "still here"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_the_second_signal_ends_the_process_at_once(name):
    """By the signal itself, whatever the handler does."""
    done = program(
        f"""
        def work():
            for _ in range(100):
                try:
                    while True:
                        time.sleep(interrupts.SAME_SIGNAL_S + 0.05)
                        signal.raise_signal(signal.{name})
                except BaseException:
                    print("swallowed", flush=True)

        guarded_call(work)
        """
    )

    assert (done.returncode, done.stdout.split()) == (-getattr(signal, name), ["swallowed"])


def test_a_signal_while_the_guard_looks_is_not_lost(monkeypatch):
    """It is seen at the next look, which is soon."""
    running = invocation(LONG_S)
    look = guard.guarding._interruption

    def interrupted(guarded, now, frame):
        monkeypatch.setattr(guard.guarding, "_interruption", look)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(guard.guarding, "_interruption", interrupted)

    def work():
        guarded.due = 0.0
        signal.raise_signal(signal.SIGALRM)
        loop()

    with guard.guarding(running) as guarded, pytest.raises(Cancelled):
        guarded.call(work)


def test_the_timer_does_not_cut_off_what_is_done_for_a_signal(monkeypatch):
    """Not even where our own code may be interrupted."""
    running = invocation(LONG_S)
    running.is_interruptible = True
    stop, stopped = guard.guarding.stop, []

    def interrupted(guarded, now, name, frame):
        stop(guarded, now, name, frame)
        signal.raise_signal(signal.SIGALRM)
        stopped.append(name)

    monkeypatch.setattr(guard.guarding, "stop", interrupted)

    with guard.guarding(running), pytest.raises(Cancelled):
        signal.raise_signal(signal.SIGTERM)
        loop()

    assert stopped == ["SIGTERM"]


def test_a_signal_that_somebody_handles_is_theirs():
    """The guard takes what nobody else has taken."""
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        guarded_call(invocation(LONG_S), signal.raise_signal, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert seen == [signal.SIGTERM]


def test_a_signal_between_taking_over_and_being_ready_is_not_lost(monkeypatch):
    """It cancels the job that was about to begin."""
    early = invocation(LONG_S)
    hook = interrupts._hook_forks
    monkeypatch.setattr(interrupts, "_hook_forks", lambda: (hook(), signal.raise_signal(signal.SIGTERM)))

    with guard.guarding(early):
        pass

    assert isinstance(early.reason, Cancelled)


def test_a_signal_while_all_is_given_back_is_what_it_always_was(monkeypatch):
    """It reaches whoever had the signals before."""
    give_back = interrupts.Taken.put_handlers_back

    def interrupted(taken):
        signal.raise_signal(signal.SIGINT)
        give_back(taken)

    monkeypatch.setattr(interrupts.Taken, "put_handlers_back", interrupted)

    with pytest.raises(KeyboardInterrupt):
        guarded_call(invocation(LONG_S), int)


@pytest.mark.parametrize("apart", [False, True])
def test_any_thread_can_cancel(monkeypatch, apart):
    """A heartbeat, say, that is told so by the platform; whether the handler can be interrupted or only left behind."""
    monkeypatch.setattr(guard, "GRACE_S", 0.1)
    running, released = invocation(None), threading.Event()

    with guard.guarding(running) as guarded:
        threading.Timer(SOON_S, guarded.cancel, [Cancelled("by a person")]).start()
        with pytest.raises(Cancelled, match="by a person"):
            guarded.call(released.wait, LONG_S, apart=apart)
    released.set()

    until(lambda: not left_threads())


# what was there before ----------------------------------------------------------------------------------------


def test_a_timer_of_before_has_what_is_left_of_it():
    """It goes on as if nothing had been in between."""
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, LONG_S, LONG_S)
        with pytest.raises(DeadlineExceeded):
            guarded_call(invocation(0.2), loop)
        left_s, every_s = signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)

    assert LONG_S / 2 < left_s <= LONG_S - 0.2
    assert every_s == LONG_S


def test_a_timer_of_before_goes_off_when_it_should():
    """Also while a job runs, again and again, and its handler may raise."""
    seen = []

    def handler(number, frame):
        seen.append(number)
        if len(seen) == 3:
            raise TimeoutError("of a test framework")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, SOON_S, SOON_S)
        with pytest.raises(TimeoutError):
            guarded_call(invocation(LONG_S), loop)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert len(seen) == 3


def test_an_alarm_that_ends_the_process_still_does():
    """`signal.alarm(1)` without a handler."""
    done = program("signal.setitimer(signal.ITIMER_REAL, 0.2); guarded_call(lambda: time.sleep(30))")

    assert done.returncode == -signal.SIGALRM


@pytest.mark.parametrize("number", SIGNALS)
def test_what_the_job_installs_stays(number):
    """A handler that the user's code installed was meant."""
    theirs = lambda number, frame: None  # noqa: E731
    before = signal.getsignal(number)

    guarded_call(invocation(LONG_S), signal.signal, number, theirs)
    now = signal.signal(number, before)

    assert now is theirs
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_timer_that_the_job_sets_is_its_own():
    """It works, and it is not taken for ours at the end."""
    seen = []
    before = signal.getsignal(signal.SIGALRM)

    def work():
        signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        until(lambda: seen)
        signal.setitimer(signal.ITIMER_REAL, LONG_S)

    guarded_call(invocation(LONG_S), work)
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)

    assert len(seen) == 1
    assert left_s > LONG_S / 2


@pytest.mark.parametrize("call", ["push_data", "check"])
def test_a_timer_that_the_job_has_switched_off_is_set_again(platform, call):
    """A decorator for timeouts ends with `signal.alarm(0)`, and puts our handler back; then a call of ours sees it."""

    def fn(job_input, job):
        signal.alarm(0)
        {"push_data": lambda: job.push_data(1), "check": job.check}[call]()
        loop()

    envelope = seekapi.run(platform.event, LambdaContext(2_000), fn)

    assert envelope["error"]["code"] == "TIMEOUT"
    assert "in loop:" in envelope["error"]["message"]


def test_a_timer_of_the_jobs_own_is_not_set_again():
    """While its handler is in the place of ours it is the job's."""

    def switched_off():
        before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.alarm(0)
        interrupts.keep_armed()
        signal.signal(signal.SIGALRM, before)
        return signal.getitimer(signal.ITIMER_REAL)

    assert guarded_call(invocation(LONG_S), switched_off) == (0.0, 0.0)


def test_a_job_within_a_job_keeps_its_own_time_and_leaves_the_outer_one_its():
    """The inner deadline ends the inner job; then the outer one ends the outer."""
    outer, inner = invocation(1.5), invocation(0.1)
    ended = []

    def work():
        try:
            guarded_call(inner, loop)
        except DeadlineExceeded as error:
            ended.append(error)
        loop()

    with pytest.raises(DeadlineExceeded) as raised:
        guarded_call(outer, work)

    assert ended == [inner.reason]
    assert raised.value is outer.reason


def test_the_outer_deadline_ends_an_inner_job_without_one():
    """The inner one has no time of its own, so it has the outer one's."""
    outer, inner = invocation(), invocation(None)

    with pytest.raises(DeadlineExceeded) as raised:
        guarded_call(outer, guarded_call, inner, loop)

    assert raised.value is outer.reason
    assert inner.reason is None


def test_a_limit_that_no_timer_can_hold_is_a_limit_all_the_same():
    """The timer is set again and again until then."""
    far = invocation(1e15)

    with guard.guarding(far) as guarded:
        left_s, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left_s <= interrupts.LONGEST_S
        assert guarded.due == far.deadline


def test_a_guard_that_cannot_begin_leaves_nothing_behind(monkeypatch):
    """Neither signals nor a job that nobody ends: the next one finds a healthy process."""
    monkeypatch.setattr(interrupts, "_hook_forks", {}.popitem)
    with pytest.raises(KeyError):
        guarded_call(invocation(LONG_S), int)
    monkeypatch.undo()
    monkeypatch.setattr(interrupts, "_arm", {}.popitem)
    with pytest.raises(KeyError):
        guarded_call(invocation(LONG_S), int)
    monkeypatch.undo()

    assert guard._open == [] and interrupts._taken == []
    with pytest.raises(DeadlineExceeded):
        guarded_call(invocation(), loop)


# forks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIGNALS)
def test_in_a_forked_child_signals_mean_what_they_always_did(number):
    """`Process.terminate()` ends the child of a job, even one that never comes back to Python."""

    def work():
        pid = os.fork()
        if not pid:
            with contextlib.suppress(BaseException):
                os._exit(7 if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler) else 8)
        return os.waitpid(pid, 0)[1]

    assert os.waitstatus_to_exitcode(guarded_call(invocation(LONG_S), work)) == 7


def test_a_forked_child_can_run_a_job_of_its_own():
    """With a guard of its own, of which the parent knows nothing."""

    def work():
        pid = os.fork()
        if not pid:
            try:
                guarded_call(invocation(), loop)
            except DeadlineExceeded:
                os._exit(7)
            finally:
                os._exit(8)
        return os.waitpid(pid, 0)[1]

    assert os.waitstatus_to_exitcode(guarded_call(invocation(LONG_S), work)) == 7


# other threads ------------------------------------------------------------------------------------------------


def in_a_thread(fn, *arguments):
    """The value of `fn`, or the exception that it raised, from a thread that is not the main one."""
    results: list[object] = []

    def work():
        try:
            results.append(fn(*arguments))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(LONG_S)
    return results[0]


def test_outside_of_the_main_thread_a_late_handler_is_left_behind():
    """The verdict does not wait for it, and nothing is raised in it."""
    released, raised = threading.Event(), []
    late = invocation(10 * SOON_S)  # on a busy machine the thread takes a while to get there

    def work():
        try:
            released.wait()
        except BaseException as error:
            raised.append(error)

    result = in_a_thread(guarded_call, late, work)
    released.set()
    until(lambda: not left_threads())

    assert result is late.reason
    assert "test_guard.py:" in str(result)
    assert "in work: released.wait()" in str(result)
    assert raised == []


def test_a_handler_that_notices_in_time_ends_by_itself():
    """Its last value or exception is still taken, and no thread is left."""
    late = invocation()

    def work():
        until(lambda: late.cancelled)
        return "noticed"

    assert in_a_thread(guarded_call, late, work) == "noticed"


def test_no_thread_is_left_of_a_handler_that_has_ended():
    """Lambda freezes the process, and a fork copies only one thread."""
    assert len(guarded_call(invocation(LONG_S), left_threads, apart=True)) == 1
    assert not left_threads()


def test_all_calls_of_a_job_are_in_one_thread_and_one_context():
    """What a handler has set at one step it finds at the next, and so do its libraries."""
    variable: ContextVar[str] = ContextVar("variable")
    threads = []

    def step():
        threads.append(threading.get_ident())
        value = variable.get("")
        variable.set(f"{value}.")
        return value

    def job():
        variable.set("from outside")
        with guard.guarding(invocation(LONG_S)) as guarded:
            return [guarded.call(step), guarded.call(step), variable.get(), threading.get_ident()]

    first, second, outside, caller = in_a_thread(job)

    assert (first, second, outside) == ("from outside", "from outside.", "from outside")
    assert threads[0] == threads[1] != caller


def test_without_a_deadline_another_thread_runs_the_handler_itself():
    """There is nothing to wait for."""
    assert in_a_thread(guarded_call, invocation(None), threading.get_ident) != threading.get_ident()
    assert in_a_thread(lambda: guarded_call(invocation(None), threading.get_ident) == threading.get_ident()) is True


def test_a_signal_ends_the_wait_for_a_handler_in_a_thread_of_its_own(monkeypatch):
    """An async handler, called while a loop is running: the main thread waits for it."""
    monkeypatch.setattr(guard, "GRACE_S", 0.1)
    released, running = threading.Event(), invocation(LONG_S)
    told = []
    running.interrupt = lambda: told.append(True)
    threading.Timer(SOON_S, os.kill, [os.getpid(), signal.SIGTERM]).start()

    with pytest.raises(Cancelled, match="SIGTERM"):
        guarded_call(running, released.wait, apart=True)
    released.set()
    until(lambda: not left_threads())

    assert told


# the price ----------------------------------------------------------------------------------------------------


def test_a_guard_in_the_main_thread_loads_nothing_and_starts_nothing():
    """Each cold start would pay for it."""
    done = program(
        """
        before = set(sys.modules)
        guarded_call(int, "7")
        print(*sorted(set(sys.modules) - before))
        """,
        header="import sys, time",
    )

    assert (done.returncode, done.stdout.strip()) == (0, "")


def program(code: str, header: str = "import signal, time, sys") -> subprocess.CompletedProcess[str]:
    start = """
        from seekapi._worker import current, guard, interrupts

        def guarded_call(fn, *arguments):
            invocation = current.Invocation(time.monotonic() + 20, None, {})
            with guard.guarding(invocation) as guarded:
                return guarded.call(fn, *arguments)
        """
    source = "\n".join(map(textwrap.dedent, (header, start, code)))
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)


def until(condition) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + LONG_S / 3
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
