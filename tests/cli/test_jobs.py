"""`seekapi jobs`: look at jobs, and act on them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from client.dev_server import INPUT_SCHEMA, DevServer, dev_server
from client.service import Service
from command import seekapi

import seekapi as package
from seekapi import Client
from seekapi._cli import job_page, platform

HOSTILE = "a\x1b[2J\u202eb"


@pytest.fixture
def server() -> Iterator[DevServer]:
    with dev_server() as server:
        yield server


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
def run(server, tmp_path):
    """`run("list", ...)` with the server of this test."""

    def run(*arguments: object):
        return seekapi("jobs", *arguments, "--url", server.url, cwd=tmp_path)

    return run


@pytest.fixture
def job(server, client, tmp_path):
    """One that has delivered everything, and hostile texts with it."""
    job = client.jobs.submit({"name": HOSTILE})
    worker = server.claim()
    worker.log(HOSTILE)
    package.push_data(worker.context, {"n": 1, "text": HOSTILE})
    for name in ("report.csv", "../../report.csv", "a/b", "a_b"):
        (tmp_path / "content").write_text(name)
        package.push_file(worker.context, name, tmp_path / "content", "text/csv")
    package.charge(worker.context, "key", 2)
    worker.end()
    return client.jobs.get(job.id)


def test_a_list_is_a_table(client, job, run):
    """The latest first; nothing in it moves the cursor."""
    newer = client.jobs.submit({"n": 2})
    done = run("list")

    head, *rows = done.stdout.splitlines()
    assert head.split() == ["id", "status", "submitted", "took", "input,", "or", "error"]
    assert [row.split()[:2] for row in rows] == [[newer.id, "queued"], [job.id, "completed"]]
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_a_list_as_json_and_its_filters(client, job, run):
    """What the protocol has, as it is."""
    newer = client.jobs.submit({"n": 2})

    assert [row["job_id"] for row in json.loads(run("list", "--json").stdout)] == [newer.id, job.id]
    assert [row["job_id"] for row in json.loads(run("list", "--json", "--limit", 1).stdout)] == [newer.id]
    assert [row["job_id"] for row in json.loads(run("list", "--json", "--status", "completed").stdout)] == [job.id]
    assert json.loads(run("list", "--json", "--until", "2001-01-01").stdout) == []
    assert run("list", "--until", "2001-01-01").stderr.startswith("seekapi: no jobs at http")


def test_one_job_with_all_it_delivered(job, run):
    """A page, and the same as JSON; the beginning of the id is enough."""
    page = run("show", job.id[:8])
    told = json.loads(run("show", job.id, "--json").stdout)

    assert page.stdout.startswith(f"completed  {job.id}")
    for word in ("input", "push", '"n": 1', "report.csv", "charge", "submitted"):
        assert word in page.stdout
    assert "\x1b" not in page.stdout
    assert told["job"]["job_id"] == job.id and told["result"]["pushes"][0]["data"]["n"] == 1


def test_a_failed_job_shows_its_place(server, client, run):
    """Code, message, line."""
    job = client.jobs.submit({})
    server.claim().end({"code": "WORKER_ERROR", "message": "no", "where": "w.py:3", "line": "x()", "traceback": ""})

    assert "  WORKER_ERROR: no\n    at w.py:3   x()\n" in run("show", job.id).stdout


def test_the_log_is_data(job, run):
    """On stdout, escaped; as JSON one event a line."""
    assert run("logs", job.id).stdout == "stdout   a\\x1b[2J\\u202eb\n"
    assert json.loads(run("logs", job.id, "--json").stdout)["data"]["message"] == HOSTILE
    assert run("logs", job.id, "--follow").stdout.count("\n") == 1


def test_the_log_has_the_tracebacks(server, client, run):
    """Indented under its record, escaped; as JSON it is where it was."""
    job = client.jobs.submit({})
    worker = server.claim()
    worker.log("before")
    worker.log("it failed", traceback="Traceback\n  File w.py\x1b\n")
    worker.end()

    assert run("logs", job.id).stdout.splitlines() == [
        "stdout   before",
        "stdout   it failed",
        "           Traceback",
        "             File w.py\\x1b",
    ]
    assert run("logs", job.id, "--json").stdout.count("\n") == 2


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_time_that_is_shown_can_be_asked_for(server, client, tmp_path, zone):
    """In the same zone: that of this machine, unless the time has an offset."""
    job = client.jobs.submit({})

    def listed(*arguments):
        return seekapi("jobs", "list", *arguments, "--url", server.url, cwd=tmp_path, TZ=zone).stdout

    shown = " ".join(listed().splitlines()[1].split()[2:4])
    (asked,) = {f"{row}Z" for row in [job.registered_at.strftime("%Y-%m-%dT%H:%M:%S")]}
    for at in (shown, asked):
        assert job.id in listed("--since", at, "--until", at)
    assert job.id not in listed("--until", "2001-01-01")


def test_a_cancel_that_came_too_late_says_so(job, run):
    """Nothing was cancelled; the job is as it was."""
    done = run("cancel", job.id)

    assert (done.returncode, done.stdout) == (0, f"{job.id} completed\n")
    assert done.stderr == "seekapi: the job had ended already: nothing was cancelled\n"


def test_a_rerun_whose_input_is_refused_lists_every_problem(tmp_path):
    """As `seekapi call` does."""
    with dev_server(input_schema=INPUT_SCHEMA) as server, Client(server.url) as client:
        job = client.jobs.submit({"name": "Ada"})
        done = seekapi("jobs", "rerun", job.id, "--input", '{"count": -1}', "--url", server.url, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("seekapi: the platform refuses the input\n  ") and "count: " in done.stderr


def test_no_files_are_said_to_be_none(client, run):
    """Nothing on stdout, and why."""
    job = client.jobs.submit({})
    done = run("download", job.id)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"seekapi: job {job.id} has no files\n")


def test_cancel_and_rerun(client, run):
    """The job as it then is; the new job's id."""
    job = client.jobs.submit({"n": 1})

    assert run("cancel", job.id).stdout == f"{job.id} cancelled\n"
    again = client.jobs.get(run("rerun", job.id).stdout.strip())
    changed = client.jobs.get(run("rerun", job.id, "--input", '{"n": 2}').stdout.strip())
    assert (again.input, changed.input) == ({"n": 1}, {"n": 2})


def test_all_files_are_fetched_and_none_replaces_another(job, run, tmp_path):
    """Whatever they are called, they stay in the folder."""
    done = run("download", job.id, "--to", "results")

    paths = done.stdout.splitlines()
    kept = {name: (tmp_path / "results" / name).read_text() for name in os.listdir(tmp_path / "results")}
    assert kept == {
        "report.csv": "report.csv",
        "_.._report.csv": "../../report.csv",
        "a_b": "a/b",
        "a_b (2)": "a_b",
    }
    assert sorted(paths) == sorted(os.path.join("results", name) for name in kept)


def test_one_file_by_its_name(job, run, tmp_path):
    """As JSON with where it is; a name that the job does not have is a wrong argument."""
    told = json.loads(run("download", job.id, "report.csv", "--json").stdout)

    assert told["path"] == "report.csv" and told["size_bytes"] == 10
    assert (tmp_path / "report.csv").read_text() == "report.csv"
    missing = run("download", job.id, "nothing.csv")
    assert (missing.returncode, "has no file nothing.csv" in missing.stderr) == (2, True)


def test_a_place_that_cannot_be_written(job, run, tmp_path):
    """3."""
    (tmp_path / "file").touch()

    assert run("download", job.id, "--to", "file").returncode == 3


def test_which_job_is_meant():
    """The beginning of an id, if it is one job's; otherwise what there is."""
    with Service() as service, Client(service.url) as client:
        for job_id in ("5f2a-1", "5f2a-2", "5f2b-1"):
            service.add({})["job_id"] = job_id
            service.add({})["job_id"] = "6"
        assert platform.job_meant(client, "5f2b").id == "5f2b-1"
        assert platform.job_meant(client, "5F2A-1").id == "5f2a-1"
        assert platform.job_meant(client, "6").id == "6"
        for meant, told in (
            ("5f2a", "begins the ids of 2 jobs"),
            ("5", "the ids of 3 jobs"),
            ("nobody", "no job nobody"),
        ):
            with pytest.raises(platform.NoSuchJob, match=told):
                platform.job_meant(client, meant)


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["list", "--limit", "0"], 2),
        (["list", "--limit", "x"], 2),
        (["list", "--limit", "0000000001999999"], 2),
        (["list", "--status", "asleep"], 2),
        (["list", "--since", "soon"], 2),
        (["show", "nobody"], 2),
        (["logs", ""], 2),
        (["show"], 2),
        ([], 2),
        (["fly"], 2),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_printed(server, tmp_path, arguments, code):
    """No traceback."""
    done = seekapi("jobs", *arguments, cwd=tmp_path, SEEKAPI_URL=server.url)

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr and "Traceback" not in done.stderr


def test_a_free_name_is_free_on_any_disk():
    """Also where case does not count."""
    taken: set[str] = set()

    assert [job_page.free_name(name, taken) for name in ("a.txt", "A.txt", "a.txt", "b", "B")] == [
        "a.txt", "A (2).txt", "a (3).txt", "b", "B (2)"
    ]  # fmt: skip
