"""Client against a service as it is met in the field, and against one that answers nonsense."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timezone

import pytest
from transport.loopback import Peer

from seekapi import (
    ApiError,
    ArgumentError,
    AuthError,
    Client,
    ConfigurationError,
    ConnectError,
    InvalidRequestError,
    NotFoundError,
    SerializationError,
    TransportError,
    _settings,
)

from .service import Service

JOB = b'{"job_id": "j1", "status": "completed"}'


def answer(body: bytes, status: int = 200, *headers: str) -> bytes:
    fields = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


def test_a_job_from_submission_to_result(client, service):
    """Submit, read, report, complete: each call returns the job as it then is."""
    job = client.jobs.submit({"name": "ada"})
    assert (job.status, job.input, job.errors, job.ok, job.is_final) == ("queued", {"name": "ada"}, [], False, False)
    assert job.registered_at == datetime.fromtimestamp(1_795_358_348, timezone.utc)
    assert client.jobs.get(job.id).id == job.id

    told = client.jobs.update(job.id, "processing", warnings="slow", errors=["one", "two"])
    assert (told.status, told.warnings, told.errors) == ("processing", ["slow"], ["one", "two"])

    done = client.jobs.complete(job.id, {"result_count": 3})
    assert (done.ok, done.is_final, done.result_count, done.output) == (True, True, 3, {"result_count": 3})
    assert done.completed_at is not None
    assert client.jobs.result(job.id).values == [{"result_count": 3}]
    assert client.health() is True


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda client: Client(client.url, api_key=5), "api_key must be a string, not int"),
        (lambda client: Client(client.url, username="ada", password=b"x"), "password must be a string, not bytes"),
        (lambda client: Client(client.url, timeout="5"), "timeout must be a number"),
        (lambda client: client.jobs.get(client.jobs), "a job id is a text, not Jobs; a job has it as .id"),
        (lambda client: client.jobs.list(limit="x"), "limit must be a whole number, not str"),
        (lambda client: client.jobs.list(limit=1.5), "limit must be a whole number, not float"),
        (lambda client: client.jobs.list(limit=True), "limit must be a whole number, not bool"),
        (lambda client: client.jobs.list(limit=0), "limit must be at least 1"),
        (lambda client: client.jobs.list(status=5), "status must be a string, not int"),
        (lambda client: client.jobs.list(since=[1]), "since must be a datetime"),
        (lambda client: client.jobs.list(job_ids="j1"), "job_ids must be a list of strings, not str"),
        (lambda client: client.jobs.list(job_ids=["j1", 2]), "each of job_ids must be a string, not int"),
        (lambda client: client.jobs.update("j1", 5), "status must be a string, not int"),
        (lambda client: client.jobs.update("j1", "error", errors=[None]), "each of errors must be a string"),
        (lambda client: client.jobs.update("j1", "error", warnings=5), "warnings must be a list of strings, not int"),
        (lambda client: client.jobs.events("j1", after="x"), "after must be a whole number, not str"),
        (lambda client: client.jobs.events("j1", after=-1), "after must be at least 0"),
        (lambda client: client.jobs.events("j1", after=2**63), "after is too large"),
        (lambda client: client.jobs.events("j1", kinds="log"), "kinds must be a list of strings, not str"),
        (lambda client: client.jobs.events("j1", kinds=None), "kinds must be a list of strings, not NoneType"),
        (lambda client: client.jobs.download("j1", 5), "file must be a string, not int"),
        (lambda client: client.jobs.download("j1", None), "file must be a string, not NoneType"),
        (lambda client: client.jobs.download("j1", ""), "file must not be empty"),
        (lambda client: client.jobs.download("j1", "f", to=5), "to must be a path, not int"),
        (lambda client: client.jobs.download("j1", "f", to=""), "to must be a path, not ''"),
        (lambda client: client.jobs.submit({}, idempotency_key=5), "an idempotency key is"),
        (lambda client: client.settings.update([1]), "settings are a dict of fields, not list"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named_before_anything_is_sent(client, service, call, told):
    """Also by the calls that send nothing until they are iterated over."""
    with pytest.raises(ArgumentError, match=re.escape(told)):
        call(client)
    assert service.requests == []


def test_an_older_fork_leaves_out_fields():
    """What is missing is empty."""
    with Service(old_fork=True) as service, Client(service.url) as client:
        job = client.jobs.submit({"name": "x"})

    assert (job.errors, job.warnings, job.result_count, job.settings, job.output) == ([], [], 0, None, None)


def test_odd_fields_are_as_if_they_were_not_there(serve):
    """A number for a moment, a text for a list, an unknown status: nothing falls over, and `.raw` has it all."""
    body = json.dumps(
        {"job_id": "j", "status": "sleeping", "registered_datetime": "soon", "updated_datetime": 1e300, "errors": "no"}
    ).encode()
    server = serve(lambda peer: peer.answer_all(answer(body)))

    with Client(server.url) as client:
        job = client.jobs.get("j")

    assert (job.status, job.is_final, job.errors) == ("sleeping", False, [])
    assert (job.registered_at, job.updated_at) == (None, None)
    assert job.raw["errors"] == "no"


@pytest.mark.parametrize(
    "payload, problems, told",
    [
        ({}, ("name: Field required",), "name: Field required"),
        ([1], ("Input should be a valid dictionary or instance of RequestModel",), "valid dictionary"),
        ({"name": "refused by the transform"}, (), "invalid input: name is taken"),
    ],
)
def test_both_shapes_of_a_422_are_one_error(client, payload, problems, told):
    """The bare array and the message; `.problems` has a line for each entry."""
    with pytest.raises(InvalidRequestError, match=told) as caught:
        client.jobs.submit(payload)

    assert (caught.value.status, caught.value.problems) == (422, problems)


def test_an_input_that_is_not_json_is_refused_before_anything_is_sent(client, service):
    """The error leads to the culprit."""
    with pytest.raises(SerializationError, match=r"input\.price is NaN"):
        client.jobs.submit({"price": float("nan")})

    assert service.requests == []


def test_an_unknown_job_is_not_found(client):
    """As the service says it."""
    with pytest.raises(NotFoundError, match="job_id\\(nobody\\) not found"):
        client.jobs.get("nobody")


@pytest.mark.parametrize("job_id", ["", "  ", "a\nb", "x" * 600, None, 7])
def test_what_cannot_be_an_id_is_refused(client, service, job_id):
    """An empty id would ask for the list of all jobs."""
    with pytest.raises(ArgumentError, match="a job id is"):
        client.jobs.get(job_id)

    assert service.requests == []


@pytest.mark.parametrize(
    "call",
    [
        lambda jobs: list(jobs.list(status="\ud800")),
        lambda jobs: list(jobs.events("j1", kinds=["\ud800"])),
        lambda jobs: list(jobs.events("j1", after=10**5000)),
        lambda jobs: list(jobs.events("j1", after=-1)),
    ],
)
def test_what_cannot_be_asked_for_is_refused(client, service, call):
    """As what it is, a wrong argument, and before anything is sent."""
    with pytest.raises(ArgumentError):
        call(client.jobs)

    assert service.requests == []


@pytest.mark.parametrize("job_id", ["../settings", "a/b", "..", "?x=1", "a%2Fb", "é"])
def test_an_id_stays_in_its_segment(client, service, job_id):
    """Whatever an id holds, the path has two segments and no query."""
    with pytest.raises(NotFoundError):
        client.jobs.get(job_id)

    (path,) = (target for _, target, _, _ in service.requests)
    assert path.startswith("/jobs/") and path.count("/") == 2 and "?" not in path
    assert path.rpartition("/")[2] not in ("", ".", "..")


# Where, and with what


def test_the_environment_says_where_and_with_what(service, monkeypatch):
    """SEEKAPI_URL and SEEKAPI_API_KEY, unless the caller says otherwise."""
    monkeypatch.setenv("SEEKAPI_URL", service.url + "/")
    monkeypatch.setenv("SEEKAPI_API_KEY", "key-from-the-environment")
    with Client() as client:
        client.health()
    with Client(username="ada", password="pass word") as client:
        client.health()
    with Client(api_key="key-of-the-caller") as client:
        client.health()

    assert [headers["Authorization"] for _, _, headers, _ in service.requests] == [
        "Bearer key-from-the-environment",
        "Basic " + base64.b64encode(b"ada:pass word").decode(),
        "Bearer key-of-the-caller",
    ]
    assert service.requests[0][1] == "/healthcheck"


def test_a_login_of_the_environment(service, monkeypatch):
    """SEEKAPI_USERNAME and SEEKAPI_PASSWORD, before its key, unless the caller says otherwise; both unseen."""
    monkeypatch.setenv("SEEKAPI_URL", service.url)
    monkeypatch.setenv("SEEKAPI_API_KEY", "key-from-the-environment")
    monkeypatch.setenv("SEEKAPI_USERNAME", "eve")
    monkeypatch.setenv("SEEKAPI_PASSWORD", " s3cret pass ")
    for arguments in ({}, {"username": "ada", "password": "p"}, {"api_key": "key-of-the-caller"}):
        with Client(**arguments) as client:
            client.health()

    assert [headers["Authorization"] for _, _, headers, _ in service.requests] == [
        "Basic " + base64.b64encode(b"eve: s3cret pass ").decode(),
        "Basic " + base64.b64encode(b"ada:p").decode(),
        "Bearer key-of-the-caller",
    ]
    assert " s3cret pass " in _settings.secrets()


def test_basic_authentication():
    """A service behind it takes the login, and refuses another with a hint; the password is not in the error."""
    with Service(login="ada:s3cret-pass") as service:
        with Client(service.url, username="ada", password="s3cret-pass") as client:
            assert client.health()
        with (
            Client(service.url, username="ada", password="wr0ng-pass") as client,
            pytest.raises(AuthError, match="check SEEKAPI_API_KEY, or the user name") as caught,
        ):
            client.health()

    assert "wr0ng-pass" not in repr(vars(caught.value)) + str(caught.value)


def test_nothing_prints_a_secret(service):
    """Not the client, not its parts."""
    client = Client(service.url, api_key="key-0123456789")

    parts = (client, client.jobs, client.settings, client._caller, client._caller.service)
    assert not any("key-0123456789" in repr(part) for part in parts)


def test_an_answer_that_repeats_the_key_shows_none(serve):
    """What a service echoes is masked."""
    body = json.dumps({"message": "no: Bearer key-0123456789, key-0123456789"}).encode()
    server = serve(lambda peer: peer.answer_all(answer(body, 400)))

    with Client(server.url, api_key="key-0123456789") as client, pytest.raises(ApiError) as caught:
        client.jobs.get("j")

    assert "key-0123456789" not in str(caught.value)
    assert "no: " in str(caught.value)


def test_a_problem_that_repeats_the_key_shows_none(serve):
    """The lines of a 422 are masked, free of control characters, and of a bounded length."""
    body = json.dumps([{"loc": ["a"], "msg": "key-0123456789\x1b[2J" + "x" * 9999}]).encode()
    server = serve(lambda peer: peer.answer_all(answer(body, 422)))

    with Client(server.url, api_key="key-0123456789") as client, pytest.raises(InvalidRequestError) as caught:
        client.jobs.get("j")

    (line,) = caught.value.problems
    assert line.startswith("a: *** [2J") and 280 < len(line) <= 300


def test_a_problem_shows_no_half_of_a_key(serve):
    """Masking makes the text shorter, and what is cut at its end must not come into view by that."""
    key = "".join(f"{number:04d}" for number in range(501))
    body = json.dumps([{"loc": ["a"], "msg": key * 6}]).encode()
    server = serve(lambda peer: peer.answer_all(answer(body, 422)))

    with Client(server.url, api_key=key) as client, pytest.raises(InvalidRequestError) as caught:
        client.jobs.get("j")

    told = str(caught.value) + str(caught.value.problems)
    assert not [start for start in range(len(key) - 8) if key[start : start + 8] in told]


@pytest.mark.parametrize(
    "status, said, told",
    [
        (404, {"message": "there is nothing here"}, "HTTP 404 (there is nothing here); asked for {url}/jobs/j"),
        (404, {}, "HTTP 404; asked for {url}/jobs/j"),
        (409, {"message": "used for another job"}, "HTTP 409 (used for another job)"),
        (409, {}, "HTTP 409; the job's status does not allow it, or the idempotency key was used for another input"),
    ],
)
def test_a_refusal_has_the_words_of_the_service_and_what_was_asked(serve, status, said, told):
    """No guess beside what the service said itself; where something is not there, its whole URL."""
    server = serve(lambda peer: peer.answer_all(answer(json.dumps(said).encode(), status)))

    with Client(server.url + "/api") as client, pytest.raises(ApiError) as caught:
        client.jobs.get("j")

    assert str(caught.value) == told.format(url=server.url + "/api")


@pytest.mark.parametrize(
    "arguments, told",
    [
        ({}, "SEEKAPI_URL"),
        ({"url": ""}, "SEEKAPI_URL"),
        ({"url": "localhost:8788"}, r"localhost:8788 is not a base URL .*: did you mean http://localhost:8788\?$"),
        ({"url": "127.0.0.1:1/api"}, r"did you mean http://127\.0\.0\.1:1/api\?$"),
        ({"url": "jobs.example:443"}, r"did you mean https://jobs\.example:443\?$"),
        ({"url": "key-pw"}, "the URL of the jobs API is not a base URL"),
        ({"url": "http://user:pw@host"}, "not a base URL"),
        ({"url": "http://host/?a=b"}, "not a base URL"),
        ({"url": "file:///etc"}, "not a base URL"),
        ({"url": "http://h", "api_key": "a\nb"}, "cannot travel in a header"),
        ({"url": "http://h", "api_key": "k", "username": "u", "password": "p"}, "not both"),
        ({"url": "http://h", "username": "a:b", "password": "p"}, "colon"),
    ],
)
def test_a_client_that_cannot_work_is_not_made(arguments, told):
    """The message says what is wrong, and never the value."""
    with pytest.raises(ConfigurationError, match=told) as caught:
        Client(**arguments)

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "3", None])
def test_a_timeout_is_a_number_of_seconds(service, timeout):
    """Nothing waits for ever by accident."""
    with pytest.raises(ArgumentError, match="timeout"):
        Client(service.url, timeout=timeout)


def test_nobody_there_is_a_connect_error(serve):
    """Nothing was sent, and the error says so."""
    server = serve(lambda peer: None)
    server.close()

    with Client(server.url, timeout=10) as client, pytest.raises(ConnectError) as caught:
        client.jobs.submit({})

    assert caught.value.outcome == "not_sent"


# Settings


def test_settings_are_read_and_changed(client):
    """What is not known is refused, with its name."""
    assert client.settings.get()["label"] == "first"
    assert client.settings.update({"label": "new", "adjust": 0.9})["adjust"] == 0.9
    with pytest.raises(InvalidRequestError, match="lable: Extra inputs"):
        client.settings.update({"lable": "typo"})


def test_a_service_without_settings():
    """404, as for everything that is not there."""
    with Service(has_settings=False) as service, Client(service.url) as client, pytest.raises(NotFoundError):
        client.settings.get()


def test_settings_may_hold_what_looks_like_a_refusal(serve):
    """`ok` and `error` are names that a settings model may have."""
    server = serve(lambda peer: peer.answer_all(answer(b'{"ok": false, "error": {"code": "X"}}')))

    with Client(server.url) as client:
        assert client.settings.get() == {"ok": False, "error": {"code": "X"}}


# Nonsense, and troubles that pass


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"status": "queued"}', b'{"job_id": 7, "status": "queued"}', b"\xff"]
)
def test_what_is_not_a_job_is_not_taken_for_one(serve, body):
    """A page of a proxy with status 200 is an error; it is asked for once more, and no more."""
    server = serve(lambda peer: peer.answer_all(answer(body)))

    with Client(server.url) as client, pytest.raises(ApiError, match="is this the URL of a jobs API") as caught:
        client.jobs.get("j")

    assert (caught.value.code, len(server.requests)) == ("UNREADABLE_REPLY", 2)


def test_a_redirect_is_not_followed(serve):
    """The key stays where it was meant to go."""
    other = serve(lambda peer: peer.answer_all(answer(JOB)))
    server = serve(lambda peer: peer.answer_all(answer(b"", 302, f"Location: {other.url}/jobs/j")))

    with Client(server.url, api_key="key-0123456789") as client, pytest.raises(ApiError, match="check SEEKAPI_URL"):
        client.jobs.get("j")

    assert other.requests == []


def test_a_passing_trouble_is_tried_again(serve):
    """503 with Retry-After, then the job."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer(b"", 503, "Retry-After: 0"))
        peer.answer_all(answer(JOB))

    server = serve(script)

    with Client(server.url) as client:
        assert client.jobs.get("j1").ok

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "call, sent_count",
    [
        (lambda jobs: jobs.submit({}), 1),
        (lambda jobs: jobs.submit({}, idempotency_key="k"), 2),
        (lambda jobs: jobs.update("j", "error", errors=["once"]), 1),
        (lambda jobs: jobs.update("j", "processing"), 2),
        (lambda jobs: jobs.complete("j", {}), 2),
        (lambda jobs: jobs.cancel("j"), 2),
        (lambda jobs: jobs.rerun("j"), 1),
    ],
    ids=["submit", "submit with a key", "update with texts", "update", "complete", "cancel", "rerun"],
)
def test_what_would_have_a_second_effect_is_sent_once(serve, call, sent_count):
    """After a failure that may have come after the work, only what is harmless twice is sent again."""

    def cut(peer: Peer) -> None:
        peer.read_request()

    server = serve(cut, lambda peer: peer.answer_all(answer(JOB)))

    with Client(server.url) as client:
        if sent_count == 1:
            with pytest.raises(TransportError) as caught:
                call(client.jobs)
            assert caught.value.outcome == "unknown"
        else:
            call(client.jobs)

    assert len(server.requests) == sent_count
    assert len(set(server.requests)) == 1, "sent again, it is the same bytes"


def test_the_key_travels_as_a_header(client, service):
    """As the caller gave it; without one there is none."""
    client.jobs.submit({"name": "a"}, idempotency_key="order-17")
    client.jobs.submit({"name": "a"})

    assert [headers.get("Idempotency-Key") for _, _, headers, _ in service.requests] == ["order-17", None]


@pytest.mark.parametrize("key", ["", "a\r\nb", " a", "é", "x" * 256, 7])
def test_a_key_that_cannot_travel_is_refused(client, service, key):
    """Before anything is sent."""
    with pytest.raises(ArgumentError, match="idempotency key"):
        client.jobs.submit({"name": "a"}, idempotency_key=key)

    assert service.requests == []


# Beyond the protocol, with a service that has only the protocol


def test_cancel_of_a_service_that_has_only_the_protocol(client, service):
    """A job that runs is cancelled; one that has ended keeps its status."""
    running, done = service.add({}, "processing"), service.add({}, "completed")

    assert client.jobs.cancel(running["job_id"]).status == "cancelled"
    assert client.jobs.cancel(done["job_id"]).status == "completed"
    with pytest.raises(NotFoundError):
        client.jobs.cancel("nobody")


def test_rerun_of_a_service_that_has_only_the_protocol(client, service):
    """A new job with the same input, or another."""
    old = service.add({"name": "ada"}, "error")

    assert client.jobs.rerun(old["job_id"]).input == {"name": "ada"}
    assert client.jobs.rerun(old["job_id"], input={"name": "bob"}).input == {"name": "bob"}
    assert len(service.jobs) == 3


def test_the_result_of_a_service_that_has_only_the_protocol(client, service):
    """The error is what the job's errors say."""
    service.add({}, "error")["errors"] = ["first", "second"]
    result = client.jobs.result(service.jobs[0]["job_id"])

    assert (result.ok, result.values, str(result.error)) == (False, [], "first\nsecond")


def test_files_and_events_are_not_found_there(client, service):
    """There is nothing to do them with."""
    job_id = service.add({})["job_id"]

    with pytest.raises(NotFoundError):
        client.jobs.files(job_id)
    with pytest.raises(NotFoundError):
        list(client.jobs.events(job_id))
