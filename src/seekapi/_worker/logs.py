"""What the worker tells the log: through `logging.getLogger("seekapi")`, and never more than may be seen.

`logging` is loaded only when there is something to say: a run that goes well does not pay for it. What happens then to
a record, and who prints it, is in log_records.py.
"""

from __future__ import annotations

from contextvars import ContextVar

from .. import _backends, errors
from .._protocol import envelopes
from .frames import open_to_interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger, LoggerAdapter

    from .._redaction import Redactor

    Log = LoggerAdapter[Logger]

LOGGER_NAME = "seekapi"
JOB_LOGGER_NAME = "seekapi.job"
# What a record of a failure carries beside its text: the code of the verdict, and where in the user's own code it
# happened (`path:line`) and what stands there, or None. The prefix keeps them clear of what logging itself puts there.
CODE, WHERE, LINE = "seekapi_code", "seekapi_where", "seekapi_line"
# What a line of progress carries: {"done", "total", "message"}.
PROGRESS = "seekapi_progress"
TRACEBACK = "traceback"
# On its way to our filter a record knows the run that it belongs to.
RUN = "seekapi_run"

LONGEST_LINE = 1024
LONGEST_PROBLEM = 300
MOST_PROBLEMS = 20

# The verdicts: their type says no more than their code.
_VERDICTS = (errors.Fail, errors.InvalidInput, errors.DeadlineExceeded, errors.Cancelled)


class RunLog:
    """What one run says: with its ids on every record, and its secrets masked.

    `with run_log:` makes it the current one, for what is said without naming a run. Making and entering it loads
    nothing. `redactor` may be replaced when more is known: the next record is masked with that.
    """

    __slots__ = ("_adapter", "_token", "attempt", "job_uuid", "redactor", "request_id", "verdict")

    def __init__(self, job_uuid: object, request_id: object, attempt: int, redactor: Redactor) -> None:
        self.job_uuid = job_uuid
        self.request_id = request_id
        self.attempt = attempt
        self.redactor = redactor
        self._adapter: Log | None = None
        # Code and message of what has ended the job, once that is told.
        self.verdict: tuple[str, str] | None = None

    def __enter__(self) -> RunLog:
        self._token = _current.set(self)
        _active.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _active.remove(self)
        _current.reset(self._token)

    def adapter(self) -> Log:
        """The logger of the user's own messages about this job. Its methods never raise."""
        if self._adapter is None:
            from . import log_records

            self._adapter = log_records.JobLog(self)
        return self._adapter

    def conclude(self, error: BaseException) -> tuple[str, str]:
        """Code and message of what has ended the job, also kept as `verdict`; all that there is to it is logged.

        Whatever the error does, or a log handler, there is a verdict (KeyboardInterrupt and GeneratorExit aside).
        """
        untold = "the job failed with an error that cannot be shown"
        self.verdict = envelopes.WORKER_ERROR, untold
        try:
            code = envelopes.code_of(error)
            if not issubclass(type(error), errors.Fail):
                self.verdict = code, untold
            # Asked for once: it is the user's own code, and may take its time.
            text = envelopes.text_of(error)
            code = envelopes.code_shown(code, self.redactor)
            self.verdict = code, envelopes.message_shown(envelopes.message_of(error, text), self.redactor)
            self.failure(error, code, text)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:  # noqa: S110 (a broken log handler, or a hostile error, must not cost the answer)
            pass
        return self.verdict

    def failure(self, error: BaseException, code: str, text: str | None = None) -> None:
        """What ended the job: code, type and text, the user's own line, and how it came to it. Raises no Exception.

        The error is not asked for its `text` if that is known.
        """
        try:
            from . import log_records

            message, fields = _failure(error, code, self.redactor, envelopes.text_of(error) if text is None else text)
            _hand_over(log_records.prepare(), message, {**fields, RUN: self})
        except Exception:  # noqa: S110 (a user's log handler that is broken)
            pass


_current: ContextVar[RunLog | None] = ContextVar("seekapi_run_log", default=None)
_active: list[RunLog] = []


def current() -> RunLog | None:
    """The run that the calling code belongs to; in a thread of the user's own the only one there is, or None."""
    return _current.get() or (_active[0] if len(_active) == 1 else None)


def warn(message: str, *details: object) -> None:
    """One line for the person who reads the log. Never raises."""
    _say("warning", message, details)


_backends.warn = warn


def inform(message: str, *details: object) -> None:
    """As `warn`, for what is as it should be."""
    _say("info", message, details)


def _say(level: str, message: str, details: tuple[object, ...]) -> None:
    try:
        from . import log_records

        getattr(log_records.prepare(), level)(message, *details)
    except Exception:  # noqa: S110 (`logging` itself raises where sys.stderr is closed)
        pass


@open_to_interrupts  # what a log handler does is not ours
def _hand_over(logger: Logger, message: str, fields: dict[str, object]) -> None:
    logger.error("job failed: %s", message, extra=fields)


def _failure(error: BaseException, code: str, redactor: Redactor, text: str) -> tuple[str, dict[str, object]]:
    """What stands behind "job failed: ", and the fields of the record."""
    from . import tracebacks

    place = {name: value and redactor.start(value, LONGEST_LINE, "…") for name, value in _place(error).items()}
    is_verdict = issubclass(type(error), _VERDICTS)
    kind = envelopes.name_of(type(error))
    has_own_code = is_verdict or code != envelopes.WORKER_ERROR
    told = envelopes.message_of(error, text) if has_own_code else f"{kind}: {text}"
    # In one line; where it had more, they are in the traceback.
    shown = " ".join(envelopes.message_shown(told, redactor).split())
    lines = [f"{code}: {shown}".rstrip(": "), *_problems(error, shown, redactor)]
    if place[WHERE]:
        lines.append(f"  at {place[WHERE]}   {place[LINE]}".rstrip())
    fields: dict[str, object] = {CODE: code, **place}
    # A verdict was meant, so there is nothing to trace, except where time was up and what it was made from.
    is_traced = not issubclass(type(error), _VERDICTS[:2]) or tracebacks.cause_of(error) is not None
    if is_traced and not (story := tracebacks.of(error, redactor, text)).is_bare:
        fields[TRACEBACK] = story.text
    return "\n".join(lines), fields


def _problems(error: BaseException, shown: str, redactor: Redactor) -> list[str]:
    """Each problem of an InvalidInput that its text does not tell."""
    if not issubclass(type(error), errors.InvalidInput):
        return []
    try:
        problems = [envelopes.text_of(problem) for problem in tuple(error.problems)[: MOST_PROBLEMS + 1]]  # type: ignore[attr-defined]
        more = len(error.problems) - MOST_PROBLEMS  # type: ignore[attr-defined]
    except Exception:
        return []
    masked = [" ".join(redactor.start(problem, LONGEST_PROBLEM, "…").split()) for problem in problems[:MOST_PROBLEMS]]
    untold = [f"  {problem}" for problem in masked if problem not in shown]
    return [*untold, f"  ... and {more} more"] if more > 0 else untold


def _place(error: BaseException) -> dict[str, str | None]:
    from . import places

    try:
        place = places.of_error(error)
    except Exception:
        place = None  # the current folder may be gone; that must not cost the log
    return dict(zip((WHERE, LINE), place or (None, None), strict=True))
