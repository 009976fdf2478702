"""worker(setup=...): once per process, before the input is fetched; its time and its failure are called by name."""

from __future__ import annotations

import logging
import re
import threading
import time

import pytest

import seekapi
from worker.conftest import LambdaContext


def test_setup_runs_once_before_the_input_is_fetched(platform):
    """And its value is job.setup."""
    loads, models = [], []

    def load():
        loads.append(len(platform.server.requests))
        return "the model"

    @seekapi.worker(setup=load)
    def handler(job_input, job):
        """Says hello."""
        models.append(job.setup)

    assert loads == []
    for _ in range(3):
        assert handler(platform.event, None) == {"ok": True}

    assert loads == [0] and models == ["the model"] * 3
    assert (handler.__name__, handler.__doc__) == ("handler", "Says hello.")


def test_setup_may_be_given_beside_the_function(platform):
    """worker(fn, setup=load); a function that takes no Job has it in its own module."""
    loads = []

    handler = seekapi.worker(lambda job_input: len(loads), setup=lambda: loads.append(1))

    assert handler(platform.event, None) == {"ok": True}
    assert platform.pushes == [1]


def test_worker_without_arguments_is_a_decorator_too(platform):
    """People write `@worker()`."""

    @seekapi.worker()
    def handler(job_input):
        return "done"

    assert handler(platform.event, None) == {"ok": True}


def test_its_time_is_logged(platform, caplog):
    """So that a slow cold start has a name."""
    caplog.set_level(logging.INFO, "seekapi")

    seekapi.worker(lambda job_input: 1, setup=lambda: None)(platform.event, None)

    [record] = [record for record in caplog.records if record.getMessage().startswith("setup took ")]
    assert record.levelno == logging.INFO


@pytest.mark.parametrize(
    "error, message",
    [
        (ValueError("no such model"), "setup failed: no such model"),
        (KeyError("model"), "setup failed: KeyError: 'model'"),
        (SystemExit(3), "setup failed: SystemExit: 3"),
        (seekapi.Fail("NO_MODEL", "not here"), "setup failed: not here"),
        (seekapi.ConfigurationError("MODEL is not set"), "setup failed: MODEL is not set"),
    ],
)
def test_a_failure_is_the_workers_and_is_tried_again(platform, caplog, error, message):
    """At the next job; nothing is fetched, and the log leads to the line."""
    tries = []

    def load():
        tries.append(1)
        if len(tries) == 1:
            raise error
        return "loaded"

    handler = seekapi.worker(lambda job_input, job: job.setup, setup=load)
    first, second = handler(platform.event, None), handler(platform.event, None)

    assert first["error"] == {"code": "WORKER_ERROR", "message": message}
    assert re.search(r"setup failed after \d\.\d{3} s; the next job tries again", caplog.text)
    assert "in load" in caplog.text and "raise error" in caplog.text
    assert second == {"ok": True} and platform.pushes == ["loaded"]


def test_an_asynchronous_setup_is_refused(platform):
    """When it is given, if that can be told; else when it runs."""

    async def load():
        return 1

    with pytest.raises(seekapi.ArgumentError, match="plain function"):
        seekapi.worker(setup=load)
    with pytest.raises(seekapi.ArgumentError, match="setup must be a function, not str"):
        seekapi.worker(setup="load")

    envelope = seekapi.worker(lambda job_input: 1, setup=lambda: load())(platform.event, None)

    assert envelope["error"]["message"] == "setup failed: it is asynchronous; it must be a plain function"


def test_jobs_that_come_meanwhile_wait_for_it(platform):
    """Two threads, one load."""
    loads, answers = [], []

    def load():
        loads.append(1)
        time.sleep(0.2)
        return "loaded"

    handler = seekapi.worker(lambda job_input, job: job.setup, setup=load)
    events = [{**platform.event, "job_uuid": f"job-{number}"} for number in range(4)]
    threads = [threading.Thread(target=lambda event=event: answers.append(handler(event, None))) for event in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert answers == [{"ok": True}] * 4 and loads == [1]
    assert platform.pushes == ["loaded"] * 4


def test_a_job_does_not_wait_longer_than_it_has_time(platform):
    """Another one may be loading for longer than that."""
    begun, go_on, was_told = threading.Event(), threading.Event(), []

    def load():
        begun.set()
        was_told.append(go_on.wait(20))

    handler = seekapi.worker(lambda job_input: 1, setup=load)
    other = threading.Thread(target=handler, args=({**platform.event, "job_uuid": "other"}, None))
    other.start()
    assert begun.wait(20)

    envelope = handler(platform.event, LambdaContext(2_000, None))
    go_on.set()
    other.join(20)

    assert envelope["error"]["code"] == "TIMEOUT" and was_told == [True]


def test_a_setup_that_takes_too_long_is_a_timeout(platform, caplog):
    """It is user code, under the same guard; the next job tries again."""
    patience_s = [30.0, 0.0]
    handler = seekapi.worker(lambda job_input, job: job.setup, setup=lambda: time.sleep(patience_s.pop(0)))

    assert handler(platform.event, LambdaContext(1_200, None))["error"]["code"] == "TIMEOUT"
    assert "setup was interrupted after" in caplog.text
    assert platform.server.requests == []
    assert handler(platform.event, None) == {"ok": True}
