"""Saving a file: what is known of the worker follows, and a mistake in it costs nothing but a line."""

from __future__ import annotations

import os
import threading

import pytest

from devserver.running import LIMIT_S, running
from seekapi._devserver.workers import Watcher, versions_below

TYPED = "from seekapi import worker\n@worker\ndef handler(job_input: {}):\n    return job_input\n"


@pytest.fixture
def watching(tmp_path):
    """`watching(folder)`: an event that is set at every change that was seen."""
    watchers = []

    def watch(folder=tmp_path):
        changed = threading.Event()
        watchers.append(Watcher(folder, changed.set, every_s=0.01))
        watchers[-1].start()
        return changed

    yield watch
    for watcher in watchers:
        watcher.stop()


@pytest.mark.parametrize("act", ["save", "make", "remove", "rename"])
def test_whatever_happens_to_a_python_file_is_seen(tmp_path, watching, act):
    """Also in a folder below, and also if only the size or only the time tells."""
    (tmp_path / "package").mkdir()
    file = tmp_path / "package" / "part.py"
    file.write_text("a = 1")
    changed = watching()

    if act == "save":
        file.write_text("a = 2")
    elif act == "make":
        (tmp_path / "new.py").touch()
    elif act == "remove":
        file.unlink()
    else:
        file.rename(tmp_path / "package" / "other.py")

    assert changed.wait(LIMIT_S)


def test_what_is_no_source_of_the_workers_is_not_looked_at(tmp_path):
    """Environments, caches, hidden folders, other files; and a link that leads in a circle."""
    for name in (".venv", "__pycache__", "node_modules", "env", ".seekapi", "lib/site-packages"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.py").touch()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "worker.py").touch()
    (tmp_path / "data.json").touch()
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "broken.py").symlink_to(tmp_path / "nothing")

    assert [os.path.basename(path) for path in versions_below(tmp_path)] == ["worker.py"]


def test_a_folder_full_of_folders_is_not_gone_through(tmp_path, monkeypatch):
    """A worker in somebody's home must not cost a walk through all of it."""
    monkeypatch.setattr("seekapi._devserver.workers.MOST_FOLDERS", 5)
    for n in range(20):
        (tmp_path / f"d{n}").mkdir()
        (tmp_path / f"d{n}" / "x.py").touch()
    (tmp_path / "worker.py").touch()

    seen = versions_below(tmp_path)
    assert str(tmp_path / "worker.py") in seen and len(seen) == 5


def test_the_schema_follows_the_file(tmp_path, watching):
    """Refused by the old one, taken by the new one; and between the two the platform refuses nothing."""
    with running(tmp_path, TYPED.format("int")) as platform:
        worker, runner = platform.runner.worker, platform.runner
        worker.describe()
        before = runner.input_schema
        changed = watching()
        (tmp_path / "worker.py").write_text(TYPED.format("str"))
        between = runner.input_schema
        assert changed.wait(LIMIT_S)
        worker.describe()
        after = runner.input_schema

        assert platform.run("text").pushes == ["text"]
    assert (before["type"], between, after["type"]) == ("integer", None, "string")


def test_a_mistake_is_told_with_its_line_and_mended(tmp_path):
    """No restart."""
    with running(tmp_path, TYPED.format("int")) as platform:
        worker = platform.runner.worker
        (tmp_path / "worker.py").write_text("import json\nx = 1 +\n")
        broken = worker.describe()
        (tmp_path / "worker.py").write_text(TYPED.format("int"))
        mended = worker.describe()

    assert broken.error["code"] == "NOT_IMPORTABLE" and broken.error["line"] == "x = 1 +"
    assert broken.error["where"].endswith("worker.py:2") and broken.input_schema is None
    assert mended.error is None and mended.input_schema["type"] == "integer"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import time\nprint('loading', flush=True)\ntime.sleep(600)\n", "was not done after 3 s"),
        ("import os\nprint('loading', flush=True)\nos._exit(3)\n", "exit code 3"),
        ("import os\nprint('loading', flush=True)\nos.abort()\n", "SIGABRT"),
    ],
)
def test_an_import_that_never_comes_back_is_told(tmp_path, source, told):
    """With what it has printed until then."""
    with running(tmp_path, source) as platform:
        error = platform.runner.worker.describe(limit_s=3).error

    assert told in error["message"] and error["traceback"] == "loading"


@pytest.mark.parametrize(
    ("file", "source", "name"),
    [
        ("worker.py", "def handler(e, c): pass", "hello"),
        ("greet.py", "def handler(e, c): pass", "greet"),
        ("worker.py", "from seekapi import worker\ndef resize(x): pass\nhandler = worker(resize)", "resize"),
    ],
)
def test_a_worker_is_called_by_whatever_says_something(tmp_path, file, source, name):
    """By its function, its file, or its folder."""
    folder = tmp_path / "hello"
    folder.mkdir()
    with running(folder, source, target=file) as platform:
        platform.runner.worker.describe()

        assert platform.ask("GET", "/worker")["name"] == name
