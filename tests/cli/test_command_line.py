"""The manners of the command line: help, usage errors, versions, terminals, pipes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest
from command import LIMIT_S, command, environ, on_a_terminal, seekapi

import seekapi as package
from seekapi._cli import main, terminal

NOISY = r"""
    from seekapi import create_context, push_data, push_file
    def handler(event, context):
        print("title \x1b]0;owned\x07 and \x9b31m colour", "\u202e reversed")
        push_data(create_context(event), {"text": "\x1b[2J\u202e"})
        push_file(create_context(event), "report\u202efdp.exe", b"x")
        return "\x1b[31m"
"""


@pytest.mark.parametrize("arguments", [["-h"], ["run", "-h"]])
def test_help_begins_with_examples(arguments, tmp_path):
    """What one wants to see first is how others call it."""
    done = seekapi(*arguments, cwd=tmp_path)

    assert done.returncode == 0
    assert done.stdout.startswith("examples:\n  seekapi ")
    assert "usage: seekapi" in done.stdout


def test_the_version_is_the_packages(tmp_path):
    """One number, in one place."""
    assert seekapi("--version", cwd=tmp_path).stdout == f"seekapi {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "usage: seekapi"),
        (["nonsense"], "nonsense"),
        (["run"], "TARGET"),
        (["run", "worker.py", "--inp", "{}"], "unrecognized arguments"),
        (["run", "worker.py", "--input", "{x"], "is not JSON: Expecting property name"),
        (["run", "worker.py", "--input", "@missing.json"], "cannot read missing.json: No such file"),
        (["run", "worker.py", "--event", "missing.json"], "cannot read missing.json"),
        (["run", "worker.py", "--inp", "{}"], "usage: seekapi run"),
        (["run", "worker.py", "--input", "job.json"], "to read the file: @job.json"),
        (["run", "worker.py", "--input", "name"], """a JSON string needs its quotes: '"name"'; @FILE reads a file"""),
        (["run", "worker.py", "--event", "{x"], "is not JSON: Expecting property name"),
        (["run", "worker.py", "--event", "@missing.json"], "cannot read missing.json"),
        (["run", "worker.py", "--timeout", "0"], "expected seconds"),
        (["run", "worker.py", "--timeout", "nan"], "expected seconds"),
        (["run", "worker.py", "--timeout", "inf"], "expected seconds"),
    ],
)
def test_wrong_usage_is_told_on_stderr(arguments, said, tmp_path):
    """Exit code 2, nothing on stdout, nothing run; options cannot be abbreviated."""
    (tmp_path / "job.json").write_text("{}", encoding="utf-8")

    done = seekapi(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_main_returns_what_the_process_would_exit_with(capsys):
    """main(argv) is an ordinary function: neither -h nor a usage error leaves it by SystemExit."""
    assert main(["-h"]) == 0
    assert main(["run"]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error(write_worker, tmp_path):
    """`seekapi run ... | head -0`: no complaint, and the exit code is still the job's."""
    write_worker("def handler(event, context):\n    return {'ok': False, 'long': 'x' * 1_000_000}")

    with subprocess.Popen(
        command("run", "worker.py", "--json"),
        cwd=tmp_path,
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        talk = process.stderr.read()
        code = process.wait(LIMIT_S)

    assert (code, talk) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full and a POSIX shell")
@pytest.mark.parametrize("to", [">&-", ">/dev/full"], ids=["closed", "full"])
@pytest.mark.parametrize("arguments", ["run worker.py", "run worker.py --json", "run -h", "--version"])
def test_output_that_cannot_be_written_is_told(to, arguments, write_worker, tmp_path):
    """Nobody takes a lost outcome for a success, or for a failed job: one line on stderr, exit code 3."""
    write_worker("def handler(event, context):\n    return 1")

    done = in_a_shell(f"{arguments} {to}", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("seekapi: the output could not be written: ")
    assert done.stderr.count("\n") == 1


def test_a_closed_stdout_runs_nothing(write_worker, tmp_path):
    """What could not be told is not begun."""
    write_worker("print('imported')\ndef handler(event, context): return 1")

    assert "imported" not in in_a_shell("run worker.py >&-", cwd=tmp_path).stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full and a POSIX shell")
@pytest.mark.parametrize("to", ["2>&-", "2>/dev/full"], ids=["closed", "full"])
def test_talk_that_cannot_be_written_costs_nothing(to, write_worker, tmp_path):
    """The outcome is on stdout, whole and alone, and the exit code is the job's."""
    write_worker("def handler(event, context):\n    print('x' * 1_000_000)\n    return 1")

    done = in_a_shell(f"run worker.py --json {to}", cwd=tmp_path)
    refused = in_a_shell(f"run missing.py {to}", cwd=tmp_path)

    assert (done.returncode, json.loads(done.stdout)["returned"]) == (0, 1)
    assert (refused.returncode, refused.stdout) == (3, "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_closed_stdin_is_no_input(write_worker, tmp_path):
    """`--input -` with nothing to read from is wrong usage."""
    done = in_a_shell("run worker.py --input - <&-", cwd=tmp_path)

    assert (done.returncode, "stdin is closed" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def in_a_shell(arguments: str, *, cwd) -> subprocess.CompletedProcess[str]:
    """`seekapi ARGUMENTS`, which may redirect."""
    return subprocess.run(
        ["sh", "-c", f"{shlex.join(command())} {arguments}"],
        cwd=cwd,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def test_a_terminal_without_unicode_is_no_error(write_worker, tmp_path):
    """What the encoding of the terminal does not have is escaped."""
    write_worker("def handler(event, context):\n    print('né')\n    return 'né'")

    done = seekapi("run", "worker.py", cwd=tmp_path, PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert r"n\xe9" in done.stdout
    assert r"n\xe9" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_is_shown_no_control_characters(write_worker, tmp_path):
    """What a worker prints, pushes, names or returns cannot move the cursor, set the title or turn text around."""
    write_worker(NOISY)

    shown = on_a_terminal("run", "worker.py", cwd=tmp_path, NO_COLOR="1", TERM="xterm")

    assert "completed" in shown
    assert r"title \x1b]0;owned\x07 and \x9b31m colour \u202e reversed" in shown
    assert r"report\u202efdp.exe" in shown
    assert all(c.isprintable() or c in "\r\n" for c in shown)


def test_a_page_that_is_piped_has_no_control_characters_either(write_worker, tmp_path):
    """Names and data are escaped wherever the page goes; the handler's own output is passed on as it is."""
    write_worker(NOISY)

    done = seekapi("run", "worker.py", cwd=tmp_path)

    assert all(c.isprintable() or c == "\n" for c in done.stdout)
    assert "\x1b]0;owned\x07" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(variables, is_coloured, write_worker, tmp_path):
    """NO_COLOR and a dumb terminal are honoured."""
    write_worker("def handler(event, context):\n    return 1")

    shown = on_a_terminal("run", "worker.py", cwd=tmp_path, **variables)

    assert ("\x1b[32mcompleted\x1b[0m" in shown) is is_coloured


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("four", 4, "four"),
        ("fives", 4, "fiv…"),
        ("你好", 4, "你好"),
        ("你好吗", 5, "你好…"),
        ("你好吗", 4, "你…"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
        ("你", 1, "…"),
    ],
)
def test_a_text_is_cut_to_columns(text, width, shown):
    """Of which some letters take two, and some none."""
    assert terminal.cut(text, width) == shown
    assert terminal.cells(shown) <= width


@pytest.mark.skipif(sys.platform == "win32", reason="needs a folder that can go while one is in it")
@pytest.mark.parametrize("arguments", ["run {worker}", "init hello", "dev {worker} --port 0"])
def test_a_folder_that_is_gone_is_said(arguments, tmp_path):
    """In a line, with what to do; it is no failure of the job."""
    (tmp_path / "worker.py").write_text("def handler(event, context): return {'ok': True}\n")
    (tmp_path / "gone").mkdir()
    line = shlex.join(command(*arguments.format(worker=tmp_path / "worker.py").split()))

    done = subprocess.run(
        ["sh", "-c", f"rmdir ../gone; exec {line}"],
        cwd=tmp_path / "gone",
        env=environ(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert (done.returncode, done.stderr) == (3, "seekapi: the current folder is gone: go to another one\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of descriptors")
@pytest.mark.parametrize(
    ("what", "limit", "told"),
    [
        ("run", 5, "Too many open files: a higher limit helps (ulimit -n)"),
        ("dev", 63, "a limit of 63 open files is too low for a server: `ulimit -n 1024` (at least 64)"),
    ],
)
def test_too_few_descriptors_are_said(tmp_path, what, limit, told):
    """With what helps; no traceback."""
    (tmp_path / "worker.py").write_text("def handler(event, context): return {'ok': True}\n")
    line = shlex.join(command(what, "worker.py"))

    done = subprocess.run(
        ["sh", "-c", f"ulimit -n {limit}; exec {line}"],
        cwd=tmp_path,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert (done.returncode, done.stderr) == (3, f"seekapi: {told}\n")


def test_all_of_it_is_a_hundred_per_cent_and_less_is_not():
    """Nobody waits at 100 %."""
    counts = ((0, 9), (996, 1000), (9_999_999, 10_000_000), (9, 9), (3, 2))

    assert [terminal.percent(*count) for count in counts] == [0, 99, 99, 100, 100]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**2, "5.0 MiB"), (1024**5, "1024.0 TiB")],
)
def test_sizes_for_people(size_bytes, text):
    """A size has one digit behind the point and the unit that fits."""
    assert terminal.size(size_bytes) == text
