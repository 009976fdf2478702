"""The runner: every job in a fresh process, its time held, its output kept, its end judged."""

from __future__ import annotations

import json
import operator
import os
import re
import signal
import threading
import time

import pytest

from devserver.running import LIMIT_S, running
from devserver.served import until
from devserver.test_bootstrap import is_alive
from seekapi._devserver import changes, output, verdicts
from seekapi._devserver.planned_faults import Plan

HELLO = """
    from seekapi import worker

    @worker
    def handler(job_input, job):
        print("hi", job_input["name"])
        job.progress(1, 2, "half")
        job.log.warning("on the way")
        job.push_data({"n": 1})
        return {"hello": job_input["name"]}
    """


def test_a_job_leaves_its_whole_story(tmp_path):
    """Queued, started, called, its input, what it printed and logged and pushed, its end."""
    with running(tmp_path, HELLO) as platform:
        job = platform.run({"name": "Ada"})

    kinds = [kind for kind, _ in job.events]
    # Whether the runner or the worker is heard first is chance.
    assert kinds[:2] == ["submitted", "started"] and kinds[-1] == "ended"
    assert {"called", "input", "registered", "log", "progress", "push"} <= set(kinds)
    assert job.status == "completed" and job.pushes == [{"n": 1}, {"hello": "Ada"}]
    assert job.log("stdout") == ["hi Ada"] and job.log("seekapi") == ["on the way"]
    assert job.of("progress") == [{"done": 1, "total": 2, "message": "half"}]
    (end,) = job.of("ended")
    assert end["exit_code"] == 0 and end["handler_ms"] > 0 and end["cold_ms"] > 0


def test_each_attempt_is_a_fresh_process(tmp_path):
    """Nothing that a job leaves in memory is seen by the next one."""
    source = "import os\nseen = []\ndef handler(event, context):\n    seen.append(1)\n    print(len(seen), os.getpid())"
    with running(tmp_path, source) as platform:
        said = [platform.run().log("stdout")[0].split() for _ in range(3)]

    assert [count for count, _ in said] == ["1", "1", "1"]
    assert len({pid for _, pid in said}) == 3


def test_what_is_on_disk_is_what_the_next_job_runs(tmp_path):
    """No restart, and no cache: also for two saves within a second."""
    with running(tmp_path, "") as platform:
        said = []
        for n in range(4):
            (tmp_path / "worker.py").write_text(f"def handler(event, context):\n    print({n})\n")
            said += platform.run().log("stdout")

    assert said == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("os._exit(3)", "CRASHED", "exit code 3"),
        ("os._exit(0)", "CRASHED", "exit code 0; a handler returns"),
        ("ctypes.string_at(0)", "CRASHED", "was ended by SIGSEGV (Segmentation fault)"),
        ("os.kill(os.getpid(), 9)", "CRASHED", "was ended by SIGKILL (Killed); was it out of memory?"),
        ("os.abort()", "CRASHED", "was ended by SIGABRT"),
        ("raise KeyError('x')", "HANDLER_RAISED", "KeyError: 'x'"),
        ("raise SystemExit(1)", "HANDLER_RAISED", "SystemExit: 1"),
        ("return {1}", "NOT_JSON", "is not JSON"),
        ("return {'ok': False}", "NO_REASON", "gave no reason"),
        ("return {'ok': False, 'error': {'code': 'NO_STOCK', 'message': 'two left'}}", "NO_STOCK", "two left"),
        ("return {'ok': False, 'error': 'just so'}", "WORKER_ERROR", "just so"),
    ],
)  # fmt: skip
def test_a_job_that_ends_badly_says_how(tmp_path, body, code, message):
    """A code and a message for whatever can happen to a process."""
    with running(
        tmp_path, f"import ctypes, os\ndef handler(event, context):\n    print('begun')\n    {body}\n"
    ) as platform:
        job = platform.run()

    assert job.status == "error" and job.error["code"] == code
    assert message in job.error["message"]
    assert "begun" in job.log("stdout")


def test_a_failure_inside_run_keeps_its_line_and_traceback(tmp_path):
    """The envelope has neither; the log has told both."""
    source = "from seekapi import worker\n@worker\ndef handler(job_input):\n    return job_input['missing']\n"
    with running(tmp_path, source) as platform:
        job = platform.run({})

    assert job.error["code"] == "WORKER_ERROR" and job.error["line"] == "return job_input['missing']"
    assert job.error["where"].endswith("worker.py:4") and "KeyError" in job.error["traceback"]


def test_a_worker_that_cannot_be_imported_fails_its_jobs_and_recovers(tmp_path):
    """With the line; the next job after the repair runs."""
    with running(tmp_path, "def handler(event, context)\n    pass\n") as platform:
        broken = platform.run()
        (tmp_path / "worker.py").write_text("def handler(event, context):\n    pass\n")
        mended = platform.run()

    assert broken.error["code"] == "NOT_IMPORTABLE" and broken.error["where"].endswith("worker.py:1")
    assert mended.status == "completed"


def test_an_interpreter_that_is_none_is_told(tmp_path):
    """Also one that cannot even be started, and one that never reads its order."""
    with running(tmp_path, "", python=["/nowhere/python"]) as platform:
        absent = platform.run()
    with running(tmp_path, "", python=["/bin/echo"]) as platform:
        other = platform.run()

    assert absent.error == {
        "code": "NOT_IMPORTABLE",
        "message": "cannot start /nowhere/python: No such file or directory",
    }
    assert other.error["code"] == "CRASHED"


# Time


def test_at_its_deadline_a_handler_is_over_with_all_that_it_started(tmp_path):
    """Also one that ignores SIGTERM: it is told where it stood, and nothing of it is left."""
    source = """
        import signal, subprocess, time
        def stubborn():
            while True:
                time.sleep(0.05)
        def handler(event, context):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen(["sleep", "600"], preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
            import os
            print(os.getpid(), child.pid, flush=True)
            stubborn()
        """
    with running(tmp_path, source, timeout_s=2.0) as platform:
        job = platform.run()
        pids = [int(pid) for pid in job.log("stdout")[0].split()]
        platform.until(lambda: not any(is_alive(pid) for pid in pids))

    assert job.error["code"] == "TIMEOUT" and job.error["line"] == "time.sleep(0.05)"
    assert "at its deadline of 2 s" in job.error["message"] and "in stubborn" in job.error["message"]


def test_what_a_late_handler_still_does_is_refused(tmp_path):
    """The record says that it is over, so its token opens nothing any more."""
    source = """
        import json, os, signal, sys, time, urllib.request

        def push(event, n):
            url = os.environ["WORKER_API_BASE_URL"] + "/v1/internal/jobs/" + event["job_uuid"] + "/push"
            body = json.dumps({"execution_token": event["execution_token"], "data": n, "type": "json"}).encode()
            headers = {"Content-Type": "application/json", "X-Internal-Secret": os.environ["WORKER_INTERNAL_SECRET"]}
            try:
                return urllib.request.urlopen(urllib.request.Request(url, body, headers)).status
            except OSError as error:
                return getattr(error, "code", str(error))

        def handler(event, context):
            signal.signal(signal.SIGTERM, lambda *_: (print("late", push(event, "late"), flush=True), os._exit(0)))
            print("early", push(event, "early"), flush=True)
            time.sleep(60)
        """
    with running(tmp_path, source, timeout_s=3.0) as platform:
        job_id = platform.submit()
        told = platform.until_printed(job_id, "late")
        job = platform.ended(job_id)

    assert told == "late 409"
    assert job.pushes == ["early"] and job.error["code"] == "TIMEOUT"


def test_a_seekapi_worker_answers_before_its_deadline(tmp_path):
    """The guard's own verdict, with the line, comes before the platform has to do anything."""
    source = "import time\nfrom seekapi import worker\n@worker\ndef handler(job_input):\n    time.sleep(60)\n"
    with running(tmp_path, source, timeout_s=3.0) as platform:
        job = platform.run()

    assert job.error["code"] == "TIMEOUT" and job.error["line"] == "time.sleep(60)"
    assert job.of("ended")[0]["exit_code"] == 0


def test_the_time_of_a_handler_begins_when_it_is_called(tmp_path):
    """As on Lambda: an import may take longer than the deadline of a job."""
    source = """
        import time
        time.sleep(2.2)
        def handler(event, context):
            print(context.get_remaining_time_in_millis() > 100)
        """
    with running(tmp_path, source, timeout_s=2.0) as platform:
        job = platform.run()

    assert job.status == "completed" and job.log("stdout") == ["True"]


# Cancelling, stopping


def test_cancelling_a_job_ends_its_process(tmp_path):
    """The job is cancelled at once; its process is asked to end, and gone."""
    source = """
        import os, signal, sys, time
        def handler(event, context):
            signal.signal(signal.SIGTERM, lambda *_: (print("told to end", flush=True), sys.exit()))
            print("pid", os.getpid(), flush=True)
            time.sleep(600)
        """
    with running(tmp_path, source) as platform:
        job_id = platform.submit()
        pid = int(platform.until_printed(job_id, "pid").split()[1])
        platform.ask("POST", f"/jobs/{job_id}/cancel", {})
        job = platform.ended(job_id)
        platform.until(lambda: not is_alive(pid))
        platform.until_printed(job_id, "told to end")
        after = platform.run  # the slot is free again
        (tmp_path / "worker.py").write_text("def handler(event, context):\n    pass\n")
        assert after().status == "completed"

    assert job.status == "cancelled" and job.of("ended") == []


def test_a_job_that_is_cancelled_in_the_queue_never_starts(tmp_path):
    """And does not keep those behind it."""
    with running(tmp_path, until_told(tmp_path / "go")) as platform:
        first, second, third = (platform.submit() for _ in range(3))
        platform.ask("POST", f"/jobs/{second}/cancel", {})
        (tmp_path / "go").touch()
        jobs = [platform.ended(job_id) for job_id in (first, second, third)]

    assert [job.status for job in jobs] == ["completed", "cancelled", "completed"]
    assert jobs[1].of("started") == []


def test_a_job_that_is_cancelled_between_the_queue_and_its_process_is_not_started(tmp_path):
    """Cancelled before the slot knew that it had it: nobody would have told it."""
    with running(tmp_path, "def handler(event, context):\n    print('ran')\n") as platform:
        store, runner = platform.store, platform.runner
        claim = runner.claim

        def claim_and_cancel():
            claimed = claim()
            if claimed is not None:
                store.submit(
                    lambda tx: changes.cancel(tx, claimed.attempt and platform.job(claimed.attempt.job_id))
                ).result()
            return claimed

        runner.claim = claim_and_cancel
        job = platform.ended(platform.submit())
        runner.claim = claim
        assert platform.run().log("stdout") == ["ran"]
        first = platform.events(job.job_id, "called", "log")

    assert job.status == "cancelled" and first == []


def test_stopping_the_platform_lets_a_short_job_end(tmp_path):
    """Nothing new is started; what runs may end."""
    with running(tmp_path, until_told(tmp_path / "go")) as platform:
        first, second = platform.submit(), platform.submit()
        platform.until_printed(first, "up")
        stopping = threading.Thread(target=platform.runner.stop, args=(LIMIT_S,))
        stopping.start()
        platform.until(lambda: platform.runner.is_stopping)
        (tmp_path / "go").touch()
        stopping.join(LIMIT_S)
        jobs = [platform.job(job_id) for job_id in (first, second)]

    assert [job.status for job in jobs] == ["completed", "queued"]


def test_stopping_the_platform_ends_a_job_that_was_just_being_taken(tmp_path):
    """Told to end before it had the job, its slot ends that all the same."""
    with running(tmp_path, until_told(tmp_path / "never"), timeout_s=600.0) as platform:
        runner = platform.runner
        (slot,) = runner._slots
        claim, is_taken, goes_on = runner.claim, threading.Event(), threading.Event()

        def claim_slowly():
            claimed = claim()
            if claimed is not None:
                is_taken.set()
                assert goes_on.wait(LIMIT_S)
            return claimed

        runner.claim = claim_slowly
        job_id = platform.submit()
        assert is_taken.wait(LIMIT_S)
        stopping = threading.Thread(target=runner.stop, args=(0,))
        stopping.start()
        platform.until(lambda: slot._is_to_end)
        goes_on.set()
        stopping.join(LIMIT_S)
        is_stopped = not stopping.is_alive()
        runner.hurry()

        assert is_stopped and platform.ended(job_id).error["code"] == "SHUTDOWN"


@pytest.mark.parametrize(("then", "status"), [("raise", "error"), ("return {'ok': True}", "completed")])
def test_stopping_the_platform_ends_a_long_job_and_says_so(tmp_path, then, status):
    """It is told to end, and what it makes of that counts."""
    source = f"""
        import signal, time
        class Ended(BaseException): pass
        def end(*_): raise Ended
        def handler(event, context):
            signal.signal(signal.SIGTERM, end)
            print("up", flush=True)
            try:
                time.sleep(600)
            except Ended:
                print("tidy", flush=True)
                {then}
        """
    with running(tmp_path, source) as platform:
        job_id = platform.submit()
        platform.until_printed(job_id, "up")
        platform.runner.stop(grace_s=0)
        job = platform.ended(job_id)

    assert job.status == status and job.log("stdout") == ["up", "tidy"]
    assert status == "completed" or job.error["code"] == "SHUTDOWN"


def test_hurrying_ends_what_runs_at_once(tmp_path, monkeypatch):
    """The second Ctrl-C: no grace for a job that would not end."""
    monkeypatch.setattr("seekapi._devserver.slots.TERM_GRACE_S", 600)
    source = """
        import os, signal, time
        def handler(event, context):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print(os.getpid(), flush=True)
            time.sleep(600)
        """
    with running(tmp_path, source) as platform:
        job_id = platform.submit()
        platform.until(lambda: platform.events(job_id, "log"))
        pid = int(platform.events(job_id, "log")[0][1]["message"])
        stopping = threading.Thread(target=platform.runner.stop, args=(600,))
        stopping.start()
        platform.until(lambda: platform.runner.is_stopping)
        platform.runner.hurry()
        stopping.join(LIMIT_S)

        assert not stopping.is_alive() and not is_alive(pid)
        assert platform.job(job_id).status == "error"


# The queue


def until_told(path):
    """A worker whose jobs say that they are up, and end once this file is there."""
    return f"""
        import os, time
        def handler(event, context):
            print("up", flush=True)
            while not os.path.exists({str(path)!r}):
                time.sleep(0.01)
        """


def test_jobs_run_in_the_order_of_their_submission(tmp_path):
    """One at a time, if there is one slot."""
    with running(tmp_path, "import time\ndef handler(event, context):\n    print(time.time_ns())\n") as platform:
        jobs = [platform.ended(job_id) for job_id in [platform.submit() for _ in range(6)]]

    moments = [int(job.log("stdout")[0]) for job in jobs]
    assert moments == sorted(moments)


def test_several_jobs_run_at_once_and_no_more(tmp_path):
    """`--concurrency 3`: three handlers meet, the fourth job waits."""
    source = f"""
        import os, time
        from pathlib import Path
        folder = Path({str(tmp_path)!r})
        def handler(event, context):
            (folder / event["job_uuid"]).touch()
            for _ in range(2000):
                met = len(list(folder.glob("*-*-*")))
                if met >= 3:
                    break
                time.sleep(0.01)
            print(met)
            if not (folder / "go").exists():
                while not (folder / "go").exists():
                    time.sleep(0.01)
        """
    with running(tmp_path, source, concurrency=3) as platform:
        ids = [platform.submit() for _ in range(4)]
        platform.until(lambda: sum(bool(platform.events(job_id, "log")) for job_id in ids) == 3)
        assert platform.job(ids[3]).status == "queued" and platform.runner.running_count == 3
        (tmp_path / "go").touch()
        jobs = [platform.ended(job_id) for job_id in ids]

    assert [job.log("stdout")[0] for job in jobs[:3]] == ["3", "3", "3"]


def test_what_was_queued_when_the_server_ended_runs_at_the_next_start(tmp_path):
    """The queue is on the disk."""
    with running(
        tmp_path, "import time\ndef handler(event, context):\n    print('up', flush=True)\n    time.sleep(600)\n"
    ) as platform:
        first, second = platform.submit(), platform.submit()
        platform.until_printed(first, "up")

    with running(tmp_path, "def handler(event, context):\n    pass\n") as platform:
        assert platform.ended(second).status == "completed"
        assert platform.job(first).status == "error"


# What is printed


def test_whatever_is_printed_is_kept_line_by_line_by_its_source(tmp_path):
    """Bytes that are no text, lines without an end, carriage returns, children's output."""
    source = r"""
        import os, subprocess, sys
        def handler(event, context):
            os.write(1, b"\xff\xfe\x00raw\n")
            os.write(1, b"windows\r\n")
            print("to stderr", file=sys.stderr)
            subprocess.run(["echo", "of a child"])
            print("\x1b[31mred \N{SNOWMAN}")
            os.write(2, b"no end")
        """
    with running(tmp_path, source) as platform:
        job = platform.run()

    assert job.log("stdout") == ["\\xff\\xfe\x00raw", "windows", "of a child", "\x1b[31mred ☃"]
    assert job.log("stderr") == ["to stderr", "no end"]


def test_a_flood_is_bounded_and_says_what_is_missing(tmp_path, monkeypatch):
    """The first lines stay; the rest is counted, and the job is what it is."""
    monkeypatch.setattr("seekapi._devserver.slots.MOST_LINES", 500)
    with running(tmp_path, "def handler(event, context):\n    for n in range(30_000): print('line', n)\n") as platform:
        job = platform.run()

    assert job.status == "completed"
    assert job.log("stdout") == [f"line {n}" for n in range(500)]
    assert job.log("platform") == ["29500 more lines were not kept"]
    assert job.of("ended")[0]["lines_dropped"] == 29_500


def test_a_flood_waits_for_the_disk(tmp_path, monkeypatch):
    """What cannot be written yet stays with the worker: memory holds no more than what is on its way."""
    monkeypatch.setattr("seekapi._devserver.slots.MOST_LOG_CHARS", 10**9)
    monkeypatch.setattr("seekapi._devserver.slots.MOST_LINES", 10**9)
    source = "def handler(event, context):\n    while True: print('x' * 500)\n"
    with running(tmp_path, source) as platform:
        gate = threading.Event()
        job_id = platform.submit()
        platform.until(lambda: platform.events(job_id, "log"))
        platform.store.post(lambda tx: gate.wait(20), lambda value, error: None)
        time.sleep(0.5)
        waiting = platform.store._works.qsize()
        gate.set()

        assert waiting <= 3
        platform.ask("POST", f"/jobs/{job_id}/cancel", {})


def test_where_the_system_cannot_tell_that_a_process_has_ended_it_is_seen_all_the_same(tmp_path, monkeypatch):
    """As outside of Linux: also if a child of the worker's holds its output open."""
    monkeypatch.delattr("os.pidfd_open", raising=False)
    source = """
        import subprocess
        def handler(event, context):
            print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
        """
    with running(tmp_path, source) as platform:
        job = platform.run()

    assert job.status == "completed"
    os.kill(int(job.log("stdout")[0]), signal.SIGKILL)


def test_a_runner_leaves_nothing_open(tmp_path):
    """No descriptor, no thread: a test kit starts many."""

    def held():
        return len(os.listdir("/proc/self/fd")), {thread.name for thread in threading.enumerate()}

    with running(tmp_path, "def handler(event, context):\n    print('x')\n", concurrency=3) as platform:
        platform.run()
    before = held()
    for _ in range(3):
        with running(tmp_path, concurrency=3) as platform:
            platform.run()

    until(lambda: all(map(operator.le, held(), before)))


def test_a_very_long_line_is_cut(tmp_path):
    """Its beginning stays, and how much is missing."""
    with running(tmp_path, "def handler(event, context):\n    print('é' * 1_000_000)\n    print('next')\n") as platform:
        job = platform.run()

    long, after = job.of("log")
    assert set(long["message"]) == {"é"} and len(long["message"]) == output.LONGEST_LINE_BYTES // 2
    assert long["cut"] == 2_000_000 - output.LONGEST_LINE_BYTES and after["message"] == "next"


def test_secrets_that_a_worker_prints_are_masked(tmp_path):
    """The secret of the platform, its token, the signature of its input: not in the log, not in an error."""
    source = """
        import os
        def handler(event, context):
            print(os.environ["WORKER_INTERNAL_SECRET"], event["execution_token"])
            print(event["input_presigned_url"])
            raise ValueError(event["execution_token"])
        """
    with running(tmp_path, source) as platform:
        job = platform.run()
        secret = platform.platform.secret

    told = json.dumps(job.events)
    assert secret not in told and job.error["message"] == "ValueError: ***"
    assert job.log("stdout")[0] == "*** ***" and "sig=" not in told


def test_a_line_of_json_that_is_not_ours_is_the_workers_own(tmp_path):
    """Only what a logger of seekapi wrote to stderr is a record."""
    source = """
        import json, sys
        def handler(event, context):
            record = {"timestamp": "now", "level": "ERROR", "message": "m", "logger": "seekapi.job"}
            record["seekapi_progress"] = {"done": "x"}
            print(json.dumps(record))
            print(json.dumps({**record, "logger": "other"}), file=sys.stderr)
            print(json.dumps({**record, "logger": "seekapi"}), file=sys.stderr)
            print("{" * 10_000, file=sys.stderr)
        """
    with running(tmp_path, source) as platform:
        job = platform.run()

    assert [data["source"] for data in job.of("log")] == ["stdout", "stderr", "seekapi", "stderr"]
    assert job.of("progress") == []


# Faults on purpose


def test_the_next_push_can_be_made_to_fail(tmp_path):
    """seekapi tries again with the same key, and one push is there."""
    with running(tmp_path, HELLO) as platform:
        platform.ask("POST", "/faults", {"name": "push_fails"})
        job = platform.run({"name": "Ada"})

        assert platform.ask("GET", "/faults")["armed"] == []
    assert job.status == "completed" and job.pushes == [{"n": 1}, {"hello": "Ada"}]
    assert [data["operation"] for data in job.of("fault")] == ["push"]


def test_an_answer_that_is_lost_leaves_one_effect(tmp_path):
    """Worked on, then cut: the second attempt with the same key is the same push."""
    with running(tmp_path, HELLO) as platform:
        plan = platform.platform.options.faults
        plan.load({"push": ["response_lost_once", "response_lost_once"], "input": "slow_ok_1s_once"})
        job = platform.run({"name": "Ada"})

    assert job.status == "completed" and job.pushes == [{"n": 1}, {"hello": "Ada"}]
    assert len(job.of("fault")) == 3


def test_a_clock_near_the_deadline_shortens_one_job(tmp_path):
    """The next one has its time again."""
    with running(
        tmp_path, "def handler(event, context):\n    print(context.get_remaining_time_in_millis() <= 1000)\n"
    ) as platform:
        platform.ask("POST", "/faults", {"name": "deadline_near"})
        said = [platform.run().log("stdout") for _ in range(2)]

    assert said == [["True"], ["False"]]


@pytest.mark.parametrize(
    "plan",
    [
        [],
        {"push": 7},
        {"nothing": "http_503"},
        {"push": "no_such_fault"},
        {"push": "deadline_near"},
        {"deadline": "http_503"},
        {"input": ["slow_ok_1s", "stall_headers_once"]},
        {"any": "http_503", "push": "rst_mid_body_once"},
        {"push": ["http_503_once"] * 101},
    ],
)
def test_a_plan_that_is_none_is_refused(plan):
    """With the names that there are, also where a fault would never be met; and nothing of it is armed."""
    armed = Plan()
    with pytest.raises(ValueError, match=r"expected|is not for|never be met|at most"):
        armed.load(plan)

    assert armed.armed() == []


@pytest.mark.parametrize(
    ("asked", "armed"),
    [
        ({"push": "http_503_once"}, [("push", "http_503_once", 1)]),
        (
            {"input": ["stall_headers_once", "slow_ok_1s"]},
            [("input", "stall_headers_once", 1), ("input", "slow_ok_1s", None)],
        ),
        ({"name": "http_503", "operation": "push"}, [("push", "http_503", 1)]),
        ({"name": "http_503", "operation": "push", "count": 1000}, [("push", "http_503", 1000)]),
        ({"name": "push_fails"}, [("push", "http_503", 1)]),
        ({"name": "http_503"}, "http_503 needs an operation: one of input, register"),
        ({"name": "http_503", "operation": "push", "count": 1001}, "1 to 1000"),
        ({"push": "http_503_once", "nothing": "x"}, "unknown operation"),
        ([], "expected an object like"),
    ],
)
def test_a_fault_is_armed_in_either_form(tmp_path, asked, armed):
    """What a file has, and one by its name for so many calls; or it is said what is expected, and nothing is armed."""
    with running(tmp_path, HELLO) as platform:
        if isinstance(armed, str):
            with pytest.raises(AssertionError, match=re.escape(armed)):
                platform.ask("POST", "/faults", asked)
            armed = []
        else:
            platform.ask("POST", "/faults", asked)
        told = platform.ask("GET", "/faults")["armed"]

    assert [(row["operation"], row["name"], row["left"]) for row in told] == armed


def test_the_worker_is_shown_with_its_schema(tmp_path):
    """For the page: who it is, what it takes, or why it cannot be imported."""
    with running(tmp_path, "from seekapi import worker\n@worker\ndef handler(x: int):\n    pass\n") as platform:
        platform.runner.worker.describe()
        shown = platform.ask("GET", "/worker")
        (tmp_path / "worker.py").write_text("1/0\n")
        stale = platform.runner.input_schema
        platform.runner.worker.describe()
        broken = platform.ask("GET", "/worker")

    assert shown["schema"]["type"] == "integer" and shown["error"] is None and shown["platform_only"] is False
    assert stale is None
    assert broken["error"]["where"].endswith("worker.py:1") and broken["schema"] is None


def test_a_worker_without_seekapi_is_served_as_well(tmp_path):
    """One that speaks the protocol by hand, with the standard library alone."""
    source = """
        import json, os, urllib.request
        def handler(event, context):
            job_input = json.load(urllib.request.urlopen(event["input_presigned_url"]))
            url = os.environ["WORKER_API_BASE_URL"] + "/v1/internal/jobs/" + event["job_uuid"] + "/push"
            body = json.dumps({"execution_token": event["execution_token"], "data": job_input, "type": "json"}).encode()
            headers = {"Content-Type": "application/json", "X-Internal-Secret": os.environ["WORKER_INTERNAL_SECRET"]}
            return json.load(urllib.request.urlopen(urllib.request.Request(url, body, headers)))
        """
    with running(tmp_path, source, environ={"PYTHONPATH": ""}) as platform:
        job = platform.run({"n": [1, None, "é"]})

    assert job.status == "completed" and job.pushes == [{"n": [1, None, "é"]}]


# Pure


def test_the_place_of_a_stack_is_the_users_own_line():
    """Of what faulthandler wrote: the main thread's, and there the innermost that is nobody else's."""
    stack = (
        'Thread 0x1 (most recent call first):\n  File "/app/other.py", line 1 in spin\n\n'
        'Current thread 0x2 (most recent call first):\n  File "/usr/lib/python3.11/socket.py", line 9 in read\n'
        '  File "/v/lib/python3.11/site-packages/requests/api.py", line 5 in get\n'
        '  File "<frozen runpy>", line 3 in x\n'
        '  File "/app/worker.py", line 7 in fetch\n  File "/app/worker.py", line 3 in handler\n'
        '  File "/ours/bootstrap.py", line 100 in called\n'
    )

    assert verdicts.place_in(stack, "/ours") == ("/app/worker.py", 7, "fetch")
    assert verdicts.place_in("", "/ours") is None


def test_lines_come_out_the_same_however_they_come_in():
    """Whole, or byte by byte."""
    data = "één\r\n\ntwo\n".encode() + b"\xff\n" + b"x" * (output.LONGEST_LINE_BYTES + 5) + b"\nlast"

    def told(pieces):
        lines = output.Lines()
        found = [line for piece in pieces for line in lines.feed(piece)] + lines.finish()
        return [(line.text, line.cut_bytes) for line in found]

    whole = told([data])
    assert whole == told([data[n : n + 1] for n in range(len(data))])
    assert whole[:4] == [("één", 0), ("", 0), ("two", 0), ("\\xff", 0)] and whole[4][1] == 5 and whole[5] == ("last", 0)
