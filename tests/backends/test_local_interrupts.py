"""The exception of a signal (Ctrl-C, a deadline) at every line of local mode: both or neither, and no lock remains."""

from __future__ import annotations

import itertools
import os
import shutil
import sys

import pytest

from seekapi._backends import local as local_module
from seekapi._backends import local_exchange, local_files, local_rows
from seekapi.errors import LocalWriteError

# The last resort against a lock that stays is that Python closes what nobody holds, and it warns when it does.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

SOURCES = frozenset(module.__file__ for module in (local_module, local_files, local_rows, local_exchange))


class Struck(BaseException):
    """As KeyboardInterrupt, but certainly ours."""


def strike(operation, line_number: int) -> bool:
    """Run with Struck raised at the line of that number, counted through local mode; False if it ended before."""
    left = itertools.count(line_number, -1)

    def at_line(frame, event, _argument):
        if event == "line" and next(left) == 1:
            raise Struck
        return at_line

    def at_call(frame, _event, _argument):
        return at_line if frame.f_code.co_filename in SOURCES else None

    tracer = sys.gettrace()
    sys.settrace(at_call)
    try:
        operation()
    except Struck:
        return True
    finally:
        sys.settrace(tracer)
    return False


@pytest.fixture(params=["as it is", "no swap", "no nameless files", "no hard links"])
def somewhere(request, local_with, monkeypatch):
    """Local mode on this system, and as it works where the system offers less."""
    if request.param == "no swap":
        monkeypatch.setattr(local_files, "exchange", lambda *names: False)
    if request.param in ("no nameless files", "no hard links"):
        monkeypatch.setattr(local_files, "_NAMELESS", 0)
    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", _without_hard_links)
    local = local_with()
    local.push("old")
    local.file("old.txt", b"old")
    local.charge("old")
    return local


def _without_hard_links(*args, **kwargs):
    raise PermissionError(1, "Operation not permitted")


def every_line(local, operation):
    """Strike at each line in turn; each time the job is as it was first, and is looked at before the next one."""
    pristine = local.base / "pristine"
    shutil.copytree(local.job(), pristine)
    for line_number in itertools.count(1):
        if not strike(operation, line_number):
            break
        yield line_number
        shutil.rmtree(local.job())
        shutil.copytree(pristine, local.job())
    assert line_number > 50


def test_a_push_is_row_and_response_or_neither_wherever_it_is_struck(somewhere):
    """And the next push does not wait for a lock that nobody holds."""
    kept_count = lost_count = 0
    for line_number in every_line(somewhere, lambda: somewhere.push("new")):
        row = [row["data"] for row in somewhere.rows("data_pushes.jsonl")]
        assert (row, somewhere.response()) in ((["old"], "old"), (["old", "new"], "new")), line_number
        kept_count += row != ["old"]
        lost_count += row == ["old"]

        somewhere.push("next", timeout_s=1)
        assert somewhere.response() == "next"
    assert kept_count and lost_count


def test_a_pushed_file_is_file_and_row_or_neither_wherever_it_is_struck(somewhere):
    """Capitals take the longest way; only what holds a name back may remain."""
    for line_number in every_line(somewhere, lambda: somewhere.file("New.txt", b"new")):
        rows = [row["stored_name"] for row in somewhere.rows("file_pushes.jsonl")]
        assert sorted(rows) == sorted(somewhere.stored()), line_number

        somewhere.file("next.txt", b"next", timeout_s=1)


def test_a_charge_is_recorded_once_by_its_retry_wherever_it_was_struck(somewhere):
    """A mark without its row would answer ok to a charge that nobody recorded."""
    for line_number in every_line(somewhere, lambda: somewhere.charge("new")):
        assert somewhere.charge("new")["ok"]
        keys = [row["idempotency_key"] for row in somewhere.rows("charges.jsonl")]
        assert keys == ["old", "new"], line_number


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_charge_that_could_not_be_made_to_last_is_recorded_by_its_retry(local_with, failing):
    """Whichever fsync fails: of the row, of the folder of marks, of the job folder."""
    calls = itertools.count(1)

    def fsync(fd: int) -> None:
        if next(calls) == failing:
            raise OSError(5, "Input/output error")

    local = local_with(fsync=fsync)
    with pytest.raises(LocalWriteError):
        local.charge("k")

    assert local.charge("k")["ok"]

    assert [row["idempotency_key"] for row in local.rows("charges.jsonl")] == ["k"]


def test_a_mark_that_cannot_go_keeps_its_row(local_with, monkeypatch):
    """The disk that failed the charge may fail its clean-up, too."""
    local = local_with()

    def mark_and_fail(charged, key):
        real_mark(charged, key)
        monkeypatch.setattr(local_files.Folder, "remove", refuse)
        raise OSError(5, "Input/output error")

    def refuse(folder, name):
        raise OSError(30, "Read-only file system")

    real_mark = local_module._mark
    with monkeypatch.context() as patched:
        patched.setattr(local_module, "_mark", mark_and_fail)
        with pytest.raises(LocalWriteError):
            local.charge("k")

    assert local.charge("k")["ok"]
    assert [row["idempotency_key"] for row in local.rows("charges.jsonl")] == ["k"]
