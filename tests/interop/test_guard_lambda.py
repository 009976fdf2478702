"""A handler that takes too long, under AWS's own runtime client and a Lambda that kills at the deadline.

Whatever it does with its time, an envelope comes before the kill, what it had pushed is there, and the next job finds
the process as the first one did.
"""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from faults.server import FaultyServer

if TYPE_CHECKING:
    from faults.ledger import Ledger
    from interop.conftest import StartSandbox
    from interop.runtime_api import Outcome, Sandbox

# Room for a busy machine; the guard itself keeps 0.6 s free of any limit up to 30 s.
LIMIT_S = 2.0
PATIENCE_S = 10.0
HANDLER = '''
    import asyncio, os, signal, socket, subprocess, threading, time
    from concurrent.futures import ThreadPoolExecutor
    from seekapi import run

    def state():
        """What one job must not change for the next."""
        children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
        names = "SIGALRM", "SIGTERM", "SIGINT", "SIGCHLD"
        return {
            "handlers": [str(signal.getsignal(getattr(signal, name))) for name in names],
            "timer": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
            # Of those that the handler itself has started nobody knows how to end them.
            "threads": [thread.name for thread in threading.enumerate() if thread.name != "seekapi-async_0"],
            "children": [pid for pid in children if "Z" not in open(f"/proc/{pid}/stat").read().rpartition(")")[2]],
        }

    def sleep(job):
        time.sleep(60)

    def loop(job):
        while True:
            pass

    def receive(job):
        here, there = socket.socketpair()
        here.recv(1)

    def swallow_exceptions(job):
        while True:
            try:
                time.sleep(60)
            except Exception:
                pass

    def swallow_once(job):
        try:
            time.sleep(60)
        except BaseException:
            time.sleep(60)

    def swallow_and_return(job):
        try:
            time.sleep(60)
        except BaseException:
            return "all is well"

    async def await_(job):
        await asyncio.sleep(60)

    async def await_and_swallow(job):
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

    async def loop_in_async(job):
        while True:
            pass

    async def block_in_async(job):
        time.sleep(60)

    async def wait_for_a_thread(job):
        await asyncio.to_thread(time.sleep, 4)

    async def yield_in_async(job):
        yield "one"
        await asyncio.sleep(60)

    def yield_(job):
        yield "one"
        time.sleep(60)

    def run_child(job):
        subprocess.run(["sleep", "61"])

    def run_grandchild(job):
        subprocess.run("sleep 61 & wait", shell=True)

    def run_in_the_background(job):
        subprocess.Popen(["sh", "-c", "sleep 61 & sleep 61"], start_new_session=True)
        time.sleep(60)

    def run_in_pipes(job):
        subprocess.check_output("sleep 61; true", shell=True)

    def clean_up(job):
        try:
            time.sleep(60)
        finally:
            job.log.warning("cleaned up")

    def refuse_to_end(job):
        while True:
            try:
                time.sleep(60)
            except BaseException:
                print("swallowed", flush=True)

    late_push = []

    def push_late(job):
        time.sleep(2)
        try:
            job.push_data("too late")
        except BaseException as error:
            late_push.append(type(error).__name__)

    def handler(event, context):
        if event["do"] == "state":
            return state()
        if event["do"] == "late push":
            while not late_push:
                time.sleep(0.01)
            return late_push
        function = globals()[event["do"]]
        if event["do"].endswith(("async", "await_", "swallow", "thread")) or event["do"] == "yield_":
            return run(event, context, function)

        def work(job_input, job):
            job.push_data("before")
            return function(job)

        if event.get("thread"):
            return ThreadPoolExecutor(1).submit(run, event, context, work).result()
        return run(event, context, work)
'''
PLAIN = ["sleep", "loop", "receive", "swallow_exceptions", "swallow_once", "swallow_and_return"]
ASYNC = ["await_", "await_and_swallow", "loop_in_async", "block_in_async", "wait_for_a_thread"]
YIELDING = ["yield_", "yield_in_async"]
PROCESSES = ["run_child", "run_grandchild", "run_in_the_background", "run_in_pipes"]
PUSHED = {do: ["before"] for do in PLAIN + PROCESSES} | {do: [] for do in ASYNC} | {do: ["one"] for do in YIELDING}


@pytest.fixture
def sandbox(start_sandbox: StartSandbox, platform: FaultyServer) -> Sandbox:
    return start_sandbox(HANDLER, platform.url)


def event_for(ledger: Ledger, url: str, do: str) -> dict[str, Any]:
    return {
        "job_uuid": f"job-{do}",
        "execution_token": ledger.token,
        "input_presigned_url": f"{url}/input.json?X-Amz-Signature=0f5c6b1d",
        "do": do,
    }


def pushed(ledger: Ledger) -> list[Any]:
    return [effect.detail for effect in ledger.effects if effect.kind == "push"]


def are_sleepers_left() -> bool:
    """Whether a `sleep 61` is still there."""
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:  # empty if it is a zombie
                if file.read() == b"sleep\061\0":
                    return True
        except OSError:
            continue
    return False


def until(condition: Any) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return value


def code(outcome: Outcome) -> str:
    assert outcome.kind == "response", outcome.log
    return str(outcome.payload.get("error", {}).get("code", "ok"))


@pytest.mark.parametrize("do", PLAIN + ASYNC + YIELDING + PROCESSES)
def test_a_late_handler_is_answered_for_before_the_kill(
    sandbox: Sandbox, platform: FaultyServer, ledger: Ledger, do: str
) -> None:
    """The envelope says TIMEOUT, and where; what was pushed stays pushed; nothing is left for the next job to find."""
    before = sandbox.invoke({"do": "state"})

    late = sandbox.invoke(event_for(ledger, platform.url, do), timeout_s=LIMIT_S)
    after = sandbox.invoke({"do": "state"})

    assert code(late) == "TIMEOUT", late.payload
    assert re.match(rf"timed out after 1\.\d s at function\.py:\d+ in {do}: ", late.payload["error"]["message"])
    assert pushed(ledger) == PUSHED[do]
    assert (after.pid, after.payload) == (before.pid, before.payload)
    if do in PROCESSES:
        assert until(lambda: not are_sleepers_left())


@pytest.mark.parametrize("remaining_s", [0.0, -5.0])
def test_with_no_time_left_nothing_is_begun(
    start_sandbox: StartSandbox, platform: FaultyServer, ledger: Ledger, remaining_s: float
) -> None:
    """A verdict all the same, for whoever still reads it."""
    sandbox = start_sandbox(HANDLER, platform.url, kill_at_deadline=False)

    outcome = sandbox.invoke(event_for(ledger, platform.url, "sleep"), timeout_s=remaining_s)

    assert code(outcome) == "TIMEOUT"
    assert platform.requests == []


def test_in_a_thread_the_verdict_does_not_wait_for_the_handler(
    sandbox: Sandbox, platform: FaultyServer, ledger: Ledger
) -> None:
    """It goes on, since nobody can end it; but what it still pushes is refused."""
    late = sandbox.invoke({**event_for(ledger, platform.url, "push_late"), "thread": True}, timeout_s=LIMIT_S)
    afterwards = sandbox.invoke({"do": "late push"}, timeout_s=PATIENCE_S)

    assert code(late) == "TIMEOUT"
    assert "in push_late: time.sleep(2)" in late.payload["error"]["message"]
    assert afterwards.payload == ["DeadlineExceeded"]
    assert pushed(ledger) == ["before"]


def test_sigterm_cancels_the_job_and_not_the_process(sandbox: Sandbox, platform: FaultyServer, ledger: Ledger) -> None:
    """The handler cleans up, the envelope says CANCELLED, and where; the next job finds all as it was."""
    before = sandbox.invoke({"do": "state"})

    running = sandbox.submit(event_for(ledger, platform.url, "clean_up"), timeout_s=30)
    assert until(lambda: pushed(ledger))
    os.kill(sandbox.pid, signal.SIGTERM)
    outcome = sandbox.wait(running)
    after = sandbox.invoke({"do": "state"})

    assert code(outcome) == "CANCELLED"
    assert "cancelled by SIGTERM at function.py:" in outcome.payload["error"]["message"]
    assert "cleaned up" in outcome.log
    assert pushed(ledger) == ["before"]
    assert (after.pid, after.payload) == (before.pid, before.payload)


def test_the_second_sigterm_ends_the_process(sandbox: Sandbox, platform: FaultyServer, ledger: Ledger) -> None:
    """Whatever the handler does with the first."""
    running = sandbox.submit(event_for(ledger, platform.url, "refuse_to_end"), timeout_s=30)
    assert until(lambda: pushed(ledger))
    os.kill(sandbox.pid, signal.SIGTERM)
    assert until(lambda: "swallowed" in sandbox.log())
    time.sleep(0.1)  # what comes within 20 ms is the same signal
    os.kill(sandbox.pid, signal.SIGTERM)
    outcome = sandbox.wait(running)

    assert outcome.kind == "exit"
    assert sandbox.process is not None
    assert sandbox.process.returncode == -signal.SIGTERM
