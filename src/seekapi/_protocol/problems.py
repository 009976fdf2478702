"""What a reply of the platform means: kept, or one typed error.

Success is a 2xx whose body is a JSON object that does not say `"ok": false`, or is empty. Everything else,
a redirect, a page of HTML, a list, is an error, since a result would be lost behind it.
"""

from __future__ import annotations

import re

from .. import errors
from . import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .messages import Response

    Redact = Callable[[str], str]

RETRYABLE_STATUSES = frozenset((408, 425, 429, 500, 502, 503, 504))
LONGEST_SERVER_MESSAGE = 500
# What is left out before the end of a longer message, since the cut may fall into a secret. No form of one is longer.
LONGEST_SECRET = 8 * 1024

_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ERROR_OF_STATUS: dict[int, type[errors.ApiError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthError,
    403: errors.AuthError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    412: errors.ConflictError,
    413: errors.PayloadTooLargeError,
    422: errors.InvalidRequestError,
    429: errors.RateLimitError,
}
_WHAT_NEXT = {
    300: "check WORKER_API_BASE_URL",
    401: "check WORKER_INTERNAL_SECRET",
    403: "check WORKER_INTERNAL_SECRET and the event's execution_token",
    404: "check the event's job_uuid and WORKER_API_BASE_URL",
    409: "the job has ended, or the idempotency key was used for something else",
    413: "send less, or push it as a file",
}


def reply_of(response: Response) -> dict[str, Any]:
    """The JSON object of a good reply; an empty one is `{"ok": True}`, as in 1.0.5."""
    if not response.body.strip():
        return {"ok": True}
    reply = json_text.decode(response.body)
    return reply if isinstance(reply, dict) else {"ok": True}


def error_from(response: Response, *, redact: Redact = str, wall_time: float = 0.0) -> errors.ApiError | None:
    """The typed error that `response` stands for, or None if the platform has accepted the call.

    The platform's own code and message are passed on, through `redact`. `wall_time` (seconds since 1970) is
    what a Retry-After date is measured against where the response itself carries no Date.
    """
    status = response.status
    if 200 <= status < 300:
        return _error_of_accepted(response, redact)
    return refusal_of(response, _WHAT_NEXT, redact=redact, wall_time=wall_time)


def refusal_of(
    response: Response, what_next: Mapping[int, str], *, said: str = "", redact: Redact = str, wall_time: float = 0.0
) -> errors.ApiError:
    """The typed error of a response that is no success. `what_next` has a hint for a status, 300 for any redirect.

    `said` is what the server said, where it did so in a shape that is not common.
    """
    status = response.status
    code, message = _code_and_message({"message": said} if said else _json_object(response), redact)
    if 300 <= status < 400:
        message = f"a redirect, which a call with a secret never follows: {what_next[300]}"
    detail = ": ".join(part for part in (code, message) if part)
    text = f"HTTP {status}" + (f" ({detail})" if detail else "")
    if status in what_next:
        text = f"{text}; {what_next[status]}"
    kind = _ERROR_OF_STATUS.get(status) or (errors.ServerError if status >= 500 else errors.ApiError)
    return kind(
        text,
        status=status,
        code=code,
        request_id=_request_id(response, redact),
        retry_after=retry_after_of(response, wall_time),
        retryable=status in RETRYABLE_STATUSES,
        outcome="unknown" if status >= 500 or status == 408 else "rejected",
    )


def _error_of_accepted(response: Response, redact: Redact) -> errors.ApiError | None:
    if _is_surely_empty(response):
        return None
    reply = _json_object(response)
    if reply is None:
        return errors.ApiError(
            f"HTTP {response.status}, but the reply is not a JSON object ({media_type_of(response)}): "
            "is WORKER_API_BASE_URL the platform's?",
            status=response.status,
            code="UNREADABLE_REPLY",
            request_id=_request_id(response, redact),
            # The platform may have done it. With the same key a second try finds out, without a second effect.
            outcome="unknown",
            retryable=True,
        )
    if reply.get("ok", True) == True and not isinstance(reply.get("error"), dict):  # noqa: E712 (1 is true, too)
        return None
    code, message = _code_and_message(reply, redact)
    detail = ": ".join(part for part in (code, message) if part) or "no reason given"
    return errors.ApiError(
        f'the platform answered "ok": false ({detail})',
        status=response.status,
        code=code,
        request_id=_request_id(response, redact),
    )


def _is_surely_empty(response: Response) -> bool:
    """Whether the body is empty, and said to be: one that ends with the connection may have been cut off."""
    headers = response.headers
    is_framed = response.status in (204, 205) or "Content-Length" in headers or "Transfer-Encoding" in headers
    return is_framed and not response.body.strip()


def media_type_of(response: Response) -> str:
    """The type that the sender gave the body, fit to be shown."""
    media_type = response.headers.get("Content-Type").partition(";")[0].strip().lower()
    return media_type if re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}", media_type) else "no content type"


def retry_after_of(response: Response, wall_time: float = 0.0) -> float | None:
    """Seconds to wait before trying again (RFC 9110 10.2.3), or None if absent or junk."""
    text = response.headers.get("Retry-After").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    at = _http_date(text)
    if at is None:
        return None
    # The platform's own Date, if it sent one: then a wrong clock on this side does not matter.
    now = _http_date(response.headers.get("Date")) or wall_time
    return max(0.0, at - now)


def _http_date(text: str) -> float | None:
    if not _HTTP_DATE.fullmatch(text):
        return None
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _json_object(response: Response) -> dict[str, Any] | None:
    try:
        reply = json_text.decode(response.body)
    except json_text.JsonError:
        return None
    return reply if isinstance(reply, dict) else None


def _code_and_message(reply: dict[str, Any] | None, redact: Redact) -> tuple[str | None, str]:
    """Both common shapes: `{"error": {"code", "message"}}`, and the two at the top."""
    if reply is None:
        return None, ""
    error = reply.get("error")
    source = error if isinstance(error, dict) else reply
    code = source.get("code")
    message = source.get("message") or source.get("detail") or (error if isinstance(error, str) else "")
    text = start_of(message, redact) if isinstance(message, str) else ""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return (code if isinstance(code, str) and _CODE.fullmatch(code) and redact(code) == code else None), shown


def start_of(message: str, redact: Redact, length: int = LONGEST_SERVER_MESSAGE) -> str:
    """What can be shown of a message, redacted; one of megabytes costs no more time than one of a page."""
    longest = length + LONGEST_SECRET
    redacted = redact(message[:longest])
    return (redacted[:-LONGEST_SECRET] if len(message) > longest else redacted)[:length]


def says_why(response: Response) -> bool:
    """Whether a refusal has a message of its own."""
    return bool(_code_and_message(_json_object(response), str)[1])


def _request_id(response: Response, redact: Redact) -> str | None:
    request_id = response.headers.get("X-Request-Id") or response.headers.get("X-Amzn-RequestId")
    return request_id if _CODE.fullmatch(request_id) and redact(request_id) == request_id else None
