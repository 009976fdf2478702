"""DevPlatform: a handler is called as production calls it, and everything that is left of it can be seen."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from command import LIMIT_S, ROOT, environ

import seekapi
from seekapi import testing, worker
from seekapi._devserver.planned_faults import ANY, CALLS, DEADLINE, OPERATIONS
from seekapi.errors import ConfigurationError
from seekapi.testing import DevPlatform, FakeLambdaContext, make_event

DOCS = ROOT / "docs" / "testing-your-worker.md"


@pytest.fixture(scope="module")
def platform():
    with DevPlatform() as platform:
        yield platform


def run_pytest(folder):
    """pytest in a process of its own. The fixture comes with an installed seekapi; else the plugin is named."""
    is_installed = any(found.value == "seekapi.testing.plugin" for found in entry_points(group="pytest11"))
    plugin = [] if is_installed else ["-p", "seekapi.testing.plugin"]
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin]
    return subprocess.run(line, cwd=folder, env=environ(), capture_output=True, text=True, timeout=LIMIT_S)


def busy(job_input, job):
    for number in job.track(range(3)):
        yield {"number": number}
    job.log.info("half way")
    job.charge("once")
    job.push_file("n.txt", b"3")
    return job_input


def test_all_that_a_job_leaves_is_there(platform):
    """Pushes, files, charges, progress, logs and requests, in order."""
    result = platform.run(busy, {"name": "Ada"})

    assert (result.ok, result.error, result.envelope["ok"]) == (True, None, True)
    assert result.pushes == [{"number": 0}, {"number": 1}, {"number": 2}, {"name": "Ada"}]
    assert [(file.name, file.content_type, file.size_bytes, file.read()) for file in result.files] == [
        ("n.txt", "text/plain", 1, b"3")
    ]
    assert [(charge["idempotency_key"], charge["count"]) for charge in result.charges] == [("once", 1)]
    assert result.progress[-1] == {"done": 3, "total": 3, "message": None}
    assert "half way" in [record.getMessage() for record in result.logs]
    assert [(call.operation, call.status) for call in result.requests if call.operation in ("input", "charge")] == [
        ("input", 200),
        ("charge", 200),
    ]


def test_two_jobs_do_not_see_each_other(platform):
    """Each result holds what is its own."""
    first, second = platform.run(lambda i: i, 1), platform.run(lambda i: i, 2)

    assert (first.pushes, second.pushes) == ([1], [2])
    assert first.job_id != second.job_id
    assert not {call.path for call in first.requests} & {call.path for call in second.requests}


def test_the_handlers_of_1_0_are_taken(platform):
    """One that calls run() and the single calls by itself."""

    def handler(event, context):
        def work(job_input):
            seekapi.push_data(seekapi.create_context(event), {"by": "hand"})
            return job_input

        return seekapi.run(event, context, work)

    assert platform.invoke(handler, [1]).pushes == [{"by": "hand"}, [1]]


def test_a_failure_is_a_result_and_a_crash_comes_through(platform):
    """As on Lambda: a verdict is an answer, an exception that leaves the handler is none."""

    def crash(event, context):
        raise LookupError("gone")

    failed = platform.run(lambda i: {}["missing"])

    assert not failed.ok and failed.error == {"code": "WORKER_ERROR", "message": "KeyError: 'missing'"}
    with pytest.raises(LookupError, match="gone"):
        platform.invoke(crash)
    assert platform.run(lambda i: i, 1).ok


@pytest.mark.parametrize(
    ("fault", "statuses", "ok"),
    [("http_503_once", [503, 200], True), ("http_403", [403], False), ("response_lost_once", [200, 200], True)],
)
def test_faults_are_met_by_this_job_alone(platform, fault, statuses, ok):
    """By their names; a call that was repeated has one effect."""
    met = platform.run(lambda i: i, 7, faults={"push": fault})
    after = platform.run(lambda i: i, 8)

    pushes = [call for call in met.requests if call.operation == "push"]
    assert ([call.status for call in pushes], met.ok) == (statuses, ok)
    assert met.pushes == ([7] if ok else [])
    assert len({call.idempotency_key for call in pushes}) == 1
    assert [call.status for call in after.requests if call.operation == "push"] == [200]


def test_faults_of_the_platform_are_met_by_the_next_job_and_once_is_once():
    """Also where a job has faults of its own: those come first, and arm nothing again."""
    with DevPlatform(faults={"push": "http_503_once"}) as platform:
        statuses = [
            [call.status for call in platform.run(lambda i: i, faults=own).requests if call.operation == "push"]
            for own in ({"push": "http_502_once"}, None, {"input": "http_503_once"}, None)
        ]

    assert statuses == [[502, 503, 200], [200], [200], [200]]


def test_the_clock_may_be_near_the_deadline(platform):
    """The fault of the job itself: there is about a second, whatever the timeout."""
    near = platform.run(lambda i, job: job.remaining(), faults={"deadline": "deadline_near"})
    after = platform.run(lambda i, job: job.remaining())

    assert near.pushes[0] < 1 < 50 < after.pushes[0]


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in (DEADLINE, CALLS, ANY)])
def test_a_request_has_the_name_by_which_its_faults_are_armed(platform, operation):
    """What is armed for an operation shows at the requests of that name, and at no others."""
    result = platform.run(busy, {}, faults={operation: "http_503_once"})

    assert {call.operation for call in result.requests if call.status == 503} == {operation}
    assert result.ok


def test_a_fault_that_nobody_knows_is_refused(platform):
    """Before the handler runs, and nothing of it stays armed."""
    with pytest.raises(ValueError, match="no_such_fault"):
        platform.run(lambda i: pytest.fail("was called"), faults={"push": ["http_403", "no_such_fault"]})
    assert platform.run(lambda i: i, 1).ok


def test_a_platform_that_does_not_run_says_how_it_is_used():
    """Before its `with` block, and after it."""
    with DevPlatform() as ended:
        pass

    for platform in (DevPlatform(), ended):
        with pytest.raises(RuntimeError, match="with DevPlatform"):
            platform.run(lambda i: i)


def test_a_charge_limit_is_reached():
    """The platform counts."""
    with DevPlatform(charge_limit=2) as platform:
        result = platform.run(lambda i, job: [job.charge(f"{n}").limit_reached for n in range(3)])

    assert result.pushes == [[False, True, True]]


def test_time_runs_out_as_on_lambda(platform):
    """The guard interrupts, and what was pushed stays."""

    def slow(job_input, job):
        job.push_data("before")
        while True:
            job.check()

    result = platform.run(slow, timeout=2)

    assert result.error["code"] == "TIMEOUT" and result.pushes == ["before"]


def test_the_environment_is_as_before(platform, monkeypatch):
    """Also after a handler that raised; local mode does not lead a worker elsewhere."""
    monkeypatch.setenv("SEEKAPI_LOCAL_MODE", "1")
    monkeypatch.setenv("WORKER_INTERNAL_SECRET", "mine")
    before = dict(os.environ)

    assert platform.run(lambda i: dict(os.environ)["WORKER_API_BASE_URL"]).pushes == [platform.url]
    assert dict(os.environ) == before


def test_jobs_may_run_side_by_side(platform):
    """In several threads: each has its own result, and the environment is put back by the last one."""
    before = dict(os.environ)
    meet = threading.Barrier(3, timeout=LIMIT_S)

    def handler(event, context):
        meet.wait()
        # The second and the third begin their calls after the first has ended.
        order.get(timeout=LIMIT_S)
        envelope = seekapi.run(event, context, lambda job_input: job_input)
        order.put(None)
        return envelope

    order = queue.Queue()
    order.put(None)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda n: platform.invoke(handler, n), range(3)))

    assert [result.pushes for result in results] == [[0], [1], [2]]
    assert dict(os.environ) == before


def test_faults_of_jobs_that_overlap_do_not_stay(platform):
    """Whoever ends first takes his own away, and nobody else's."""
    is_in, may_go = threading.Event(), threading.Event()

    def slow(job_input):
        is_in.set()
        may_go.wait(LIMIT_S)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(platform.run, slow, faults={"charge": "http_503"})
        assert is_in.wait(LIMIT_S)
        inner = platform.run(lambda i: may_go.set() or first.result(LIMIT_S).ok, faults={"register": "http_403"})
    after = platform.run(busy)

    assert inner.pushes == [True]
    assert after.ok and {call.status for call in after.requests} == {200}


def test_two_platforms_do_not_share_one_environment(platform):
    """While a job of one runs, that of another is refused before its handler is called."""
    with DevPlatform() as other:

        def inner(job_input):
            with pytest.raises(ConfigurationError, match="leads to another DevPlatform"):
                other.run(lambda i: pytest.fail("was called"))
            return platform.run(lambda i: i, 2).pushes

        assert platform.run(inner).pushes == [[2]]
        assert other.run(lambda i: i, 3).pushes == [3]


def test_nothing_is_left_of_a_platform():
    """No thread, no folder, no port."""
    with DevPlatform() as platform:
        folder = platform.run(lambda i, job: job.push_file("a", b"a") and None).files[0].path.parent
        assert folder.is_dir()

    assert not folder.exists()


def test_a_context_runs_by_the_clock_that_it_is_given():
    """And never below zero."""
    now = [100.0]
    context = FakeLambdaContext(3, request_id="r-1", clock=lambda: now[0])

    assert (context.aws_request_id, context.get_remaining_time_in_millis()) == ("r-1", 3000)
    now[0] = 102.5
    assert context.get_remaining_time_in_millis() == 500
    now[0] = 200.0
    assert context.get_remaining_time_in_millis() == 0


def test_events_have_ids_of_their_own(tmp_path, monkeypatch):
    """Good enough for a handler in local mode."""
    monkeypatch.setenv("SEEKAPI_LOCAL_MODE", "1")
    monkeypatch.setenv("SEEKAPI_LOCAL_DIR", str(tmp_path / "out"))
    (tmp_path / "input.json").write_text("[1]")
    one, other = make_event(str(tmp_path / "input.json")), make_event("x", job_uuid="j", extra=1)

    assert worker(lambda i: i)(one, None)["ok"] is True
    assert (other["job_uuid"], other["extra"]) == ("j", 1) and one["execution_token"] != other["execution_token"]


def test_the_plugin_costs_nothing_until_it_is_asked_for():
    """pytest loads it in every run of an environment that has seekapi."""
    load = "import seekapi.testing.plugin"
    code = f"import pytest, sys; before = set(sys.modules); {load}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT_S)

    assert set(done.stdout.split()) <= {"seekapi", "seekapi.testing", "seekapi.testing.plugin"}


def test_each_test_has_a_platform_of_its_own(tmp_path):
    """A real run of pytest: what one test did is not seen by the next, and both are over at the end."""
    (tmp_path / "test_two.py").write_text(
        "import pytest\n"
        "seen = []\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_it(seekapi_platform, n):\n"
        "    assert seekapi_platform not in seen\n"
        "    assert seekapi_platform.run(lambda job_input: job_input, n).pushes == [n]\n"
        "    seen.append(seekapi_platform)\n"
        "    for earlier in seen[:-1]:\n"
        "        with pytest.raises(RuntimeError): earlier.url\n"
    )

    done = run_pytest(tmp_path)

    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout


def test_the_examples_of_the_docs_pass(tmp_path):
    """The fixture is there as soon as seekapi is installed."""
    example = next(code for code in re.findall(r"^```python\n(.*?)^```$", DOCS.read_text("utf-8"), re.M | re.S))
    (tmp_path / "test_worker.py").write_text(example, encoding="utf-8")

    done = run_pytest(tmp_path)

    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout


def test_the_fields_of_a_result_are_documented():
    """None is forgotten."""
    told = set(re.findall(r"`(\w+)`", DOCS.read_text("utf-8").split("| result | is |")[1].split("\n\n")[0]))
    own = {name for name in vars(platform_result()) if not name.startswith("_")} | {"ok", "error"}

    assert own <= told


def platform_result():
    with DevPlatform() as platform:
        return platform.run(lambda i: None)


def test_the_names_of_the_kit_explain_themselves():
    """What users may import has a docstring."""
    for name in testing.__all__:
        assert getattr(testing, name).__doc__, name
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="nothing"):
        _ = testing.nothing
    assert Path(testing.__file__).name == "__init__.py"


@pytest.mark.parametrize("faults", ["http_503", ["http_503"]])
def test_faults_that_name_no_operation_are_refused(faults):
    """With the form that is expected."""
    with (
        DevPlatform() as platform,
        pytest.raises(ValueError, match="expected an object like"),
    ):
        platform.run(lambda job_input: 1, faults=faults)


def test_a_handler_is_not_wrapped_twice():
    """The envelope of the inner one would be a result, and its failure a success."""
    handler = seekapi.worker(lambda job_input: 1)

    with DevPlatform() as platform, pytest.raises(seekapi.ArgumentError, match="is a Lambda handler already"):
        platform.run(handler)
    assert seekapi.run({}, None, handler)["ok"] is False
