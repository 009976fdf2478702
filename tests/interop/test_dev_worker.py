"""seekapi 1.0.5 itself, as it is on the package index, runs as the worker of `seekapi dev`: unchanged, and unaware."""

from __future__ import annotations

import os
import subprocess
import venv

import pytest
from devserver.running import running
from interop.conftest import MUST_RUN

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
def python_with_105(tmp_path_factory):
    """An environment of its own, with nothing but seekapi 1.0.5 in it: `SEEKAPI_105_PYTHON`, or made here."""
    ready = os.environ.get("SEEKAPI_105_PYTHON")
    if ready:
        return ready
    if not MUST_RUN:
        pytest.skip("needs seekapi 1.0.5 from the package index: set SEEKAPI_INTEROP=1, or SEEKAPI_105_PYTHON")
    folder = tmp_path_factory.mktemp("env") / "worker"
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "--no-deps", "seekapi==1.0.5"]
    # What crosses the network is tried again.
    assert any(subprocess.run(install, timeout=300).returncode == 0 for _ in range(3))
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
