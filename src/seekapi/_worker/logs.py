"""What the worker tells the log: through `logging.getLogger("seekapi")`, and never more than may be seen.

`logging` is loaded only when there is something to say: a run that goes well does not pay for it.
"""

from __future__ import annotations

from ..errors import Fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .._redaction import Redactor

LOGGER_NAME = "seekapi"
# What a record of a failure carries beside its text: the code of the verdict, and where in the user's own code it
# happened (`path:line`) and what stands there, or None. The prefix keeps them clear of what logging itself puts there.
CODE, WHERE, LINE = "seekapi_code", "seekapi_where", "seekapi_line"
# A recursion or an exception that carries a document must not drown the log.
LONGEST_TRACEBACK = 32 * 1024
LONGEST_LINE = 1024

_PACKAGE_FOLDER = __file__.rpartition("_worker")[0]


def warn(message: str, *details: object) -> None:
    """One line for the person who reads the log. Never raises."""
    from contextlib import suppress

    with suppress(Exception):  # `logging` itself raises where sys.stderr is closed
        import logging

        logging.getLogger(LOGGER_NAME).warning(message, *details)


def log_failure(error: BaseException, code: str, redactor: Redactor) -> None:
    """What ended a job, redacted: with the traceback from the user's first line on, or in one line if it was a Fail."""
    import logging

    from .._protocol import envelopes

    place = {name: value and redactor.start(value, LONGEST_LINE, "…") for name, value in _place(error).items()}
    extra = {CODE: code, **place}
    logger = logging.getLogger(LOGGER_NAME)
    message = envelopes.message_shown(envelopes.message_of(error), redactor)
    if issubclass(type(error), Fail):
        # It was meant, so there is nothing to trace.
        verdict = f"{code}: {message}".rstrip(": ")
        logger.error("job failed: %s", " ".join(verdict.splitlines()), extra=extra)
        return
    logger.error("job failed: %s\n%s", code, _traceback(error, redactor) or message, extra=extra)


def _traceback(error: BaseException, redactor: Redactor) -> str:
    """The redacted traceback; "" if the error is of a kind that does not let it be told."""
    import traceback

    try:
        lines = traceback.format_exception(type(error), error, _from_user_code(error.__traceback__))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        return ""
    text = "".join(lines).rstrip()
    half = LONGEST_TRACEBACK // 2
    if len(text) <= LONGEST_TRACEBACK:
        text = redactor.text(text)
    else:
        text = f"{redactor.start(text, half)}\n  [...]\n{redactor.end(text, half)}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _place(error: BaseException) -> dict[str, str | None]:
    from . import places

    try:
        place = places.of(error.__traceback__)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        place = None  # the current folder may be gone, or the error hostile; that must not cost the log
    return dict(zip((WHERE, LINE), place or (None, None), strict=True))


def _from_user_code(traceback: TracebackType | None) -> TracebackType | None:
    """`traceback` without our own frames at its start; None if there are no others."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_PACKAGE_FOLDER):
        traceback = traceback.tb_next
    return traceback
