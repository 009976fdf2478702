"""What a person gets to see of a failure, word by word: the envelope, and the log.

golden_failures.txt holds the cases: a worker, then what run() answers and what is logged. To see what has changed, or
to write down what is new, set SEEKAPI_WRITE_GOLDEN=1, run this with Python 3.11 or later, and read the difference.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import faults.table  # noqa: F401  (loads the faults, so that they can be named)
import pytest
from faults.ledger import Ledger
from faults.server import FaultyServer

import seekapi
from seekapi._worker import log_lines
from worker.conftest import SECRET, TOKEN, LambdaContext, Platform

CASES = Path(__file__).with_name("golden_failures.txt")
WRITE = os.environ.get("SEEKAPI_WRITE_GOLDEN") == "1"
PYTHONS_OWN = os.path.dirname(os.__file__)
# Beside the worker, as `pip install --target` puts it into a Lambda package.
INSTALLED = "def divide(a, b):\n    return a / b\n"


class Case:
    """A worker, and what is to be seen of its failure."""

    def __init__(self, text: str) -> None:
        title, _, rest = text.partition("\n")
        self.title = title
        self.source, _, golden = rest.partition("-- envelope\n")
        self.envelope, _, log = golden.partition("-- log\n")
        self.log = log.rstrip("\n")
        least = re.search(r"\(3\.(\d+)\)$", self.title)
        self.runs_here = least is None or sys.version_info >= (3, int(least[1]))


def cases() -> list[Case]:
    return [Case(text) for text in f"\n{CASES.read_text(encoding='utf-8')}".split("\n== ")[1:]]


@pytest.fixture
def seen(tmp_path, monkeypatch, caplog):
    """`seen(case)`: the envelope and the log of its worker, without what differs between machines and Pythons."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "installed.py").write_text(INSTALLED, encoding="utf-8")
    (tmp_path / "installed-1.0.dist-info").mkdir()
    (tmp_path / "installed-1.0.dist-info" / "RECORD").write_text("x.py,,\ninstalled.py,sha256=0,40\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "installed", raising=False)

    def seen(case: Case) -> tuple[str, str]:
        path = tmp_path / "worker.py"
        path.write_text(case.source, encoding="utf-8")
        fault = "http_401" if "push_data" in case.source else ""
        with FaultyServer(Ledger(SECRET, TOKEN), fault=fault, endpoint="push") as server:
            monkeypatch.setenv("WORKER_API_BASE_URL", server.url)
            monkeypatch.setenv("WORKER_INTERNAL_SECRET", SECRET)
            platform = Platform(server)
            names = {"__name__": "worker", "SECRET": SECRET, "TOKEN": TOKEN, "EVENT": platform.event}
            exec(compile(case.source, str(path), "exec"), names)
            envelope = seekapi.run(platform.event, LambdaContext(), names["work"])
        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        log = record.getMessage() + (f"\n{record.exc_text}" if record.exc_text else "")
        assert (record.job_uuid, record.request_id, record.attempt) == ("job-1", "req-1", 1)
        return short(json.dumps(envelope)), neutral(log, tmp_path)

    return seen


def short(text: str) -> str:
    """`text` with a long row of the same letter as its length, and what no file should hold escaped."""
    return log_lines.printable(re.sub(r"x{100,}", lambda run: f"<{len(run[0])} x>", text), keep="\n")


def neutral(log: str, folder: Path) -> str:
    log = log.replace(f"{folder}{os.sep}", "").replace(PYTHONS_OWN, "PYTHON")
    # Of Python's own, neither lines nor their numbers stay; comprehensions are calls up to 3.11.
    log = re.sub(r'(File "PYTHON[^"]+", line )\d+(, in \w+)\n +.*', r"\1N\2\n    ...", log)
    log = re.sub(r'  File "worker.py", line \d+, in <listcomp>\n +.*\n', "", log)
    log = re.sub(r"repeated \d+ more times", "repeated N more times", log)
    log = re.sub(r"(maximum recursion depth exceeded)[a-z ]*", r"\1", log, flags=re.IGNORECASE)
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", short(log))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)
def test_a_failure_looks_like_this(case, seen):
    """Exactly: the envelope is the contract, the log is what a person has to find the fault with."""
    if not case.runs_here:
        pytest.skip("needs a later Python")

    envelope, log = seen(case)

    assert SECRET not in envelope + log and TOKEN not in envelope + log
    if WRITE:
        old = CASES.read_text(encoding="utf-8")
        written = f"== {case.title}\n{case.source.rstrip()}\n-- envelope\n{envelope}\n-- log\n{log}\n"
        start = f"\n{old}".index(f"\n== {case.title}\n")
        end = old.find("\n== ", start) + 1 or len(old)
        CASES.write_text(old[:start] + written + old[end:], encoding="utf-8")
        return
    assert (json.loads(envelope), log) == (json.loads(case.envelope), case.log)


def test_there_are_enough_of_them():
    """Every kind of failure that a worker has met."""
    assert len(cases()) >= 40
