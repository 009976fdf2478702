"""Workers that mean harm, or are broken beyond what a worker should be: their job ends, and the platform goes on."""

from __future__ import annotations

import shutil
import sqlite3
import sys

import pytest

from devserver.running import running
from devserver.test_bootstrap import is_alive
from seekapi._devserver import changes, database, processes, verdicts

WRITE_TO_THE_PIPE = """
    import os, sys

    def handler(event, context):
        os.write(int(sys.orig_argv[-1]), {report!r})
        os._exit(0)
    """


@pytest.mark.parametrize(
    "report",
    [
        b'{"outcome": "raised", "error": 7}\n',
        b'{"outcome": "raised", "error": {"code": 5, "message": [1]}}\n',
        b'{"outcome": "unimportable"}\n',
        b'{"outcome": ["x"]}\n',
        b'{"outcome": "not_json", "message": ["x"]}\n',
        b'{"outcome": "returned", "value": 1, "handler_ms": "x"}\n',
        b'{"outcome": "returned", "value": 1, "handler_ms": 1e400}\n',
        b'{"called": true, "import_ms": []}\n',
    ],
)
def test_a_report_that_is_none_is_not_believed(tmp_path, report):
    """Whatever a handler writes where only the bootstrap writes, its job ends, and the next one runs."""
    with running(tmp_path, WRITE_TO_THE_PIPE.format(report=report)) as platform:
        job = platform.run()
        again = platform.run()

    assert job.error["code"] == again.error["code"] == "CRASHED"
    assert [set(data) & {"handler_ms"} for data in job.of("ended")] == [set()]


def test_what_is_nested_too_deeply_to_be_read_is_not_json(tmp_path):
    """A handler may lift the limit of its own interpreter; not that of the platform."""
    source = """
        import sys

        def handler(event, context):
            sys.setrecursionlimit(1_000_000)
            value = []
            for _ in range(20_000):
                value = [value]
            return value
        """
    with running(tmp_path, source) as platform:
        job = platform.run()

    assert job.error["code"] in ("NOT_JSON", "CRASHED")  # the interpreters' own stacks differ


def test_half_a_character_in_a_code_is_replaced(tmp_path):
    """JSON can spell what UTF-8 cannot: the job ends with its code all the same."""
    source = r"""
        def handler(event, context):
            return {"ok": False, "error": {"code": "NO\ud800", "message": "half \udc00"}}
        """
    with running(tmp_path, source) as platform:
        job = platform.run()

    assert (job.error["code"], job.error["message"]) == ("NO?", "half ?")


def test_a_record_of_the_log_may_say_anything(tmp_path):
    """A line that looks like one of ours is shown, whatever types its fields have."""
    source = """
        import json, sys

        def handler(event, context):
            record = {"timestamp": 1, "logger": "seekapi", "level": ["x"], "message": {"a": 1}, "seekapi_code": 5}
            print(json.dumps(record), file=sys.stderr)
        """
    with running(tmp_path, source) as platform:
        job = platform.run()

    assert job.status == "completed"
    assert job.log("seekapi") == ['{"a": 1}']


def test_a_flood_into_the_pipe_of_the_reports_costs_no_memory(tmp_path, monkeypatch):
    """What a handler writes there is kept as a stack, and so much of a stack is none."""
    monkeypatch.setattr(processes, "LARGEST_STACK_CHARS", 1000)
    source = """
        import os, sys

        def handler(event, context):
            for _ in range(10):
                os.write(int(sys.orig_argv[-1]), b"q\\n" * 20_000)
        """
    stacks = []
    finish = processes.Child.finish

    def seen(child):
        code = finish(child)
        stacks.append(len(child.stack))
        return code

    monkeypatch.setattr(processes.Child, "finish", seen)
    with running(tmp_path, source) as platform:
        job = platform.run()

    assert job.status == "completed"
    assert 0 < max(stacks) < 1100


@pytest.mark.skipif(sys.platform != "linux", reason="only there a session can be seen")
@pytest.mark.parametrize("then", ["time.sleep(600)", "return 1"], ids=["deadline", "end"])
def test_a_child_in_a_group_of_its_own_ends_with_the_job(tmp_path, then):
    """It has not left the session: at the deadline, and when the handler has ended, nothing of it is left."""
    source = f"""
        import os, subprocess, time

        def handler(event, context):
            child = subprocess.Popen(["sleep", "600"], preexec_fn=os.setpgrp)
            script = "trap '' TERM; sleep 600 & echo $!; wait"
            shell = subprocess.Popen(["sh", "-c", script], preexec_fn=os.setpgrp, stdout=subprocess.PIPE)
            print(child.pid, shell.pid, int(shell.stdout.readline()), flush=True)
            {then}
        """
    with running(tmp_path, source, timeout_s=2.0) as platform:
        job = platform.run()
        pids = [int(pid) for pid in job.log("stdout")[0].split()]
        platform.until(lambda: not any(is_alive(pid) for pid in pids))

    assert len(pids) == 3
    assert job.status == ("completed" if then == "return 1" else "error")


@pytest.mark.skipif(sys.platform == "win32", reason="what is open cannot be removed there")
def test_a_job_whose_record_was_removed_is_not_looked_after_for_ever(tmp_path, caplog):
    """Its end is written to nothing; its slot comes to rest, and the reason is said once."""
    source = f"""
        import pathlib, time

        def handler(event, context):
            while not pathlib.Path({str(tmp_path / "go")!r}).exists():
                time.sleep(0.01)
        """
    with running(tmp_path, source) as platform:
        job_id = platform.submit()
        platform.until(lambda: platform.events(job_id, "called"), job_id)
        shutil.rmtree(tmp_path / ".seekapi")
        (tmp_path / "go").touch()
        platform.until(lambda: platform.runner.running_count == 0)
        with pytest.raises(AssertionError, match=r"507.*restart the server"):
            platform.submit()

    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        f"{tmp_path}/.seekapi: {database.GONE}"
    ]


def test_a_job_whose_slot_fails_does_not_run_for_ever(tmp_path, monkeypatch):
    """A fault of the platform's own ends the job, its process, and nothing else."""
    pids = []

    def broken(report, exit_code, noted):
        raise RuntimeError("a bug")

    source = """
        import os

        def handler(event, context):
            is_up, says_so = os.pipe()
            if os.fork() == 0:
                print("child", os.getpid(), flush=True)
                os.closerange(0, 3)
                os.write(says_so, b"x")
                import time; time.sleep(60)
            os.read(is_up, 1)
        """
    with running(tmp_path, source) as platform:
        with monkeypatch.context() as patched:
            patched.setattr(verdicts, "of_end", broken)
            job = platform.run()
        pids = [int(line.split()[1]) for line in job.log("stdout")]
        platform.until(lambda: not any(map(is_alive, pids)))
        after = platform.run()

    assert job.status == "error" and job.error["code"] == "LOST" and "RuntimeError" in job.error["message"]
    assert pids and after.status == "completed"


def test_a_full_disk_does_not_keep_a_job_alive_that_is_over(tmp_path, monkeypatch, caplog):
    """Its process ends at the deadline, perhaps it is the one who fills the disk; the verdict is written later."""
    gate = tmp_path / "full"
    end_attempt = changes.end_attempt

    refused = []

    def on_a_full_disk(tx, **more):
        if gate.exists():
            refused.append(more)
            raise sqlite3.OperationalError("database or disk is full")
        return end_attempt(tx, **more)

    monkeypatch.setattr(changes, "end_attempt", on_a_full_disk)
    source = """
        import os, time

        def handler(event, context):
            print("pid", os.getpid(), flush=True)
            time.sleep(60)
        """
    with running(tmp_path, source, timeout_s=2.0) as platform:
        gate.touch()
        job_id = platform.submit()
        pid = int(platform.until_printed(job_id, "pid").split()[1])
        platform.until(lambda: not is_alive(pid) and len(refused) > 3, job_id)
        status = platform.job(job_id).status
        gate.unlink()
        job = platform.ended(job_id)

    assert (status, job.error["code"]) == ("processing", "TIMEOUT")
    # Said once, however often it is tried; and once when it went well.
    said = [message for message in caplog.messages if message.startswith(f"the end of job {job_id}")]
    assert len(said) == 2 and "cannot be written" in said[0] and said[1].endswith("is written now")
