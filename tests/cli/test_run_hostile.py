"""`seekapi run` and handlers that do what no handler should: the outcome is still told, and still the right one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from command import LIMIT_S, command, environ, outcome, seekapi

import seekapi as package

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="fork and signals as POSIX has them")

SECRET = "secret-0123456789"


def test_an_answer_of_any_depth_is_told_or_refused():
    """What this process cannot read or print again, the handler's process being more able, is NOT_JSON."""
    from seekapi._cli import report, supervisor, verdict

    ended = supervisor.Ended()
    for depth in (*range(800, 1001), 100_000):
        ended.report = {"outcome": "returned", "seconds": 0.1, "value_json": "[" * depth + "]" * depth}

        told = {"target": "t", **verdict.of(ended, 1), **verdict.NOTHING_ADDED}

        assert json.dumps({"outcome": told})
        assert report.of(told, sys.stdout)
        assert (told["status"], told["error"] and told["error"]["code"]) in (
            ("completed", None),
            ("failed", "NOT_JSON"),
        )
    assert told["returned"] is None


@pytest.mark.parametrize("depth", [985, 988, 990, 3000])
def test_a_deep_answer_does_not_bring_down_the_command(depth, write_worker, tmp_path):
    """Neither the page nor the JSON, nor what was pushed, can meet a depth that it does not survive."""
    write_worker(f"""
        import sys
        from seekapi import create_context, push_data
        def handler(event, context):
            sys.setrecursionlimit(9000)
            value = 1
            for _ in range({depth}):
                value = [value]
            push_data(create_context(event), value)
            return value
    """)

    told = outcome("worker.py", cwd=tmp_path)
    done = seekapi("run", "worker.py", cwd=tmp_path)

    assert (told["status"], done.stdout.split()[0]) in (("completed", "completed"), ("failed", "failed"))
    # How deep an interpreter encodes differs: it may be the push that is refused, before the answer is.
    assert told["error"] is None or told["error"]["code"] in ("NOT_JSON", "HANDLER_RAISED")
    assert "_cli" not in done.stderr, "a traceback of ours"


HOSTILE = """
    import os, sys
    class Items(dict):
        def items(self): raise RuntimeError("in items")
    class Class(Exception):
        @property
        def __class__(self): raise ZeroDivisionError
    class Text(Exception):
        def __str__(self): raise SystemExit
    class Name(type):
        __name__ = property(lambda cls: 1 / 0)
    class Nameless(Exception, metaclass=Name):
        pass
    class Flush:
        def flush(self): raise SystemExit
    def handler(event, context):
        {body}
"""


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("sys.stderr.close(); raise ValueError('boom')", "HANDLER_RAISED", "ValueError: boom"),
        ("sys.stderr = None; raise ValueError('boom')", "HANDLER_RAISED", "ValueError: boom"),
        ("raise Class('boom')", "HANDLER_RAISED", "Class: boom"),
        ("raise Text", "HANDLER_RAISED", "Text"),
        ("raise Nameless", "HANDLER_RAISED", "an unspeakable exception"),
        ("raise ValueError('boom') from Class()", "HANDLER_RAISED", "ValueError: boom"),
        ("os.mkdir('x'); os.chdir('x'); os.rmdir('../x'); raise ValueError('boom')", "HANDLER_RAISED", "ValueError"),
        ("return Items(a=1)", "NOT_JSON", "what the handler returned is not JSON: result cannot be read: RuntimeError"),
        ("sys.stdout = Flush(); raise ValueError('boom')", "HANDLER_RAISED", "ValueError: boom"),
        ("os.closerange(3, 99); raise ValueError('boom')", "HANDLER_RAISED", "ValueError: boom"),
    ],
)
def test_a_broken_exception_or_result_is_told_all_the_same(body, code, message, write_worker, tmp_path):
    """Whatever the user's classes and streams do, the report is left: never CRASHED."""
    write_worker(HOSTILE.format(body=body))

    told = outcome("worker.py", cwd=tmp_path)

    assert (told["exit_code"], told["error"]["code"]) == (1, code)
    assert message in told["error"]["message"]
    assert code == "NOT_JSON" or "Nameless" in body or message.split(":")[0] in told["log"]


@posix_only
@pytest.mark.parametrize("end", ["return 'of the child'", "raise ValueError('of the child')"])
def test_a_forked_child_that_comes_back_ends(end, write_worker, tmp_path):
    """It neither hangs nor leaves a report in place of its parent's, whose answer it is not."""
    write_worker(f"""
        import os
        def handler(event, context):
            pid = os.fork()
            if pid == 0:
                {end}
            return os.waitpid(pid, 0)[0] == pid
    """)

    told = outcome("worker.py", "--timeout", "20", cwd=tmp_path)

    assert (told["status"], told["returned"]) == ("completed", True)
    assert ("of the child" in told["log"]) is end.startswith("raise")


@posix_only
def test_a_child_that_was_forked_by_the_import_does_not_run_the_handler(write_worker, tmp_path):
    """One job is one call."""
    write_worker("""
        import os
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
        def handler(event, context):
            print("called")
    """)

    told = outcome("worker.py", cwd=tmp_path)

    assert (told["status"], told["log"]) == ("completed", "called\n")


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('it is ' + os.environ['WORKER_INTERNAL_SECRET'])",
        f"raise RuntimeError('it is {SECRET}')",
        f"def handler(event, context, key='{SECRET}', *, more): ...",
        f"def handler(event, context): raise RuntimeError('it is {SECRET}')",
    ],
)
@pytest.mark.parametrize("is_set_by", ["the environment", "the module"])
def test_a_failed_import_gives_no_secret_away(is_set_by, source, write_worker, tmp_path):
    """Neither in the message nor in the line, also if only the worker itself knew the secret."""
    setting = f"os.environ['WORKER_INTERNAL_SECRET'] = '{SECRET}'\n" if is_set_by == "the module" else ""
    write_worker(f"import os\n{setting}{source}")
    variables = {} if setting else {"WORKER_INTERNAL_SECRET": SECRET}

    told = outcome("worker.py", cwd=tmp_path, **variables)

    assert told["error"]["code"] in ("NOT_IMPORTABLE", "HANDLER_RAISED")
    assert "***" in told["error"]["message"] or "key=" in source
    assert SECRET not in json.dumps(told)


@pytest.mark.parametrize("shift", range(0, len(SECRET) + 2, 3))
def test_a_secret_on_the_edge_of_the_log_is_masked(shift, write_worker, tmp_path):
    """The log is masked before it is cut: no half of a secret is left at its end, however long the output was."""
    from seekapi._cli import supervisor

    write_worker(f"""
        import sys
        def handler(event, context):
            for edge in ({supervisor.LARGEST_LOG}, {supervisor.LARGEST_LOG + supervisor.LOG_MARGIN}):
                room = edge - {shift} - handler.written
                handler.written += room + {len(SECRET)}
                sys.stdout.write(" " * room + event["execution_token"])
        handler.written = 0
    """)
    write_worker(json.dumps({"execution_token": SECRET}), "event.json")

    told = outcome("worker.py", "--event", "event.json", cwd=tmp_path)

    assert told["log_is_cut"] is True
    assert len(told["log"]) <= supervisor.LARGEST_LOG
    assert told["log"].strip(" *") == ""


def test_a_log_that_just_fits_is_not_cut(write_worker, tmp_path):
    """The limit is what is told, not what is kept to mask it."""
    from seekapi._cli import supervisor

    write_worker("""
        import sys
        def handler(event, context):
            sys.stdout.write(" " * int(event["size"]))
    """)

    for size in (supervisor.LARGEST_LOG, supervisor.LARGEST_LOG + 1):
        told = outcome("worker.py", "--event", json.dumps({"size": size}), cwd=tmp_path)

        assert (len(told["log"]), told["log_is_cut"]) == (supervisor.LARGEST_LOG, size > supervisor.LARGEST_LOG)


@pytest.mark.parametrize("stem", ["inspect", "hashlib", "tempfile", "random", "queue", "logging"])
def test_a_worker_named_like_a_module_of_python(stem, write_worker, tmp_path):
    """Such a name stays Python's own for everybody who imports it; the worker and its neighbours run."""
    write_worker(
        """
        import inspect, hashlib, random, subprocess, tempfile
        import beside
        from seekapi import worker
        @worker
        def handler(job_input):
            with tempfile.TemporaryFile():
                return [hashlib.sha256(b"").hexdigest()[:4], inspect.isclass(random.Random), beside.VALUE]
        """,
        f"{stem}.py",
    )
    write_worker("VALUE = 1", "beside.py")

    told = outcome(f"{stem}.py", cwd=tmp_path)

    assert told["error"] is None
    assert told["pushes"][0]["data"] == ["e3b0", True, 1]


@posix_only
@pytest.mark.parametrize("module", ["seekapi._cli.handler_process", "faulthandler", "seekapi._backends.fixtures"])
def test_an_interrupt_while_the_handlers_process_starts_is_no_traceback(module, write_worker, tmp_path):
    """What the handler's process has to say about it is what the command says."""
    write_worker("def handler(event, context): ...")

    done = interrupted_at(module, tmp_path, condition="sys.argv[0] == '-c'", whom="os.getppid()")

    assert (done.returncode, done.stdout.split()[0]) == (130, "interrupted")
    assert "Traceback" not in done.stderr


@posix_only
@pytest.mark.parametrize(
    "module",
    [
        "seekapi._cli",
        "seekapi._cli.exit_codes",
        "seekapi._cli.terminal",
        "seekapi._cli.arguments",
        "argparse",
        "seekapi._cli.run",
        "tempfile",
        "seekapi._cli.supervisor",
    ],
)
def test_an_interrupt_while_the_command_starts_is_no_traceback(module, write_worker, tmp_path):
    """Ctrl-C is 130 from the first moment that is ours."""
    write_worker("def handler(event, context): ...")

    done = interrupted_at(module, tmp_path, condition="sys.argv[0] != '-c'", whom="os.getpid()")

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def interrupted_at(module: str, folder: Path, *, condition: str, whom: str) -> subprocess.CompletedProcess[str]:
    """Run worker.py with a SIGINT in the moment when a process of which `condition` holds looks for `module`."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
            import os, signal, sys, time
            class Interrupter:
                def find_spec(self, name, path=None, target=None):
                    if name == {module!r} and {condition}:
                        os.kill({whom}, signal.SIGINT)
                        time.sleep({LIMIT_S})  # until it has come
            sys.meta_path.insert(0, Interrupter())
        """),
        encoding="utf-8",
    )
    paths = [str(folder / "site"), str(Path(package.__file__).resolve().parents[1])]
    return subprocess.run(
        command("run", "worker.py"),
        cwd=folder,
        env=environ(PYTHONPATH=os.pathsep.join(paths)),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
