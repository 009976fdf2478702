"""What a failed job leaves in the log: the user's own line, the traceback once, and never a secret."""

from __future__ import annotations

import json
import linecache
import logging
import os

import pytest

from seekapi import Fail
from seekapi._redaction import Redactor
from seekapi._worker import logs

SECRET = "internal-secret-for-tests"


def failed(work) -> BaseException:
    """What `work()` raises, with its traceback."""
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("it was meant to fail")


def logged(caplog, error: BaseException, code: str = "WORKER_ERROR", redactor: Redactor | None = None):
    """The one record of a failure."""
    logs.log_failure(error, code, redactor or Redactor())
    (record,) = caplog.records
    return record


def fail() -> None:
    raise Fail("NO_STOCK", f"only 2 left\nof {SECRET}")


def test_a_failure_is_logged_with_the_users_own_last_line(caplog):
    """The fault is in the standard library; the line that one can mend is the one that called it."""

    def work():
        json.loads("{")

    record = logged(caplog, failed(work))

    path, _, line_number = record.seekapi_where.rpartition(":")
    assert os.path.samefile(path, __file__)
    assert int(line_number) == work.__code__.co_firstlineno + 1
    assert (record.seekapi_code, record.seekapi_line) == ("WORKER_ERROR", 'json.loads("{")')


def test_what_only_we_refuse_is_in_no_line_of_the_user(caplog):
    """An error that was never raised in a file of the user names none."""
    record = logged(caplog, ValueError("no frames"))

    assert (record.seekapi_where, record.seekapi_line) == (None, None)


def test_installed_packages_and_generated_code_are_nobodys_line(caplog, tmp_path):
    """A frame of a package, of Python or of a string that was compiled is not where one looks."""
    package = tmp_path / "lib" / "site-packages" / "theirs.py"
    scope: dict[str, object] = {}
    exec(compile("def theirs(): return 1 / 0", str(package), "exec"), scope)
    exec(compile("def generated(): return theirs()", "<string>", "exec"), scope)

    record = logged(caplog, failed(lambda: scope["generated"]()))

    assert "test_logs.py:" in record.seekapi_where


def test_a_verdict_of_the_users_own_is_one_line(caplog):
    """Fail is meant: there is nothing to trace, but where it was raised is known."""
    record = logged(caplog, failed(fail), "NO_STOCK", Redactor([SECRET]))

    assert record.getMessage() == "job failed: NO_STOCK: only 2 left of ***"
    assert record.seekapi_line == 'raise Fail("NO_STOCK", f"only 2 left\\nof {SECRET}")'


def test_the_line_is_redacted(caplog):
    """A secret in the source is masked like one in a message."""

    def work():
        raise ValueError("internal-secret-for-tests")

    record = logged(caplog, failed(work), redactor=Redactor([SECRET]))

    assert record.seekapi_line == 'raise ValueError("***")'
    assert SECRET not in str(vars(record))


@pytest.mark.skipif(os.name == "nt", reason="the current folder cannot be removed there")
def test_a_current_folder_that_is_gone_costs_no_log(caplog, tmp_path, monkeypatch):
    """The place is a courtesy; the traceback is what counts."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    record = logged(caplog, failed(lambda: 1 / 0))

    assert "ZeroDivisionError" in record.getMessage()


def test_the_log_may_be_switched_off(caplog):
    """Nothing is said to a logger that does not want to hear it."""
    caplog.set_level(logging.CRITICAL, "seekapi")

    logs.log_failure(failed(fail), "NO_STOCK", Redactor())

    assert caplog.records == []


def test_a_long_traceback_shows_no_half_of_a_secret(caplog):
    """The text is masked before it is cut: wherever the cut falls, no part of a secret stands beside it."""
    secret = "0123456789abcdef" * 4

    for shift in range(0, 70, 5):
        caplog.clear()
        record = logged(caplog, ValueError("x" * shift + (secret + "y" * 7) * 2000), redactor=Redactor([secret]))

        shown = record.getMessage()
        assert "[...]" in shown and len(shown) < 34 * 1024
        assert not any(part in shown for part in ("0123", "cdef"))


def test_a_long_line_of_source_is_cut(caplog):
    """A line of generated code must not drown the log."""
    path = os.path.join(os.path.dirname(__file__), "generated.py")
    scope: dict[str, object] = {}
    source = f"def work(): 1 / 0; {'x' * 5000}\n"
    linecache.cache[path] = (len(source), None, [source], path)
    exec(compile(source, path, "exec"), scope)

    record = logged(caplog, failed(lambda: scope["work"]()))
    del linecache.cache[path]

    assert len(record.seekapi_line) == 1024 and record.seekapi_line.endswith("x…")


def test_a_warning_never_raises(monkeypatch):
    """A closed sys.stderr makes logging itself raise."""

    class Broken(logging.Handler):
        def emit(self, record):
            raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(logging.getLogger("seekapi"), "handlers", [Broken()])

    logs.warn("one line: %s", "said")
