"""What happens to a record of the loggers `seekapi` and `seekapi.job`: it gets its ids, is masked, and is printed once.

Whoever has a handler for it (AWS's runtime client, pytest, the user's own configuration) prints it, in its own format;
if nobody has, it goes to stderr. The root logger is never touched. Loaded when there is something to say.
"""

from __future__ import annotations

import logging
import sys

from .. import _redaction, _settings
from .._protocol import envelopes
from . import log_lines, logs, tracebacks
from .frames import open_to_interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import Any

    from .._redaction import Redactor
    from .logs import RunLog

    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

LONGEST_MESSAGE = 64 * 1024
LONGEST_ID = 200
# What is gone through of an extra that is a document.
DEEPEST_EXTRA, MOST_IN_EXTRA = 8, 1000
# What logging itself puts into a record; all else came with it.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def prepare() -> logging.Logger:
    """The logger `seekapi`, whose records are masked and will be printed."""
    logger, job_logger = logging.getLogger(logs.LOGGER_NAME), logging.getLogger(logs.JOB_LOGGER_NAME)
    for each in (logger, job_logger):
        each.addFilter(_masking)
    logger.addHandler(_stderr)
    if logger.level == logging.NOTSET:
        wanted = _settings.read_log().level
        level = logging.getLevelName("DEBUG" if wanted == "TRACE" else wanted)
        if isinstance(level, int):
            logger.setLevel(level)
        elif logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)  # progress is of that level, and the root's is WARNING if nobody sets it
    return logger


def hand_on(take: Callable[[str, bool], None]) -> None:
    """From now on give each record to `take` and print none: as a line of JSON, and whether somebody else prints it."""
    global _take
    _take = take
    prepare()


def enable() -> None:
    """Let our loggers speak again: a configuration that comes after them switches off all that it does not name."""
    for name in (logs.LOGGER_NAME, logs.JOB_LOGGER_NAME):
        logging.getLogger(name).disabled = False


class JobLog(_Adapter):
    """`job.log`: a logger whose records know their job. What a handler does wrong costs the job nothing."""

    def __init__(self, run_log: RunLog) -> None:
        prepare()
        super().__init__(logging.getLogger(logs.JOB_LOGGER_NAME), {})
        self.run_log = run_log

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """The record is told which run it belongs to."""
        extra = kwargs.get("extra")
        return msg, {**kwargs, "extra": {**(extra if isinstance(extra, dict) else {}), logs.RUN: self.run_log}}

    @open_to_interrupts  # what a log handler does is not ours
    def log(self, level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
        """All of debug(), info() ... come through here."""
        try:
            if not self.isEnabledFor(level):
                return
            msg, told = self.process(msg, kwargs)
            # The line that is noted is the caller's, not this one.
            self.logger.log(level, msg, *args, **{**told, "stacklevel": told.get("stacklevel", 1) + 1})
        except Exception as error:
            _complain(f"a log message was lost: {envelopes.message_of(error)}", self.run_log.redactor)


class Masking(logging.Filter):
    """Lets every record pass: with the ids of its run, and without secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never raises, and never lets a record out that it could not mask."""
        try:
            _make_ready(record)
        except Exception:
            record.msg, record.args = "a log message that cannot be shown", ()
            record.exc_info = record.exc_text = record.stack_info = None
        if _take is not None:
            _take(log_lines.as_json(record, _extras(record)), _is_heard_elsewhere(record))
        return True


class Stderr(logging.Handler):
    """Prints the records that nobody else would print."""

    def emit(self, record: logging.LogRecord) -> None:
        """One write for each record; what cannot be written is lost."""
        stream = sys.stderr
        if stream is None or _take is not None or _is_heard_elsewhere(record):
            return
        try:
            if record.name not in (logs.LOGGER_NAME, logs.JOB_LOGGER_NAME):
                _masking.filter(record)
            line, encoding = _line(record, is_terminal=stream.isatty()), getattr(stream, "encoding", None) or "utf-8"
            stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except Exception:  # noqa: S110 (closed, full, or the user's own)
            pass

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: the place to complain to is the one that failed."""


def _line(record: logging.LogRecord, *, is_terminal: bool) -> str:
    wanted, fields = _settings.read_log(), _extras(record)
    if wanted.is_json:
        return log_lines.as_json(record, fields) + "\n"
    if is_terminal:
        return log_lines.for_a_terminal(record, fields, is_coloured=wanted.may_be_coloured) + "\n"
    return log_lines.as_text(record, fields) + "\n"


def _is_heard_elsewhere(record: logging.LogRecord) -> bool:
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if any(handler is not _stderr for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _make_ready(record: logging.LogRecord) -> None:
    run: RunLog | None = record.__dict__.pop(logs.RUN, None) or logs.current()
    redactor = run.redactor if run is not None else _redaction.Redactor(_settings.secrets())
    if run is not None:
        record.job_uuid, record.request_id, record.attempt = run.job_uuid, run.request_id, run.attempt
    for name in ("job_uuid", "request_id", "attempt"):
        record.__dict__[name] = _id(record.__dict__.get(name), redactor)
    if isinstance(record.msg, dict) and not record.args:
        record.msg = _masked(record.msg, redactor)  # AWS's runtime shows it as an object
    else:
        record.msg, record.args = _shown(_message(record), redactor), ()
    for name, value in _extras(record).items():
        record.__dict__[name] = _masked(value, redactor)
    if record.stack_info:
        record.stack_info = _shown(str(record.stack_info), redactor)
    _make_exception_ready(record, redactor)


def _make_exception_ready(record: logging.LogRecord, redactor: Redactor) -> None:
    """Give the record our own text of its exception, which every text formatter takes.

    The exception itself goes on only if there was nothing to mask in it: a formatter would show it as it is.
    """
    traced = record.__dict__.get(logs.TRACEBACK)
    if isinstance(traced, str):
        record.exc_text = traced
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, BaseException):
        record.exc_info = None
        return
    story = tracebacks.of(error, redactor)
    record.exc_text = story.text
    if not story.may_be_seen:
        record.exc_info = None
        record.__dict__[logs.TRACEBACK] = story.text


def _message(record: logging.LogRecord) -> str:
    if not record.args:
        return envelopes.text_of(record.msg)
    try:
        return record.getMessage()
    except Exception:
        return f"{envelopes.text_of(record.msg)} (its arguments do not fit)"


def _id(value: object, redactor: Redactor) -> object:
    if value is None or type(value) in (int, bool):
        return value
    return _shown(envelopes.text_of(value), redactor, LONGEST_ID)


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _USUAL}


def _masked(value: Any, redactor: Redactor, depth: int = 0) -> Any:
    """`value` without secrets: of a document its texts are masked, of an object the text is taken if it holds any."""
    if value is None or type(value) in (int, float, bool):
        return value
    if type(value) in (dict, list, tuple) and depth < DEEPEST_EXTRA and len(value) <= MOST_IN_EXTRA:
        inner = [_masked(each, redactor, depth + 1) for each in (value.items() if type(value) is dict else value)]
        return type(value)(inner)
    text = envelopes.text_of(value)
    shown = _shown(text, redactor)
    return value if shown == text else shown


def _shown(text: str, redactor: Redactor, length: int = LONGEST_MESSAGE) -> str:
    return redactor.start(text, length, "…").encode("utf-8", "backslashreplace").decode("utf-8")


def _complain(text: str, redactor: Redactor) -> None:
    """The last resort: a line on stderr, if there is one."""
    try:
        sys.stderr.write(f"seekapi: {log_lines.printable(redactor.start(text, 500, '…'))}\n")
    except Exception:  # noqa: S110
        pass


_take: Callable[[str, bool], None] | None = None
_masking = Masking()
_stderr = Stderr()
