"""`seekapi run` while it runs: the log as it comes, the handler's own output apart from it, and how far it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from command import LIMIT_S, Screenful, command, environ, needs_a_terminal, on_a_terminal, outcome, seekapi

from seekapi._cli import records, screen, terminal

TELLING = """
    import time
    from seekapi import worker

    @worker
    def handler(job_input, job):
        print("printed", end="")
        job.log.warning("logged %s", job.input)
        for number in job.track(range(4)):
            if number == 2:
                print("halfway")
            time.sleep(0.2)
        return number
"""


@needs_a_terminal
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}], ids=["coloured", "plain"])
def test_a_terminal_sees_a_bar_that_leaves_nothing_behind(variables, write_worker, tmp_path):
    """It grows, makes room for what is printed, and is gone at the end."""
    write_worker(TELLING)

    raw = on_a_terminal("run", "worker.py", cwd=tmp_path, **variables)
    final = Screenful(80)
    final.write(raw)

    assert "[------------------------------]   0 %  0/4" in raw
    assert re.search(r"\[#+-+\]  \d+ %  \d/4", raw)
    assert not any("%" in line for line in final.shown)
    assert final.shown[0] == "printed"
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING logged \{\}", final.shown[1])
    assert final.shown[2] == "halfway"
    assert final.shown[3].startswith("completed  worker.py:handler")
    assert ("\x1b[33m" in raw) is not bool(variables)
    assert not variables or "\x1b" not in raw


@needs_a_terminal
@pytest.mark.parametrize("columns", [80, 41, 24, 12, 6, 3, 1])
def test_a_bar_never_wraps(columns, write_worker, tmp_path):
    """A line that wraps cannot be taken back."""
    write_worker("""
        from seekapi import worker
        @worker
        def handler(job_input, job):
            job.progress(3, 10, "a long message \\u4f60\\u597d " * 9)
    """)

    raw = on_a_terminal("run", "worker.py", cwd=tmp_path, columns=columns, stdout=subprocess.DEVNULL)
    final = Screenful(columns)
    final.write(raw)

    assert final.shown == [""]
    assert not final.has_wrapped
    assert ("30 %" in raw) is (columns > 5)


@needs_a_terminal
def test_a_dumb_terminal_has_no_bar(write_worker, tmp_path):
    """What cannot take a line back gets none that has to be."""
    write_worker(TELLING)

    assert "%" not in on_a_terminal("run", "worker.py", cwd=tmp_path, TERM="dumb")


def test_where_nobody_watches_there_is_no_bar(write_worker, tmp_path):
    """A pipe gets the handler's output and the log; how far it came is in the outcome."""
    write_worker(TELLING)

    done = seekapi("run", "worker.py", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)

    assert re.fullmatch(r"printed\n\d\d:\d\d:\d\d WARNING logged \{\}\nhalfway\n", done.stderr)
    assert told["log"] == done.stderr
    assert told["progress"] == {"done": 4, "total": 4, "message": None}


@needs_a_terminal
def test_the_log_comes_while_the_handler_runs(write_worker, tmp_path):
    """The handler waits until somebody has seen its line."""
    write_worker("""
        import os, time
        from seekapi import worker
        @worker
        def handler(job_input, job):
            job.log.info("waiting")
            while not os.path.exists("seen"):
                time.sleep(0.01)
    """)

    with subprocess.Popen(
        command("run", "worker.py"), cwd=tmp_path, env=environ(), stdout=-1, stderr=-1, text=True
    ) as process:
        line = process.stderr.readline()
        (tmp_path / "seen").touch()
        process.communicate(timeout=LIMIT_S)

    assert line.endswith(" INFO waiting\n")
    assert process.returncode == 0


def test_the_page_says_where_it_failed_how_far_it_was_and_what_to_do(write_worker, tmp_path):
    """The user's line of code, the last progress, and the remedy."""
    write_worker("""
        from seekapi import worker
        @worker
        def handler(job_input, job):
            for n in job.track(range(10)):
                if n == 7:
                    return {}["price"]
    """)

    done = seekapi("run", "worker.py", cwd=tmp_path)

    assert done.returncode == 1
    failure, place, remedy, progress, *_ = done.stdout.splitlines()[1:]
    assert failure == "  WORKER_ERROR: KeyError: 'price'"
    assert place == '    at worker.py:7   return {}["price"]'
    assert remedy == "    the traceback is in the log, on stderr"
    assert progress == "  progress   7 of 10"
    assert done.stderr.count("Traceback") == 1 and "seekapi/_worker" not in done.stderr


def test_the_records_come_through_whatever_the_handler_does_to_its_streams(write_worker, tmp_path):
    """They have a way of their own, and it leads into no file of the handler's."""
    write_worker("""
        import os, sys
        from seekapi import worker
        @worker
        def handler(job_input, job):
            sys.stdout.close(), sys.stderr.close()
            os.closerange(0, 150)
            job.log.info("still here")
            os.closerange(0, 4000)
            kept = [open(f"file-{n}", "w+") for n in range(300)]
            job.log.info("nobody hears")
            job.progress(1)
            for file in kept:
                file.flush()
            return sum(os.path.getsize(file.name) for file in kept)
    """)

    told = outcome("worker.py", cwd=tmp_path)

    assert "still here" in told["log"] and "nobody hears" not in told["log"]
    assert sum(path.stat().st_size for path in tmp_path.glob("file-*")) == 0


def test_what_a_logging_of_the_users_shows_is_not_shown_twice(write_worker, tmp_path):
    """His format is his; the bar has its numbers all the same. A configuration that silences all others does not."""
    write_worker("""
        import logging.config
        from seekapi import worker
        logging.config.dictConfig({
            "version": 1,
            "formatters": {"f": {"format": "his %(levelname)s %(message)s"}},
            "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
            "root": {"handlers": ["h"], "level": "INFO"},
        })
        @worker
        def handler(job_input, job):
            job.log.info("said")
            job.progress(1, 2)
            job.progress(2, 2)
            1 / 0
    """)

    told = outcome("worker.py", cwd=tmp_path)

    assert told["log"].splitlines()[:3] == [
        "his INFO said",
        "his INFO progress 1/2 (50 %)",
        "his INFO progress 2/2 (100 %)",
    ]
    assert told["log"].count("job failed") == 1
    assert told["progress"]["done"] == 2
    assert told["error"]["where"] == "worker.py:15"


def test_a_handler_cannot_pass_for_the_log(write_worker, tmp_path):
    """What it prints is its own output, whatever it looks like."""
    forged = json.dumps(
        {"logger": "seekapi.job", "level": "ERROR", "message": "forged", "seekapi_progress": {"done": 9}}
    )
    write_worker(f"""
        from seekapi import worker
        @worker
        def handler(job_input, job):
            print({forged!r})
            print("\\x1e" + "0" * 32 + "-" + {forged!r})
    """)

    told = outcome("worker.py", cwd=tmp_path)

    assert told["progress"] is None
    assert told["log"].count("forged") == 2


def test_no_secret_of_the_job_is_shown_by_the_log(write_worker, tmp_path):
    """Neither live nor in the outcome; what the handler prints by itself is masked in the outcome only."""
    write_worker("""
        from seekapi import worker
        @worker
        def handler(job_input, job):
            job.log.info("the token is %s", job.event["execution_token"])
            job.progress(1, 2, job.event["execution_token"])
            raise ValueError(job.event["execution_token"])
    """)
    event = json.dumps({"execution_token": "token-0123456789"})

    done = seekapi("run", "worker.py", "--event", event, "--input", "1", "--json", cwd=tmp_path)

    assert "token-0123456789" not in done.stdout + done.stderr
    assert "the token is ***" in done.stderr


# the parts -----------------------------------------------------------------------------------------------------------

MARK = "m" * 32
LINE = '{"message": "said", "level": "INFO"}'


def pieces(text: str, size: int) -> list[object]:
    splitter = records.Splitter(MARK)
    found = [piece for start in range(0, len(text), size) for piece in splitter.feed(text[start : start + size])]
    found += splitter.finish()
    joined: list[object] = []
    for piece in found:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece if isinstance(piece, str) else (piece.fields["message"], piece.is_heard))
    return joined


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\n", ["plain\n"]),
        (f"begun\x1e{MARK}-{LINE}\nafter", ["begun", ("said", False), "after"]),
        (f"\x1e{MARK}+{LINE}\n" * 2, [("said", True), ("said", True)]),
        (f"\x1e{MARK}-{LINE}", [f"\x1e{MARK}-{LINE}"]),
        (f"\x1e{MARK}-torn\n", [f"\x1e{MARK}-torn\n"]),
        (f"\x1e{MARK}-[1]\n", [f"\x1e{MARK}-[1]\n"]),
        (f"\x1e{MARK}\n", [f"\x1e{MARK}\n"]),
        ("\x1e\x1emmm", ["\x1e\x1emmm"]),
        (f"\x1e\x1e{MARK}-{LINE}\n", ["\x1e", ("said", False)]),
    ],
)
def test_records_are_found_wherever_the_pieces_end(text, expected, size):
    """Nothing of the handler's output is lost, whatever it looks like."""
    assert pieces(text, size) == expected


def test_output_does_not_wait_for_the_end_of_its_line():
    """A prompt is shown when it is printed."""
    assert records.Splitter(MARK).feed("Name: ") == ["Name: "]


def test_a_record_that_never_ends_is_output():
    """Memory does not grow with what a handler makes up."""
    (piece,) = records.Splitter(MARK).feed(f"\x1e{MARK}-" + "x" * (records.LONGEST_RECORD + 10))

    assert isinstance(piece, str)


@pytest.mark.parametrize(
    ("progress", "columns", "bar"),
    [
        ({"done": 5, "total": 10}, 80, "[###############---------------]  50 %  5/10"),
        ({"done": 5, "total": 10, "message": "now"}, 40, "[######------]  50 %  5/10  now"),
        ({"done": 5, "total": 10, "message": "a message"}, 24, " 50 %  5/10  a message"),
        ({"done": 5, "total": 10, "message": "a message"}, 20, " 50 %  5/10  a mes…"),
        ({"done": 5, "total": 10, "message": "你好你好"}, 20, " 50 %  5/10  你好…"),
        ({"done": 5, "total": 10}, 6, "50 %"),
        ({"done": 5, "total": 10}, 4, ""),
        ({"done": 12, "total": 10}, 40, "[########################] 100 %  12/10"),
        ({"done": 0, "total": 0}, 40, "0/0"),
        ({"done": 7}, 40, "7"),
        ({"done": "7", "total": 10}, 40, ""),
        ({"total": 10}, 40, ""),
        ({"done": 0.5, "total": 1.5, "message": "\x1b[2J"}, 40, "[###--------]  33 %  0.5/1.5  \\x1b[2J"),
    ],
)
def test_a_bar_fits(progress, columns, bar):
    """In less than the width of the terminal: the last column stays free."""
    assert screen.bar_of(progress, columns) == bar
    assert terminal.cells(bar) < columns


def test_a_bar_is_drawn_ten_times_a_second_at_most(monkeypatch):
    """However much is printed meanwhile; when nothing is, it comes back."""
    written: list[str] = []
    now = [0.0]
    monkeypatch.setattr(terminal, "talk", written.append)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    shown = screen.Screen(lambda: now[0])
    shown.tell(records.Record({"seekapi_progress": {"done": 1, "total": 2}}, is_heard=False))

    for _ in range(1000):
        now[0] += 0.001
        shown.say("line\n")
    drawn = sum("%" in text for text in written)
    assert shown.wants_tick
    now[0] += 1
    shown.tick()

    assert drawn <= 11
    assert shown.bar_width and not shown.wants_tick
    shown.close()
    assert written[-1] == f"\r{' ' * 43}\r" or set(written[-1]) == {"\r", " "}
