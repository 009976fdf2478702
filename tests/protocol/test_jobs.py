"""The jobs protocol: what both ends say is the same, and what a client may ask is judged by one table."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

import pytest

from seekapi._protocol import job_calls, jobs, lifecycles
from seekapi._protocol.messages import Response

TOKYO = timezone(timedelta(hours=9))
AT = 1_795_358_348


def query(text: str, **limits: int) -> jobs.ListQuery:
    return jobs.list_query(parse_qsl(text, keep_blank_values=True), TOKYO, **limits)


def refused(text: str) -> object:
    with pytest.raises(jobs.Invalid) as caught:
        query(text)
    return caught.value.body


def job(**fields: object) -> dict[str, object]:
    row: dict[str, object] = {
        "job_id": "j",
        "registered_at": AT + 0.9,
        "updated_at": AT + 1,
        "completed_at": None,
        "status": "queued",
        "errors": None,
        "warnings": None,
        "settings": None,
        "request_payload": {"a": 1},
        "response_payload": None,
        "zone": TOKYO,
    }
    return jobs.job_object(**{**row, **fields})  # type: ignore[arg-type]


def test_a_job_has_its_eleven_fields():
    """In the order of the protocol, with whole seconds and a numeric offset."""
    assert tuple(job()) == jobs.JOB_FIELDS
    assert job()["registered_datetime"] == "2026-11-22T23:39:08+09:00"
    assert job(zone=timezone.utc)["registered_datetime"] == "2026-11-22T14:39:08+00:00"
    assert job()["completed_datetime"] is None
    assert job(settings={})["settings"] is None
    assert not job_calls.is_job(job())


@pytest.mark.parametrize(
    "payload, count",
    [(None, 0), ({}, 0), ({"result_count": 3}, 3), ({"result_count": "3"}, 0), ({"result_count": True}, 0), ([1], 0)],
)
def test_the_count_is_what_the_result_says(payload, count):
    """An object with `result_count`; anything else counts as none."""
    assert job(response_payload=payload)["result_count"] == count


@pytest.mark.parametrize(
    "text, at",
    [
        ("2026-11-22T23:39:08+09:00", AT),
        ("2026-11-22T23:39:08+0900", AT),
        ("2026-11-22 23:39:08", AT),
        ("2026-11-22T14:39:08Z", AT),
        ("2026-11-22T14:39:08.5z", AT + 0.5),
        ("2026-11-22T14:39:08,123456789Z", AT + 0.123456),
        ("2026-11-22T23:39", AT - 8),
        ("2026-11-22", AT - 85148),
        ("0001-01-01T00:00:00Z", -62135596800),
    ],
)
def test_moments_are_read_as_iso_8601(text, at):
    """With any offset, any fraction, or none; without an offset it is the service's own time."""
    assert jobs.moment_of(text, TOKYO) == pytest.approx(at)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2026-11-22T14:39:08 09:00",
        "2026-13-01",
        "2026-11-22T25:00:00",
        "20261122",
        "2026-11-22T",
        "２０２６-11-22",
    ],
)
def test_what_is_no_moment_is_a_value_error(text):
    """And never another error."""
    with pytest.raises(ValueError):
        jobs.moment_of(text)


# GET /jobs


def test_a_plain_list_has_the_default_limit():
    """What nobody knows is ignored."""
    asked = query("colour=red")

    assert (asked.limit, asked.job_ids, asked.status) == (250, (), "")
    assert (asked.since, asked.until, asked.after) == (None, None, ())


@pytest.mark.parametrize("text", ["49", "501", "abc", "", "5e1", "1" * 30, "5\u0660", "-60"])
def test_a_limit_out_of_range_is_refused(text):
    """With an entry that names it."""
    (entry,) = refused(f"limit={text}")

    assert entry["loc"] == ["limit"] and set(entry) == {"type", "loc", "msg", "input"}


def test_limits_are_the_servers():
    """They may be set."""
    assert query("limit=3", least=1, most=5).limit == 3
    assert query("", default=7).limit == 7


@pytest.mark.parametrize(
    "text, ids",
    [
        ("job_id=a", ("a",)),
        ("job_id=a,b", ("a", "b")),
        ("job_id=a&job_id=b", ("a", "b")),
        ("job_id=a,b&job_id=b,%20c,,", ("a", "b", "c")),
    ],
)
def test_several_ids_in_either_form(text, ids):
    """With commas and repeated, each once."""
    assert query(text).job_ids == ids


@pytest.mark.parametrize("text", ["job_id=", "job_id=,%20", "job_id=&job_id="])
def test_no_id_at_all_is_refused(text):
    """It is not a list of all jobs: whoever lost his id did not ask for that."""
    (entry,) = refused(text)

    assert entry["loc"] == ["job_id"] and set(entry) == {"type", "loc", "msg", "input"}


def test_too_many_ids_are_refused():
    """In the words of the field."""
    text = "job_id=" + ",".join(f"id{n}" for n in range(176))

    assert refused(text) == {"message": 'ERROR - "job_id" filter count(176) > MAX_FILTER_JOBIDS(175)!'}
    assert len(query(text.removesuffix(",id175")).job_ids) == 175


@pytest.mark.parametrize("status", lifecycles.STATUSES)
def test_each_status_is_a_filter(status):
    """All seven."""
    assert query(f"status={status}").status == status


@pytest.mark.parametrize("status", ["", "done", "Queued", "queued "])
def test_another_status_is_refused(status):
    """Also an empty one."""
    (entry,) = refused(f"status={status}")

    assert entry["msg"].startswith("Input should be 'pending', 'queued'")


def test_a_span_is_in_whole_seconds():
    """Truncated, as in the field."""
    asked = query("registered_datetime_gte=2026-11-22T14:39:08.9Z&registered_datetime_lte=2026-11-22T23:39:09")

    assert (asked.since, asked.until) == (AT, AT + 1)


def test_a_plus_that_became_a_space_is_refused_with_a_hint():
    """It is what everybody does wrong."""
    (entry,) = refused("registered_datetime_gte=2026-11-22T23:39:08+09:00")

    assert "%2B" in entry["msg"]


def test_digits_are_no_moment():
    """In the words of the field."""
    assert refused("registered_datetime_gte=1700000000") == {
        "message": 'ERROR - url encoded, "1700000000", can not be processed as ISO-8601 datetime!'
    }


def test_all_problems_are_told_at_once():
    """One entry each."""
    entries = refused("limit=x&status=x&registered_datetime_gte=x&registered_datetime_lte=x&ekey=x")

    assert [entry["loc"][0] for entry in entries] == [
        "limit", "status", "registered_datetime_gte", "registered_datetime_lte", "ekey"
    ]  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "/api/v2"])
def test_the_next_link_keeps_the_question(prefix):
    """Prefix, filters and limit; what comes back is where the page ended."""
    text = "limit=60&status=error&registered_datetime_gte=2026-11-22&registered_datetime_lte=2026-11-23T00:00:00Z"
    asked = query(text)
    path, _, link = jobs.next_link(prefix, asked, (AT, 17)).partition("?")
    again = query(link)

    assert path == f"{prefix}/jobs"
    assert again.after == (AT, 17)
    assert [getattr(again, name) for name in ("limit", "status", "since", "until")] == [
        getattr(asked, name) for name in ("limit", "status", "since", "until")
    ]


def test_the_client_asks_for_the_next_page_as_the_link_says():
    """Both ends: what the server writes, the client sends back, and the server reads."""
    asked = [("status", "error"), ("limit", "500")]
    link = jobs.next_link("/api", query("status=error&limit=500"), (5, 6))

    pairs = job_calls.next_page(Response(200, [("x-next", link)]), asked[:1])

    assert pairs is not None
    again = jobs.list_query(pairs, TOKYO)
    assert (again.after, again.status, again.limit) == ((5, 6), "error", 500)


@pytest.mark.parametrize("key", ["x", "eyJqb2JfaWQiOiJhIn0=", "1.2.3.4.5", ".", "1.", "-1", "1" * 19, "١"])
def test_a_foreign_page_key_is_refused(key):
    """Those of the original, too."""
    assert jobs.page_key_of(key) is None
    assert refused(f"ekey={key}")[0]["loc"] == ["ekey"]


def test_nothing_but_the_declared_error_escapes():
    """A seeded heap of garbage."""
    chance = random.Random(7)
    names = ["limit", "job_id", "status", "registered_datetime_gte", "registered_datetime_lte", "ekey", "x"]
    texts = [
        "",
        "queued",
        "2026-11-22",
        "60",
        "1.2",
        "a,b",
        "\x00",
        "9" * 400,
        "２",
        "+",
        "Z",
        "9999-12-31T23:59:59-23:59",
    ]
    for _ in range(3000):
        pairs = [
            (chance.choice(names), "".join(chance.choice([*texts, chr(chance.randrange(1, 0x2FFF))]) for _ in range(2)))
            for _ in range(chance.randrange(4))
        ]
        try:
            jobs.list_query(pairs, TOKYO)
        except jobs.Invalid as refusal:
            assert refusal.body


# PATCH


def test_a_change_is_a_status_and_what_is_added():
    """null is nothing; what nobody knows is ignored."""
    change = jobs.change_of({"status": "error", "errors": ["a"], "warnings": None, "colour": 1})

    assert (change.status, change.errors, change.warnings) == ("error", ("a",), ())


@pytest.mark.parametrize(
    "body, where",
    [
        ({}, [["status"]]),
        ({"status": "done"}, [["status"]]),
        ({"status": ["queued"]}, [["status"]]),
        ({"status": {}}, [["status"]]),
        ({"status": "error", "errors": "one"}, [["errors"]]),
        ({"status": "error", "errors": ["a", 7], "warnings": [None]}, [["errors", 1], ["warnings", 0]]),
        ([], [[]]),
        (None, [[]]),
        ("x", [[]]),
    ],
)
def test_what_is_no_change_is_refused(body, where):
    """Each fault with its place."""
    with pytest.raises(jobs.Invalid) as caught:
        jobs.change_of(body)

    assert [entry["loc"] for entry in caught.value.body] == where


# Beyond the protocol, and paths


@pytest.mark.parametrize(
    "prefer, seconds",
    [
        ("", 0),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('Wait="7"', 7),
        ("wait=99999", 25),
        ("await=5", 0),
        ("wait", 0),
    ],
)
def test_prefer_wait(prefer, seconds):
    """RFC 7240, capped."""
    assert jobs.wait_of(prefer) == seconds


@pytest.mark.parametrize(
    "parts, path",
    [
        (("j",), "/jobs/j"),
        (("j", "files", "a/b c"), "/jobs/j/files/a%2Fb%20c"),
        (("..", "."), "/jobs/%2E%2E/%2E"),
        (("é\ud800",), "/jobs/%C3%A9%3F"),
    ],
)
def test_each_part_is_one_segment(parts, path):
    """Whatever it holds."""
    assert jobs.job_path(*parts) == path


def test_the_moment_that_is_told_is_the_moment_that_is_read():
    """Both ends, for every zone."""
    for hours in range(-12, 15):
        zone = timezone(timedelta(hours=hours, minutes=30))
        assert jobs.moment_of(jobs.moment_text(AT, zone)) == AT
        assert datetime.fromisoformat(jobs.moment_text(AT, zone)).tzinfo is not None
