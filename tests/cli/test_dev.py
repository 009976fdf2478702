"""`seekapi dev`, as a person meets it: the first minute, a saved file, Ctrl-C, and what is in the way."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from command import LIMIT_S, ROOT, command, environ, seekapi

from seekapi._devserver import changes, planned_faults
from seekapi._devserver.store import Store

HELLO = """
    from seekapi import worker

    @worker
    def handler(job_input):
        return {"message": f"hello {job_input['name']}"}
    """


class Dev:
    """A running `seekapi dev`."""

    def __init__(self, process, cwd, log):
        self.process = process
        self.cwd = cwd
        self._log = log
        self.ready = None

    def said(self):
        return self._log.read_text(encoding="utf-8")

    def until_said(self, pattern):
        """Until a line matches; the match."""
        ends_at = time.monotonic() + LIMIT_S
        while not (found := re.search(pattern, self.said(), re.MULTILINE)):
            assert time.monotonic() < ends_at and self.process.poll() is None, self.said()
            time.sleep(0.01)
        return found

    def until_ready(self):
        ends_at = time.monotonic() + LIMIT_S
        while not (self.cwd / "ready").exists():
            assert time.monotonic() < ends_at and self.process.poll() is None, self.said()
            time.sleep(0.01)
        self.ready = json.loads((self.cwd / "ready").read_text())
        return self

    def ask(self, method, path, body=None, **headers):
        request = urllib.request.Request(self.ready["url"] + path, method=method, headers=headers)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)


@pytest.fixture
def dev(tmp_path):
    """`dev(*arguments)`: `seekapi dev` in tmp_path, on a free port, once it is up."""
    started = []

    @contextlib.contextmanager
    def start(*arguments, port=0, **variables):
        log = tmp_path / f"said-{len(started)}"
        (tmp_path / "ready").unlink(missing_ok=True)
        line = command("dev", *arguments, "--port", port, "--ready-file", "ready")
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                line,
                cwd=tmp_path,
                env=environ(**variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        started.append(process)
        try:
            yield Dev(process, tmp_path, log).until_ready()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    return start


def test_the_first_minute(dev, tmp_path, write_worker):
    """What is printed, what to do next, and one line for each thing that happens."""
    write_worker(HELLO, "hello/worker.py")
    with dev("hello/worker.py") as server:
        called = seekapi("call", '{"name": "world"}', cwd=tmp_path)
        server.until_said("completed .* files$")
        banner, *lines = server.said().split("try ")

    assert json.loads(called.stdout) == {"message": "hello world"} and called.returncode == 0
    assert re.fullmatch(
        r"  seekapi dev \d\S+ +ready in \d+\.\d s\n"
        rf"  dashboard   {server.ready['url']}\n"
        r"  worker      hello  ->  hello/worker\.py:handler      \(deadline 60 s, reload on save\)\n  ",
        banner,
    )
    assert re.fullmatch(
        r"        seekapi call '\{\"name\": \"world\"\}'\n"
        r"\d\d:\d\d:\d\d job [0-9a-f]{4} hello  running    \(cold \d+ ms\)\n"
        r"\d\d:\d\d:\d\d job [0-9a-f]{4} hello  completed  [\d.]+ m?s   1 push, 0 files\n",
        lines[0],
    )


def test_a_record_of_several_lines_is_shown_in_lines(dev, tmp_path, write_worker):
    """Indented, so that none of them passes for another record; and nobody reads `\\n`."""
    write_worker("""
        from seekapi import worker
        @worker
        def handler(job_input):
            raise ValueError("no")
    """)
    with dev("worker.py") as server:
        seekapi("call", "{}", cwd=tmp_path)

        server.until_said(r"^  at .*worker\.py:5 +raise ValueError")
        assert "\\n" not in server.said()


def test_the_first_call_that_is_suggested_is_one_that_the_worker_takes(dev, tmp_path, write_worker):
    """What is typed after the banner works."""
    write_worker("""
        from dataclasses import dataclass
        from typing import Annotated
        from seekapi import Range, worker
        @dataclass
        class Order:
            count: Annotated[int, Range(3, 9)]
            lines: Annotated[list[str], Range(1, 4)]
        @worker
        def handler(order: Order):
            return order.lines
    """)
    with dev("worker.py") as server:
        suggested = shlex.split(server.until_said(r"^ +try +seekapi (.*)$")[1])

        assert seekapi(*suggested, cwd=tmp_path).returncode == 0


def test_the_banner_names_the_jobs_api_where_it_is_not_at_the_root(dev, write_worker):
    """That is the URL which a client wants."""
    write_worker(HELLO)
    with dev("worker.py", "--prefix", "/v1") as server:
        assert server.until_said(r"^  jobs +(\S+)$")[1] == f"{server.ready['url']}/v1"


def test_a_saved_file_is_what_the_next_call_runs(dev, tmp_path, write_worker):
    """Also after a mistake, which is told at once with its line."""
    worker = write_worker(HELLO)
    with dev("worker.py") as server:
        worker.write_text("def handler(event, context)\n    pass\n")
        server.until_said(
            r"worker \S+  broken  cannot import the worker: SyntaxError.*\n  at worker.py:1   def handler"
        )
        failed = seekapi("call", "{}", cwd=tmp_path)
        worker.write_text("from seekapi import worker\n@worker\ndef handler(n: int):\n    return n + 1\n")
        server.until_said(r"worker \S+  reloaded")
        called = seekapi("call", "1", cwd=tmp_path)
        refused = seekapi("call", '"text"', cwd=tmp_path)

    assert failed.returncode == 1 and "NOT_IMPORTABLE" in failed.stderr
    assert called.stdout == "2\n"
    assert refused.returncode == 2 and "expected integer" in refused.stderr


def test_a_file_saved_while_the_worker_is_first_asked_is_not_missed(dev, write_worker):
    """By the worker itself here, so that it falls between the question and the answer for certain."""
    write_worker("""
        from pathlib import Path

        other = Path(__file__).with_name("other.py")
        if not other.exists():
            other.write_text("")

        def handler(event, context):
            pass
        """)
    with dev("worker.py") as server:
        server.until_said(r"worker \S+  reloaded")


def test_what_a_worker_says_cannot_move_the_cursor(dev, tmp_path, write_worker):
    """Its output and its errors are shown line by line, escaped."""
    write_worker(
        r"""
        def handler(event, context):
            print("\x1b[2J\x1b]0;evil\x07\u202e")
            raise ValueError("\x1b[31m\nfake")
        """
    )
    with dev("worker.py") as server:
        server.ask("POST", "/jobs", {})
        server.until_said("failed")
        server.until_said(re.escape(r"stdout     \x1b[2J\x1b]0;evil\x07\u202e"))

        assert r"failed     HANDLER_RAISED: ValueError: \x1b[31m\nfake" in server.said() and "\x1b" not in server.said()


def test_what_ends_with_the_server_is_still_told(dev, write_worker):
    """Also without a folder that stays: the last lines need the record, which goes after them."""
    write_worker("""
        import time

        def handler(event, context):
            for number in range(20_000):
                print("x" * 100)
        """)
    with dev("worker.py", "--ephemeral") as server:
        for _ in range(3):
            server.ask("POST", "/jobs", {})
        server.until_said("running")

        assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM
        assert "Traceback" not in server.said()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
def test_a_ready_file_takes_the_place_of_no_device(tmp_path, write_worker):
    """Nor of a pipe, also behind a link: as root that would be /dev/stdout, for everybody."""
    write_worker(HELLO)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")

    done = seekapi("dev", "worker.py", "--ephemeral", "--port", "0", "--ready-file", "link", cwd=tmp_path)

    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        3,
        f"seekapi: cannot write {(tmp_path / 'pipe').resolve()}: it is there, and is no file",
    )
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()


def test_a_reader_that_takes_nothing_does_not_keep_it_from_ending(tmp_path, write_worker):
    """stderr is a pipe that is full: SIGTERM ends it all the same."""
    write_worker(HELLO)
    reads, writes = os.pipe()
    while select.select([], [writes], [], 0)[1]:
        os.write(writes, b"x" * 4096)
    options = ["--ephemeral", "--port", "0", "--ready-file", str(tmp_path / "ready")]
    process = subprocess.Popen(
        [sys.executable, "-m", "seekapi", "dev", "worker.py", *options],
        cwd=tmp_path, env=environ(), stdout=subprocess.DEVNULL, stderr=writes,
    )  # fmt: skip
    try:
        ends_at = time.monotonic() + LIMIT_S
        while not (tmp_path / "ready").exists() and time.monotonic() < ends_at:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)

        assert process.wait(LIMIT_S) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
        os.close(reads)
        os.close(writes)


def test_a_folder_that_holds_other_things_is_not_kept_out_of_git(dev, tmp_path):
    """`--data-dir .` in a project must not hide the project from git."""
    (tmp_path / "notes.txt").write_text("mine")
    with dev("--data-dir", str(tmp_path)):
        assert (tmp_path / "record.db").exists()
        assert not (tmp_path / ".gitignore").exists()


def test_the_ready_file_is_for_its_owner_and_goes_with_the_server(dev, tmp_path, write_worker):
    """Whole, mode 0600; what it names works, and the folder keeps itself out of git."""
    write_worker(HELLO)
    with dev("worker.py") as server:
        ready = tmp_path / "ready"
        assert stat.S_IMODE(ready.stat().st_mode) == 0o600
        assert set(server.ready) == {"url", "jobs_url", "pid", "secret", "api_key"}
        assert server.ready["pid"] == server.process.pid
        assert json.loads((tmp_path / ".seekapi" / "ready.json").read_text()) == server.ready
        assert (tmp_path / ".seekapi" / ".gitignore").read_text() == "*\n"
        assert server.ask("GET", "/healthcheck")[0] == 200

        assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM
        assert not ready.exists() and not (tmp_path / ".seekapi" / "ready.json").exists()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="a signal for one thread")
def test_a_signal_that_wakes_nobody_is_heard(dev, tmp_path, write_worker):
    """Of one that another thread took, or that came just before the wait, the kernel tells the main thread nothing."""
    write_worker(HELLO)
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
            import os, signal, threading, time
            def take():
                while not os.path.exists({str(tmp_path / "go")!r}):
                    time.sleep(0.01)
                signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            threading.Thread(target=take, daemon=True).start()
        """)
    )
    paths = os.pathsep.join((str(site), environ().get("PYTHONPATH", "")))
    with dev("worker.py", PYTHONPATH=paths) as server:
        server.until_said("try ")
        (tmp_path / "go").touch()
        assert server.process.wait(LIMIT_S) == 128 + signal.SIGTERM


def test_ctrl_c_waits_for_the_job_and_twice_does_not(dev, tmp_path, write_worker):
    """Once: what runs may end. Twice: at once. Either way the job's end is known afterwards."""
    write_worker(
        """
        import os, signal, time
        def handler(event, context):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("pid", os.getpid(), flush=True)
            while not os.path.exists("go"):
                time.sleep(0.01)
        """
    )
    with dev("worker.py") as server:
        server.ask("POST", "/jobs", {})
        server.until_said("pid")
        server.process.send_signal(signal.SIGINT)
        server.until_said(re.escape("waiting for 1 job that runs (Ctrl-C again: at once)"))
        (tmp_path / "go").touch()
        assert server.process.wait(LIMIT_S) == 130
        assert "completed" in server.said()

    (tmp_path / "go").unlink()
    with dev("worker.py") as server:
        job_id = server.ask("POST", "/jobs", {})[1]["job_id"]
        pid = int(server.until_said(r"pid (\d+)")[1])
        server.process.send_signal(signal.SIGINT)
        server.until_said("again")
        assert server.stop() == 130
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    with dev("worker.py") as server:
        status, job = server.ask("GET", f"/jobs/{job_id}")
        assert status == 200 and job["status"] == "error" and "SHUTDOWN" in job["errors"][0]


def test_a_job_of_a_server_that_was_killed_is_lost_and_its_process_gone(dev, tmp_path, write_worker):
    """kill -9: the process ends by itself, and the next server says what became of the job."""
    write_worker(
        """
        import os, time
        def handler(event, context):
            print("pid", os.getpid(), flush=True)
            time.sleep(600)
        """
    )
    with dev("worker.py") as server:
        job_id = server.ask("POST", "/jobs", {})[1]["job_id"]
        pid = int(server.until_said(r"pid (\d+)")[1])
        server.process.kill()
        server.process.wait()
        ends_at = time.monotonic() + LIMIT_S
        while Path(f"/proc/{pid}").exists() and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert not Path(f"/proc/{pid}").exists()

    with dev("worker.py") as server:
        server.until_said("lost        1 job that ran when the last server ended")
        assert server.ask("GET", f"/jobs/{job_id}")[1]["status"] == "error"


def test_a_port_that_is_taken_is_named_and_the_next_one_used(dev, write_worker):
    """By its number; the banner has the one that is used."""
    write_worker(HELLO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with dev("worker.py", port=port) as server:
            server.until_said(f"port {port} is taken by")
            assert not server.ready["url"].endswith(f":{port}")


def test_the_platform_alone_takes_jobs_and_runs_none(dev):
    """For workers of one's own."""
    with dev("--ephemeral", "--prefix", "/api/") as server:
        status, job = server.ask("POST", "/api/jobs", {"n": 1})
        server.until_said(r"job [0-9a-f]{4}  submitted")

        assert status == 201 and job["status"] == "queued"
        assert server.ask("GET", "/worker")[1]["platform_only"] is True


def test_nothing_is_kept_that_is_not_to_be_kept(dev, tmp_path, write_worker):
    """--ephemeral: the jobs go with the server."""
    write_worker(HELLO)
    with dev("worker.py", "--ephemeral") as server:
        server.ask("POST", "/jobs", {"name": "x"})
        server.stop()

    assert sorted(path.name for path in (tmp_path / ".seekapi").iterdir()) == [".gitignore"]


def test_everything_asks_for_the_token_under_auth(dev, tmp_path, write_worker):
    """It is printed once, and in the ready file; the worker itself is not kept out."""
    write_worker(HELLO)
    with dev("worker.py", "--auth") as server:
        key = server.ready["api_key"]
        server.until_said(rf"/\?token={key}$")
        assert server.ask("GET", "/jobs")[0] == 401
        assert seekapi("call", '{"name": "x"}', cwd=tmp_path).returncode == 0


def test_basic_auth_comes_from_a_file(dev, tmp_path, write_worker):
    """A password is no argument: those are for everybody to see."""
    (tmp_path / "login").write_text("ada:secret\n")
    with dev("--basic-auth", "login") as server:
        assert server.ask("GET", "/jobs")[0] == 401
        assert server.ask("GET", "/jobs", Authorization="Basic YWRhOnNlY3JldA==")[0] == 200


def test_a_plan_of_faults_is_met(dev, tmp_path, write_worker):
    """The worker gets over it, and the terminal says that it was on purpose."""
    write_worker(HELLO)
    (tmp_path / "faults.json").write_text('{"push": "http_503_once"}')
    with dev("worker.py", "--faults", "faults.json") as server:
        assert seekapi("call", '{"name": "x"}', cwd=tmp_path).returncode == 0
        server.until_said(r"fault      push http_503_once: answered with 503")


def test_a_callback_that_is_not_there_is_told(dev, write_worker):
    """With its code, and what became of it."""
    write_worker(HELLO)
    with dev("worker.py", "--callback", "http://127.0.0.1:1/") as server:
        server.ask("POST", "/jobs", {"name": "x"})
        server.until_said(r"failed +CALLBACK_FAILED: the callback was not reached")


def test_every_event_is_a_line_of_json_if_that_is_wanted(dev, write_worker):
    """stdout is data."""
    write_worker(HELLO)
    with dev("worker.py", "--json") as server:
        server.ask("POST", "/jobs", {"name": "x"})
        server.until_said("completed")
        server.stop()
        events = [json.loads(line) for line in server.process.stdout.read().splitlines()]

    assert events[0]["kind"] == "submitted" and events[-1]["kind"] == "ended"


def test_the_handler_meets_this_platform_and_nothing_else(dev, tmp_path, write_worker):
    """Whatever the shell has set: jobs that write files instead would lie, and a proxy does not know this machine."""
    write_worker(
        """
        import urllib.request
        from seekapi import worker
        do = worker(lambda job_input: job_input)
        def handler(event, context):
            urllib.request.urlopen(event["input_presigned_url"]).read()
            return do(event, context)
        """
    )
    proxy = "http://127.0.0.1:1"
    with dev("worker.py", SEEKAPI_LOCAL_MODE="1", http_proxy=proxy, no_proxy="example.com") as server:
        server.ask("POST", "/jobs", {"name": "x"})
        server.until_said("completed .* 1 push")

    assert not (tmp_path / ".seekapi-local").exists()


def test_a_server_leaves_the_ready_file_of_another_alone(dev, tmp_path, write_worker):
    """The one that was here first is found as long as it is up; another one says how it is reached itself."""
    write_worker(HELLO)
    with dev("worker.py") as first:
        with dev("worker.py", "--ephemeral") as second:
            second.until_said(re.escape(f"finds {first.ready['url']} (process {first.process.pid})"))
            second.until_said(re.escape(f"try         seekapi call --url {second.ready['url']} '"))
            assert second.stop() == 130

        found = json.loads((tmp_path / ".seekapi" / "ready.json").read_text())
        assert found["pid"] == first.process.pid
        assert seekapi("call", '{"name": "x"}', cwd=tmp_path).returncode == 0


def test_a_ready_file_that_nobody_answers_for_is_replaced(dev, tmp_path, write_worker):
    """Its process was killed, and the number is another's by now."""
    write_worker(HELLO)
    (tmp_path / ".seekapi").mkdir()
    stale = {"url": "http://127.0.0.1:9", "pid": os.getpid(), "api_key": "k"}
    (tmp_path / ".seekapi" / "ready.json").write_text(json.dumps(stale))
    with dev("worker.py"):
        assert seekapi("call", '{"name": "x"}', cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--prefix", "/api/v1"),
        ("--data-dir", "kept"),
        ("--data-dir", "kept", "--prefix", "/api/v1", "--auth"),
        ("--ephemeral", "--basic-auth", "login"),
        ("--data-dir", "kept", "--basic-auth", "login"),
    ],
)
def test_the_printed_call_works_as_it_stands(dev, tmp_path, write_worker, arguments):
    """Whatever keeps the plain form from finding this server: the line has its URL then, and what opens it."""
    write_worker(HELLO)
    (tmp_path / "login").write_text("ada:secret\n")
    with dev("worker.py", *arguments) as server:
        printed = server.until_said(r"  try +(.+)$")[1]
        python = f"{sys.executable} -m seekapi"
        line = printed.replace("seekapi call", f"{python} call")
        done = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, env=environ(), capture_output=True, text=True, timeout=LIMIT_S
        )

    assert (done.returncode, done.stdout) == (0, '{"message": "hello world"}\n'), done.stderr
    assert ("--url" in printed) is ("--data-dir" in arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nothing.py",), 3, "there is no file nothing.py"),
        (("worker.py", "--python", "/nowhere"), 3, "--python /nowhere: there is no such program"),
        (("worker.py", "--host", "0.0.0.0"), 3, "add --auth"),
        (("worker.py", "--faults", "nothing.json"), 3, "--faults nothing.json: No such file"),
        (("worker.py", "--faults", "worker.py"), 3, "--faults worker.py"),
        (("worker.py", "--basic-auth", "worker.py"), 3, "expected one line, user:password"),
        (("worker.py", "--data-dir", "worker.py"), 3, "worker.py is a file, not a folder"),
        (("worker.py", "--callback", "ftp://x"), 3, "--callback"),
        (("worker.py", "--callback", "http://localhost:70000/x"), 3, "a port is from 1 to 65535"),
        (("worker.py", "--port", "99999"), 2, "expected a port"),
        (("worker.py", "--ephemeral", "--data-dir", "x"), 2, "--ephemeral keeps nothing"),
        (("worker.py", "--prefix", "api"), 2, "expected a path like /api/v1"),
        (("worker.py", "--timeout", "0"), 2, "above 0"),
        (("worker.py", "--concurrency", "0"), 2, "1 to 64"),
        (("worker.py", "--timezone", "Nowhere/At_all"), 2, "no time zone"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_before_anything_starts(tmp_path, write_worker, arguments, code, told):
    """One line, and the exit code says whose turn it is."""
    write_worker(HELLO)
    done = seekapi("dev", *arguments, cwd=tmp_path)

    assert done.returncode == code and told in done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr


def test_a_record_that_cannot_be_read_is_one_line(tmp_path, write_worker):
    """With what to do, as any other folder that is not to be used; no traceback."""
    write_worker(HELLO)
    with Store(tmp_path / ".seekapi") as store:
        store.submit(lambda tx: [changes.submit(tx, '"x"' * 500) for _ in range(100)]).result(LIMIT_S)
    path = tmp_path / ".seekapi" / "record.db"
    path.write_bytes(path.read_bytes()[:8192] + b"?" * 100_000)
    done = seekapi("dev", "worker.py", cwd=tmp_path)

    assert done.returncode == 3 and "cannot be opened" in done.stderr and "move it away" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_has_one_server(dev, tmp_path, write_worker):
    """The second one says who has it, and takes nothing of the first."""
    write_worker(HELLO)
    with dev("worker.py") as server:
        second = seekapi("dev", "worker.py", cwd=tmp_path)

        assert second.returncode == 3 and f"in use by process {server.process.pid}" in second.stderr
        assert (tmp_path / ".seekapi" / "ready.json").exists()


def test_the_options_are_those_that_are_documented(tmp_path):
    """None is forgotten, none is invented; and so are the faults."""
    page = (ROOT / "docs" / "dev-server.md").read_text(encoding="utf-8")
    options = page.split("## Options", 1)[1].split("\n## ", 1)[0]
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", seekapi("dev", "--help", cwd=tmp_path).stdout))

    assert set(re.findall(r"--[a-z][a-z-]+", options)) == shown - {"--help"}
    for name in planned_faults._BY_NAME:
        assert name in page or name.replace("http_429_retry_after", "..") in page, name
