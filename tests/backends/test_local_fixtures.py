"""The fixtures file, and what a charge leaves on disk."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import traceback

import pytest

from seekapi._backends import fixtures
from seekapi.errors import ConfigurationError


@pytest.fixture
def write(tmp_path):
    """A fixtures file with the given content."""

    def write(content: object) -> str:
        path = tmp_path / "fixtures.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    return write


def test_each_answer_is_a_fresh_copy(write):
    """What a test does to one answer does not show in the next."""
    path = write({"charge": {"ok": True, "list": [1]}, "get_job": {"status": "RUNNING"}, "input": {"n": 1}})

    fixtures.charge_reply(path)["list"].append(2)
    fixtures.job(path)["status"] = "changed"

    assert fixtures.charge_reply(path) == {"ok": True, "list": [1]}
    assert fixtures.job(path) == {"status": "RUNNING"}
    assert fixtures.has_input(path) and fixtures.job_input(path) == {"n": 1}


@pytest.mark.parametrize("content", [{}, {"charge": None, "get_job": None}, {"other": 1}])
def test_what_the_file_does_not_say_has_a_default(write, content):
    """No charge reply, an empty job, no input; the same without a file."""
    for path in (write(content), ""):
        assert fixtures.charge_reply(path) is None
        assert fixtures.job(path) == {}
        assert not fixtures.has_input(path)


def test_empty_objects_and_a_null_input_are_answers(write):
    """Any JSON value is a legal input; `{}` is a reply."""
    path = write({"charge": {}, "get_job": {}, "input": None})

    assert fixtures.charge_reply(path) == {}
    assert fixtures.job(path) == {}
    assert fixtures.has_input(path) and fixtures.job_input(path) is None


@pytest.mark.parametrize("content", [[], "text", 1, None])
def test_a_file_that_is_no_object_is_refused(write, content):
    """With the documented message and the file, still a ValueError."""
    told = r"^SEEKAPI_LOCAL_FIXTURES must point to a JSON object: .*fixtures.json"
    with pytest.raises(ConfigurationError, match=told):
        fixtures.job(write(content))


@pytest.mark.parametrize("member", ["charge", "get_job"])
@pytest.mark.parametrize("value", [[], "text", 0, False])
def test_a_member_that_is_no_object_is_refused(write, member, value):
    """With the documented message and the file, still a ValueError; the other member is not looked at."""
    path = write({member: value})
    asked, other = fixtures.charge_reply, fixtures.job
    if member == "get_job":
        asked, other = other, asked

    told = rf"^SEEKAPI_LOCAL_FIXTURES\['{member}'\] must be a JSON object: .*fixtures.json"
    with pytest.raises(ConfigurationError, match=told):
        asked(path)
    with pytest.raises(ConfigurationError, match=told):
        fixtures.check(path)
    assert not other(path)


def test_an_unknown_member_is_ignored_with_a_warning(write, caplog):
    """1.0.5 ignored it, so it is no error; a misspelt `inputs` is told, once for each way the file is."""
    path = write({"inputs": {}, "charge": {}})

    assert not fixtures.has_input(path)
    assert (fixtures.charge_reply(path), fixtures.job(path)) == ({}, {})

    (record,) = caplog.records
    assert (record.name, record.levelname) == ("seekapi", "WARNING")
    for part in (path, '"inputs"', 'known are "input", "charge", "get_job"'):
        assert part in record.getMessage()
    write({"inputs": {}, "charges": {}})
    fixtures.job(path)
    assert len(caplog.records) == 2


def test_a_check_answers_with_what_would_be_warned_of(write, caplog):
    """Whoever has checked the file tells it in a way of their own."""
    assert fixtures.check(write({"input": 1, "charge": {}, "get_job": None})) == ""
    assert '"inputs"' in fixtures.check(write({"inputs": 1}))
    assert fixtures.check("") == ""
    assert caplog.records == []


@pytest.mark.parametrize(
    "content, told",
    [
        ({"charge": {"limit_reached": "yes"}}, '"charge.limit_reached" is true or false'),
        ({"charge": {"limit_reached": None, "ok": True}}, '"charge.limit_reached" is true or false'),
        ({"charge": {"metered_event_count": True}}, '"charge.metered_event_count" is a whole number'),
        (
            {"charge": {"ok": 1}, "get_job": {"status": 1}},
            '"charge.ok" is true or false; the platform\'s "get_job.status"',
        ),
        ({"charge": {"ok": False, "metered_event_count": 7, "limit_reached": True, "more": 1}}, ""),
        ({"get_job": {"status": "RUNNING", "response_json": None}}, ""),
    ],
)
def test_a_field_of_another_type_is_told_of(write, content, told):
    """1.0.5 answered with it, so it is no error; a handler that trusts it errs on the platform."""
    path = write(content)

    assert told in fixtures.check(path) and bool(told) == bool(fixtures.check(path))
    assert fixtures.charge_reply(path) == content.get("charge")


@pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b'{"charge": {"n": NaN}}', b"\xff"])
def test_what_is_not_json_is_refused(write, content):
    """NaN is no number; the message names the variable and the file, and quotes nothing."""
    with pytest.raises(ConfigurationError, match=r"SEEKAPI_LOCAL_FIXTURES: .*fixtures.json is not JSON: ") as caught:
        fixtures.job(write(content))
    assert caught.value.__context__ is None


def test_a_byte_order_mark_is_tolerated(write):
    """Editors on Windows write one."""
    assert fixtures.job(write(b'\xef\xbb\xbf{"get_job": {"a": 1}}')) == {"a": 1}


def test_a_missing_file_is_a_file_not_found_error_too(tmp_path):
    """The promise of 1.0, in the tree of 2.0."""
    with pytest.raises(FileNotFoundError, match="SEEKAPI_LOCAL_FIXTURES names a file that is not there") as caught:
        fixtures.job(str(tmp_path / "no"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, ConfigurationError) and isinstance(again, FileNotFoundError)
    shown = "".join(traceback.format_exception_only(type(again), again))
    assert type(again).__name__ == "ConfigurationError"
    assert shown.startswith("seekapi.errors.ConfigurationError: ") and str(tmp_path / "no") in shown


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    """A folder, for example."""
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        fixtures.job(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    """Nobody may ever write to it. In a process of its own, which can be ended if it hangs."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    code = "import sys\nfrom seekapi._backends import fixtures\nfixtures.charge_reply(sys.argv[1])"

    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=30)

    told = f"ConfigurationError: SEEKAPI_LOCAL_FIXTURES: {path} cannot be read: not a regular file"
    assert done.stderr.splitlines()[-1].endswith(told)


def test_a_charge_without_fixture_has_the_documented_reply_and_a_row(local):
    """The reply meters nothing; the row says what was charged."""
    reply = local.charge(" page:é ", 3, {"url": "x"})
    reply["ok"] = "changed"

    assert local.charge("b") == {"ok": True, "metered_event_count": 0, "limit_reached": False}
    one, other = local.rows("charges.jsonl")
    assert one.pop("charged_at").endswith("Z")
    assert list(one.items()) == [
        ("job_uuid", "j1"),
        ("execution_token", "tok"),
        ("idempotency_key", " page:é "),
        ("count", 3),
        ("justification", {"url": "x"}),
    ]
    assert "justification" not in other


def test_a_charge_with_a_fixture_answers_it_and_has_a_row(local_with, write):
    """A fresh copy for every call, and the meter still runs."""
    local = local_with(fixtures=write({"charge": {"ok": True, "limit_reached": True}}))

    local.charge("a").clear()

    assert local.charge("b") == {"ok": True, "limit_reached": True}
    assert [row["idempotency_key"] for row in local.rows("charges.jsonl")] == ["a", "b"]


def test_a_key_is_charged_once_within_a_job(local):
    """As the platform meters; another job has keys of its own."""
    for key in ("a", "b", "a", "c", "b", "a", "a/../b", "\ud800"):
        local.charge(key)
    local.charge("a", job="j2")

    assert [row["idempotency_key"] for row in local.rows("charges.jsonl")] == ["a", "b", "c", "a/../b", "\ud800"]
    assert len(local.rows("charges.jsonl", "j2")) == 1


def test_a_kill_between_row_and_mark_does_not_charge_twice(local):
    """The one row that can lack its mark is the last one, and it gets it first."""
    local.charge("a")
    local.charge("b")
    marks = local.job() / ".charged"
    newest = max(marks.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.unlink()

    local.charge("c")
    local.charge("b")

    assert [row["idempotency_key"] for row in local.rows("charges.jsonl")] == ["a", "b", "c"]
    assert len(os.listdir(marks)) == 3
