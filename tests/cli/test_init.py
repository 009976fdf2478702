"""`seekapi init`: what it makes works, and what was there stays."""

from __future__ import annotations

import json
import subprocess
import sys

from command import LIMIT_S, environ, outcome, seekapi


def test_the_test_that_it_makes_passes(tmp_path):
    """In a folder that is nobody's, with nothing but pytest and seekapi."""
    made = seekapi("init", "hello", cwd=tmp_path)

    assert made.returncode == 0 and made.stdout == "" and "seekapi dev worker.py" in made.stderr
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "hello",
        env=environ(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert tested.returncode == 0 and "2 passed" in tested.stdout, tested.stdout


def test_the_worker_that_it_makes_runs(tmp_path):
    """As any worker does."""
    seekapi("init", "hello", cwd=tmp_path)
    told = outcome("hello/worker.py", "--input", '{"name": "Ada"}', cwd=tmp_path)

    assert told["status"] == "completed" and told["pushes"][0]["data"] == {"message": "hello Ada"}


def test_nothing_that_is_there_is_touched(tmp_path):
    """Then nothing is made at all."""
    (tmp_path / "worker.py").write_text("mine")
    refused = seekapi("init", ".", cwd=tmp_path)

    assert refused.returncode == 3 and "worker.py is there already" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["worker.py"] and (
        tmp_path / "worker.py"
    ).read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    """One line, no traceback."""
    (tmp_path / "file").write_text("")
    refused = seekapi("init", "file/hello", cwd=tmp_path)

    assert refused.returncode == 3 and "cannot write" in refused.stderr and "Traceback" not in refused.stderr


def test_no_name_is_a_wrong_argument(tmp_path):
    """2, with what to do."""
    refused = seekapi("init", "", cwd=tmp_path)

    assert refused.returncode == 2 and "seekapi init ." in refused.stderr and list(tmp_path.iterdir()) == []


def test_the_next_step_can_be_taken(tmp_path):
    """Also into a folder whose name looks like an option."""
    made = seekapi("init", "--", "-x", cwd=tmp_path)
    enter = made.stderr.splitlines()[1].removeprefix("next: ").partition(" && ")[0]

    assert subprocess.run(["sh", "-c", f"{enter} && test -f worker.py"], cwd=tmp_path).returncode == 0


def test_what_was_made_is_told_as_json_too(tmp_path):
    """For scripts."""
    made = json.loads(seekapi("init", "hello", "--json", cwd=tmp_path).stdout)

    assert made["folder"] == str(tmp_path / "hello")
    assert sorted(made["files"]) == sorted(path.name for path in (tmp_path / "hello").iterdir())
