"""The low-level calls against a platform on a real socket: checked at the border, kept or a typed error."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import time

import pytest
from faults.server import wait_until

import seekapi
from seekapi import _settings
from seekapi._backends import choose_backend
from seekapi._worker import current
from worker.conftest import SECRET, TOKEN


@pytest.fixture
def job(platform):
    return seekapi.create_context(platform.event)


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "report.csv"
    path.write_bytes(b"a,b\n1,2\n")
    return path


def test_the_context_is_the_documented_dict(platform, job):
    """Four strings; the two that give access print as a mask."""
    assert job == {
        "job_uuid": "job-1",
        "execution_token": TOKEN,
        "api_base": platform.server.url,
        "secret": SECRET,
    }
    assert SECRET not in repr(job) and TOKEN not in repr(job)
    assert json.loads(json.dumps(job)) == job


def test_a_context_is_made_of_what_is_there(monkeypatch):
    """Nothing is refused yet: the call that needs a field says so."""
    monkeypatch.delenv("WORKER_API_BASE_URL", raising=False)
    monkeypatch.delenv("WORKER_INTERNAL_SECRET", raising=False)

    assert seekapi.create_context({"job_uuid": " j "}) == {
        "job_uuid": "j",
        "execution_token": "",
        "api_base": "",
        "secret": "",
    }


def test_every_call_reaches_the_platform(platform, job, report):
    """One effect each, with the documented reply."""
    assert seekapi.get_input(platform.event) == {}
    assert seekapi.push_data(job, {"a": "é"}) == {"ok": True}
    assert seekapi.push_file(job, "report.csv", report) == {"ok": True}
    assert seekapi.charge(job, " page:1 ", 2, justification={"why": "a page"})["metered_event_count"] == 2
    assert seekapi.register_request_id("job-1", "req-9") is None

    assert platform.pushes == [{"a": "é"}]
    assert [detail["name"] for detail in platform.details("file")] == ["report.csv"]
    assert platform.details("charge")[0]["justification"] == {"why": "a page"}
    assert platform.details("charge")[0]["idempotency_key"] == "page:1"
    assert platform.details("register") == ["req-9"]


def test_equal_pushes_are_two_and_a_callers_key_makes_them_one(platform, job):
    """Without a key the content and its occurrence count, with one the key."""
    for key in (None, None, "k", "k"):
        seekapi.push_data(job, 1, idempotency_key=key)

    assert platform.pushes == [1, 1, 1]


def test_equal_pushes_are_two_through_any_context(platform, job):
    """A handler may make its context anew for every push, copy it, or fork with it."""
    for context in (job, dict(job), copy.deepcopy(job), seekapi.create_context(platform.event)):
        seekapi.push_data(context, "tick")
    for pid in [_pushing_child(job) for _ in range(2)]:
        assert os.waitpid(pid, 0)[1] == 0

    assert platform.pushes == ["tick"] * 6


def _pushing_child(job) -> int:
    pid = os.fork()
    if pid == 0:
        seekapi.push_data(job, "tick")
        os._exit(0)
    return pid


def test_one_key_is_not_shared_by_different_calls(platform, job):
    """A platform that keeps all keys in one place must not take the second call for the first."""
    seekapi.push_data(job, 1, idempotency_key="k")
    seekapi.push_file(job, "n", b"x", idempotency_key="k")
    seekapi.charge(job, "k")

    keys = [request.header("idempotency-key") for request in platform.server.requests]
    assert len(set(keys)) == 3


def test_a_plain_dict_will_do_as_context(platform, job):
    """Programs of 1.0 build it by hand."""
    plain = dict(job)

    seekapi.push_data(plain, 1)
    seekapi.push_data(plain, 1)

    assert platform.pushes == [1, 1]


@pytest.mark.parametrize("kind", [str, lambda path: path, lambda path: path.read_bytes(), lambda path: path.open("rb")])
def test_a_file_may_come_as_path_bytes_or_open_file(platform, job, report, kind):
    """The platform gets the same bytes."""
    file = kind(report)
    try:
        seekapi.push_file(job, "report.csv", file)
    finally:
        if isinstance(file, io.IOBase):
            file.close()

    assert platform.details("file")[0]["size_bytes"] == 8


@pytest.mark.parametrize("call", ["push_data", "push_file", "charge"])
@pytest.mark.parametrize(
    "missing, error, named",
    [
        ("job_uuid", seekapi.InvalidEvent, "job_uuid"),
        ("execution_token", seekapi.InvalidEvent, "execution_token"),
        ("api_base", seekapi.ConfigurationError, "WORKER_API_BASE_URL"),
        ("secret", seekapi.ConfigurationError, "WORKER_INTERNAL_SECRET"),
    ],
)
def test_an_incomplete_context_is_refused_by_every_call(platform, job, report, call, missing, error, named):
    """1.0.5 returned ok or None and sent nothing."""
    arguments = {"push_data": (1,), "push_file": ("n", report), "charge": ("k",)}[call]

    with pytest.raises(error, match=named) as caught:
        getattr(seekapi, call)({**job, missing: ""}, *arguments)

    assert isinstance(caught.value, ValueError)
    assert platform.server.requests == []


@pytest.mark.parametrize("word, is_told", [("ture", True), ("no", False), ("", False)])
def test_a_local_mode_that_is_off_by_mistake_is_named_among_what_is_missing(job, monkeypatch, word, is_told):
    """Who wrote `ture` looks for the platform's settings in vain; the value itself is not repeated."""
    monkeypatch.setenv("SEEKAPI_LOCAL_MODE", word)

    with pytest.raises(seekapi.ConfigurationError, match="not set: WORKER_API_BASE_URL") as caught:
        seekapi.push_data({**job, "api_base": ""}, 1)

    assert ("SEEKAPI_LOCAL_MODE is off" in str(caught.value)) is is_told and "ture" not in str(caught.value)


@pytest.mark.parametrize("context", [None, [], "context"])
def test_what_is_no_context_is_refused(context):
    """With a word on where to get one."""
    with pytest.raises(seekapi.ArgumentError, match="create_context"):
        seekapi.push_data(context, 1)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("",), "idempotency_key is required"),
        ((" ",), "idempotency_key is required"),
        ((None,), "idempotency_key is required"),
        ((5,), "idempotency_key must be a string"),
        (("k", 0), "count must be >= 1"),
        (("k", -1), "count must be >= 1"),
        (("k", 1.5), "count must be a whole number"),
        (("k", True), "count must be a whole number"),
        (("k", "2"), "count must be a whole number"),
        (("k", float("nan")), "count must be a whole number"),
        (("k", float("inf")), "count must be a whole number"),
        (("k", 2**53), "count must be at most 9007199254740991"),
        (("k", 10**400), "count must be at most"),
        (("k", 1, 8, []), "justification must be a JSON object"),
    ],
)
def test_a_charge_is_checked_before_it_is_sent(platform, job, arguments, words):
    """Money is not for guessing."""
    with pytest.raises(ValueError, match=words):
        seekapi.charge(job, *arguments)

    assert platform.server.requests == []


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), None, "8", True, 10**30])
@pytest.mark.parametrize("call", ["get_input", "push_data", "push_file", "charge"])
def test_a_timeout_is_a_number_of_seconds(platform, job, report, call, timeout):
    """A deadline that cannot be kept is refused before any request."""
    arguments = {
        "get_input": (platform.event,),
        "push_data": (job, 1),
        "push_file": (job, "n", report),
        "charge": (job, "k"),
    }[call]

    with pytest.raises(seekapi.ArgumentError, match="timeout"):
        getattr(seekapi, call)(*arguments, timeout=timeout)

    assert platform.server.requests == []


def test_no_time_means_no_request(platform, job):
    """Zero left means fail at once."""
    with pytest.raises(seekapi.TransportTimeout) as caught:
        seekapi.push_data(job, 1, timeout=0)

    assert caught.value.outcome == "not_sent" and caught.value.idempotency_key
    assert platform.server.requests == []


def test_inside_a_run_every_call_has_the_jobs_deadline(platform, job):
    """The low-level calls obey it without being told."""
    backend = choose_backend(_settings.read())
    with (
        current.entered(current.Invocation(time.monotonic() - 1, backend, job)),
        pytest.raises(seekapi.DeadlineExceeded),
    ):
        seekapi.push_data(job, 1)

    assert platform.server.requests == []


@pytest.mark.parametrize(
    "name, path, content_type, error",
    [
        ("n", "/nonexistent/file", None, FileNotFoundError),
        ("n\0", "report", None, seekapi.ArgumentError),
        (None, "report", None, seekapi.ArgumentError),
        ("n", "report", "text/csv\r\nX: 1", seekapi.ArgumentError),
        ("n", "folder", None, (seekapi.ArgumentError, OSError)),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused_before_any_request(
    platform, job, report, name, path, content_type, error
):
    """Nothing half-sent."""
    path = {"report": report, "folder": report.parent}.get(path, path)

    with pytest.raises(error):
        seekapi.push_file(job, name, path, content_type)

    assert platform.server.requests == []


def test_the_type_of_a_file_comes_from_its_name(platform, job, report):
    """Unless it is given."""
    seekapi.push_file(job, "report.csv", report)
    seekapi.push_file(job, "report", report, "text/x-own")

    assert wait_until(lambda: len(platform.server.bodies) == 2)  # kept after the answer
    bodies = b"".join(platform.server.bodies)
    assert b"Content-Type: text/csv\r\n" in bodies and b"Content-Type: text/x-own\r\n" in bodies


@pytest.mark.parametrize("data", [float("nan"), {1: object()}, b"x", {"a": object()}])
def test_data_that_is_not_json_is_refused_before_any_request(platform, job, data):
    """With the path of the culprit."""
    with pytest.raises(seekapi.SerializationError):
        seekapi.push_data(job, data)

    assert platform.server.requests == []


@pytest.mark.parametrize(
    "job_uuid, request_id", [("", "r"), ("job-1", ""), ("job-1", None), ("../x", "r"), ("job-1", object()), (None, "r")]
)
def test_registering_never_raises(platform, job_uuid, request_id):
    """It only informs; what cannot be registered is not."""
    assert seekapi.register_request_id(job_uuid, request_id) is None
    assert platform.details("register") == []


def test_registering_without_a_platform_costs_one_log_line(platform, monkeypatch, caplog):
    """And the line holds no secret."""
    platform.server.close()

    with caplog.at_level(logging.WARNING, "seekapi"):
        seekapi.register_request_id("job-1", "req-1", timeout=0.5)

    assert len(caplog.records) == 1 and SECRET not in caplog.text


@pytest.mark.parametrize("variable", ["WORKER_API_BASE_URL", "WORKER_INTERNAL_SECRET"])
def test_registering_is_the_one_call_that_may_be_unset(platform, monkeypatch, caplog, variable):
    """As documented for 1.0: a no-op."""
    monkeypatch.delenv(variable)

    assert seekapi.register_request_id("job-1", "req-1") is None
    assert platform.server.requests == [] and caplog.records == []


def test_a_refusal_carries_evidence_and_no_secret(platform, job):
    """Status, code and key are attributes; the token is nowhere."""
    wrong = {**job, "execution_token": "not-the-token-of-this-job"}

    with pytest.raises(seekapi.AuthError) as caught:
        seekapi.push_data(wrong, 1, idempotency_key="my-key")

    error = caught.value
    assert (error.status, error.code, error.outcome) == (403, "INVALID_EXECUTION_TOKEN", "rejected")
    assert error.idempotency_key == "my-key" and not error.retryable
    assert error.__context__ is None and error.__cause__ is None
    assert "not-the-token" not in f"{error!r}{vars(error)}"
