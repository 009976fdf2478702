"""The verdict that a handler returns to the platform, and the codes in it: whose turn it is.

Source of the two shapes: the published seekapi 1.0.5. There is no other way to report a failure.
"""

from __future__ import annotations

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Envelope = dict[str, Any]

WORKER_ERROR = "WORKER_ERROR"
INVALID_EVENT = "INVALID_EVENT"
MISSING_INPUT = "MISSING_INPUT"
INPUT_UNAVAILABLE = "INPUT_UNAVAILABLE"
INVALID_INPUT = "INVALID_INPUT"
TIMEOUT = "TIMEOUT"
CANCELLED = "CANCELLED"
DELIVERY_FAILED = "DELIVERY_FAILED"
CONFIGURATION_ERROR = "CONFIGURATION_ERROR"

# Lambda takes 6 MB, but a message is for a person: this is a screenful, and keeps the envelope below 4 KiB.
LONGEST_MESSAGE_BYTES = 2048

# The first that fits counts. An error of ours that is not here is the handler's own misuse of a call: WORKER_ERROR.
_CODE_OF: tuple[tuple[type[BaseException], str], ...] = (
    (errors.InvalidEvent, INVALID_EVENT),
    (errors.MissingInputError, MISSING_INPUT),
    (errors.InputFetchError, INPUT_UNAVAILABLE),
    (errors.InvalidInput, INVALID_INPUT),
    (errors.ConfigurationError, CONFIGURATION_ERROR),
    (errors.DeliveryError, DELIVERY_FAILED),
    (errors.LocalWriteError, DELIVERY_FAILED),
    (errors.DeadlineExceeded, TIMEOUT),
    (errors.Cancelled, CANCELLED),
)


def success(request_id: object = None) -> Envelope:
    """The job is done, and its results are where they belong.

    `request_id` is echoed as it is, if it is truthy.
    """
    return {"ok": True, "request_id": request_id} if request_id else {"ok": True}


def failure(code: str, message: str, request_id: object = None) -> Envelope:
    """The job failed; `code` says whose turn it is, `message` what happened.

    `request_id` is echoed as it is, if it is truthy.
    """
    envelope: Envelope = {"ok": False, "error": {"code": code, "message": message}}
    if request_id:
        envelope["request_id"] = request_id
    return envelope


def code_of(error: BaseException) -> str:
    """The envelope code for whatever ended a job."""
    if isinstance(error, errors.Fail):
        return _text_of(error.code) or WORKER_ERROR
    return next((code for kind, code in _CODE_OF if isinstance(error, kind)), WORKER_ERROR)


def message_of(error: BaseException) -> str:
    """What an exception says, with its type in front where the text alone says too little.

    Whatever `__str__` does, a text comes back.
    """
    if isinstance(error, errors.Fail):
        return _text_of(error.message)
    text = _text_of(error)
    if isinstance(error, errors.SeekApiError) and text:
        return text
    # "only 2 left" speaks for itself; "'name'", "5" and "" do not.
    return text if " " in text.strip() else f"{type(error).__name__}: {text}".rstrip(": ")


def capped(message: str) -> str:
    """`message`, cut to LONGEST_MESSAGE_BYTES of UTF-8, and free of what has no UTF-8 form."""
    raw = message.encode("utf-8", "backslashreplace")
    if len(raw) <= LONGEST_MESSAGE_BYTES:
        return raw.decode("utf-8")
    return raw[: LONGEST_MESSAGE_BYTES - 3].decode("utf-8", "ignore") + "…"


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"{type(value).__name__} (its text cannot be had)"
