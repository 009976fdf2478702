"""What we log under AWS's own runtime client: it formats, we say; one record is one line where JSON is asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from interop.conftest import SECRET, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.ledger import Ledger
    from faults.server import FaultyServer
    from interop.conftest import StartSandbox

SIGNATURE = "0f5c6b1d9a3e47c2"
HANDLER = f"""
    import logging, os
    from seekapi import run

    def work(job_input, job):
        print("the handler's own output")
        job.log.info("two\\nlines of {{'a': 1}} and %s", os.environ["WORKER_INTERNAL_SECRET"], extra={{"page": 3}})
        for _ in job.track(range(1000)):
            pass
        try:
            {{}}["{TOKEN}"]
        except KeyError:
            job.log.exception("caught")
        logging.getLogger().warning("the user's own")
        raise ValueError("no price\\nin row 7 of {SIGNATURE}")

    def handler(event, context):
        return run(event, context, work)
"""


@pytest.fixture
def event(ledger: Ledger) -> Iterator[dict[str, Any]]:
    from faults.server import FaultyServer

    with FaultyServer(ledger, input_body=b"{}") as storage:
        url = f"{storage.url}/input.json?X-Amz-Signature={SIGNATURE}"
        yield {"job_uuid": "job-1", "execution_token": TOKEN, "input_presigned_url": url}


def test_each_record_of_ours_is_one_line_of_json(
    start_sandbox: StartSandbox, platform: FaultyServer, event: dict[str, Any]
) -> None:
    """With the ids of its job on it, no secret in it, and once; what the handler prints is not ours to change."""
    sandbox = start_sandbox(HANDLER, platform.url, {"AWS_LAMBDA_LOG_FORMAT": "JSON"})

    for _ in range(2):
        outcome = sandbox.invoke(event)

        lines = [json.loads(line) for line in outcome.log.splitlines() if line != "the handler's own output"]
        ours = [line for line in lines if line["logger"].startswith("seekapi")]
        assert [(line["job_uuid"], line["request_id"], line["attempt"]) for line in ours] == [
            ("job-1", outcome.request_id, 1)
        ] * len(ours)
        said, first, last, caught, failure = ours
        assert (said["message"], said["page"], said["level"]) == ("two\nlines of {'a': 1} and ***", 3, "INFO")
        assert first["seekapi_progress"] == {"done": 0, "total": 1000, "message": None}
        assert last["seekapi_progress"] == {"done": 1000, "total": 1000, "message": None}
        assert caught["traceback"].endswith("KeyError: '***'") and "errorMessage" not in caught
        assert failure["message"].startswith("job failed: WORKER_ERROR: ValueError: no price in row 7 of ***\n  at ")
        assert failure["seekapi_where"].startswith("function.py:")
        assert "Traceback" in failure["traceback"] and "seekapi/_worker" not in failure["traceback"]
        assert [line["message"] for line in lines if line not in ours] == ["the user's own"]
        assert not any(secret in outcome.log for secret in (SECRET, TOKEN, SIGNATURE))


def test_text_is_what_the_runtime_makes_of_it(
    start_sandbox: StartSandbox, platform: FaultyServer, event: dict[str, Any]
) -> None:
    """Each record once, in the runtime's own format, the traceback with it."""
    outcome = start_sandbox(HANDLER, platform.url).invoke(event)

    assert outcome.log.count("[INFO]\t") == 3
    assert outcome.log.count("job failed: WORKER_ERROR: ValueError: no price in row 7 of ***\n  at function.py:") == 1
    assert outcome.log.count("Traceback (most recent call last):") == 2
    assert not any(secret in outcome.log for secret in (SECRET, TOKEN, SIGNATURE))


def test_the_level_is_lambdas(start_sandbox: StartSandbox, platform: FaultyServer, event: dict[str, Any]) -> None:
    """Who wants errors only gets no progress."""
    environ = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "ERROR"}
    outcome = start_sandbox(HANDLER, platform.url, environ).invoke(event)

    levels = [json.loads(line)["level"] for line in outcome.log.splitlines() if line.startswith("{")]
    assert levels == ["ERROR", "ERROR"]
