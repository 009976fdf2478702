"""`seekapi call`: submit, follow, print; and whose turn it is, as an exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from client.dev_server import INPUT_SCHEMA, KEY, DevServer, dev_server
from client.service import Service
from command import LIMIT_S, Screenful, command, environ, needs_a_terminal, on_a_terminal, seekapi

import seekapi as package
from seekapi._cli import platform
from seekapi._devserver import records

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def server() -> Iterator[DevServer]:
    with dev_server() as server:
        yield server


def worker_does(server: DevServer, act) -> threading.Thread:
    """A worker that takes the next job, does `act(worker)` and ends it."""

    def work() -> None:
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            with server.platform.store.read() as reader:
                waits = records.next_waiting(reader) is not None
            if waits:
                act(server.claim())
                return
            time.sleep(0.005)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def finish(worker) -> None:
    package.push_data(worker.context, {"message": "hallo wörld"})
    worker.end()


def test_the_result_is_on_stdout_and_the_talk_is_not(server, tmp_path):
    """One line of JSON for each push; the log is on stderr, escaped."""

    def act(worker):
        worker.log("looking\x1b[2Jup")
        package.push_data(worker.context, {"message": "hallo wörld"})
        package.push_data(worker.context, [1, None])
        worker.end()

    thread = worker_does(server, act)
    done = seekapi("call", '{"name": "world"}', "--url", server.url, cwd=tmp_path)
    thread.join()

    assert done.stdout.splitlines() == ['{"message": "hallo wörld"}', "[1, null]"]
    assert "stdout   looking\\x1b[2Jup\n" in done.stderr
    assert "completed  job " in done.stderr and "\x1b" not in done.stderr
    assert done.returncode == 0


def test_a_result_moves_no_cursor(server, tmp_path):
    """It stays the JSON that it was; what a terminal would obey, or show backwards, is escaped in it."""
    value = {"\x9b2J": "\x9b31m \u202e \x7f \u2028 \U000e0041 größer"}

    def act(worker):
        package.push_data(worker.context, value)
        worker.end()

    thread = worker_does(server, act)
    done = seekapi("call", '{"name": "world"}', "--url", server.url, cwd=tmp_path)
    thread.join()

    assert json.loads(done.stdout) == value
    assert done.stdout.removesuffix("\n").isprintable() and "größer" in done.stdout


def test_a_result_is_json_in_any_encoding(server, tmp_path):
    """What stdout cannot hold is escaped as JSON has it, and not as Python does."""
    value = {"größer": "你好 \U0001f600"}

    def act(worker):
        package.push_data(worker.context, value)
        worker.end()

    thread = worker_does(server, act)
    done = seekapi("call", '{"name": "world"}', "--url", server.url, cwd=tmp_path, PYTHONIOENCODING="latin-1")
    thread.join()

    assert json.loads(done.stdout) == value


@needs_a_terminal
@pytest.mark.parametrize("columns", [80, 24, 5])
def test_a_bar_leaves_nothing_behind(server, tmp_path, columns):
    """However narrow the terminal: a line that wraps cannot be taken back."""

    def act(worker):
        worker.progress(3, 10, "你好 a long message " * 9)
        worker.end()

    thread = worker_does(server, act)
    with open(tmp_path / "out.json", "w") as out:
        raw = on_a_terminal(
            "call", '{"name": "world"}', "--url", server.url, cwd=tmp_path, columns=columns, stdout=out.fileno()
        )
    thread.join()
    bar, _, _ = raw.partition("completed")
    final = Screenful(columns)
    final.write(bar)

    assert "30 %" in bar or columns == 5
    assert "".join(final.shown).strip() == ""
    assert not final.has_wrapped


@pytest.mark.parametrize("how", ["argument", "file", "stdin"])
def test_the_input_in_three_ways(server, tmp_path, how):
    """JSON itself, @FILE, and - for stdin."""
    (tmp_path / "job.json").write_text('{"n": 7}')
    given = {"argument": '{"n": 7}', "file": "@job.json", "stdin": "-"}[how]

    done = seekapi("call", given, "--detach", "--url", server.url, cwd=tmp_path, stdin='{"n": 7}')

    with package.Client(server.url) as client:
        assert client.jobs.get(done.stdout.strip()).input == {"n": 7}
    assert (done.returncode, done.stderr) == (0, "")


def test_everything_as_one_object(server, tmp_path):
    """--json."""
    thread = worker_does(server, finish)
    done = seekapi("call", "{}", "--json", "--url", server.url, cwd=tmp_path)
    thread.join()

    told = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert (told["status"], told["exit_code"], told["error"]) == ("completed", 0, None)
    assert [push["data"] for push in told["pushes"]] == [{"message": "hallo wörld"}]
    assert told["url"] == server.url and told["duration_ms"] > 0


def test_a_worker_cannot_say_the_last_words(server, tmp_path):
    """Whatever lines are in a message of the log or of a failure: no later one begins where a line of ours does."""

    def act(worker):
        worker.log("one\ncompleted  job x")
        worker.end({"code": "NO_STOCK", "message": "two\ncompleted  job y"})

    thread = worker_does(server, act)
    done = seekapi("call", "{}", "--url", server.url, cwd=tmp_path)
    thread.join()

    assert "one\n" in done.stderr and "two\n" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("completed")]


@pytest.mark.parametrize("code, exit_code", [("WORKER_ERROR", 1), ("TIMEOUT", 5)])
def test_a_failed_job_is_told_with_its_place(server, tmp_path, code, exit_code):
    """What, where, and the exit code of it."""
    fault = {"code": code, "message": "only 2 left", "where": "worker.py:3", "line": "sell()", "traceback": ""}
    thread = worker_does(server, lambda worker: worker.end(fault))
    done = seekapi("call", "{}", "--url", server.url, cwd=tmp_path)
    thread.join()

    assert (done.returncode, done.stdout) == (exit_code, "")
    assert f"{code}: only 2 left\n    at worker.py:3   sell()\n" in done.stderr


def test_a_job_that_takes_too_long_is_left_alone(server, tmp_path):
    """5, and the job goes on."""
    done = seekapi("call", "{}", "--timeout", "0.3", "--url", server.url, cwd=tmp_path)

    assert done.returncode == 5
    assert "still queued: gave up waiting" in done.stderr
    worker = server.claim()
    worker.end()
    assert done.stderr.endswith(f"\n  it goes on: seekapi jobs show {worker.attempt.job_id}\n")


def test_a_platform_without_a_worker_says_that_the_job_waits(server, tmp_path):
    """At once, and once; one that runs a worker does not."""
    busy = seekapi("call", "{}", "--timeout", "0.3", "--url", server.url, cwd=tmp_path)
    server.platform.runner = None
    alone = seekapi("call", "{}", "--timeout", "0.3", "--url", server.url, cwd=tmp_path)

    assert alone.stderr.startswith(
        "seekapi: this platform runs no worker: the job waits until one of your own takes it\n"
    )
    assert "no worker" not in busy.stderr and "still queued" in busy.stderr


def test_ctrl_c_cancels_the_job(server, tmp_path):
    """130, and the platform knows."""
    process = subprocess.Popen(
        command("call", "{}", "--url", server.url),
        cwd=tmp_path,
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    started = threading.Event()

    def act(worker):
        worker.log("started")
        started.set()

    thread = worker_does(server, act)
    assert started.wait(LIMIT_S)
    assert process.stderr is not None
    line = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=LIMIT_S)
    thread.join()

    assert "started" in line
    assert process.returncode == 130
    assert "is cancelled" in talk and "Traceback" not in talk


def test_ctrl_c_while_it_is_submitted_says_that_it_may_have_been(tmp_path):
    """Nobody knows the id yet: nothing can be cancelled, and the person has to look."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(LIMIT_S)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            command("call", "{}", "--url", url), cwd=tmp_path, env=environ(), stderr=subprocess.PIPE, text=True
        )
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(LIMIT_S)
            assert connection.recv(4).startswith(b"POST")
            process.send_signal(signal.SIGINT)
            _, talk = process.communicate(timeout=LIMIT_S)

    assert process.returncode == 130
    assert talk == f"seekapi: interrupted; the job may have been submitted already: `seekapi jobs list --url {url}`\n"


def test_an_input_that_is_refused_lists_every_problem(tmp_path):
    """2, before anything runs."""
    with dev_server(input_schema=INPUT_SCHEMA) as server:
        done = seekapi("call", '{"count": -1}', "--url", server.url, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("seekapi: the platform refuses the input\n  ")
    assert "count: " in done.stderr and "name" in done.stderr


def test_a_service_that_has_only_the_protocol(tmp_path):
    """It is waited for, and its output is the result."""
    with Service() as service:
        service.on_get = lambda job: job.update(status="completed", response_payload={"a": 1})
        done = seekapi("call", '{"name": "x"}', "--url", service.url, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, '{"a": 1}\n')


# Which platform


def ready(folder: Path, **fields: object) -> None:
    path = folder / ".seekapi" / "ready.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(fields))


def test_the_dev_server_of_this_folder_is_found(tmp_path):
    """With its key; and SEEKAPI_API_KEY, which is another platform's, does not go there."""
    with dev_server(needs_token=True) as server:
        ready(tmp_path, url=server.url, pid=os.getpid(), secret="s", api_key=KEY)
        done = seekapi("call", "{}", "--detach", cwd=tmp_path, SEEKAPI_API_KEY="key-of-another-platform")
        by_url = seekapi("call", "{}", "--detach", "--url", server.url, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert (by_url.returncode, by_url.stderr) == (0, "")


def test_its_key_goes_nowhere_else(tmp_path):
    """Another URL does not get the dev server's key."""
    with Service() as service:
        ready(tmp_path, url=NOBODY, pid=os.getpid(), secret="s", api_key=KEY)
        seekapi("call", '{"name": "x"}', "--detach", cwd=tmp_path, SEEKAPI_URL=service.url)

    ((_, _, headers, _),) = service.requests
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    "written",
    [
        "",
        "[]",
        "{",
        '{"url": 7, "pid": 1}',
        '{"url": "http://127.0.0.1:9"}',
        '{"url": "http://127.0.0.1:9", "pid": true}',
    ],
)
def test_what_is_no_ready_file_is_no_platform(tmp_path, written):
    """4, and what to do."""
    (tmp_path / ".seekapi").mkdir()
    (tmp_path / ".seekapi" / "ready.json").write_text(written)
    done = seekapi("call", "{}", cwd=tmp_path)

    assert done.returncode == 4
    assert done.stderr.startswith(
        "seekapi: no platform found: start `seekapi dev worker.py` in this folder, or name one"
    )


def test_a_dev_server_that_has_ended_is_none(tmp_path):
    """Its file may have stayed."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    ready(tmp_path, url=NOBODY, pid=ended.pid)

    assert seekapi("call", "{}", cwd=tmp_path).returncode == 4


@pytest.mark.parametrize(
    "arguments, code, told",
    [
        (["--url", NOBODY], 4, "127.0.0.1:9"),
        (["--url", "localhost:1"], 3, "localhost:1 is not a base URL (from --url): did you mean http://localhost:1?"),
        (["--timeout", "-1"], 2, "expected seconds"),
        (["--key", "a\nb", "--url", NOBODY], 2, "idempotency key"),
        (["--ur", "x"], 2, "unrecognized"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, arguments, code, told):
    """No traceback, nothing on stdout."""
    done = seekapi("call", "{}", *arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr and "Traceback" not in done.stderr


def test_a_login_that_is_refused_is_a_setting(tmp_path):
    """3."""
    with Service(login="ada:secret-word") as service:
        done = seekapi("call", "{}", "--url", service.url, cwd=tmp_path)

    assert (done.returncode, "SEEKAPI_API_KEY" in done.stderr) == (3, True)


def test_a_login_comes_from_the_environment(tmp_path):
    """A password is no argument."""
    with Service(login="ada:secret word") as service:
        variables = {"SEEKAPI_USERNAME": "ada", "SEEKAPI_PASSWORD": "secret word", "SEEKAPI_API_KEY": "other"}
        done = seekapi("jobs", "list", "--url", service.url, cwd=tmp_path, **variables)

    assert (done.returncode, "no jobs at" in done.stderr) == (0, True)


def test_how_a_job_ended_is_an_exit_code():
    """Completed is 0, its own timeout is 5, whatever else is 1."""
    endings = (("completed", ""), ("error", "TIMEOUT"), ("error", "CRASHED"), ("cancelled", ""))

    assert [platform.exit_code_of_job(*ending) for ending in endings] == [0, 5, 1, 1]
