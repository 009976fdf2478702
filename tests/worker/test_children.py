"""A job that was ended takes its processes with it; those of the worker, and of other jobs, go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from seekapi._worker import children, current, guard, interrupts
from seekapi.errors import DeadlineExceeded

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")

PATIENCE_S = 10.0


@pytest.fixture
def started():
    """Popen objects to be ended and waited for."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.fixture(autouse=True)
def nothing_killed_before(monkeypatch):
    monkeypatch.setattr(children, "_killed", [])


def left_threads() -> list[threading.Thread]:
    """Those of handlers; a test that ran before may have left others."""
    return [thread for thread in threading.enumerate() if thread.name == "seekapi-handler"]


def sleeper(**options) -> subprocess.Popen[str]:
    return subprocess.Popen(["sleep", "60"], text=True, **options)


def shell(code: str, **options) -> subprocess.Popen[str]:
    """A shell that prints the id of a process below it."""
    return subprocess.Popen(["sh", "-c", code], stdout=subprocess.PIPE, text=True, **options)


def is_running(pid: int) -> bool:
    process = children._process(pid)
    return process is not None and not process.is_dead


def until(condition) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.002)
    return bool(value)


def timed_out(work) -> None:
    """A job whose time is up as soon as it has done `work`."""
    invocation = current.Invocation(time.monotonic() + 60, None, {})  # type: ignore[arg-type]
    with pytest.raises(DeadlineExceeded), guard.guarding(invocation) as guarded:
        guarded.call(lambda: (work(), come_to_its_end(invocation, guarded)))


def come_to_its_end(invocation, guarded) -> None:
    """The deadline is now."""
    invocation.deadline = guarded.due = time.monotonic()
    interrupts.poke()
    time.sleep(60)


def test_the_children_of_a_late_job_are_killed(started):
    """And whoever started them sees how they ended."""
    timed_out(lambda: started.append(sleeper()))

    assert started[0].wait(PATIENCE_S) == -signal.SIGKILL


def test_those_of_a_job_that_ends_by_itself_go_on(started):
    """What a job leaves running on purpose is its own affair, as it always was."""
    invocation = current.Invocation(time.monotonic() + 60, None, {})  # type: ignore[arg-type]
    with guard.guarding(invocation) as guarded:
        guarded.call(lambda: started.append(sleeper()))

    assert is_running(started[0].pid)


def test_those_from_before_the_job_go_on(started):
    """A model server that an earlier job, or the setup, has started."""
    started.append(sleeper())
    invocation = current.Invocation(time.monotonic() + 60, None, {})  # type: ignore[arg-type]

    with pytest.raises(DeadlineExceeded), guard.guarding(invocation) as guarded:
        guarded.call(lambda: started.append(sleeper()))
        guarded.keep_children()
        guarded.call(lambda: (started.append(sleeper()), come_to_its_end(invocation, guarded)))

    assert [is_running(process.pid) for process in started] == [True, True, False]


@pytest.mark.parametrize("options", [{}, {"start_new_session": True}])
@pytest.mark.parametrize("code", ["sleep 60 & echo $!; wait", "(sleep 60 & echo $!; wait)"])
def test_what_they_have_started_is_killed(started, code, options):
    """Grandchildren, and those of a session of their own."""
    timed_out(lambda: started.append(shell(code, **options)))

    grandchild = int(started[0].stdout.readline())
    assert until(lambda: not is_running(grandchild))


def test_an_orphan_in_a_group_of_its_own_parent_is_killed(started):
    """Its parent is gone, but the group bears the parent's id; so nobody else has that."""
    found: list[int] = []

    def work():
        started.append(shell("(sleep 60 & echo $!; sleep 0.05) & wait", start_new_session=True))
        found.append(int(started[0].stdout.readline()))
        time.sleep(0.15)

    timed_out(work)

    assert until(lambda: not is_running(found[0]))


def test_whom_the_handler_itself_ends_first_does_not_leave_its_own_behind(started):
    """`subprocess.run` kills the shell when it is interrupted, and thereby orphans what the shell has started."""
    pids = []
    invocation = current.Invocation(time.monotonic() + 60, None, {})  # type: ignore[arg-type]

    def work():
        try:
            started.append(shell("sleep 60 & echo $!; wait"))
            pids.append(int(started[0].stdout.readline()))
            come_to_its_end(invocation, guarded)
        finally:
            started[0].kill()
            started[0].wait()

    with pytest.raises(DeadlineExceeded), guard.guarding(invocation) as guarded:
        guarded.call(work)

    assert until(lambda: not is_running(pids[0]))


def test_those_of_another_job_go_on(started):
    """Two jobs at once in one process: each ends with its own children only."""
    is_open, may_start, is_up, may_end = (threading.Event() for _ in range(4))

    def others_work():
        is_open.set()
        may_start.wait(PATIENCE_S)
        started.append(sleeper())
        is_up.set()
        may_end.wait(PATIENCE_S)

    def other():
        with guard.guarding(current.Invocation(None, None, {})) as guarded:  # type: ignore[arg-type]
            guarded.call(others_work)

    def work():
        may_start.set()
        is_up.wait(PATIENCE_S)
        started.append(sleeper())

    thread = threading.Thread(target=other)
    thread.start()
    try:
        assert is_open.wait(PATIENCE_S)
        timed_out(work)

        assert [is_running(process.pid) for process in started] == [True, False]
    finally:
        may_end.set()
        thread.join()


def test_outside_of_the_main_thread_it_is_the_same(started):
    """The thread that is left behind loses its children, which may be what it waits for."""
    ended = threading.Event()

    def work():
        started.append(sleeper())
        started[0].wait()
        ended.set()

    def job():
        invocation = current.Invocation(time.monotonic() + 1, None, {})  # type: ignore[arg-type]
        with contextlib.suppress(DeadlineExceeded), guard.guarding(invocation) as guarded:
            guarded.call(work)

    thread = threading.Thread(target=job)
    thread.start()
    thread.join(PATIENCE_S)

    assert ended.wait(PATIENCE_S)
    assert until(lambda: not left_threads())


def test_what_the_program_starts_meanwhile_is_not_the_jobs(started):
    """A job in a thread of a larger program, whose main thread has children of its own."""
    is_up = threading.Event()

    def work():
        started.append(sleeper())
        is_up.set()
        started[0].wait()

    def job():
        invocation = current.Invocation(time.monotonic() + 1, None, {})  # type: ignore[arg-type]
        with contextlib.suppress(DeadlineExceeded), guard.guarding(invocation) as guarded:
            guarded.call(work)

    thread = threading.Thread(target=job)
    thread.start()
    assert is_up.wait(PATIENCE_S)
    started.append(sleeper())
    thread.join(PATIENCE_S)

    assert started[0].wait(PATIENCE_S) == -signal.SIGKILL
    assert is_running(started[1].pid)
    assert until(lambda: not left_threads())


def test_an_exit_code_that_nobody_asks_for_is_cleared_away_a_job_later():
    """A forked child whose parent was interrupted would stay a zombie for as long as the process lives."""
    pids = []

    def work():
        pid = os.fork()
        if not pid:
            time.sleep(60)
            os._exit(0)
        pids.append(pid)

    timed_out(work)
    assert children._process(pids[0]) is not None

    with guard.guarding(current.Invocation(None, None, {})):  # type: ignore[arg-type]
        pass

    assert children._process(pids[0]) is None


def test_only_the_very_process_is_meant(started):
    """One that was given the id of a process which is gone is not touched, nor is its group."""
    started.append(shell("sleep 60 & echo $!; wait", start_new_session=True))
    member = int(started[0].stdout.readline())
    found = children._process(started[0].pid)
    assert found is not None
    found.began -= 1

    children.kill([found], children.snapshot())

    assert is_running(started[0].pid)
    assert is_running(member)
    os.killpg(started[0].pid, signal.SIGKILL)


def test_without_children_the_process_table_is_not_read():
    """The price of every job. In a process of its own: this one may have children of other tests."""
    code = """
from seekapi._worker import children
children._table = None  # to call it is an error
before = children.snapshot()
assert before == frozenset()
assert children.started_since(before) == []
children.kill([], before)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)


def test_a_name_that_looks_like_fields_is_read(started, tmp_path):
    """A program may be called `) Z 1 (`."""
    program = tmp_path / ") Z 1 ("
    program.symlink_to("/bin/sleep")
    before = children.snapshot()
    started.append(subprocess.Popen([str(program), "60"], text=True))

    found = children.started_since(before)

    assert [(process.pid, process.is_dead) for process in found] == [(started[0].pid, False)]
