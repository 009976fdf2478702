"""seekapi 1.0.5 itself, as it is on the package index, runs as the worker of `seekapi dev`: unchanged, and unaware."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest
from devserver.running import running
from interop.conftest import HOW_TO, MUST_RUN
from interop.dev_command import dev_command, left_by

# A worker as its users have written it: the eleven names, and prints.
WORKER = """
    from importlib.metadata import version
    from seekapi import charge, create_context, push_data, push_file, run

    def work(job_input):
        if "fail" in job_input:
            raise ValueError(job_input["fail"])
        context = create_context(EVENT)
        push_data(context, {"n": 1, "text": "é"})
        with open(FOLDER + "/report.txt", "w") as file:
            file.write("a report")
        print(push_file(context, "report.txt", FOLDER + "/report.txt"))
        print(charge(context, "page:1", 2)["metered_event_count"], charge(context, "page:1", 2)["metered_event_count"])
        print("seekapi", version("seekapi"))
        return {"hello": job_input["name"]}

    def handler(event, context):
        global EVENT
        EVENT = event
        return run(event, context, work)
    """


@pytest.fixture(scope="session")
def python_with_105():
    """The interpreter of an environment that has nothing but seekapi 1.0.5."""
    python = os.environ.get("SEEKAPI_105_PYTHON", "")
    if not python and MUST_RUN:
        pytest.fail(f"SEEKAPI_105_PYTHON is not set, {HOW_TO}")
    if not python:
        pytest.skip("needs seekapi 1.0.5 from the package index: SEEKAPI_105_PYTHON names an interpreter that has it")
    return python


def test_it_runs_as_a_worker_under_dev(tmp_path, python_with_105):
    """Input, pushes, a file, an idempotent charge, its request id, its result: all there."""
    source = WORKER.replace("FOLDER", repr(str(tmp_path)))
    with running(tmp_path, source, python=[python_with_105], environ={"PYTHONPATH": ""}) as platform:
        job = platform.run({"name": "Ada"})
        failed = platform.run({"fail": "two left"})
        known = platform.runner.worker.describe()

    assert job.status == "completed" and job.pushes == [{"n": 1, "text": "é"}, {"hello": "Ada"}]
    assert job.of("file")[0]["size_bytes"] == 8 and job.of("registered") and job.of("input")
    assert job.log("stdout") == ["{'ok': True}", "2 2", "seekapi 1.0.5"]
    assert failed.error == {"code": "WORKER_ERROR", "message": "two left"}
    assert known.seekapi == "1.0.5" and known.input_schema is None and known.error is None


def test_both_versions_leave_the_same_under_the_command(tmp_path, python_with_105):
    """`seekapi dev --python`: one worker of 1.0.5, on its own seekapi and on this one; only messages may differ."""
    source = textwrap.dedent(WORKER).replace("FOLDER", repr(str(tmp_path)))
    source = source.replace('print("seekapi", version("seekapi"))', "")
    (tmp_path / "worker.py").write_text(source, encoding="utf-8")
    left = {}
    for version, python in (("1.0.5", python_with_105), ("this", sys.executable)):
        # This one, where it is not installed, is found as the tests find it.
        paths = {"PYTHONPATH": ""} if version == "1.0.5" else {}
        with dev_command(tmp_path, "worker.py", "--python", python, **paths) as client:
            left[version] = [left_by(client, job_input, tmp_path) for job_input in ({"name": "Ada"}, {"fail": "no"})]

    (done, failed), (done_now, failed_now) = left["1.0.5"], left["this"]
    assert done.pushes == [{"n": 1, "text": "é"}, {"hello": "Ada"}] and done.charges == [("page:1", 2, None)]
    assert vars(done) == vars(done_now)
    assert failed.error["code"] == failed_now.error["code"] == "WORKER_ERROR"
