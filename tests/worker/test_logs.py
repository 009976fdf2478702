"""What a job leaves in the log: each record once, with its ids, masked, and in one line where JSON is asked for."""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import logging
import os
import subprocess
import sys
import threading

import pytest

import seekapi
from seekapi import Fail
from seekapi._backends import fixtures
from seekapi._redaction import Redactor
from seekapi._worker import log_lines, log_records, logs
from worker.conftest import TOKEN, LambdaContext

SECRET = "internal-secret-for-tests"


class Stderr:
    """What was written to sys.stderr."""

    def __init__(self, capsys) -> None:
        self._capsys = capsys
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


@pytest.fixture
def stderr(capsys, monkeypatch):
    """A stderr to read, and nobody else who would print."""
    for name in ("AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    logger = logging.getLogger("seekapi")
    # pytest listens at the root, and at what does not propagate to it: ours has a root of its own meanwhile.
    monkeypatch.setattr(logger, "parent", logging.RootLogger(logging.WARNING))
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    logger.manager._clear_cache()
    return Stderr(capsys)


@pytest.fixture
def run_log():
    """The log of one run."""
    return logs.RunLog("job-12345678", "req-1", 2, Redactor([SECRET]))


def lines_of(stream) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def failed(work) -> BaseException:
    """What `work()` raises, with its traceback."""
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("it was meant to fail")


def logged(caplog, error: BaseException, code: str = "WORKER_ERROR", redactor: Redactor | None = None):
    """The one record of a failure."""
    logs.RunLog("job-1", None, 1, redactor or Redactor()).failure(error, code)
    (record,) = caplog.records
    return record


def raising(error: BaseException) -> None:
    raise error


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


def test_a_verdict_of_the_users_own_is_not_traced(caplog):
    """Fail is meant: there is nothing to trace, but it says where it was raised."""
    record = logged(caplog, failed(fail), "NO_STOCK", Redactor([SECRET]))

    assert record.getMessage().split("\n")[0] == "job failed: NO_STOCK: only 2 left of ***"
    assert record.getMessage().split("\n")[1].endswith('   raise Fail("NO_STOCK", f"only 2 left\\nof {SECRET}")')
    assert record.exc_text is None
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

    assert "ZeroDivisionError" in record.exc_text


def test_the_log_may_be_switched_off(caplog):
    """Nothing is said to a logger that does not want to hear it."""
    caplog.set_level(logging.CRITICAL, "seekapi")

    logs.RunLog("job-1", None, 1, Redactor()).failure(failed(fail), "NO_STOCK")

    assert caplog.records == []


def test_a_long_traceback_shows_no_half_of_a_secret(caplog):
    """The text is masked before it is cut: wherever the cut falls, no part of a secret stands beside it."""
    secret = "0123456789abcdef" * 4

    for shift in range(0, 70, 5):
        caplog.clear()
        error = ValueError("x" * shift + (secret + "y" * 7) * 2000)
        record = logged(caplog, failed(lambda error=error: raising(error)), redactor=Redactor([secret]))

        shown = f"{record.getMessage()}\n{record.exc_text}"
        assert shown.endswith("…") and len(shown) < 34 * 1024
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


# who prints, and how --------------------------------------------------------------------------------------------------


def test_a_record_is_one_line_of_json_where_that_is_asked_for(stderr, run_log, monkeypatch):
    """Newlines, quotes and what is no UTF-8 stay inside of it; the ids are on it, and what the user adds."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_FORMAT", "JSON")

    run_log.adapter().warning("two\nlines \u2028 \x1b[31m %s \ud800", '"', extra={"page": 3, "nan": float("nan")})
    run_log.failure(failed(lambda: 1 / 0), "WORKER_ERROR")
    logs.warn("no job")

    said, failure, without = lines_of(stderr)
    assert said.pop("timestamp").endswith("Z")
    assert said == {
        "level": "WARNING",
        "message": 'two\nlines \u2028 \x1b[31m " \\ud800',
        "logger": "seekapi.job",
        "job_uuid": "job-12345678",
        "request_id": "req-1",
        "attempt": 2,
        "page": 3,
        "nan": "nan",
    }
    assert failure["message"].startswith("job failed: WORKER_ERROR: ZeroDivisionError: division by zero\n  at ")
    assert failure["seekapi_code"] == "WORKER_ERROR"
    assert failure["traceback"].startswith("Traceback (most recent call last):\n  File ")
    assert (without["job_uuid"], without["attempt"]) == (None, None)


def test_what_a_backend_warns_of_is_a_record_like_any_other(stderr, run_log, monkeypatch, tmp_path):
    """In the format that is asked for, with the ids of its run."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_FORMAT", "JSON")
    path = tmp_path / "fixtures.json"
    path.write_text('{"inputs": {}}')

    with run_log:
        fixtures.has_input(str(path))

    (said,) = lines_of(stderr)
    assert (said["level"], said["logger"], said["job_uuid"]) == ("WARNING", "seekapi", "job-12345678")
    assert '"inputs" is ignored' in said["message"]


@pytest.mark.parametrize(
    "extra",
    [{"x": float("inf")}, {"x": {1, 2}}, {"x": object}, {"x": {(1, 2): 3}}, {"x": b"\xff"}, {3: 4}, {"x": [[[[{}]]]]}],
    ids=str,
)
def test_whatever_a_record_carries_it_is_one_line(stderr, run_log, monkeypatch, extra):
    """JSON that nobody can read is no log."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_FORMAT", "json")

    run_log.adapter().info("said", extra=extra)

    (line,) = lines_of(stderr)
    assert line["message"] == "said"
    assert "NaN" not in stderr.getvalue() and "Infinity" not in stderr.getvalue()


def test_a_circle_in_an_extra_is_one_line(stderr, run_log, monkeypatch):
    """What refers to itself has a text at least."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_FORMAT", "JSON")
    circle: list[object] = []
    circle.append(circle)

    run_log.adapter().info("said", extra={"x": circle})

    assert lines_of(stderr)[0]["message"] == "said"


def test_a_message_that_is_an_object_stays_one(stderr, run_log, monkeypatch):
    """As AWS's own runtime has it; masked all the same."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_FORMAT", "JSON")

    run_log.adapter().info({"step": "fetch", "with": [SECRET], SECRET: 1})

    assert lines_of(stderr)[0]["message"] == {"step": "fetch", "with": ["***"], "***": 1}


def test_text_has_time_level_and_ids_in_front(stderr, run_log):
    """What is not the beginning of a record is indented: a message cannot pass for another record."""
    run_log.adapter().info("first\n2026-01-01T00:00:00.000Z ERROR forged\r\x1b[2J\x85")

    first, second = stderr.getvalue().splitlines()
    assert first.split(" ", 1)[1] == "INFO job=job-12345678 request=req-1 attempt=2 first"
    assert second == "  2026-01-01T00:00:00.000Z ERROR forged\\r\\x1b[2J\\x85"


@pytest.mark.parametrize(
    ("variables", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colours_if_its_user_likes_them(stderr, run_log, monkeypatch, variables, is_coloured):
    """Short, and without a control character that is not ours."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    run_log.adapter().error("bad \x1b]0;owned\x07\tthing")

    shown = stderr.getvalue()
    assert ("\x1b[31mERROR\x1b[0m" in shown) is is_coloured
    plain = shown.replace("\x1b[31m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert plain.split(" ", 1)[1] == "job-1234 ERROR bad \\x1b]0;owned\\x07\tthing\n"


@pytest.mark.parametrize("name", ["", "seekapi", "seekapi.job"])
def test_no_record_is_printed_twice(stderr, run_log, name):
    """Who has a handler of his own, at the root or here, has the line in his format, and we are silent."""
    heard: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: heard.append(f"{record.name} {record.job_uuid} {record.getMessage()}")
    listening = logging.getLogger(name) if name else logging.getLogger("seekapi").parent
    listening.addHandler(listener)
    try:
        run_log.adapter().info("said")
    finally:
        listening.removeHandler(listener)

    assert heard == ["seekapi.job job-12345678 said"]
    assert stderr.getvalue() == ""


def test_nobody_listens_so_it_goes_to_stderr_once(stderr, run_log):
    """Also if it was asked for many times."""
    for _ in range(3):
        log_records.prepare()
        run_log.adapter().info("said")
        logs.inform("informed")

    assert [line.rpartition(" ")[2] for line in stderr.getvalue().splitlines()] == ["said", "informed"] * 3


def test_the_root_is_never_touched(stderr, run_log):
    """Neither its handlers nor its level."""
    root = logging.getLogger("seekapi").parent
    before = (list(root.handlers), root.level)

    run_log.adapter().info("said")

    assert (list(root.handlers), root.level) == before


@pytest.mark.parametrize(
    ("own", "wished", "level"),
    [
        (logging.NOTSET, "", logging.INFO),
        (logging.NOTSET, "debug", logging.DEBUG),
        (logging.NOTSET, "TRACE", logging.DEBUG),
        (logging.NOTSET, "ERROR", logging.ERROR),
        (logging.NOTSET, "nonsense", logging.INFO),
        (logging.CRITICAL, "DEBUG", logging.CRITICAL),
    ],
)
def test_the_level_is_the_users_or_lambdas_or_info(stderr, run_log, monkeypatch, own, wished, level):
    """A level that is set stays; AWS_LAMBDA_LOG_LEVEL comes next."""
    monkeypatch.setattr(logging.getLogger("seekapi"), "level", own)
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", wished)

    assert run_log.adapter().getEffectiveLevel() == level


def test_a_root_that_wants_to_know_more_is_told_more(stderr, run_log):
    """INFO is the least, not the most."""
    logging.getLogger("seekapi").parent.setLevel(logging.DEBUG)

    assert run_log.adapter().isEnabledFor(logging.DEBUG)


def test_the_line_that_is_noted_is_the_users(caplog, run_log):
    """`%(filename)s:%(lineno)d` in a user's format points at his own code."""
    log = run_log.adapter()
    log.info("one")
    log.log(logging.INFO, "two")
    log.exception("three", exc_info=None)

    assert {(record.filename, record.funcName) for record in caplog.records} == {
        ("test_logs.py", "test_the_line_that_is_noted_is_the_users")
    }
    assert len(caplog.records) == 3


def test_a_run_that_says_nothing_does_not_load_logging():
    """Entering and leaving a run's log costs a cold start nothing."""
    code = (
        "import sys; from seekapi._worker import logs, progress; from seekapi._redaction import Redactor\n"
        "log = logs.RunLog('j', 'r', 1, Redactor())\n"
        "with log: progress.Progress(log.adapter, float).end()\n"
        "print('logging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("False\n", "")


# nothing gets out -----------------------------------------------------------------------------------------------------


class Tells(Exception):
    def __str__(self) -> str:
        return f"it is {SECRET}"


class TellsAsObject:
    def __str__(self) -> str:
        return SECRET


@pytest.mark.parametrize("form", ["JSON", "Text"])
def test_no_way_of_saying_it_lets_a_secret_out(stderr, run_log, monkeypatch, form):
    """In the message, its arguments, an extra, an exception, its cause or note, an id: masked."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_FORMAT", form)
    run_log.request_id = f"request-{SECRET}"
    log = run_log.adapter()

    log.info(SECRET)
    log.info("%s and %r", SECRET, [SECRET])
    log.info("an extra", extra={"a": SECRET, "b": {"c": [SECRET, TellsAsObject()]}, "d": TellsAsObject()})
    log.info(TellsAsObject())
    log.info("these do not fit %d", SECRET)
    for cause in (None, Tells()):
        try:
            raise ValueError("above") from cause
        except ValueError as error:
            error.__notes__ = [SECRET]
            log.exception("failed")
    log.warning("stack", stack_info=True)
    logging.getLogger("seekapi.other").warning("url http://host/path?X-Amz-Signature=0123456789")
    with run_log:
        logging.getLogger("seekapi.job").info(SECRET)
        logging.getLogger("seekapi").info(SECRET)
        logging.getLogger("seekapi.job.below").info(SECRET)
        logs.warn("%s", SECRET)

    shown = stderr.getvalue()
    assert SECRET not in shown and "0123456789" not in shown
    assert shown.count("***") >= 18


def test_a_formatter_of_somebody_else_gets_no_secret_either(caplog, run_log):
    """The record is masked before anybody else sees it: AWS's own formatter takes the exception's text as it is."""
    log = run_log.adapter()
    for error in (Tells(), ValueError("harmless"), ValueError("x" * 100_000 + SECRET)):
        try:
            raise error
        except Exception:
            log.exception("failed with %s", SECRET)

    secret, harmless, long = caplog.records
    assert (secret.exc_info, long.exc_info) == (None, None)
    assert secret.traceback == secret.exc_text and secret.exc_text.endswith("Tells: it is ***")
    # Nothing in it to mask: whoever reports exceptions still has it.
    assert isinstance(harmless.exc_info[1], ValueError)
    assert SECRET not in "".join(str(vars(record)) for record in caplog.records)


def test_what_becomes_known_later_is_masked_from_then_on(stderr, run_log):
    """A secret in the input is known when the input is there."""
    log = run_log.adapter()
    run_log.redactor = run_log.redactor.also(["found in the input"])

    log.info("it was found in the input")

    assert "it was ***" in stderr.getvalue()


def test_inside_of_run_every_record_knows_its_job(platform, caplog):
    """Also what is said by a thread of the user's own, or by us."""

    def fn(job_input):
        logging.getLogger("seekapi.job").warning("direct %s", TOKEN)
        thread = threading.Thread(target=logs.warn, args=("in a thread",))
        thread.start()
        thread.join()
        raise Fail("NO_STOCK", f"of {TOKEN}")

    seekapi.run(platform.event, LambdaContext(), fn)

    assert [(r.job_uuid, r.request_id, r.attempt) for r in caplog.records] == [("job-1", "req-1", 1)] * 3
    assert TOKEN not in caplog.text and caplog.text.count("***") == 2


# it costs the job nothing ---------------------------------------------------------------------------------------------


class Broken(logging.Handler):
    def emit(self, record):
        raise ValueError(f"cannot write {SECRET}")


class NoWords:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@pytest.fixture
def broken(monkeypatch):
    """A handler of the user's that raises."""
    monkeypatch.setattr(logging.getLogger("seekapi"), "handlers", [Broken()])


def test_a_handler_that_raises_costs_nothing(stderr, run_log, broken):
    """Neither in what we say nor in what the user's code says through job.log; somebody is told."""
    logs.warn("one line: %s", "said")
    run_log.failure(ValueError("boom"), "WORKER_ERROR")
    run_log.adapter().info("said")

    assert stderr.getvalue() == "seekapi: a log message was lost: cannot write ***\n"


def closed_stream():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "make",
    [
        closed_stream,
        lambda: None,
        NoWords,
        pytest.param(
            lambda: open("/dev/full", "w"),  # noqa: SIM115
            marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device"),
        ),
    ],
    ids=["closed", "missing", "odd", "full"],
)
def test_a_stderr_that_cannot_be_written_costs_nothing(stderr, run_log, monkeypatch, make):
    """It may be closed, missing, full, or the user's own."""
    stream = make()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        run_log.adapter().info("said")
        logs.warn("said")
        logging.getLogger("seekapi").warning("as the user says it, or our own lower wings")

    with contextlib.suppress(OSError, AttributeError):
        stream.close()


def test_what_the_encoding_does_not_have_is_escaped(stderr, run_log, monkeypatch):
    """A terminal without Unicode is no reason to say nothing."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        run_log.adapter().info("né")
        written = sys.stderr.buffer.getvalue()

    assert written.endswith(b" n\\xe9\n")


@pytest.mark.parametrize(
    "say",
    [
        lambda log: log.info(NoWords()),
        lambda log: log.info("%s", NoWords()),
        lambda log: log.info("%d %d", 1),
        lambda log: log.info("said", extra={"x": NoWords()}),
        lambda log: log.info("said", extra={"name": "taken"}),
        lambda log: log.info("said", extra="no dict"),
        lambda log: log.info("said", exc_info="odd"),
        lambda log: log.info("said", nonsense=1),
        lambda log: log.log("no level", "said"),
        lambda log: log.exception("said"),
        lambda log: log.info(None),
    ],
    ids=range(11),
)
def test_a_wrong_use_of_the_log_costs_no_job(stderr, run_log, say):
    """It is one line, of some kind, and no exception."""
    say(run_log.adapter())

    assert stderr.getvalue().count("\n") == 1


def test_arguments_that_do_not_fit_cost_themselves_only(stderr, run_log):
    """The message is there, and what is wrong with it; Python would print the arguments as they are."""
    run_log.adapter().info("took %d of %d", SECRET)

    assert stderr.getvalue().endswith(" took %d of %d (its arguments do not fit)\n")


def test_runs_inside_each_other_have_their_own_log(stderr):
    """When the inner one has ended, the outer one is the current one again."""
    outer, inner = (logs.RunLog(name, None, 1, Redactor()) for name in ("outer", "inner"))
    with outer:
        with inner:
            logs.inform("a")
        logs.inform("b")
    logs.inform("c")

    assert [line.split()[1:] for line in stderr.getvalue().splitlines()] == [
        ["INFO", "job=inner", "attempt=1", "a"],
        ["INFO", "job=outer", "attempt=1", "b"],
        ["INFO", "c"],
    ]


def test_a_line_of_json_is_ascii(run_log):
    """It can be written whatever the encoding of the stream is."""
    record = logging.makeLogRecord({"msg": "né \ud800"})

    assert log_lines.as_json(record, {}).isascii()
