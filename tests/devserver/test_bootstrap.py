"""The worker's process: what it is given, what it finds, what it reports, and that it ends with the platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from seekapi._devserver.processes import BOOTSTRAP, Child

LIMIT_S = 30
OLD_PYTHON = next(iter(sorted(Path.home().glob(".pyenv/versions/3.1*/bin/python"))), None)


@pytest.fixture
def call(tmp_path):
    """`call(source)`: what the process reported after one call of `handler`."""

    def call(
        source,
        *,
        name="worker.py",
        handler="handler",
        mode="call",
        event=None,
        timeout_s=20.0,
        environ=None,
        python=None,
    ):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        order = {"mode": mode, "place": str(path), "name": handler, "is_file": True, "event": event or {}}
        order |= {"timeout_s": timeout_s, "request_id": "r-1", "function_name": "fn"}
        child = Child(python or [sys.executable], order, {**os.environ, **(environ or {})})
        child.exit_code = ended(child)
        child.printed = [line.text for _, line in child.taken_lines()]
        return child

    return call


def ended(child):
    ends_at = time.monotonic() + LIMIT_S
    while not child.has_ended:
        assert time.monotonic() < ends_at
        child.step(0.5)
    return child.finish()


def test_the_handler_gets_the_event_and_a_context_whose_time_shrinks(call):
    """As on Lambda."""
    child = call(
        """
        import time
        def handler(event, context):
            before = context.get_remaining_time_in_millis()
            time.sleep(0.05)
            after = context.get_remaining_time_in_millis()
            return [event["n"], context.aws_request_id, context.function_name, 0 < after < before <= 5000]
        """,
        event={"n": 1},
        timeout_s=5,
    )

    assert child.report["value"] == [1, "r-1", "fn", True]
    assert child.was_called and child.exit_code == 0


def test_the_workers_folder_is_where_it_imports_from_and_ours_is_not(call, tmp_path):
    """`import store` finds the worker's module or none, never one of the platform."""
    (tmp_path / "store.py").write_text("name = 'mine'")
    child = call(
        """
        import sys, store
        def handler(event, context):
            try:
                import runner
            except ImportError:
                runner = None
            import os
            ours = [p for p in sys.path if p.endswith("_devserver")]
            is_first = os.path.samefile(sys.path[0], os.path.dirname(__file__))
            return [store.name, runner is None, ours, "seekapi" in sys.modules, is_first]
        """
    )

    assert child.report["value"] == ["mine", True, [], False, True]


def test_a_file_named_like_a_module_of_python_hides_nothing(call):
    """`random.py` is a fine name for a worker."""
    child = call("import random\ndef handler(event, context):\n    return random.randint(3, 3)\n", name="random.py")

    assert child.report["value"] == 3


@pytest.fixture(autouse=True)
def _caches(monkeypatch):
    """As a user's shell has it."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)


def test_two_saves_within_one_second_are_two_programs(call):
    """Python tells its caches by whole seconds and sizes: an edit must not run the old code."""
    answers = [call(f"def handler(event, context):\n    return {n}\n").report["value"] for n in range(9)]

    assert answers == list(range(9))


def test_a_module_that_was_edited_in_the_second_of_its_first_import_is_compiled_again(call, tmp_path):
    """The same for what a worker imports: same size, same second, other code."""
    source = "from part import n\ndef handler(event, context):\n    return n\n"
    answers = []
    for n in (1, 2, 3):
        (tmp_path / "part.py").write_text(f"n = {n}")
        # All of them in one second, whenever this runs.
        os.utime(tmp_path / "part.py", (1_900_000_000, 1_900_000_000))
        answers.append(call(source).report["value"])

    assert answers == [1, 2, 3]


def test_stdin_is_empty_and_no_descriptor_of_ours_is_inherited(call):
    """A handler that reads stdin gets its end; what it starts does not hold the platform's pipes."""
    child = call(
        """
        import subprocess, sys
        def handler(event, context):
            program = "import os; print(len(os.listdir('/proc/self/fd')) - 1)"
            told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, close_fds=False)
            return [sys.stdin.read(), told.stdout.strip()]
        """
    )

    assert child.report["value"] == ["", "3"]


@pytest.mark.parametrize(
    ("source", "outcome", "message"),
    [
        ("def handler(e, c):\n    raise KeyError('x')", "raised", "KeyError: 'x'"),
        ("def handler(e, c):\n    raise SystemExit(3)", "raised", "SystemExit: 3"),
        ("class E(Exception):\n    def __str__(s): 1/0\ndef handler(e, c):\n    raise E", "raised", "E"),
        ("def handler(e, c):\n    return {1}", "not_json", "not JSON: TypeError: Object of type set"),
        ("def handler(e, c):\n    return float('nan')", "not_json", "not JSON: ValueError"),
        ("def handler(e, c):\n    return 'x' * 7_000_000", "not_json", "larger than the 6 MB"),
        ("async def handler(e, c):\n    pass", "not_json", "@worker"),
        ("import sys\ndef handler(e, c):\n    sys.stdout = None\n    return {1}", "not_json", "of type set"),
        ("def handler(e, c)\n    pass", "unimportable", "cannot import the worker: SyntaxError"),
        ("import nothing_like_it", "unimportable", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("raise SystemExit(1)", "unimportable", "SystemExit: 1"),
        ("def handle(e, c):\n    pass", "unimportable", "did you mean"),
        ("handler = 7", "unimportable", "is not a function but int"),
        ("def handler(x):\n    pass", "unimportable", "with @seekapi.worker above it"),
    ],
)  # fmt: skip
def test_whatever_the_worker_does_is_reported(call, source, outcome, message):
    """A report, and never silence."""
    report = call(source).report

    assert report["outcome"] == outcome
    assert message in (report.get("message") or report["error"]["message"])


def test_a_failure_names_the_users_own_line(call, tmp_path):
    """Not ours, and not the one in a library."""
    error = call("import json\ndef handler(e, c):\n    return json.loads('no')\n").report["error"]

    assert (error["where"], error["line"]) == (f"{tmp_path}/worker.py:3", "return json.loads('no')")
    assert "bootstrap" not in error["traceback"] and error["traceback"].endswith("line 1 column 1 (char 0)\n")


def test_an_error_of_syntax_names_the_line_that_python_could_not_read(call, tmp_path):
    """The line that has to be mended."""
    error = call("x = 1\ndef handler(e, c)\n    pass\n").report["error"]

    assert (error["where"], error["line"]) == (f"{tmp_path}/worker.py:2", "def handler(e, c)")


def test_threads_that_never_end_do_not_keep_the_process(call):
    """It ends with its handler, as a sandbox does."""
    child = call(
        """
        import threading, time
        def handler(event, context):
            threading.Thread(target=time.sleep, args=(600,)).start()
            print("started", end="")
            return "done"
        """
    )

    assert child.report["value"] == "done"
    assert child.printed == ["started"]


def test_a_child_that_comes_back_from_a_fork_reports_nothing(call):
    """One call, one report: that of the process that was started."""
    child = call(
        """
        import os
        def handler(event, context):
            if os.fork() == 0:
                return "all is well"
            os.wait()
            os._exit(5)
        """
    )

    assert child.report is None and child.exit_code == 5


def test_what_the_process_has_left_is_read_however_late(tmp_path, monkeypatch):
    """Also by a machine that was busy elsewhere: its report, and what it printed last."""
    monkeypatch.setattr("seekapi._devserver.processes.LAST_OUTPUT_S", 0.0)
    path, go = tmp_path / "worker.py", tmp_path / "go"
    waiting = f"while not os.path.exists({str(go)!r}):\n        time.sleep(0.01)\n"
    path.write_text(f"import os, time\ndef handler(event, context):\n    {waiting}    print('bye')\n    return 7\n")
    order = {"mode": "call", "place": str(path), "name": "handler", "is_file": True, "event": {}}
    child = Child([sys.executable], order | {"timeout_s": 20, "request_id": "r", "function_name": "f"}, {**os.environ})
    ends_at = time.monotonic() + LIMIT_S
    while not child.was_called and time.monotonic() < ends_at:
        child.step(0.5)

    go.touch()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    exit_code = child.finish()

    assert exit_code == 0 and child.report["value"] == 7
    assert [line.text for _, line in child.taken_lines()] == ["bye"]


def test_a_report_never_goes_into_a_file_of_the_handlers(call, tmp_path):
    """A handler that closes all descriptors gets their numbers for its own files."""
    child = call(
        f"""
        import os
        def handler(event, context):
            os.closerange(3, 4096)
            files = [os.open({str(tmp_path / "data")!r} + str(n), os.O_CREAT | os.O_WRONLY) for n in range(20)]
            return "done"
        """
    )

    assert child.report is None and child.exit_code == 70
    assert {path.stat().st_size for path in tmp_path.glob("data*")} == {0}


@pytest.mark.parametrize(
    ("meanwhile", "elsewhere"), [("re.match(r'(a+)+$', 'a' * 60 + 'b')", ""), ("time.sleep(600)", "del fcntl.F_SETSIG")]
)
def test_the_process_and_what_it_started_end_with_the_platform(tmp_path, meanwhile, elsewhere):
    """Also if the platform is killed, and the handler ignores SIGTERM, or never gives up the interpreter's lock.

    Where the kernel cannot do it, as outside of Linux, a thread does.
    """
    (tmp_path / "sitecustomize.py").write_text(f"import fcntl\n{elsewhere}\n")
    (tmp_path / "worker.py").write_text(
        "import os, re, signal, subprocess, time\n"
        "def handler(event, context):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    os.write(1, b'%d %d\\n' % (os.getpid(), child.pid))\n"
        f"    {meanwhile}\n"
    )
    platform = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_PLATFORM), str(tmp_path / "worker.py")],
        env={**os.environ, "PYTHONPATH": f"{BOOTSTRAP.parents[2]}{os.pathsep}{tmp_path}"},
        stdout=subprocess.PIPE,
    )
    try:
        pids = [int(pid) for pid in platform.stdout.readline().split()]
        assert len(pids) == 2

        platform.kill()
        platform.wait()

        ends_at = time.monotonic() + LIMIT_S
        while any(is_alive(pid) for pid in pids):
            assert time.monotonic() < ends_at, "they outlived the platform"
            time.sleep(0.01)
    finally:
        platform.kill()
        platform.wait()
        platform.stdout.close()
        for pid in pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


_PLATFORM = """
    import os, sys
    from seekapi._devserver.processes import Child
    order = {"mode": "call", "place": sys.argv[1], "name": "handler", "is_file": True, "event": {}}
    order |= {"timeout_s": 600, "request_id": "r", "function_name": "f"}
    child = Child([sys.executable], order, dict(os.environ))
    while not child.has_ended:
        child.step(1)
        for source, line in child.taken_lines():
            print(line.text, flush=True)
"""


def is_alive(pid):
    """Whether it runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_a_worker_says_its_name_and_its_schema(call):
    """What the platform checks inputs with before it starts anything."""
    child = call(
        '''
        from dataclasses import dataclass
        from seekapi import worker

        @dataclass
        class Order:
            """What to fetch."""
            url: str
            depth: int = 1

        @worker
        def crawl(order: Order):
            """Fetch pages.

            More of it.
            """
        ''',
        handler="crawl",
        mode="describe",
        environ={"PYTHONPATH": str(BOOTSTRAP.parents[2])},
    )

    assert child.report["name"] == "crawl" and child.report["doc"] == "Fetch pages."
    assert child.report["seekapi"] and child.report["python"].startswith("3.")
    assert child.report["input_schema"]["required"] == ["url"]


def test_a_handler_without_seekapi_is_described_too(call):
    """Any Lambda handler will do."""
    report = call("def handler(event, context):\n    'Mine.'\n", mode="describe").report

    assert (report["name"], report["doc"], report["seekapi"], report["input_schema"]) == (
        "handler",
        "Mine.",
        None,
        None,
    )


@pytest.mark.skipif(OLD_PYTHON is None, reason="no other Python here")
def test_another_python_runs_the_worker(call):
    """The worker's interpreter is its own; whatever it is, it reads the bootstrap."""
    version = call(
        "import sys\ndef handler(e, c):\n    return list(sys.version_info[:2])\n",
        python=[str(OLD_PYTHON)],
        environ={"PYTHONPATH": ""},
    ).report["value"]

    assert version == [int(n) for n in OLD_PYTHON.parents[1].name.split(".")[:2]]


def test_the_bootstrap_is_python_of_3_8():
    """A worker's environment may be older than ours."""
    import ast

    for path in BOOTSTRAP.parent.glob("bootstrap*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_an_order_larger_than_a_pipe_arrives(call):
    """A job's settings may be large."""
    child = call("def handler(event, context):\n    return len(event['text'])\n", event={"text": "x" * 300_000})

    assert child.report["value"] == 300_000
    assert json.dumps(child.report)
