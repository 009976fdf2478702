"""What a worker calls, with exact statuses and bodies; the input at its signed URL."""

from __future__ import annotations

import hashlib
import json
import os
import shutil

import pytest

from devserver.platforms import NOON, SECRET, Dev, files_of, form
from seekapi._devserver import changes, records, uploads
from seekapi._devserver.database import RecordGone
from seekapi._devserver.exchange import Refusal
from seekapi._protocol import json_text
from seekapi._protocol.messages import Headers


@pytest.fixture
def dev():
    with Dev() as dev:
        yield dev


@pytest.fixture
def claimed(dev):
    return dev.started({"url": "x"})


def push(dev, claimed, data, token=None, **headers):
    body = {"execution_token": claimed.token if token is None else token, "data": data, "type": "json"}
    return dev.worker(claimed.attempt.job_id, "push", body, **headers)


def push_file(dev, claimed, name="a.txt", content=b"content", token=None, filename=None, **headers):
    body, content_type = form(claimed.token if token is None else token, name, content, filename=filename)
    return dev.worker(claimed.attempt.job_id, "push/file", body, Content_Type=content_type, **headers)


def charge(dev, claimed, key, count=1, token=None, **more):
    body = {"execution_token": token or claimed.token, "idempotency_key": key, "count": count, **more}
    return dev.worker(claimed.attempt.job_id, "charge", body)


def register(dev, claimed, request_id="req-1"):
    return dev.worker(claimed.attempt.job_id, "worker-request-id", {"request_id": request_id})


CALLS = {
    "push": lambda dev, claimed, **how: push(dev, claimed, 1, **how),
    "file": lambda dev, claimed, **how: push_file(dev, claimed, **how),
    "charge": lambda dev, claimed, **how: charge(dev, claimed, "k", **how),
}


def result(dev, claimed):
    return dev.ask("GET", f"/jobs/{claimed.attempt.job_id}/result").json()


# Who may call


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], "Bearer " + SECRET])
@pytest.mark.parametrize("action", ["push", "push/file", "charge", "worker-request-id"])
def test_the_secret_opens_the_door(dev, claimed, action, secret):
    """Missing or wrong: 401, for a job that exists and for one that does not, with the same body."""
    answers = []
    for job_id in (claimed.attempt.job_id, "nobody"):
        headers = {"X_Internal_Secret": secret, "Content_Type": "application/json"}
        answers.append(dev.worker(job_id, action, b"{}", **headers))

    assert [(seen.status, seen.code) for seen in answers] == [(401, "UNAUTHORIZED")] * 2
    assert answers[0].body == answers[1].body
    assert SECRET not in answers[0].body.decode()


@pytest.mark.parametrize("call", CALLS)
def test_the_token_of_another_attempt_does_not_fit(dev, claimed, call):
    """403 for one that is wrong, or of another job; 404 for a job that nobody knows; 400 for none."""
    other = dev.started()

    for token in ("wrong", other.token, claimed.token + "x", claimed.token.lower() + "X"):
        seen = CALLS[call](dev, claimed, token=token)
        assert (seen.status, seen.code) == (403, "INVALID_EXECUTION_TOKEN")
    seen = CALLS[call](dev, claimed, token=" ")
    assert seen.status == 403
    claimed.attempt.job_id = "nobody"
    seen = CALLS[call](dev, claimed)
    assert (seen.status, seen.code) == (404, "JOB_NOT_FOUND")
    assert dev.said() == ["submitted", "started"] * 2


def test_a_call_without_a_token_says_so(dev, claimed):
    """400: missing, empty, or not a text."""
    for token in (None, "", 7, ["x"]):
        seen = dev.worker(claimed.attempt.job_id, "push", {"execution_token": token, "data": 1, "type": "json"})
        assert (seen.status, seen.code) == (400, "INVALID_REQUEST")


def test_the_record_knows_no_token(dev, claimed):
    """What is on the disk opens nothing."""
    push(dev, claimed, 1)
    with dev.store.read() as reader:
        assert claimed.token not in str(
            [reader.rows(f"SELECT * FROM {t}") for t in ("job", "attempt", "event", "answer")]
        )
    assert claimed.token not in repr(claimed)


ENDS = {
    "completed": lambda dev, claimed: dev.do(lambda tx: changes.end_attempt(tx, claimed.attempt, ok=True)),
    "failed": lambda dev, claimed: dev.do(
        lambda tx: changes.end_attempt(tx, claimed.attempt, ok=False, error={"code": "TIMEOUT", "message": "m"})
    ),
    "cancelled": lambda dev, claimed: dev.ask("POST", f"/jobs/{claimed.attempt.job_id}/cancel", {}),
    "patched": lambda dev, claimed: dev.ask("PATCH", f"/jobs/{claimed.attempt.job_id}", {"status": "error"}),
    "put": lambda dev, claimed: dev.ask("PUT", f"/jobs/{claimed.attempt.job_id}", {"result_count": 0}),
    "given back": lambda dev, claimed: dev.ask("PATCH", f"/jobs/{claimed.attempt.job_id}", {"status": "queued"}),
    "second attempt": lambda dev, claimed: (
        ENDS["given back"](dev, claimed),
        dev.do(lambda tx: changes.claim(tx, 60)),
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_late_calls_are_refused(dev, claimed, end):
    """However an attempt ended, its token opens nothing any more: 409, and no effect."""
    ENDS[end](dev, claimed)
    before = dev.said()

    for call in CALLS.values():
        seen = call(dev, claimed)
        assert (seen.status, seen.code) == (409, "JOB_NOT_RUNNING")
    if end != "second attempt":
        assert register(dev, claimed).status == 409
    assert dev.said() == before
    assert files_of(dev.store) == []


def test_what_was_kept_is_kept_also_when_the_attempt_is_over(dev, claimed):
    """A call that is sent again because its answer was lost gets that answer, and has no second effect."""
    calls = [
        lambda: push(dev, claimed, 1, Idempotency_Key="k"),
        lambda: push_file(dev, claimed, Idempotency_Key="k"),
        lambda: charge(dev, claimed, "k"),
    ]
    first = [call().body for call in calls]
    ENDS["completed"](dev, claimed)
    before = dev.said()

    assert [(call().status, call().body) for call in calls] == [(200, body) for body in first]
    assert dev.said() == before


# push


@pytest.mark.parametrize(
    "data", [None, 0, False, "", [], {}, {"a": [1, {"é": "日本"}]}, "x" * 200_000, 10**25, "\ud800"]
)
def test_a_push_of_any_value_is_kept(dev, claimed, data):
    """200 {"ok": true}; the value is in the record as it was sent."""
    seen = push(dev, claimed, data)

    assert (seen.status, seen.json()) == (200, {"ok": True})
    (kept,) = result(dev, claimed)["pushes"]
    assert kept == {"type": "json", "data": data, "pushed_at": NOON, "attempt": 1}


def test_pushes_are_appended(dev, claimed):
    """In order; without a key the same value twice is two pushes."""
    for value in (1, 1, 2):
        push(dev, claimed, value)

    assert [row["data"] for row in result(dev, claimed)["pushes"]] == [1, 1, 2]
    assert dev.said().count("push") == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"execution_token": "T"}',
        b'{"execution_token": "T", "data": NaN}',
        b'{"execution_token": "T", "data": 1e999}',
        b'{"execution_token": "T", "data": 1, "type": 7}',
        b'{"execution_token": "T", "data": 1, "type": "' + b"x" * 65 + b'"}',
        b'{"execution_token": "T", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"execution_token": "T", "data": ' + b"9" * 5_000 + b"}",
    ],
    ids=range(12),
)
def test_what_is_no_push_is_refused(dev, claimed, body):
    """400 INVALID_REQUEST, and nothing is kept."""
    body = body.replace(b'"T"', json.dumps(claimed.token).encode())

    seen = dev.worker(claimed.attempt.job_id, "push", body, Content_Type="application/json")

    assert (seen.status, seen.code) == (400, "INVALID_REQUEST")
    assert result(dev, claimed)["pushes"] == []


def test_the_type_of_a_push(dev, claimed):
    """ "json" if none is given, also for the null that 1.0.5 sends; any other text as it is."""
    for fields in ({}, {"type": None}, {"type": "rows"}):
        dev.worker(claimed.attempt.job_id, "push", {"execution_token": claimed.token, "data": 1, **fields})

    assert [row["type"] for row in result(dev, claimed)["pushes"]] == ["json", "json", "rows"]


def test_wrong_kinds_of_body_are_refused_before_anything(dev, claimed):
    """415 for another Content-Type, 413 for one that is too large by its head."""
    job_id = claimed.attempt.job_id

    assert dev.worker(job_id, "push", b"{}", Content_Type="text/plain").status == 415
    assert dev.worker(job_id, "push/file", b"{}", Content_Type="application/json").status == 415
    assert dev.worker(job_id, "charge", b"{}", Content_Type="application/x-www-form-urlencoded").status == 415
    assert dev.ask("GET", f"/v1/internal/jobs/{job_id}/push", X_Internal_Secret=SECRET).status == 405


# Idempotency


def test_one_key_one_effect(dev, claimed):
    """The same key again, with the same value or another: the stored answer, and the first value stays."""
    first = push(dev, claimed, "first", Idempotency_Key="k")
    again = [push(dev, claimed, value, Idempotency_Key="k") for value in ("first", "second")]
    push(dev, claimed, "third", Idempotency_Key="other")

    assert [(seen.status, seen.body) for seen in again] == [(200, first.body)] * 2
    assert [row["data"] for row in result(dev, claimed)["pushes"]] == ["first", "third"]


def test_keys_are_of_one_job_and_one_call(dev, claimed):
    """The same key in another job, or in another call of the same job, is another key."""
    other = dev.started()
    push(dev, claimed, 1, Idempotency_Key="k")
    push(dev, other, 1, Idempotency_Key="k")
    push_file(dev, claimed, Idempotency_Key="k")
    charge(dev, claimed, "k")

    assert [dev.said().count(kind) for kind in ("push", "file", "charge")] == [2, 1, 1]


def test_a_refused_call_uses_up_no_key(dev, claimed):
    """What had no effect may be tried again."""
    assert push(dev, claimed, 1, token="wrong", Idempotency_Key="k").status == 403

    assert push(dev, claimed, 1, Idempotency_Key="k").status == 200
    assert len(result(dev, claimed)["pushes"]) == 1


@pytest.mark.parametrize("key", ["x" * 256, "a\tb", "é"])
def test_a_key_that_is_none_is_refused(dev, claimed, key):
    """400: 1 to 255 printable characters."""
    assert push(dev, claimed, 1, Idempotency_Key=key).status == 400


# Files


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(300_000), b"\r\n--" * 1_000])
def test_a_file_is_kept_byte_by_byte(dev, claimed, content):
    """200 {"ok": true}; its row tells name, type, size and sum, and the bytes are on the disk with mode 0600."""
    seen = push_file(dev, claimed, "r é.txt", content)

    assert (seen.status, seen.json()) == (200, {"ok": True})
    (row,) = result(dev, claimed)["files"]
    expected = {"name": "r é.txt", "content_type": "text/plain", "size_bytes": len(content), "attempt": 1}
    assert expected.items() <= row.items()
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    path = dev.store.files / row["id"]
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600 or os.name == "nt"
    assert files_of(dev.store) == [row["id"]]


HOSTILE_NAMES = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "",
    "C:\\x",
    "a\nb",
    "x" * 5_000,
    "<script>",
    "\u202egpj.exe",
    "%2e%2e",
]


def test_a_name_is_only_a_name(dev, claimed):
    """Whatever it is, it is kept verbatim in the row, and the file lies under an id of ours."""
    for name in HOSTILE_NAMES:
        assert push_file(dev, claimed, name, name.encode(), filename=name.replace("\n", "%0A")).status == 200

    rows = result(dev, claimed)["files"]
    assert [row["name"] for row in rows] == HOSTILE_NAMES
    assert files_of(dev.store) == sorted(row["id"] for row in rows)
    assert all((dev.store.files / row["id"]).read_bytes() == row["name"].encode() for row in rows)


def test_a_file_without_its_row_does_not_stay(dev, claimed):
    """Refused, sent twice under one key, cut short, malformed: nothing is left on the disk."""
    push_file(dev, claimed, Idempotency_Key="k")
    kept = files_of(dev.store)
    body, content_type = form(claimed.token, "a", b"x")

    assert push_file(dev, claimed, Idempotency_Key="k").status == 200
    assert push_file(dev, claimed, token="wrong").status == 403
    for broken in (body[:-10], body.replace(b'name="file"', b'name="other"'), body.replace(b'"name"', b'"file"'), b"x"):
        seen = dev.worker(claimed.attempt.job_id, "push/file", broken, Content_Type=content_type)
        assert (seen.status, seen.code) == (400, "INVALID_REQUEST"), broken
    assert files_of(dev.store) == kept
    assert dev.said().count("file") == 1


def test_an_upload_that_breaks_off_leaves_nothing(dev, claimed):
    """The connection is gone in the middle: what is there has a name that says so, and then it is gone too."""
    body, content_type = form(claimed.token, "a", b"x" * 1_000)
    upload = uploads.Upload(dev.store.files, content_type)

    upload.feed(body[:-500])
    assert [name.startswith(".incoming-") for name in files_of(dev.store)] == [True]
    upload.discard()
    upload.discard()

    assert files_of(dev.store) == []


@pytest.mark.skipif(os.name == "nt", reason="what is open cannot be removed there")
@pytest.mark.parametrize("begun", [False, True])
def test_a_file_for_a_record_that_was_removed_is_refused(tmp_path, begun):
    """507 with the reason, whether the folder went before the file or in its middle; no crash of the server."""
    with Dev(tmp_path / "data") as dev:
        claimed = dev.started({})
        body, content_type = form(claimed.token, "a", b"x" * 1_000)
        upload = uploads.Upload(dev.store.files, content_type)
        if begun:
            upload.feed(body[:-500])
        shutil.rmtree(tmp_path / "data")

        with pytest.raises(RecordGone) as caught:
            upload.feed(body[-500:] if begun else body)
            upload.finish()
        upload.discard()
        answer = dev.app.refused(caught.value, "/v1/internal/jobs/j/push/file")
        seen = push_file(dev, claimed)

    assert answer.status == seen.status == 507
    assert "restart the server" in json.loads(answer.body)["error"]["message"]


def test_a_file_is_on_the_disk_before_its_row(dev, claimed, monkeypatch):
    """fsync of the file, its name, fsync of the folder; then the row."""
    done = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}
    for name, call in real.items():
        monkeypatch.setattr(os, name, lambda *a, name=name, call=call: (done.append(name), call(*a))[1])
    dev.store.subscribe(lambda events: done.extend(event.kind for event in events))

    push_file(dev, claimed)
    dev.said()

    assert done == ["fsync", "replace", "fsync", "file"]


@pytest.mark.parametrize("field", ["execution_token", "name"])
def test_small_parts_are_small(dev, claimed, field):
    """A field of megabytes is not gathered in memory."""
    texts = {"execution_token": "t", "name": "n", field: "x" * 20_000}
    body, content_type = form(texts["execution_token"], texts["name"], b"", filename="f")

    seen = dev.worker(claimed.attempt.job_id, "push/file", body, Content_Type=content_type)

    assert seen.status == 400 and field in seen.body.decode()


def test_nobody_waits_for_the_file_of_an_unknown_job(dev):
    """404 before a byte of the body."""
    from seekapi._devserver.exchange import Incoming

    request = Incoming("POST", "/", headers=Headers([]), params={"job_id": "nobody"})

    with pytest.raises(Refusal) as caught:
        uploads.receive(dev.platform, request)
    assert caught.value.status == 404


# charge


def test_charges_are_metered_once(dev, claimed):
    """Each key counts once, with what it answered then; the total is the job's."""
    answers = [charge(dev, claimed, key, count).json() for key, count in (("a", 2), ("b", 3), ("a", 2))]

    expected = [{"ok": True, "metered_event_count": total, "limit_reached": False} for total in (2, 5, 2)]
    assert answers == expected
    found = result(dev, claimed)
    assert found["metered_event_count"] == 5
    assert [(row["idempotency_key"], row["count"]) for row in found["charges"]] == [("a", 2), ("b", 3)]


def test_the_same_key_with_another_count_is_a_conflict(dev, claimed):
    """409, and nothing is metered; the key is compared without blanks around it, as 1.0.5 sends it."""
    charge(dev, claimed, "a", 2)

    seen = charge(dev, claimed, " a ", 3)

    assert (seen.status, seen.code) == (409, "IDEMPOTENCY_CONFLICT")
    assert result(dev, claimed)["metered_event_count"] == 2


def test_the_limit_is_told_when_it_is_reached(dev):
    """total >= limit, of the job or of the platform; what is charged beyond it is metered all the same."""
    claimed = dev.started({}, SeekAPI_Charge_Limit="3")

    reached = [charge(dev, claimed, key).json()["limit_reached"] for key in "abcd"]

    assert reached == [False, False, True, True]
    assert result(dev, claimed)["metered_event_count"] == 4
    with Dev(charge_limit=1) as other:
        assert charge(other, other.started(), "a").json()["limit_reached"] is True


def test_a_whole_number_is_one_however_it_is_spelled(dev, claimed):
    """JSON knows one kind of number: 2.0 is 2, and the same charge."""
    first, again = charge(dev, claimed, "a", 2.0), charge(dev, claimed, "a", 2)

    assert first.json()["metered_event_count"] == 2
    assert (again.status, again.body) == (200, first.body)


def test_a_justification_is_kept(dev, claimed):
    """Any object, also an empty one."""
    charge(dev, claimed, "a", justification={"pages": [1, "é"]})
    charge(dev, claimed, "b", justification={})
    charge(dev, claimed, "c")

    assert [row["justification"] for row in result(dev, claimed)["charges"]] == [{"pages": [1, "é"]}, {}, None]


@pytest.mark.parametrize(
    "fields",
    [
        {"idempotency_key": ""},
        {"idempotency_key": "  "},
        {"idempotency_key": None},
        {"idempotency_key": 7},
        {"idempotency_key": "x" * 1_025},
        {"idempotency_key": "\ud800"},
        {"count": 0},
        {"count": -1},
        {"count": True},
        {"count": 1.5},
        {"count": "2"},
        {"count": None},
        {"count": 2**31},
        {"count": 1e300},
        {"justification": []},
        {"justification": "why"},
    ],
    ids=str,
)
def test_what_is_no_charge_is_refused(dev, claimed, fields):
    """400, and nothing is metered."""
    body = {"execution_token": claimed.token, "idempotency_key": "k", "count": 1, **fields}

    seen = dev.worker(claimed.attempt.job_id, "charge", body)

    assert (seen.status, seen.code) == (400, "INVALID_REQUEST")
    assert result(dev, claimed)["metered_event_count"] == 0


# worker-request-id


def test_the_request_id_is_stored_once(dev, claimed):
    """200; 1.0.5 sends whatever its host gave it, also a number; the same id again is no news."""
    for request_id in ("r-1", "r-1", 17):
        assert register(dev, claimed, request_id).json() == {"ok": True}

    assert result(dev, claimed)["attempts"][0]["request_id"] == "17"
    assert dev.said().count("registered") == 2


@pytest.mark.parametrize("request_id", ["", " ", None, True, 1.5, [], {}, "x" * 257, "\ud800"])
def test_what_is_no_request_id_is_refused(dev, claimed, request_id):
    """400."""
    seen = register(dev, claimed, request_id)

    assert (seen.status, seen.code) == (400, "INVALID_REQUEST")


def test_a_job_that_nobody_runs_takes_no_request_id(dev):
    """409 while it waits, 404 if there is none."""
    job_id = dev.job()

    seen = dev.worker(job_id, "worker-request-id", {"request_id": "r"})
    assert (seen.status, seen.code) == (409, "JOB_NOT_RUNNING")
    seen = dev.worker("nobody", "worker-request-id", {"request_id": "r"})
    assert (seen.status, seen.code) == (404, "JOB_NOT_FOUND")


# The input


def test_the_input_is_what_was_submitted(dev):
    """Byte by byte the JSON of the submitter, at a URL of the platform; the reading of it is an event, once it ran."""
    claimed = dev.started({"é": [1, "日本"], "n": 10**25})
    target = dev.input_url(claimed)

    seen = dev.ask("GET", target)

    assert (seen.status, seen.content_type) == (200, "application/json")
    assert seen.json() == {"é": [1, "日本"], "n": 10**25}
    assert dev.said() == ["submitted", "started", "input"]
    assert dev.ask("HEAD", target).status == 200
    ENDS["completed"](dev, claimed)
    assert dev.ask("GET", target).status == 200
    assert dev.said().count("input") == 1


def xml_code(seen):
    text = seen.body.decode()
    assert seen.content_type == "application/xml" and text.startswith('<?xml version="1.0"')
    return text.partition("<Code>")[2].partition("</Code>")[0]


def test_an_expired_url_is_refused_as_s3_does(dev, claimed):
    """403 AccessDenied, Request has expired; good until the second before."""
    target = dev.input_url(claimed, NOON + 10)

    dev.clock.at = NOON + 9.9
    assert dev.ask("GET", target).status == 200
    dev.clock.at = NOON + 10
    seen = dev.ask("GET", target)
    assert (seen.status, xml_code(seen)) == (403, "AccessDenied")
    assert "<Message>Request has expired</Message>" in seen.body.decode()


def test_a_url_that_was_changed_is_refused(dev, claimed):
    """403 SignatureDoesNotMatch: another attempt, a later end, another signature, whatever it is made of."""
    other = dev.started()
    target = dev.input_url(claimed)
    path, _, query = target.partition("?")
    expires = query.split("&")[0].removeprefix("expires=")
    changed = [
        target.replace(claimed.attempt.id, other.attempt.id),
        target.replace(expires, str(int(expires) + 1)),
        target.replace(expires, "0" + expires),
        target.replace(expires, expires + "%20"),
        target.replace(expires, "inf"),
        target[:-1],
        target[:-1] + ("0" if target[-1] != "0" else "1"),
        target.replace("sig=", "sig=%C3%A9"),
        f"{path}?expires={expires}&sig={SECRET}",
        f"{path}x?{query}",
    ]

    for one in changed:
        seen = dev.ask("GET", one)
        assert (seen.status, xml_code(seen)) == (403, "SignatureDoesNotMatch"), one
    for one in (path, f"{path}?expires={expires}", f"{path}?sig=x"):
        seen = dev.ask("GET", one)
        assert (seen.status, xml_code(seen)) == (403, "AccessDenied")
    assert "input" not in dev.said()


def test_the_worker_cannot_sign_for_itself(dev, claimed):
    """Another server with the same internal secret and another key makes another signature."""
    target = dev.input_url(claimed)
    dev.platform.api_key = "another"

    assert xml_code(dev.ask("GET", target)) == "SignatureDoesNotMatch"


# What the runner does


def test_the_oldest_job_is_claimed_first(dev):
    """Each once, in the order in which they were submitted, and then there is none."""
    ids = [dev.job() for _ in range(3)]

    claimed = [dev.do(lambda tx: changes.claim(tx, 60)) for _ in range(4)]

    assert [one and one.attempt.job_id for one in claimed] == [*ids, None]
    assert len({one.token for one in claimed[:3]} | {one.attempt.id for one in claimed[:3]}) == 6


def test_an_attempt_ends_once(dev, claimed):
    """The first verdict stands; what comes later changes nothing and says nothing."""
    ENDS["failed"](dev, claimed)
    before = dev.said()

    assert not ENDS["completed"](dev, claimed)
    assert dev.said() == before
    assert result(dev, claimed)["error"] == {"code": "TIMEOUT", "message": "m"}


def test_a_job_that_was_given_back_is_tried_again(dev, claimed):
    """A second attempt with a token and a number of its own; what the first one pushed stays its own."""
    push(dev, claimed, "first")
    ENDS["given back"](dev, claimed)
    second = dev.do(lambda tx: changes.claim(tx, 60))
    push(dev, second, "second")
    ENDS["completed"](dev, second)

    assert (second.attempt.job_id, second.attempt.attempt) == (claimed.attempt.job_id, 2)
    assert second.token != claimed.token
    found = result(dev, second)
    assert [(row["data"], row["attempt"]) for row in found["pushes"]] == [("first", 1), ("second", 2)]
    assert [row["outcome"] for row in found["attempts"]] == ["superseded", "completed"]
    job = dev.ask("GET", f"/jobs/{second.attempt.job_id}").json()
    assert job["response_payload"] == {"result_count": 1, "pushes": ["second"], "files": []}
    assert dev.said() == ["submitted", "started", "push", "status", "started", "push", "ended"]


def test_the_events_tell_the_status(dev, claimed):
    """Whenever an event has a status, that is what the job's became."""
    job_id = claimed.attempt.job_id
    ENDS["completed"](dev, claimed)
    dev.ask("PATCH", f"/jobs/{job_id}", {"status": "queued"})
    dev.do(lambda tx: changes.claim(tx, 60))
    dev.ask("POST", f"/jobs/{job_id}/cancel", {})
    dev.said()

    told = [event.data["status"] for event in dev.events if "status" in event.data]
    assert told == ["queued", "processing", "completed", "queued", "processing", "cancelled"]
    with dev.store.read() as reader:
        assert records.job_of(reader, job_id).status == "cancelled"


def test_what_was_accepted_is_shown(dev):
    """However deep an input, a push or a justification may be, every view of the job that wraps it is an answer."""

    def nested(depth):
        return [nested(depth - 1)] if depth else 0

    deepest = json_text.MAX_DEPTH
    claimed = dev.started({"a": nested(deepest - 1)})
    pushed = push(dev, claimed, nested(deepest)).status
    fields = {"execution_token": claimed.token, "idempotency_key": "k", "count": 1, "justification": {"a": nested(400)}}
    charged = dev.worker(claimed.attempt.job_id, "charge", fields).status

    one = f"/jobs/{claimed.attempt.job_id}"
    asked = [dev.ask("GET", path) for path in ("/jobs", one, f"{one}/events")]
    assert (pushed, charged, [seen.status for seen in asked]) == (200, 200, [200, 200, 200])
    assert all(json_text.decode(seen.body) for seen in asked)
    assert push(dev, claimed, nested(deepest + 1)).status == 400
    assert dev.ask("POST", "/jobs", {"a": nested(deepest)}).status == 422
