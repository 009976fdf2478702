"""`seekapi run` ends, whatever the handler does: deadlines and signals, with real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from command import LIMIT_S, command, environ, outcome, seekapi

from cli.test_run_outcomes import is_gone

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")

by_each_signal = pytest.mark.parametrize(
    ("number", "exit_code", "name"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 129, "SIGHUP")],
)

HANGING = """
    import os, time
    def handler(event, context):
        print("pid", os.getpid())
        while True:
            time.sleep(60)
"""


@pytest.mark.parametrize(
    "body",
    [
        "while True: time.sleep(60)",
        "re.match('(a+)+$', 'a' * 60 + 'b')  # holds the interpreter's lock",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); time.sleep(60)",
    ],
    ids=["sleeps", "spins in C", "stops itself", "blocks signals"],
)
@posix_only
def test_a_handler_that_hangs_does_not_hang_the_command(body, write_worker, tmp_path):
    """At the deadline it is over, however it hangs: exit code 5, and what was pushed before is told."""
    write_worker(f"""
        import os, re, signal, time
        from seekapi import create_context, push_data
        def handler(event, context):
            push_data(create_context(event), "kept")
            {body}
    """)

    told = outcome("worker.py", "--timeout", "1", cwd=tmp_path)

    assert (told["status"], told["exit_code"], told["error"]["code"]) == ("timeout", 5, "TIMEOUT")
    assert "deadline of 1 s" in told["error"]["message"]
    assert [push["data"] for push in told["pushes"]] == ["kept"]


def test_a_timeout_names_the_line_where_the_handler_stood(write_worker, tmp_path):
    """A person who waits for nothing is told where."""
    write_worker("""
        import threading
        def handler(event, context):
            wait_for_ever()
        def wait_for_ever():
            threading.Event().wait()
    """)

    told = outcome("worker.py", "--timeout", "0.2", cwd=tmp_path)

    assert told["exit_code"] == 5
    assert (told["error"]["where"], told["error"]["line"]) == ("worker.py:6", "threading.Event().wait()")
    assert "in wait_for_ever()" in told["error"]["message"]


def test_a_timeout_in_a_file_whose_name_is_not_ascii(write_worker, tmp_path):
    """The watchdog writes such names escaped; the line is found all the same."""
    write_worker("import time\ndef handler(event, context):\n    time.sleep(60)", "wörker.py")

    error = outcome("wörker.py", "--timeout", "0.2", cwd=tmp_path)["error"]

    assert (error["where"], error["line"]) == ("wörker.py:3", "time.sleep(60)")


def test_an_answer_after_the_deadline_is_a_timeout(write_worker, tmp_path):
    """What comes a moment late would not have come on the platform: it is shown, and it is no success."""
    write_worker("""
        import time
        def handler(event, context):
            while context.get_remaining_time_in_millis():
                time.sleep(0.001)
            time.sleep(0.01)
            return 1
    """)

    told = outcome("worker.py", "--timeout", "0.2", cwd=tmp_path)

    assert (told["exit_code"], told["returned"], told["error"]["code"]) == (5, 1, "TIMEOUT")


def test_importing_is_not_counted(write_worker, tmp_path):
    """As on Lambda, the handler's time starts when it is called."""
    write_worker("""
        import time
        time.sleep(1.1)
        def handler(event, context):
            return context.get_remaining_time_in_millis()
    """)

    assert 0 < outcome("worker.py", "--timeout", "1", cwd=tmp_path)["returned"] <= 1000


def test_an_import_that_hangs_is_no_timeout_of_the_handler(write_worker, tmp_path, monkeypatch):
    """It has a limit of its own (Lambda's ten seconds), and then the handler is not importable: exit code 3."""
    from seekapi._cli import handler_process, supervisor, verdict

    monkeypatch.setattr(handler_process, "SHORTEST_IMPORT_LIMIT_S", 0.2)
    boot = handler_process.BOOT.replace(
        " handler_process.main", " handler_process.SHORTEST_IMPORT_LIMIT_S = 0.2; handler_process.main"
    )
    monkeypatch.setattr(handler_process, "BOOT", boot)
    monkeypatch.chdir(tmp_path)
    write_worker("import time\ntime.sleep(60)")
    order = {"target": "worker.py", "event": {}, "request_id": "r", "timeout_s": 0.1}
    (tmp_path / handler_process.ORDER).write_text(json.dumps(order), encoding="utf-8")

    told = verdict.of(supervisor.supervise(str(tmp_path), environ(), 0.1), 0.1)

    assert (told["exit_code"], told["error"]["where"]) == (3, "worker.py:2")
    assert told["error"]["message"] == (
        "importing the handler was not done after 0.2 s; a longer --timeout gives it more"
    )


@posix_only
@by_each_signal
def test_one_interrupt_lets_the_handler_end(number, exit_code, name, write_worker, tmp_path):
    """A signal, once: the handler sees KeyboardInterrupt, cleans up, and the command ends as a shell counts."""
    write_worker("""
        import time
        from seekapi import create_context, push_data
        def handler(event, context):
            try:
                print("ready")
                while True:
                    time.sleep(0.01)
            finally:
                push_data(create_context(event), "cleaned up")
    """)

    code, told, talk = interrupted(tmp_path, number)

    assert (code, told["status"], told["exit_code"]) == (exit_code, "interrupted", exit_code)
    assert (told["error"]["code"], told["error"]["message"]) == ("CANCELLED", f"interrupted by {name}")
    assert [push["data"] for push in told["pushes"]] == ["cleaned up"]
    assert "waiting for the handler to end" in talk
    assert "Traceback" not in talk


@posix_only
@by_each_signal
def test_one_interrupt_cancels_the_job_of_a_worker(number, exit_code, name, write_worker, tmp_path):
    """The envelope says CANCELLED, and where, and so does the command, by its own signal."""
    write_worker("""
        import time
        from seekapi import worker
        @worker
        def handler(job_input, job):
            job.push_data("before")
            try:
                print("ready")
                time.sleep(60)
            finally:
                print("cleaned up")
    """)

    code, told, talk = interrupted(tmp_path, number)

    assert (code, told["status"], told["exit_code"]) == (exit_code, "interrupted", exit_code)
    assert told["envelope"]["error"]["code"] == told["error"]["code"] == "CANCELLED"
    assert told["error"]["message"] == f"interrupted by {name}"
    assert re.fullmatch(r"worker\.py:[89]", told["error"]["where"])
    # It may still be printing.
    assert re.search(r"cancelled by SIGINT at worker\.py:[89] in handler: ", told["envelope"]["error"]["message"])
    assert [push["data"] for push in told["pushes"]] == ["before"]
    assert "cleaned up" in talk


@posix_only
def test_the_second_interrupt_ends_it_now(write_worker, tmp_path):
    """A handler that does not want to end is ended."""
    write_worker("""
        import os, signal, time
        def handler(event, context):
            signal.signal(signal.SIGINT, lambda *_: os.write(1, b"I stay\\n"))
            print("ready")
            while True:
                time.sleep(0.01)
    """)

    code, told, talk = interrupted(tmp_path, signal.SIGINT, at=("ready", "I stay"), spaced=True)

    assert (code, told["status"]) == (130, "interrupted")
    assert "I stay" in talk


@posix_only
def test_two_at_once_are_one(write_worker, tmp_path):
    """`timeout` tells the command and then its group: the handler may clean up all the same."""
    write_worker("""
        import os, time
        def handler(event, context):
            try:
                print("ready")
                time.sleep(60)
            finally:
                time.sleep(0.3)
                print("cleaned up")
    """)

    # Two of one number at once would be one for the kernel already.
    code, told, _ = interrupted(tmp_path, signal.SIGTERM, signal.SIGHUP)

    assert (code in (143, 129), told["log"].splitlines()[-1]) == (True, "cleaned up")


@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_handler_that_swallows_the_interrupt_is_ended_after_the_grace(number, write_worker, tmp_path, monkeypatch):
    """Long before its deadline, and the line where it was is told."""
    from seekapi._cli import handler_process, supervisor, verdict

    monkeypatch.setattr(supervisor, "CLEAN_UP_S", 0.4)
    monkeypatch.setattr(supervisor, "TELL_WHERE_S", LIMIT_S)
    monkeypatch.chdir(tmp_path)
    write_worker(f"""
        import os, time
        def handler(event, context):
            tell = [os.kill]
            while True:
                try:
                    for kill in tell:
                        tell.clear()
                        kill(os.getppid(), {int(number)})
                    stay()
                except BaseException:
                    pass
        def stay():
            time.sleep(60)
    """)
    order = {"target": "worker.py", "event": {}, "request_id": "r", "timeout_s": 50}
    (tmp_path / handler_process.ORDER).write_text(json.dumps(order), encoding="utf-8")

    told = verdict.of(supervisor.supervise(str(tmp_path), environ(), 50), 50)

    assert (told["status"], told["exit_code"], told["error"]["code"]) == ("interrupted", 128 + number, "CANCELLED")
    assert (told["error"]["where"], told["error"]["line"]) == ("worker.py:14", "time.sleep(60)")
    assert told["error"]["message"].endswith("; the handler did not end, in stay(), and was stopped")


def interrupted(folder, *numbers, at=("ready",), spaced=False) -> tuple[int, dict[str, object], str]:
    """Run worker.py, and send the signals to the command alone, each time that it has said the next word."""
    from seekapi._cli import supervisor

    talk = ""
    with started("run", "worker.py", "--json", cwd=folder) as process:
        for word in at:
            while word not in talk:
                line = process.stderr.readline()
                assert line, f"the command ended before it said {word!r}: {talk}"
                talk += line
            if spaced:
                time.sleep(2 * supervisor.SAME_SIGNAL_S)
            # Several are there at once, however busy the machine is.
            for number in (signal.SIGSTOP, *numbers, signal.SIGCONT) if len(numbers) > 1 else numbers:
                process.send_signal(number)
        out, rest = process.communicate(timeout=LIMIT_S)
    return process.returncode, json.loads(out), talk + rest


def started(*arguments: object, cwd) -> subprocess.Popen[str]:
    """The command, running."""
    return subprocess.Popen(
        command(*arguments), cwd=cwd, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@posix_only
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_that_is_told_to_end_takes_the_handler_along(number, code, write_worker, tmp_path):
    """Nothing runs on in secret when the terminal or the supervisor goes."""
    write_worker(HANGING)

    with started("run", "worker.py", cwd=tmp_path) as process:
        pid = int(process.stderr.readline().split()[1])
        process.send_signal(number)
        process.communicate(timeout=LIMIT_S)

    assert process.returncode == code
    assert is_gone(pid)


@posix_only
def test_a_handler_whose_command_was_killed_ends_at_its_deadline(write_worker, tmp_path):
    """kill -9 leaves nobody to hold the time; the handler's process holds its own."""
    write_worker(HANGING)

    with started("run", "worker.py", "--timeout", "2", cwd=tmp_path) as process:
        pid = int(process.stderr.readline().split()[1])
        process.kill()
        process.communicate(timeout=LIMIT_S)

    assert process.returncode == -signal.SIGKILL
    assert is_gone(pid)


def test_nothing_is_left_in_the_temporary_folder(write_worker, tmp_path):
    """The input lies there while the job runs; afterwards it is gone, also after a timeout."""
    write_worker(HANGING)
    (tmp_path / "tmp").mkdir()

    seekapi("run", "worker.py", "--timeout", "0.1", cwd=tmp_path, TMPDIR=str(tmp_path / "tmp"))

    assert os.listdir(tmp_path / "tmp") == []
