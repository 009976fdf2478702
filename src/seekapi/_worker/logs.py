"""What the worker tells the log: through `logging.getLogger("seekapi")`, and never more than may be seen.

`logging` is loaded only when there is something to say: a run that goes well does not pay for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .._redaction import Redactor

LOGGER_NAME = "seekapi"
# A recursion or an exception that carries a document must not drown the log.
LONGEST_TRACEBACK = 32 * 1024

_PACKAGE_FOLDER = __file__.rpartition("_worker")[0]


def warn(message: str, *details: object) -> None:
    """One line for the person who reads the log. Never raises."""
    import logging

    logging.getLogger(LOGGER_NAME).warning(message, *details)


def log_failure(error: BaseException, code: str, redactor: Redactor) -> None:
    """What ended a job, with the traceback from the user's first line on, redacted."""
    import logging
    import traceback

    lines = traceback.format_exception(type(error), error, _from_user_code(error.__traceback__))
    text = "".join(lines).rstrip()
    if len(text) > LONGEST_TRACEBACK:
        text = f"{text[: LONGEST_TRACEBACK // 2]}\n  [...]\n{text[-LONGEST_TRACEBACK // 2 :]}"
    shown = redactor.text(text).encode("utf-8", "backslashreplace").decode("utf-8")
    logging.getLogger(LOGGER_NAME).error("job failed: %s\n%s", code, shown)


def _from_user_code(traceback: TracebackType | None) -> TracebackType | None:
    """`traceback` without our own frames at its start; None if there are no others."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_PACKAGE_FOLDER):
        traceback = traceback.tb_next
    return traceback
