"""The jobs API as its protocol documents it, also where the service in the field is broken."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from devserver.platforms import NOON, Dev, Runner
from seekapi._devserver import changes, records
from seekapi._devserver.job_views import MOST_ROWS
from seekapi._protocol import jobs
from seekapi._protocol.lifecycles import FINAL, STATUSES, TRANSITIONS

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}, "urls": {"type": "array", "items": {"type": "string"}}},
    "required": ["n"],
    "additionalProperties": False,
}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def dev():
    with Dev() as dev:
        yield dev


def listed(dev, query=""):
    seen = dev.ask("GET", f"/jobs?{query}")
    assert seen.status == 200, seen.body
    return [job["job_id"] for job in seen.json()["Jobs"]]


def iso(at, zone=timezone.utc):
    return quote(datetime.fromtimestamp(at, zone).isoformat())


# POST


def test_a_new_job_is_queued(dev):
    """201, the Job with all of its eleven fields, where it is, and an event."""
    seen = dev.ask("POST", "/jobs", {"n": 1})

    job = seen.json()
    assert seen.status == 201
    assert tuple(job) == jobs.JOB_FIELDS
    assert seen.headers["Location"] == f"/jobs/{job['job_id']}"
    assert (job["status"], job["request_payload"], job["response_payload"]) == ("queued", {"n": 1}, None)
    assert (job["errors"], job["warnings"], job["settings"], job["completed_datetime"]) == (None, None, None, None)
    assert job["registered_datetime"] == job["updated_datetime"] == "2026-11-22T12:00:00+00:00"
    assert job["result_count"] == 0
    assert dev.ask("GET", f"/jobs/{job['job_id']}").json() == job
    assert dev.said() == ["submitted"]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"null", b"NaN", b'{"n": 1e999}', b"\xff", b"[" * 100_000])
def test_what_is_no_input_is_refused(dev, body):
    """422 with an array of what is wrong, in the field's shape; nothing is stored."""
    seen = dev.ask("POST", "/jobs", body, Content_Type="application/json")

    assert seen.status == 422
    assert [set(problem) for problem in seen.json()] == [{"type", "loc", "msg", "input"}]
    assert listed(dev) == []


def test_another_kind_of_body_is_refused(dev):
    """415: a form, or text that a page of somebody else could send."""
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert dev.ask("POST", "/jobs", b'{"n": 1}', Content_Type=media).status == 415


def test_a_schema_that_is_not_understood_refuses_nothing():
    """A class with `model_validate` may say more than is checked here; the worker checks its input anyway."""
    with Dev(runner=Runner({"type": "object", "unevaluatedProperties": False})) as dev:
        assert dev.ask("POST", "/jobs", {"a": 1}).status == 201


def test_the_schema_of_the_worker_decides():
    """All problems at once, each with its place; the value itself is not repeated: it may be a secret."""
    with Dev(runner=Runner(SCHEMA)) as dev:
        seen = dev.ask("POST", "/jobs", {"n": 0, "urls": ["a", "s3cret!", 7], "x": 1})
        assert seen.status == 422
        assert {tuple(problem["loc"]) for problem in seen.json()} == {("n",), ("urls", 2), ("x",)}
        assert b"s3cret" not in seen.body
        (missing,) = dev.ask("POST", "/jobs", {}).json()
        assert (missing["loc"], missing["type"]) == (["n"], "schema")
        assert dev.ask("POST", "/jobs", {"n": 1}).status == 201
        assert dev.ask("POST", "/jobs", [1]).status == 422
    with Dev(runner=Runner({"type": "array"})) as dev:
        assert dev.ask("POST", "/jobs", [1]).status == 201
        assert dev.ask("POST", "/jobs", {}).status == 422


def test_a_worker_that_did_not_say_takes_any_json_value(dev):
    """A platform alone takes what the protocol takes: an object."""
    with Dev(runner=Runner()) as with_worker:
        for value in ([1], "x", 7, False, {}):
            seen = with_worker.ask("POST", "/jobs", value)
            assert (seen.status, seen.json()["request_payload"]) == (201, value)
    assert dev.ask("POST", "/jobs", [1]).status == 422


def test_a_job_is_submitted_once_per_key(dev):
    """The same Idempotency-Key and body: the same job. Another body: 409. Without a key: another job."""
    first = dev.ask("POST", "/jobs", {"n": 1}, Idempotency_Key="k")
    again = dev.ask("POST", "/jobs", {"n": 1}, Idempotency_Key="k")
    other = dev.ask("POST", "/jobs", {"n": 2}, Idempotency_Key="k")

    assert (again.status, again.json()) == (201, first.json())
    assert other.status == 409 and set(other.json()) == {"message"}
    assert dev.job({"n": 1}) != first.json()["job_id"]
    assert dev.job({"n": 1}, Idempotency_Key="other") != first.json()["job_id"]
    assert dev.said() == ["submitted"] * 3
    assert dev.ask("POST", "/jobs", {}, Idempotency_Key="x" * 256).status == 400


def test_a_limit_that_is_none_is_refused(dev):
    """400."""
    for limit in ("x", "-1", "1.5", "9" * 17, str(2**53 + 1)):
        assert dev.ask("POST", "/jobs", {}, SeekAPI_Charge_Limit=limit).status == 400


# GET /jobs


def test_pages_go_on_and_come_to_an_end(dev):
    """Newest first; X-Next leads through all of them, each once, also those that share a second."""
    ids = []
    for number in range(128):
        dev.clock.at = NOON + number // 7
        ids.append(dev.job({"n": number}))

    found, target, pages = [], "/jobs?limit=50", 0
    while target and pages < 10:
        seen = dev.ask("GET", target)
        assert seen.headers["Access-Control-Expose-Headers"] == "X-Next"
        found += [job["job_id"] for job in seen.json()["Jobs"]]
        target, pages = seen.headers["X-Next"], pages + 1
        # What is submitted meanwhile shifts nothing.
        dev.clock.at = NOON + 1_000
        dev.job()

    assert (found, pages) == (ids[::-1], 3)


def test_a_full_last_page_has_no_next(dev):
    """50 jobs and a limit of 50: the header is there, and empty."""
    for _ in range(50):
        dev.job()

    assert dev.ask("GET", "/jobs?limit=50").headers["X-Next"] == ""
    assert dev.ask("GET", "/jobs").headers["X-Next"] == ""


def test_the_next_page_keeps_filters_and_prefix(dev):
    """What was asked for on the first page is asked for on all."""
    with Dev(prefix="/api/v2") as dev:
        for number in range(150):
            dev.clock.at = NOON + number
            seen = dev.ask("POST", "/api/v2/jobs", {})
            if number % 2:
                dev.ask("PATCH", f"/api/v2/jobs/{seen.json()['job_id']}", {"status": "error"})
        query = (
            f"limit=50&status=error&registered_datetime_gte={iso(NOON + 10)}&registered_datetime_lte={iso(NOON + 140)}"
        )
        target, found = f"/api/v2/jobs?{query}", []
        while target:
            assert target.startswith("/api/v2/jobs?")
            seen = dev.ask("GET", target)
            found += seen.json()["Jobs"]
            target = seen.headers["X-Next"]

        assert {job["status"] for job in found} == {"error"}
        assert len(found) == len({job["job_id"] for job in found}) == 65
        assert dev.ask("GET", "/jobs").status == 404
        assert seen.json()["Jobs"][0]["job_id"] and dev.ask("POST", "/api/v2/jobs", {}).headers["Location"].startswith(
            "/api/v2/"
        )


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("edge", ["0001-01-01", "0001-01-01T00:00:00%2B09:00", "9999-12-31T23:59:59-10:00"])
def test_a_list_goes_on_from_the_edges_of_the_calendar(zone, edge):
    """They are moments like others, although the next page's link cannot name them in every zone."""
    inner, outer = ("gte", "lte") if edge.startswith("0001") else ("lte", "gte")
    with Dev(zone=ZoneInfo(zone)) as dev:
        ids = [dev.job() for _ in range(51)]
        pages = [dev.ask("GET", f"/jobs?limit=50&registered_datetime_{inner}={edge}")]
        pages.append(dev.ask("GET", pages[0].headers["X-Next"]))

        assert [job["job_id"] for page in pages for job in page.json()["Jobs"]] == ids[::-1]
        assert dev.ask("GET", f"/jobs?registered_datetime_{outer}={edge}").json() == {"Jobs": []}


def test_several_ids_may_be_asked_for(dev):
    """As CSV, repeated, or both; unknown ones are absent; other filters do not count."""
    a, b, c = (dev.job() for _ in range(3))

    assert listed(dev, f"job_id={a},{b}") == [b, a]
    assert listed(dev, f"job_id={a}&job_id={c}") == [c, a]
    assert listed(dev, f"job_id={a},{UNKNOWN}&job_id={b},{a}&status=error&limit=50") == [b, a]
    assert listed(dev, f"job_id={UNKNOWN}") == []


def test_dates_work_across_months_and_years(dev):
    """Inclusive at both ends, in whole seconds, in any offset; naive ones are in the zone of the answers."""
    days = [datetime(2024, 11, 30), datetime(2026, 9, 30, 23, 59, 59), datetime(2026, 10, 1), datetime(2026, 11, 22)]
    ids = []
    for day in days:
        dev.clock.at = day.replace(tzinfo=timezone.utc).timestamp() + 0.7
        ids.append(dev.job())

    assert listed(dev, "registered_datetime_gte=2026-10-01") == ids[:1:-1]
    assert listed(dev, "registered_datetime_gte=2026-09-30T23:59:59Z") == ids[:0:-1]
    assert listed(dev, "registered_datetime_lte=2026-10-01T00:00:00Z") == ids[2::-1]
    assert listed(dev, "registered_datetime_gte=2026-10-01T09%3A00%3A00%2B09:00") == ids[:1:-1]
    assert listed(dev, "registered_datetime_gte=2026-10-01T00:00:01") == ids[3:]
    assert listed(dev, "registered_datetime_gte=2026-10-01&registered_datetime_lte=2026-10-02") == [ids[2]]
    tokyo = timezone(timedelta(hours=9))
    with Dev(zone=tokyo) as there:
        there.clock.at = datetime(2026, 10, 1, tzinfo=tokyo).timestamp()
        job_id = there.job()
        assert listed(there, "registered_datetime_gte=2026-10-01&registered_datetime_lte=2026-10-01") == [job_id]
        assert there.ask("GET", f"/jobs/{job_id}").json()["registered_datetime"] == "2026-10-01T00:00:00+09:00"


@pytest.mark.parametrize(
    "query",
    [
        "limit=49",
        "limit=501",
        "limit=abc",
        "limit=",
        "status=running",
        "status=",
        "registered_datetime_gte=yesterday",
        "registered_datetime_gte=2026-10-01T00:00:00+09:00",
        "registered_datetime_lte=1700000000",
        "ekey=garbage",
        "ekey=eyJ5eXl5bW0iOnsiTiI6Ii0yMDI2MTEifX0",
        "job_id=" + ",".join(str(number) for number in range(176)),
    ],
)
def test_what_is_no_filter_is_refused(dev, query):
    """422, as an array or as a message."""
    seen = dev.ask("GET", f"/jobs?{query}")

    assert seen.status == 422
    assert isinstance(seen.json(), list) or set(seen.json()) == {"message"}


def test_a_page_ends_where_its_payloads_fill_memory(dev):
    """It may be shorter than its limit; the next one goes on there, and nothing is skipped."""
    ids = [dev.job({"pad": "x" * 7_000_000}) for _ in range(5)]

    for query, expected in (("", ids), ("?job_id=" + ",".join(ids[1:]), ids[1:])):
        pages = [dev.ask("GET", f"/jobs{query}")]
        while pages[-1].headers["X-Next"]:
            pages.append(dev.ask("GET", pages[-1].headers["X-Next"]))

        found = [[job["job_id"] for job in page.json()["Jobs"]] for page in pages]
        assert [len(page) for page in found] == [2, 2, 1][: len(pages)]
        assert [job_id for page in found for job_id in page] == expected[::-1]


# GET one, PATCH, PUT


@pytest.mark.parametrize(
    "method, below, body",
    [
        ("GET", "", None),
        ("PATCH", "", {"status": "error"}),
        ("PUT", "", {}),
        ("GET", "/result", None),
        ("GET", "/files", None),
        ("GET", "/files/x", None),
        ("GET", "/events", None),
        ("POST", "/cancel", {}),
        ("POST", "/rerun", {}),
    ],
)
@pytest.mark.parametrize("job_id", [UNKNOWN, "x", "..%2F..%2Fetc", "%C3%A9"])
def test_a_job_that_nobody_knows(dev, method, below, body, job_id):
    """404 {"message"}."""
    seen = dev.ask(method, f"/jobs/{job_id}{below}", body)

    assert seen.status == 404
    assert "not found" in seen.json()["message"]


def test_notes_are_added(dev):
    """202; both lists exist after the first PATCH, and only grow; fields that nobody knows are ignored."""
    job_id = dev.job()

    first = dev.ask("PATCH", f"/jobs/{job_id}", {"status": "processing", "x": 1})
    assert (first.status, first.json()["errors"], first.json()["warnings"]) == (202, [], [])
    dev.ask("PATCH", f"/jobs/{job_id}", {"status": "processing", "warnings": ["w"], "errors": None})
    dev.clock.at += 60
    last = dev.ask("PATCH", f"/jobs/{job_id}", {"status": "error", "warnings": ["w", "é"], "errors": ["e"]}).json()

    assert (last["status"], last["errors"], last["warnings"]) == ("error", ["e"], ["w", "w", "é"])
    assert last["updated_datetime"] == "2026-11-22T12:01:00+00:00"
    assert last["completed_datetime"] is None
    assert dev.ask("GET", f"/jobs/{job_id}/result").json()["error"] == {"code": "SET_BY_CLIENT", "message": "e"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"status": "running"},
        {"status": None},
        {"status": "error", "errors": "e"},
        {"status": "error", "warnings": [1]},
    ],
    ids=str,
)
def test_what_is_no_change_is_refused(dev, body):
    """422 with an array; nothing is changed."""
    job_id = dev.job()

    seen = dev.ask("PATCH", f"/jobs/{job_id}", body)

    assert seen.status == 422 and isinstance(seen.json(), list)
    assert dev.said() == ["submitted"]


def test_a_result_ends_the_job(dev):
    """200; status completed, both moments now; again it overwrites; notes are untouched."""
    job_id = dev.job()
    dev.ask("PATCH", f"/jobs/{job_id}", {"status": "processing", "warnings": ["w"]})
    dev.clock.at += 60

    seen = dev.ask("PUT", f"/jobs/{job_id}", {"result_count": 3, "rows": [1]})

    job = seen.json()
    assert (seen.status, job["status"], job["result_count"]) == (200, "completed", 3)
    assert job["completed_datetime"] == job["updated_datetime"] == "2026-11-22T12:01:00+00:00"
    assert (job["response_payload"], job["warnings"]) == ({"result_count": 3, "rows": [1]}, ["w"])
    again = dev.ask("PUT", f"/jobs/{job_id}", {"rows": []}).json()
    assert (again["response_payload"], again["result_count"]) == ({"rows": []}, 0)
    for body in (b"[]", b"null", b"{", b'{"x": NaN}'):
        assert dev.ask("PUT", f"/jobs/{job_id}", body, Content_Type="application/json").status == 422


@pytest.mark.parametrize("status", STATUSES)
def test_any_status_may_follow_unless_strict(status):
    """Lenient as in the field; with --strict the table holds, for PATCH and for PUT, with 409."""
    with Dev() as lenient, Dev(strict=True) as strict:
        for wanted in STATUSES:
            job_id = lenient.job()
            lenient.ask("PATCH", f"/jobs/{job_id}", {"status": status})
            assert lenient.ask("PATCH", f"/jobs/{job_id}", {"status": wanted}).status == 202
            job_id = strict.job()
            strict.do(
                lambda tx, job_id=job_id: tx.execute("UPDATE job SET status = ? WHERE job_id = ?", (status, job_id))
            )
            seen = strict.ask("PATCH", f"/jobs/{job_id}", {"status": wanted})
            may = wanted == status or wanted in TRANSITIONS[status]
            assert seen.status == (202 if may else 409), (status, wanted)
            assert may or set(seen.json()) == {"message"}
        job_id = strict.job()
        strict.do(lambda tx: tx.execute("UPDATE job SET status = ? WHERE job_id = ?", (status, job_id)))
        may = "completed" in TRANSITIONS[status]
        assert strict.ask("PUT", f"/jobs/{job_id}", {}).status == (200 if may else 409)


def test_a_result_that_is_there_is_not_replaced_when_strict():
    """409; the same one again is what a client sends whose answer was lost, and changes nothing."""
    with Dev(strict=True) as dev:
        job_id = dev.job()
        first = dev.ask("PUT", f"/jobs/{job_id}", {"rows": [1, "é"]}).json()
        dev.clock.at += 60

        assert dev.ask("PUT", f"/jobs/{job_id}", {"rows": [2]}).status == 409
        again = dev.ask("PUT", f"/jobs/{job_id}", {"rows": [1, "é"]})
        assert (again.status, again.json()) == (200, first)
        assert dev.said(job_id) == ["submitted", "status"]
        assert dev.ask("PATCH", f"/jobs/{job_id}", {"status": "completed", "warnings": ["w"]}).status == 202


def test_a_job_that_is_taken_away_is_not_run_on(dev):
    """A client that sets another status closes the attempt; the runner hears it, and no verdict comes after that."""
    for status in ("queued", "pending", "completed", "error", "cancelled"):
        claimed = dev.started()
        dev.ask("PATCH", f"/jobs/{claimed.attempt.job_id}", {"status": status})
        assert not dev.do(lambda tx, claimed=claimed: changes.end_attempt(tx, claimed.attempt, ok=True))
        dev.said()
        assert dev.events[-1].data["attempt_closed"] == 1
        dev.ask("PATCH", f"/jobs/{claimed.attempt.job_id}", {"status": "error"})
    claimed = dev.started()
    dev.ask("PATCH", f"/jobs/{claimed.attempt.job_id}", {"status": "validating"})
    assert dev.do(lambda tx: changes.end_attempt(tx, claimed.attempt, ok=True))


def test_notes_have_an_end(dev):
    """Of more than a thousand the last ones stay."""
    job_id = dev.job()
    for _ in range(3):
        seen = dev.ask("PATCH", f"/jobs/{job_id}", {"status": "queued", "warnings": [f"w{n}" for n in range(600)]})

    assert len(seen.json()["warnings"]) == 1_000 and seen.json()["warnings"][-1] == "w599"


# Health, access


@pytest.mark.parametrize("name", ["errors", "warnings"])
def test_notes_have_room_for_a_megabyte(dev, name):
    """Of more the last ones stay; more at once, and what is no text, is refused as a whole."""
    job_id = dev.job()
    for letter in "abc":
        seen = dev.ask("PATCH", f"/jobs/{job_id}", {"status": "queued", name: [letter * 500_000]})

    assert [note[0] for note in seen.json()[name]] == ["b", "c"]
    assert dev.ask("PATCH", f"/jobs/{job_id}", {"status": "error", name: ["x" * 600_000] * 2}).status == 422
    bad = b'{"status": "error", "%s": [1e999]}' % name.encode()
    assert dev.ask("PATCH", f"/jobs/{job_id}", bad, Content_Type="application/json").status == 422
    assert dev.ask("GET", f"/jobs/{job_id}").json() == seen.json()


def test_numbers_that_grow_when_they_are_written_out_are_refused(dev):
    """What is kept is what is answered, and an answer has a size that clients take."""
    body = b'{"x": [%s]}' % b",".join([b"1e15"] * 1_500_000)

    assert dev.ask("PUT", f"/jobs/{dev.job()}", body, Content_Type="application/json").status == 422
    assert dev.ask("POST", "/jobs", body, Content_Type="application/json").status == 422


def test_it_is_healthy(dev):
    """200 {"status": "OK"}, behind the prefix too."""
    assert dev.ask("GET", "/healthcheck").json() == {"status": "OK"}
    with Dev(prefix="/p") as prefixed:
        assert prefixed.ask("GET", "/p/healthcheck").json() == {"status": "OK"}


def test_basic_auth_covers_the_jobs_api():
    """401 without the pair, before anything is looked at; OPTIONS and the worker API do not need it."""
    with Dev(basic_auth=("user", "pä:ss")) as dev:
        good = "Basic " + base64.b64encode("user:pä:ss".encode()).decode()
        bad = "Basic " + base64.b64encode(b"user:no").decode()
        for method, path in (("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/healthcheck"), ("GET", "/jobs/x/result")):
            body = {} if method == "POST" else None
            for headers in ({}, {"Authorization": bad}, {"Authorization": "Basic ÿ"}):
                seen = dev.ask(method, path, body, **headers)
                assert seen.status == 401 and seen.headers["WWW-Authenticate"].startswith("Basic")
            assert dev.ask(method, path, body, Authorization=good).status in (200, 201, 404)
        assert dev.ask("OPTIONS", "/jobs", Authorization=good).status == 200


# Settings

SETTINGS = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "default": "old"},
        "adjust": {"type": "number", "default": 0.5, "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
    },
    "additionalProperties": False,
}


def test_a_worker_without_settings_has_none(dev):
    """404, and a job without a snapshot."""
    assert dev.ask("GET", "/settings").status == dev.ask("PATCH", "/settings", {}).status == 404
    assert dev.ask("PUT", "/settings", {}).status == 405


def test_a_patch_of_settings_is_one():
    """202; what is not sent stays; updated_datetime tells when; the next job carries them, the last one its own."""
    with Dev(runner=Runner(None, SETTINGS)) as dev:
        defaults = {"label": "old", "adjust": 0.5, "tags": [], "updated_datetime": None}
        assert dev.ask("GET", "/settings").json() == defaults
        before = dev.ask("GET", f"/jobs/{dev.job()}").json()
        dev.ask("PATCH", "/settings", {"adjust": 0.9})
        dev.clock.at += 60
        seen = dev.ask("PATCH", "/settings", {"label": "new"})

        expected = {"label": "new", "adjust": 0.9, "tags": [], "updated_datetime": "2026-11-22T12:01:00+00:00"}
        assert (seen.status, seen.json()) == (202, expected)
        assert dev.ask("GET", "/settings").json() == expected
        assert dev.ask("PATCH", "/settings", expected).status == 202
        assert before["settings"] == defaults
        assert dev.ask("GET", f"/jobs/{before['job_id']}").json()["settings"] == defaults
        dev.job()
        claims = [dev.do(lambda tx: changes.claim(tx, 60)).settings for _ in range(2)]
        assert claims == [defaults, expected]


@pytest.mark.parametrize(
    "body",
    [{"other": 1}, {"adjust": "x"}, {"adjust": -1}, {"tags": [1]}, {"label": "ok", "adjust": None}, [], 7],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(body):
    """422 with an array, and nothing is set, also not what would have fitted."""
    with Dev(runner=Runner(None, SETTINGS)) as dev:
        seen = dev.ask("PATCH", "/settings", body)

        assert seen.status == 422 and isinstance(seen.json(), list)
        assert dev.ask("GET", "/settings").json()["label"] == "old"


def test_rules_between_settings_hold():
    """What is set is checked together with what was set before, and with the defaults."""
    schema = {**SETTINGS, "dependentRequired": {"tags": ["label"]}, "properties": {**SETTINGS["properties"]}}
    schema["properties"]["label"] = {"type": "string"}
    schema["properties"]["tags"] = {"type": "array"}
    with Dev(runner=Runner(None, schema)) as dev:
        assert dev.ask("PATCH", "/settings", {"tags": ["a"]}).status == 422
        assert dev.ask("PATCH", "/settings", {"label": "l"}).status == 202
        assert dev.ask("PATCH", "/settings", {"tags": ["a"]}).status == 202
    schema["properties"]["label"] = {"type": "string", "default": "l"}
    with Dev(runner=Runner(None, schema)) as dev:
        assert dev.ask("PATCH", "/settings", {"tags": ["a"]}).status == 202


def test_a_field_that_the_worker_has_no_more_is_not_shown():
    """The schema of today decides; a new field has its default."""
    runner = Runner(None, SETTINGS)
    with Dev(runner=runner) as dev:
        dev.ask("PATCH", "/settings", {"label": "new"})
        runner.settings_schema = {"type": "object", "properties": {"fresh": {"type": "integer", "default": 3}}}
        shown = dev.ask("GET", "/settings").json()

        assert set(shown) == {"fresh", "updated_datetime"} and shown["fresh"] == 3
        assert dev.ask("PATCH", "/settings", {"fresh": 4}).status == 202


# Below one job


def run(dev, claimed, values=(), error=None):
    for value in values:
        dev.worker(claimed.attempt.job_id, "push", {"execution_token": claimed.token, "data": value, "type": "json"})
    dev.do(lambda tx: changes.end_attempt(tx, claimed.attempt, ok=error is None, error=error, more={"exit_code": 0}))
    return dev.ask("GET", f"/jobs/{claimed.attempt.job_id}").json()


def test_what_the_runner_completed(dev):
    """The Job shows what the attempt pushed; a failed one shows why, and its code is in the result."""
    job = run(dev, dev.started(), [{"a": 1}, None])
    assert (job["status"], job["result_count"]) == ("completed", 2)
    assert job["response_payload"] == {"result_count": 2, "pushes": [{"a": 1}, None], "files": []}
    assert job["completed_datetime"] == "2026-11-22T12:00:00+00:00"

    fault = {"code": "WORKER_ERROR", "message": "KeyError: 'x'", "where": "worker.py:3", "line": "x", "traceback": "t"}
    job = run(dev, dev.started(), [1], error=fault)
    assert (job["status"], job["errors"], job["warnings"]) == ("error", ["WORKER_ERROR: KeyError: 'x'"], [])
    assert (job["response_payload"], job["completed_datetime"]) == (None, None)
    assert dev.ask("GET", f"/jobs/{job['job_id']}/result").json()["error"] == fault


@pytest.mark.parametrize("values", [["x" * 300_000] * 5, list(range(101))], ids=["long", "many"])
def test_a_large_result_is_cut_in_the_job_and_whole_in_the_result(dev, values):
    """The Job says that it is truncated, and how many there are; /result has them all."""
    job = run(dev, dev.started(), values)

    assert job["response_payload"]["truncated"] is True
    assert job["result_count"] == len(values)
    assert 0 < len(job["response_payload"]["pushes"]) < len(values)
    found = dev.ask("GET", f"/jobs/{job['job_id']}/result").json()
    assert [row["data"] for row in found["pushes"]] == values


def test_a_result_of_any_size_comes_in_pieces(dev):
    """`next` says where to go on, null that this was all."""
    claimed = dev.started()
    text = '{"type": "json", "data": 1}'

    def push_many(tx):
        for _ in range(MOST_ROWS + 5):
            tx.event_text(claimed.attempt, "push", text)

    dev.do(push_many)
    first = dev.ask("GET", f"/jobs/{claimed.attempt.job_id}/result").json()
    second = dev.ask("GET", f"/jobs/{claimed.attempt.job_id}/result?after={first['next']}").json()

    assert (len(first["pushes"]), len(second["pushes"]), second["next"]) == (MOST_ROWS, 5, None)


def test_a_result_of_megabytes_comes_in_pieces_too(dev, monkeypatch):
    """However few the pushes are: an answer has room for so much, and at least for one."""
    monkeypatch.setattr("seekapi._devserver.job_views.MOST_BYTES", 2_000)
    claimed = dev.started()
    run(dev, claimed, ["x" * 2_000, "y" * 900, "z" * 900])

    found, after = [], 0
    while after is not None:
        piece = dev.ask("GET", f"/jobs/{claimed.attempt.job_id}/result?after={after}").json()
        found.append([push["data"][0] for push in piece["pushes"]])
        after = piece["next"]
    assert found == [["x"], ["y", "z"]]


@pytest.mark.parametrize("place", ["", "x", "1.2", "1.2.3.4", "-1", "1.2.3&after=4", "9" * 19])
def test_a_place_that_is_none_is_refused(dev, place):
    """400; a number alone is the place behind this event, for whatever came after it."""
    claimed = dev.started()
    run(dev, claimed, [1, 2])
    below = f"/jobs/{claimed.attempt.job_id}"

    assert dev.ask("GET", f"{below}/result?after={place}").status == 400
    seq = dev.ask("GET", f"{below}/events?kinds=push").json()["events"][0]["seq"]
    assert [row["data"] for row in dev.ask("GET", f"{below}/result?after={seq}").json()["pushes"]] == [2]
    assert dev.ask("GET", f"{below}/files?after={seq}.1.1").status == 400


def test_files_are_listed_and_sent(dev):
    """By name the last one of it, by id each; with length, type and sum; never as a page of ours."""
    from devserver.platforms import form

    claimed = dev.started()
    job_id = claimed.attempt.job_id
    for name, content, media in (
        ("a/b ü.png", b"1", "image/png"),
        ("a/b ü.png", b"22", "image/png"),
        ("x.html", b"<", "text/html"),
    ):
        body, content_type = form(claimed.token, name, content, file_type=media)
        assert dev.worker(job_id, "push/file", body, Content_Type=content_type).status == 200

    rows = dev.ask("GET", f"/jobs/{job_id}/files").json()["files"]
    assert [(row["name"], row["size_bytes"]) for row in rows] == [("a/b ü.png", 1), ("a/b ü.png", 2), ("x.html", 1)]
    by_name = dev.ask("GET", f"/jobs/{job_id}/files/{quote('a/b ü.png', safe='')}")
    assert (by_name.file(), by_name.content_type) == (b"22", "image/png")
    assert by_name.headers["ETag"] == f'"{rows[1]["sha256"]}"'
    assert by_name.headers["Content-Disposition"].startswith('attachment; filename="b')
    first = dev.ask("GET", f"/files/{rows[0]['id']}?inline=1")
    assert first.file() == b"1" and first.headers["Content-Disposition"].startswith("inline")
    page = dev.ask("GET", f"/files/{rows[2]['id']}?inline=1")
    assert page.headers["Content-Disposition"].startswith("attachment")
    for path in (
        f"/jobs/{job_id}/files/a",
        "/files/x",
        "/files/..%2Frecord.db",
        f"/jobs/{job_id}/files/..%2F..%2Frecord.db",
    ):
        assert dev.ask("GET", path).status == 404
    assert dev.ask("GET", f"/jobs/{dev.job()}/files/x.html").status == 404
    (dev.store.files / rows[0]["id"]).unlink()  # somebody tidied up
    assert dev.ask("GET", f"/files/{rows[0]['id']}").status == 404


def test_events_are_told_in_pages(dev):
    """From any place on, of some kinds, and whether anything can still follow."""
    claimed = dev.started()
    job_id = claimed.attempt.job_id
    for number in range(3):
        line = {"source": "stdout", "level": "INFO", "message": f"é{number}"}
        dev.do(lambda tx, line=line: tx.event(claimed.attempt, "log", line))
    dev.do(lambda tx: tx.event(claimed.attempt, "progress", {"done": 1, "total": None, "message": "one"}))
    dev.job()

    seen = dev.ask("GET", f"/jobs/{job_id}/events").json()
    assert [event["kind"] for event in seen["events"]] == ["submitted", "started", "log", "log", "log", "progress"]
    assert (seen["ended"], seen["status"]) == (False, "processing")
    log = dev.ask("GET", f"/jobs/{job_id}/events?kinds=log,progress&limit=2&after={seen['events'][2]['seq']}").json()
    assert [event["data"].get("message") for event in log["events"]] == ["é1", "é2"]
    assert log["events"][0].items() >= {"job_id": job_id, "attempt": 1, "at": NOON}.items()
    rest = dev.ask("GET", f"/jobs/{job_id}/events?kinds=log,progress&after={log['next']}").json()
    assert [event["data"] for event in rest["events"]] == [{"done": 1, "total": None, "message": "one"}]
    run(dev, claimed)
    end = dev.ask("GET", f"/jobs/{job_id}/events?after={rest['next']}").json()
    assert [event["kind"] for event in end["events"]] == ["ended"]
    assert end["ended"] is True and end["events"][0]["data"]["exit_code"] == 0
    assert dev.ask("GET", f"/jobs/{job_id}/events?after={end['next']}").json()["ended"] is True
    for query in ("limit=0", "limit=1001", "limit=x", "after=-1", "after=x", "after=" + "9" * 20):
        assert dev.ask("GET", f"/jobs/{job_id}/events?{query}").status == 400


def test_the_size_of_an_event_is_that_of_its_bytes(dev):
    """A page of five hundred is no larger in one script than in another."""
    claimed = dev.started()
    run(dev, claimed, ["你" * 30_000])

    found = dev.ask("GET", f"/jobs/{claimed.attempt.job_id}/events?kinds=push").json()["events"]
    assert found[0]["data"]["cut"] is True and found[0]["data"]["size_bytes"] > 90_000


def test_a_huge_event_is_told_by_its_size(dev):
    """What a job pushed by the megabyte does not go to every open page."""
    claimed = dev.started()
    run(dev, claimed, ["x" * 100_000])

    (push,) = dev.ask("GET", f"/jobs/{claimed.attempt.job_id}/events?kinds=push").json()["events"]
    assert push["data"]["cut"] is True and push["data"]["size_bytes"] > 100_000


def test_a_long_poll_answers_when_the_job_has_ended(dev):
    """Prefer: wait holds the answer back, until the end or until time is up; then it says so."""
    claimed = dev.started()
    target = f"/jobs/{claimed.attempt.job_id}"

    held = dev.ask("GET", target, wait=True, Prefer="wait=20")
    assert (held.timeout_s, held.ask(False)) == (20, None)
    timed_out = held.ask(True)
    assert b'"processing"' in timed_out.body and ("Preference-Applied", "wait=20") in timed_out.headers
    run(dev, claimed)
    assert b'"completed"' in held.ask(False).body
    assert dev.ask("GET", target, wait=True, Prefer="wait=9999").headers["Preference-Applied"] == "wait=25"
    assert "Preference-Applied" not in dev.ask("GET", target).headers
    assert dev.ask("GET", f"/jobs/{UNKNOWN}", wait=True, Prefer="wait=5").status == 404


def test_a_long_poll_for_events(dev):
    """Held back until there is one behind the place."""
    claimed = dev.started()
    target = f"/jobs/{claimed.attempt.job_id}/events?after=2&kinds=log"

    held = dev.ask("GET", target, wait=True, Prefer="wait=5")
    dev.do(lambda tx: tx.event(claimed.attempt, "progress", {"done": 1, "total": 2, "message": None}))
    assert held.ask(False) is None
    dev.do(lambda tx: tx.event(claimed.attempt, "log", {"message": "m"}))
    assert b'"message": "m"' in held.ask(False).body
    run(dev, claimed)
    assert dev.ask("GET", f"/jobs/{claimed.attempt.job_id}/events?after=99", wait=True, Prefer="wait=5").json()["ended"]


def test_live_events_of_a_job_and_of_all(dev):
    """A stream goes on from where it was, passes over what was not asked for, and ends with its job."""
    claimed = dev.started()
    dev.job()
    own = dev.ask(
        "GET", f"/jobs/{claimed.attempt.job_id}/events?kinds=started,ended", Accept="text/event-stream"
    ).raw.body
    everything = dev.ask("GET", "/events?after=0").raw.body
    from_now = dev.ask("GET", "/events").raw.body

    first = own.next_batch().decode()
    assert "event: started\n" in first and "submitted" not in first
    assert (own.position, own.is_over) == (3, False)
    assert everything.next_batch().count(b"event: ") == 3
    assert from_now.next_batch() == b""
    run(dev, claimed)
    assert "event: ended\n" in own.next_batch().decode() and own.is_over
    assert from_now.next_batch().count(b"event: ended\n") == 1 and not from_now.is_over
    again = dev.ask("GET", "/events", Last_Event_ID="2").raw.body
    assert again.next_batch().count(b"event: ") == 2


def test_a_place_of_another_record_is_now(dev):
    """A page that outlives an ephemeral server comes back with a place that is not reached for long: it hears news."""
    dev.job()
    stream = dev.ask("GET", "/events", Last_Event_ID="9999").raw.body
    dev.job()

    assert stream.next_batch().count(b"event: submitted") == 1


def test_cancelling_is_done_once(dev):
    """200; whoever waits or runs is cancelled, whoever has ended stays as it is."""
    waiting, claimed = dev.job(), dev.started()
    done = run(dev, dev.do(lambda tx: changes.claim(tx, 60)))

    for job_id in (waiting, claimed.attempt.job_id):
        seen = dev.ask("POST", f"/jobs/{job_id}/cancel", {})
        assert seen.status == 200
    assert dev.ask("POST", f"/jobs/{done['job_id']}/cancel", {}).json() == done
    assert {job["status"] for job in dev.ask("GET", "/jobs").json()["Jobs"]} <= FINAL
    cancelled = dev.ask("GET", "/jobs?status=cancelled").json()["Jobs"]
    assert dev.ask("GET", f"/jobs/{cancelled[0]['job_id']}/result").json()["error"]["code"] == "CANCELLED"
    assert dev.do(lambda tx: changes.claim(tx, 60)) is None
    before = dev.said()
    dev.ask("POST", f"/jobs/{waiting}/cancel", {})
    assert dev.said() == before


def test_a_rerun_is_a_new_job(dev):
    """201, with the same input or another, which is checked as any other."""
    with Dev(runner=Runner(SCHEMA)) as dev:
        job_id = dev.job({"n": 1})
        same = dev.ask("POST", f"/jobs/{job_id}/rerun", {})
        other = dev.ask("POST", f"/jobs/{job_id}/rerun", {"request_payload": {"n": 2}}, SeekAPI_Charge_Limit="5")

        assert [seen.status for seen in (same, other)] == [201, 201]
        assert [seen.json()["request_payload"] for seen in (same, other)] == [{"n": 1}, {"n": 2}]
        found = dev.ask("GET", f"/jobs/{other.json()['job_id']}/result").json()
        assert (found["rerun_of"], found["charge_limit"]) == (job_id, 5)
        assert dev.ask("POST", f"/jobs/{job_id}/rerun", {"request_payload": {"n": 0}}).status == 422
        assert dev.ask("POST", f"/jobs/{job_id}/rerun", []).status == 422


def test_a_rerun_with_another_member_is_refused(dev):
    """Whoever sends `input` means another one: the job must not run with the old one."""
    job_id = dev.job({"n": 1})
    seen = dev.ask("POST", f"/jobs/{job_id}/rerun", {"input": {"n": 2}})

    assert (seen.status, seen.json()[0]["msg"]) == (422, "unknown member 'input'; expected request_payload")
    assert len(listed(dev)) == 1


def test_a_cancel_without_a_body_has_its_content_type(dev):
    """Without it a page of somebody else could send it; the refusal says what to do, and OpenAPI asks for no body."""
    job_id = dev.job()
    bare = dev.ask("POST", f"/jobs/{job_id}/cancel", b"", Content_Type="")
    fine = dev.ask("POST", f"/jobs/{job_id}/cancel", b"", Content_Type="application/json")

    assert bare.status == 415 and "also without a body: -H 'Content-Type: application/json'" in bare.json()["message"]
    assert (fine.status, fine.json()["status"]) == (200, "cancelled")
    operation = dev.ask("GET", "/openapi/openapi.json").json()["paths"]["/jobs/{job_id}/cancel"]["post"]
    assert operation["requestBody"]["required"] is False


def test_the_overview_is_light(dev):
    """Rows without payloads, the last one first, by status and text; how many of each; where the record is."""
    ids = [dev.job({"n": number, "pad": "x" * 1_000}) for number in range(5)]
    claimed = dev.do(lambda tx: changes.claim(tx, 60))
    run(dev, claimed, [1, 2], error={"code": "TIMEOUT", "message": "m"})

    seen = dev.ask("GET", "/overview?limit=2").json()
    assert [row["job_id"] for row in seen["jobs"]] == ids[:2:-1]
    assert (seen["counts"]["queued"], seen["counts"]["error"], seen["counts"]["completed"]) == (4, 1, 0)
    with dev.store.read() as reader:
        assert seen["seq"] == records.last_seq(reader)
    more = dev.ask("GET", f"/overview?before={seen['jobs'][-1]['number']}").json()["jobs"]
    assert [row["job_id"] for row in more] == ids[2::-1]
    failed = dev.ask("GET", "/overview?status=error").json()["jobs"]
    assert [(row["error_code"], row["pushes"], row["attempt"]) for row in failed] == [("TIMEOUT", 2, 1)]
    assert all(len(row["input"]) <= 200 for row in more)
    assert [row["job_id"] for row in dev.ask("GET", "/overview?q=%22n%22:%203").json()["jobs"]] == [ids[3]]
    assert [row["job_id"] for row in dev.ask("GET", f"/overview?q={ids[1]}").json()["jobs"]] == [ids[1]]
    for query in ("limit=0", "before=x", "before=-1", "before=" + "9" * 20):
        assert dev.ask("GET", f"/overview?{query}").status == 400
