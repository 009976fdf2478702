"""The verdict that a handler returns to the platform, and the codes in it: whose turn it is.

Source of the two shapes: the published seekapi 1.0.5. There is no other way to report a failure.
"""

from __future__ import annotations

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._redaction import Redactor

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

LONGEST_CODE = 64
# A whole number beyond 1e308 is no number to most readers of JSON, and Python refuses to print the longest.
_LARGEST_INT_BITS = 1024

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
    # By type: `isinstance` asks the error itself for its class, and it may answer with an exception.
    kind = type(error)
    if issubclass(kind, errors.Fail):
        return _attribute_of(error, "code") or WORKER_ERROR
    return next((code for ours, code in _CODE_OF if issubclass(kind, ours)), WORKER_ERROR)


def message_of(error: BaseException, text: str | None = None) -> str:
    """What an exception says, with its type in front where the text alone says too little.

    Whatever `__str__` does, a text comes back. It is not asked if its `text` is known.
    """
    text = text_of(error) if text is None else text
    if issubclass(type(error), errors.Fail):
        # Without a message the text of a Fail is its code, or what a subclass was made with.
        return _attribute_of(error, "message") or ("" if text == _attribute_of(error, "code") else text)
    if issubclass(type(error), errors.SeekApiError) and text:
        return text
    # "only 2 left" speaks for itself; "'name'", "5" and "" do not.
    return text if " " in text.strip() else f"{name_of(type(error))}: {text}".rstrip(": ")


def request_id_of(value: Any, redactor: Redactor) -> str | int | float | None:
    """A request id as JSON can hold it: a scalar as it is, anything else as its text; None if it is falsy."""
    kind = type(value)
    if value is None or kind is bool:
        return value or None
    # As the plain types: a subclass (an enum, a stranger's) may have methods of its own.
    if issubclass(kind, str):
        return _utf8(str.__str__(value))
    if issubclass(kind, int) and (number := int.__int__(value)).bit_length() <= _LARGEST_INT_BITS:
        return number
    if issubclass(kind, float) and abs(real := float.__float__(value)) < float("inf"):
        return real
    return _utf8(redactor.start(text_of(value), LONGEST_CODE)) if _is_true(value) else None


def code_shown(code: str, redactor: Redactor) -> str:
    """A code fit to be seen: redacted, and LONGEST_CODE characters at most."""
    return _utf8(redactor.start(code, LONGEST_CODE))[:LONGEST_CODE]


def message_shown(message: str, redactor: Redactor) -> str:
    """A message fit to be seen: redacted, and LONGEST_MESSAGE_BYTES at most."""
    return capped(redactor.start(message, LONGEST_MESSAGE_BYTES, "…"))


def capped(message: str) -> str:
    """`message`, cut to LONGEST_MESSAGE_BYTES of UTF-8, and free of what has no UTF-8 form."""
    text = _utf8(message)
    raw = text.encode("utf-8")
    if len(raw) <= LONGEST_MESSAGE_BYTES:
        return text
    return raw[: LONGEST_MESSAGE_BYTES - 3].decode("utf-8", "ignore") + "…"


def text_of(value: object) -> str:
    """`str(value)` as a plain string; whatever `__str__` does, a text comes back."""
    try:
        return str.__str__(str(value))  # without the methods of a subclass of str
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        return f"{name_of(type(value))} (its text cannot be had)"


def _attribute_of(error: BaseException, name: str) -> str:
    try:
        return text_of(getattr(error, name))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        return ""


def _is_true(value: object) -> bool:
    try:
        return bool(value)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        return True


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def name_of(kind: type) -> str:
    """The name of a class as `type` has it: a metaclass may define a `__name__` of its own."""
    name: str = type.__dict__["__name__"].__get__(kind)
    return str.__str__(name)
