"""What a reply means: kept, or one typed error that carries evidence and no secret."""

from __future__ import annotations

import json

import pytest

from seekapi import (
    ApiError,
    AuthError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitError,
    ServerError,
)
from seekapi._protocol import problems
from seekapi._protocol.messages import Response
from seekapi._redaction import Redactor


def reply(status: int, body: object = None, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status, [(name.replace("_", "-"), value) for name, value in headers.items()], raw)


@pytest.mark.parametrize(
    "response, result",
    [
        (reply(200, {"ok": True}), {"ok": True}),
        (reply(201, {"id": 1}), {"id": 1}),
        (reply(200, {"ok": 1}), {"ok": 1}),
        (reply(200, b"", Content_Length="0"), {"ok": True}),
        (reply(200, b" \n", Content_Length="2"), {"ok": True}),
        (reply(200, b"", Transfer_Encoding="chunked"), {"ok": True}),
        (reply(204), {"ok": True}),
    ],
)
def test_what_counts_as_accepted(response, result):
    """A 2xx with a JSON object or nothing."""
    assert problems.error_from(response) is None
    assert problems.reply_of(response) == result


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"null", b'"ok"', b"\xff", b'{"ok": NaN}', b"{"])
def test_a_2xx_that_is_no_object_is_not_success(body):
    """A captive portal says 200 too; whether the platform has the push is then unknown."""
    error = problems.error_from(reply(200, body, Content_Type="text/html; charset=x"))

    assert isinstance(error, ApiError) and error.outcome == "unknown" and error.retryable
    assert "text/html" in str(error) and "<html>" not in str(error)


@pytest.mark.parametrize("body", [{"ok": None}, {"ok": 0}, {"ok": "false"}, {"error": {"code": "NOPE"}}])
def test_what_does_not_say_yes_is_a_refusal(body):
    """A reply that names an error, or an `ok` that is not true, keeps nothing."""
    error = problems.error_from(reply(200, body))

    assert isinstance(error, ApiError) and error.outcome == "rejected"


def test_ok_false_is_a_refusal():
    """1.0.5 called this a success, and the result was gone."""
    error = problems.error_from(reply(200, {"ok": False, "error": {"code": "QUOTA", "message": "no room left"}}))

    assert isinstance(error, ApiError) and (error.code, error.outcome, error.retryable) == ("QUOTA", "rejected", False)
    assert "no room left" in str(error)


@pytest.mark.parametrize(
    "status, kind, retryable, outcome",
    [
        (301, ApiError, False, "rejected"),
        (307, ApiError, False, "rejected"),
        (400, InvalidRequestError, False, "rejected"),
        (401, AuthError, False, "rejected"),
        (403, AuthError, False, "rejected"),
        (404, NotFoundError, False, "rejected"),
        (408, ApiError, True, "unknown"),
        (409, ConflictError, False, "rejected"),
        (412, ConflictError, False, "rejected"),
        (413, PayloadTooLargeError, False, "rejected"),
        (418, ApiError, False, "rejected"),
        (422, InvalidRequestError, False, "rejected"),
        (425, ApiError, True, "rejected"),
        (429, RateLimitError, True, "rejected"),
        (500, ServerError, True, "unknown"),
        (501, ServerError, False, "unknown"),
        (502, ServerError, True, "unknown"),
        (503, ServerError, True, "unknown"),
        (504, ServerError, True, "unknown"),
    ],
)
def test_only_passing_troubles_are_retryable(status, kind, retryable, outcome):
    """An ApiError says whether trying again can help, and what may have happened."""
    error = problems.error_from(reply(status, {}))

    assert type(error) is kind
    assert (error.status, error.retryable, error.outcome) == (status, retryable, outcome)


@pytest.mark.parametrize(
    "body, code, words",
    [
        ({"error": {"code": "JOB_NOT_RUNNING", "message": "ended"}}, "JOB_NOT_RUNNING", "ended"),
        ({"code": "FST_ERR", "error": "Bad Request", "message": "body/step"}, "FST_ERR", "body/step"),
        ({"detail": "Not Found"}, None, "Not Found"),
        ({"error": "plain words"}, None, "plain words"),
        ({"error": {"code": "white space", "message": 5}}, None, ""),
        ([], None, ""),
    ],
)
def test_the_platforms_own_words_are_passed_on(body, code, words):
    """The common shapes of error bodies are understood."""
    error = problems.error_from(reply(409, body, X_Request_Id="req-7"))

    assert error.code == code and words in str(error) and error.request_id == "req-7"


def test_what_the_server_echoes_is_redacted():
    """A server that repeats the secret must not get it into a log."""
    body = {"error": {"code": "s3cret-s3cret", "message": "bad secret s3cret-s3cret for tok-123456\x1b[31m"}}
    redact = Redactor(["s3cret-s3cret", "tok-123456"]).text

    error = problems.error_from(reply(401, body, X_Request_Id="s3cret-s3cret"), redact=redact)

    assert "s3cret" not in f"{error}{error!r}{vars(error)}" and "tok-123456" not in str(error)
    assert "\x1b" not in str(error)


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("3", 3.0),
        ("0", 0.0),
        ("3600", 3600.0),
        ("", None),
        ("-5", None),
        ("NaN", None),
        ("1e309", None),
        ("1.5", None),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 99 Foo 1970 GMT", None),
        (":::: GMT 1 1", None),
        ("GMT GMT GMT GMT GMT GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_junk_is_ignored(text, seconds):
    """RFC 9110 10.2.3; a wall clock of 10 s is handed in."""
    assert problems.retry_after_of(reply(503, Retry_After=text), 10.0) == seconds


def test_a_date_is_measured_by_the_servers_own_clock():
    """Then a wrong clock on this side does not matter."""
    response = reply(503, Retry_After="Thu, 01 Jan 1970 00:00:30 GMT", Date="Thu, 01 Jan 1970 00:00:25 GMT")

    assert problems.retry_after_of(response, 1e9) == 5.0
