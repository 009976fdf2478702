"""The verdict of a job: the documented dicts, and codes that say whose turn it is."""

from __future__ import annotations

import pytest

import seekapi
from seekapi import errors
from seekapi._protocol import envelopes
from seekapi._redaction import Redactor


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text for you")


def test_the_documented_dicts():
    """The request id is there only if it is truthy, and as it is."""
    assert seekapi.success() == {"ok": True}
    assert seekapi.success("r") == {"ok": True, "request_id": "r"}
    assert seekapi.success(request_id=7) == {"ok": True, "request_id": 7}
    assert seekapi.failure("C", "m") == {"ok": False, "error": {"code": "C", "message": "m"}}
    assert seekapi.failure("C", "m", "r")["request_id"] == "r"


@pytest.mark.parametrize(
    "error, code",
    [
        (ValueError("x"), "WORKER_ERROR"),
        (SystemExit(1), "WORKER_ERROR"),
        (errors.SerializationError("x"), "WORKER_ERROR"),
        (errors.ArgumentError("x"), "WORKER_ERROR"),
        (errors.Fail("NO_STOCK", "only 2 left"), "NO_STOCK"),
        (errors.Fail("", "no code"), "WORKER_ERROR"),
        (errors.Fail(404, "a number"), "404"),
        (errors.InvalidEvent("x"), "INVALID_EVENT"),
        (errors.MissingInputError("x"), "MISSING_INPUT"),
        (errors.InputFetchError("x"), "INPUT_UNAVAILABLE"),
        (errors.InputExpired("x"), "INPUT_UNAVAILABLE"),
        (errors.InvalidInput("x"), "INVALID_INPUT"),
        (errors.ConfigurationError("x"), "CONFIGURATION_ERROR"),
        (errors.ServerError("x"), "DELIVERY_FAILED"),
        (errors.TransportTimeout("x"), "DELIVERY_FAILED"),
        (errors.LocalWriteError("x"), "DELIVERY_FAILED"),
        (errors.DeadlineExceeded("x"), "TIMEOUT"),
        (errors.Cancelled("x"), "CANCELLED"),
    ],
)
def test_the_code_says_whose_turn_it_is(error, code):
    """The handler's author, the platform, whoever set the variables: each can see it from the code."""
    assert envelopes.code_of(error) == code


@pytest.mark.parametrize(
    "error, message",
    [
        (ValueError("no such row"), "no such row"),
        (KeyError("name"), "KeyError: 'name'"),
        (ValueError(), "ValueError"),
        (SystemExit(5), "SystemExit: 5"),
        (ValueError("boom"), "ValueError: boom"),
        (errors.Fail("C", "only 2 left"), "only 2 left"),
        (errors.ApiError("refused"), "refused"),
    ],
)
def test_the_type_is_told_where_the_text_says_too_little(error, message):
    """`'name'` alone helps nobody."""
    assert envelopes.message_of(error) == message


def test_an_exception_without_a_text_still_has_a_message():
    """Whatever `__str__` does."""
    assert envelopes.message_of(Mute()) == "Mute (its text cannot be had)"


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 5000, "😀" * 5000])
def test_a_message_is_capped_in_bytes(text):
    """2 KiB of UTF-8, never cut within a character."""
    capped = envelopes.capped(text)

    assert len(capped.encode("utf-8")) <= 2048 and capped.endswith("…")


@pytest.mark.parametrize("text", ["x" * 5_000, "x" * 500_000, "é" * 500_000, "secret-value, " * 100_000])
def test_a_message_that_was_cut_says_so(text):
    """However much is left out, and wherever: the end is a mark, and no secret is cut."""
    shown = envelopes.message_shown(text, Redactor(["secret-value"]))

    assert len(shown.encode("utf-8")) <= 2048 and shown.endswith("…") and "secret" not in shown


def test_a_fail_without_a_message_repeats_not_its_code():
    """The code is in the envelope; only a text that says more stands beside it."""

    class OwnArguments(errors.Fail):
        def __init__(self, item: str) -> None:
            self.item = item

    assert envelopes.message_of(errors.Fail("NO_STOCK")) == ""
    assert envelopes.message_of(OwnArguments("chair")) == "chair"
    assert envelopes.code_of(OwnArguments("chair")) == OwnArguments("chair").code == "WORKER_ERROR"


def test_a_lone_surrogate_is_shown_not_raised():
    """The envelope has to have a UTF-8 form."""
    assert envelopes.capped("a\ud800") == "a\\ud800"


def test_the_delivery_errors_are_oserrors_and_the_input_errors_valueerrors():
    """What 1.0.5 programs catch goes on catching."""
    assert issubclass(errors.DeliveryError, OSError) and issubclass(errors.LocalWriteError, OSError)
    assert issubclass(errors.TransportTimeout, TimeoutError)
    for kind in (errors.InputFetchError, errors.MissingInputError, errors.InvalidInput, errors.ConfigurationError):
        assert issubclass(kind, ValueError)
    assert not issubclass(errors.DeadlineExceeded, Exception) and not issubclass(errors.Cancelled, Exception)
