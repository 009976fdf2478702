"""A handler on seekapi.run() under AWS's own runtime client, with S3 for the input and a real platform to push to.

Lambda itself reports no failure of a worker to anybody: an answer that is no envelope is a lost job.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import faults.table  # noqa: F401  (loads the faults, so that they can be named)
import pytest
from faults.server import Exchange, Fault, FaultyServer
from interop.peers import AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.ledger import Ledger
    from interop.conftest import PutInput, StartSandbox
    from interop.runtime_api import Outcome

HANDLER = """
    import time
    from seekapi import run

    def work(job_input):
        time.sleep(job_input.get("sleep_s", 0))
        if "divisor" in job_input:
            return {"quotient": 1 / job_input["divisor"]}
        if "not a number" in job_input:
            return {"price": float("nan")}
        return {"message": f"hello {job_input['name']}"}

    def handler(event, context):
        return run(event, context, work)
"""
INPUT = b'{"name": "world"}'
SIGNATURE = "0f5c6b1d9a3e47c2"


def event_for(ledger: Ledger, url: str, job: str = "job-1") -> dict[str, Any]:
    return {"job_uuid": job, "execution_token": ledger.token, "input_presigned_url": url}


def pushed(ledger: Ledger) -> list[tuple[str, Any]]:
    """What the platform holds: (job, data) per push, in order."""
    return [(effect.job, effect.detail) for effect in ledger.effects if effect.kind == "push"]


def registered(ledger: Ledger) -> dict[str, str]:
    """The request id that each job was registered under."""
    return {effect.job: effect.detail for effect in ledger.effects if effect.kind == "register"}


def assert_nothing_leaked(outcome: Outcome, ledger: Ledger, *more: str) -> None:
    for secret in (ledger.secret, ledger.token, *more):
        assert secret not in outcome.body.decode()
        assert secret not in outcome.log


class CutWhileFrozen:
    """A fault: answers as it should, and ends the connection when the sandbox, served, has been frozen.

    `how` is `close` (FIN) or `reset` (RST). `wait()` returns when the cut is made.
    """

    def __init__(self, how: str) -> None:
        self.fault = Fault(f"{how} while frozen", "request", self._act)
        self._how = how
        self._cuts = threading.Semaphore(0)

    def wait(self) -> None:
        assert self._cuts.acquire(timeout=10)

    def _act(self, exchange: Exchange) -> None:
        exchange.respond(*exchange.process())
        exchange.wait(0.1)
        getattr(exchange.connection, self._how)()
        self._cuts.release()


@pytest.fixture
def input_url(ledger: Ledger) -> Iterator[str]:
    """A presigned URL on a storage that works."""
    with FaultyServer(ledger, input_body=INPUT) as storage:
        yield f"{storage.url}/job-inputs/job-1.json?X-Amz-Signature={SIGNATURE}"


# a hundred jobs in one process --------------------------------------------------------------------------------


# Lambda's runtimes up to 3.11 wait for work in the main thread, later ones in another.
@pytest.mark.parametrize(
    "execution_env, certificate", [("AWS_Lambda_python3.11", ""), ("AWS_Lambda_python3.13", "good")]
)
def test_a_hundred_jobs_in_one_process(
    start_sandbox: StartSandbox, put_input: PutInput, ledger: Ledger, execution_env: str, certificate: str
) -> None:
    """Each job's input comes from S3, its id is registered, its result pushed once, over connections that are kept."""
    jobs = [f"job-{n}" for n in range(100)]
    urls = {job: put_input(f"{execution_env}/{job}.json", json.dumps({"name": job}).encode()) for job in jobs}

    with FaultyServer(ledger, certificate=certificate, name="localhost") as platform:
        trust = {"SSL_CERT_FILE": str(AUTHORITY)}
        sandbox = start_sandbox(HANDLER, platform.url, trust, execution_env=execution_env)
        outcomes = {job: sandbox.invoke(event_for(ledger, urls[job], job)) for job in jobs}

    request_ids = {job: outcome.request_id for job, outcome in outcomes.items()}
    assert {job: outcome.payload for job, outcome in outcomes.items()} == {
        job: {"ok": True, "request_id": request_ids[job]} for job in jobs
    }
    assert pushed(ledger) == [(job, {"message": f"hello {job}"}) for job in jobs]
    assert registered(ledger) == request_ids
    assert {outcome.pid for outcome in outcomes.values()} == {sandbox.pid}
    assert sandbox.starts == 1
    # 200 requests. One connection would do; a registration still under way may cost another one now and then.
    assert platform.connections <= 5


def test_a_failing_handler_is_an_envelope_and_the_process_goes_on(
    start_sandbox: StartSandbox, put_input: PutInput, platform: FaultyServer, ledger: Ledger
) -> None:
    """An exception of the user's code is the platform's to show, not an error of the runtime."""
    sandbox = start_sandbox(HANDLER, platform.url)

    failing = sandbox.invoke(event_for(ledger, put_input("failing.json", b'{"divisor": 0}'), "failing"))
    working = sandbox.invoke(event_for(ledger, put_input("working.json", b'{"divisor": 2}'), "working"))

    assert failing.kind == "response"
    assert failing.payload["error"]["code"] == "WORKER_ERROR"
    assert "division by zero" in failing.payload["error"]["message"]
    assert "ZeroDivisionError" in failing.log
    assert working.payload == {"ok": True, "request_id": working.request_id}
    assert working.pid == failing.pid
    assert pushed(ledger) == [("working", {"quotient": 0.5})]


def test_an_object_that_is_not_there_is_named_as_s3_names_it(
    start_sandbox: StartSandbox, put_input: PutInput, platform: FaultyServer, ledger: Ledger
) -> None:
    """S3's own code for a missing key reaches the envelope; the signed URL does not."""
    url = put_input("there.json", INPUT)
    missing = url.replace("there.json", "elsewhere.json")

    outcome = start_sandbox(HANDLER, platform.url).invoke(event_for(ledger, missing))

    assert outcome.payload["error"]["code"] == "INPUT_UNAVAILABLE"
    assert "NoSuchKey" in outcome.payload["error"]["message"]
    assert pushed(ledger) == []
    assert_nothing_leaked(outcome, ledger, url.partition("X-Amz-Signature=")[2])


# deliver, or say so -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drip_body", "drip_headers", "stall_headers", "stall_body"])
def test_an_input_that_never_ends_is_a_failure_before_the_deadline(
    start_sandbox: StartSandbox, platform: FaultyServer, ledger: Ledger, fault: str
) -> None:
    """An input that comes too slowly is said to be unavailable while there is time to say so."""
    with FaultyServer(ledger, fault=fault, endpoint="input", input_body=INPUT) as storage:
        url = f"{storage.url}/input.json?X-Amz-Signature={SIGNATURE}"
        outcome = start_sandbox(HANDLER, platform.url).invoke(event_for(ledger, url), timeout_s=3)

    assert outcome.kind == "response"
    assert outcome.payload["error"]["code"] == "INPUT_UNAVAILABLE"
    assert pushed(ledger) == []
    assert_nothing_leaked(outcome, ledger, SIGNATURE)


@pytest.mark.parametrize("fault", ["stall_headers", "no_read_body", "rst_mid_body", "http_503_forever", "html_200"])
def test_a_push_that_gets_no_good_answer_is_a_failure_before_the_deadline(
    start_sandbox: StartSandbox, input_url: str, ledger: Ledger, fault: str
) -> None:
    """A result that may be lost is never reported as delivered, and never kept twice."""
    with FaultyServer(ledger, fault=fault, endpoint="push") as platform:
        outcome = start_sandbox(HANDLER, platform.url).invoke(event_for(ledger, input_url), timeout_s=3)

    assert outcome.kind == "response"
    assert outcome.payload["error"]["code"] == "DELIVERY_FAILED", (outcome.payload, outcome.log)
    assert len(pushed(ledger)) <= 1
    assert_nothing_leaked(outcome, ledger, SIGNATURE)


def test_a_push_that_stalls_after_long_work_is_a_failure_before_the_deadline(
    start_sandbox: StartSandbox, put_input: PutInput, ledger: Ledger
) -> None:
    """However little the work left of the time, it is enough to say that the result is not delivered."""
    url = put_input("long-work.json", b'{"name": "world", "sleep_s": 2}')

    with FaultyServer(ledger, fault="stall_headers", endpoint="push") as platform:
        outcome = start_sandbox(HANDLER, platform.url).invoke(event_for(ledger, url), timeout_s=3)

    assert outcome.kind == "response"
    assert outcome.payload["error"]["code"] == "DELIVERY_FAILED", (outcome.payload, outcome.log)


@pytest.mark.parametrize("fault", ["rst_mid_body_once", "response_lost_once", "http_503_once", "stall_headers_once"])
def test_a_push_that_fails_once_is_delivered_once(
    start_sandbox: StartSandbox, input_url: str, ledger: Ledger, fault: str
) -> None:
    """A retry that the platform can recognise: the result is there, one time, and the run says so."""
    with FaultyServer(ledger, fault=fault, endpoint="push") as platform:
        outcome = start_sandbox(HANDLER, platform.url).invoke(event_for(ledger, input_url), timeout_s=10)

    assert outcome.payload == {"ok": True, "request_id": outcome.request_id}
    assert pushed(ledger) == [("job-1", {"message": "hello world"})]
    assert ledger.rewritten == []


@pytest.mark.parametrize(
    "fault", ["no_status_line", "stall_headers", "http_401", "rst_mid_headers", "header_flood_count"]
)
def test_a_registration_that_fails_costs_nothing(
    start_sandbox: StartSandbox, input_url: str, ledger: Ledger, fault: str
) -> None:
    """Registering informs: whatever comes back, or does not, the result is delivered once."""
    with FaultyServer(ledger, fault=fault, endpoint="register") as platform:
        outcome = start_sandbox(HANDLER, platform.url).invoke(event_for(ledger, input_url), timeout_s=3)

    assert outcome.payload == {"ok": True, "request_id": outcome.request_id}
    assert pushed(ledger) == [("job-1", {"message": "hello world"})]


def test_a_result_that_is_not_json_is_a_failure_that_says_where(
    start_sandbox: StartSandbox, put_input: PutInput, platform: FaultyServer, ledger: Ledger
) -> None:
    """NaN is no JSON: nothing is pushed, and the message leads to it."""
    url = put_input("nan.json", b'{"not a number": true}')

    outcome = start_sandbox(HANDLER, platform.url).invoke(event_for(ledger, url))

    assert outcome.payload["error"]["code"] == "WORKER_ERROR"
    assert "result.price" in outcome.payload["error"]["message"]
    assert pushed(ledger) == []


def test_a_file_is_no_input_on_lambda(start_sandbox: StartSandbox, platform: FaultyServer, ledger: Ledger) -> None:
    """An event cannot make the worker read a file of its sandbox."""
    sandbox = start_sandbox(HANDLER, platform.url)
    (sandbox.task_root / "input.json").write_bytes(INPUT)

    outcome = sandbox.invoke(event_for(ledger, (sandbox.task_root / "input.json").as_uri()))

    assert outcome.payload["error"]["code"] == "INPUT_UNAVAILABLE"
    assert pushed(ledger) == []


def test_an_unset_secret_is_said_before_the_work_is_done(
    start_sandbox: StartSandbox, input_url: str, platform: FaultyServer, ledger: Ledger
) -> None:
    """Without the secret nothing could be delivered: the failure names the variable."""
    sandbox = start_sandbox(HANDLER, platform.url, environ={"WORKER_INTERNAL_SECRET": ""})

    outcome = sandbox.invoke(event_for(ledger, input_url))

    assert outcome.payload["error"]["code"] == "CONFIGURATION_ERROR"
    assert "WORKER_INTERNAL_SECRET" in outcome.payload["error"]["message"]
    assert platform.requests == []


# freeze and thaw ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_thawed_worker_with_dead_sockets_delivers_once(start_sandbox: StartSandbox, ledger: Ledger, how: str) -> None:
    """Connections that were dropped while the sandbox was frozen cost no job, no registration and no second push."""
    jobs = [f"job-{n}" for n in range(5)]
    of_storage, of_platform = CutWhileFrozen(how), CutWhileFrozen(how)

    outcomes = {}
    with (
        FaultyServer(ledger, fault=of_storage.fault, input_body=INPUT) as storage,
        FaultyServer(ledger, fault=of_platform.fault, endpoint="push") as platform,
    ):
        sandbox = start_sandbox(HANDLER, platform.url, freeze=True)
        for job in jobs:
            outcomes[job] = sandbox.invoke(event_for(ledger, f"{storage.url}/{job}.json", job))
            of_storage.wait()
            of_platform.wait()

    request_ids = {job: outcome.request_id for job, outcome in outcomes.items()}
    assert {job: outcome.payload for job, outcome in outcomes.items()} == {
        job: {"ok": True, "request_id": request_ids[job]} for job in jobs
    }
    assert pushed(ledger) == [(job, {"message": "hello world"}) for job in jobs]
    assert registered(ledger) == request_ids
    assert {outcome.pid for outcome in outcomes.values()} == {sandbox.pid}


def test_a_freeze_in_the_middle_of_a_push_delivers_once(
    start_sandbox: StartSandbox, input_url: str, ledger: Ledger
) -> None:
    """The answer came while the sandbox was frozen: it is read on thaw, and nothing is sent again."""
    with FaultyServer(ledger, fault="frozen_mid_request", endpoint="push") as platform:
        sandbox = start_sandbox(HANDLER, platform.url)
        invocation = sandbox.submit(event_for(ledger, input_url), timeout_s=15)
        platform.client_pid = sandbox.pid
        outcome = sandbox.wait(invocation)

    assert outcome.payload == {"ok": True, "request_id": outcome.request_id}
    assert pushed(ledger) == [("job-1", {"message": "hello world"})]
