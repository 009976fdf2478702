"""run() answers whatever a handler, an event or a context does: always with an envelope that JSON can hold."""

from __future__ import annotations

import enum
import json
from unittest.mock import MagicMock

import pytest

import seekapi
from seekapi import Fail
from worker.conftest import SECRET, SIGNATURE, TOKEN, LambdaContext


class NoStock(Fail):
    def __init__(self, item: str) -> None:  # no super().__init__: what people write
        self.item = item


class Discontinued(Fail):
    code = "DISCONTINUED"

    def __init__(self, item: str) -> None:
        self.item = item


class MuteFail(Fail):
    @property
    def code(self):
        raise SystemExit("code")

    @property
    def message(self):
        raise SystemExit("message")

    def __init__(self) -> None:
        pass


class NoClass(Exception):
    @property
    def __class__(self):
        raise ZeroDivisionError("class")


class ExitingText(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class HostileStr(str):
    def _refuse(self, *args: object) -> object:
        raise ZeroDivisionError

    strip = encode = splitlines = __contains__ = __len__ = __bool__ = __format__ = __eq__ = _refuse
    __hash__ = str.__hash__


class HostileFail(Fail):
    def __init__(self) -> None:
        self.code, self.message = HostileStr("CODE"), HostileStr("a text")


class HostileText(Exception):
    def __str__(self) -> str:
        return HostileStr("a text with words")


class NamelessType(type):
    @property
    def __name__(cls):
        raise ZeroDivisionError("name")

    @property
    def __mro__(cls):
        raise ZeroDivisionError("mro")


class Nameless(Exception, metaclass=NamelessType):
    pass


class NoTraceback(Exception):
    @property
    def __traceback__(self):
        raise SystemExit("traceback")

    @property
    def __cause__(self):
        raise SystemExit("cause")


class NoTruth:
    def __bool__(self) -> bool:
        raise ZeroDivisionError("bool")

    def __repr__(self) -> str:
        return "no truth"


class Number(enum.IntEnum):
    SEVEN = 7


def raising(error: BaseException):
    def fn(job_input):
        raise error

    return fn


CASES = {
    "no super().__init__": (lambda: NoStock("chair"), "WORKER_ERROR", "chair"),
    "a code of the class": (lambda: Discontinued("chair"), "DISCONTINUED", "chair"),
    "attributes that raise": (MuteFail, "WORKER_ERROR", ""),
    "attributes that misbehave": (HostileFail, "CODE", "a text"),
    "a number": (lambda: Fail(123, "a number"), "123", "a number"),
    "a long code": (lambda: Fail("X" * 10_000, "long"), "X" * 64, "long"),
    "a token": (lambda: Fail(TOKEN, "token"), "***", "token"),
    "a secret, no message": (lambda: Fail(f"at-{SECRET}"), "at-***", ""),
    "a token across the cap": (lambda: Fail("A" * 60 + TOKEN, "half"), "A" * 60 + "***", "half"),
    "a code without UTF-8": (lambda: Fail("\ud800", "no UTF-8"), "\\ud800", "no UTF-8"),
    "no class": (lambda: NoClass("boom"), "WORKER_ERROR", "NoClass: boom"),
    "a text that exits": (ExitingText, "WORKER_ERROR", "ExitingText (its text cannot be had)"),
    "a text that misbehaves": (HostileText, "WORKER_ERROR", "a text with words"),
    "a type without a name": (lambda: Nameless("5"), "WORKER_ERROR", "Nameless: 5"),
    "no traceback": (lambda: NoTraceback("no way back"), "WORKER_ERROR", "no way back"),
}


@pytest.mark.parametrize("case", CASES)
def test_any_exception_becomes_an_envelope(platform, case):
    """A fault of the error itself does not cost the answer."""
    make, code, message = CASES[case]

    envelope = seekapi.run(platform.event, LambdaContext(), raising(make()))

    json.dumps(envelope, ensure_ascii=False).encode()
    assert envelope == {"ok": False, "error": {"code": code, "message": message}, "request_id": "req-1"}


def test_a_code_that_is_an_object_is_its_text(platform):
    """Whatever the code was, the envelope holds a string."""
    envelope = seekapi.run(platform.event, None, raising(Fail(object(), "an object")))

    assert envelope["error"]["code"].startswith("<object object at ")


def test_an_error_that_hides_its_traceback_is_logged(platform, caplog):
    """The log may lack the traceback, never the failure."""
    seekapi.run(platform.event, None, raising(NoTraceback("no way back")))

    assert "job failed: WORKER_ERROR" in caplog.text and "no way back" in caplog.text


@pytest.mark.parametrize("passing", [KeyboardInterrupt, GeneratorExit])
def test_only_what_stops_python_passes(platform, passing):
    """Ctrl-C stops a program, and a generator that is closed ends."""
    with pytest.raises(passing):
        seekapi.run(platform.event, None, raising(passing()))


@pytest.mark.parametrize(
    "request_id, echoed",
    [
        ("req-1", "req-1"),
        (7, 7),
        (1.5, 1.5),
        (True, True),
        (Number.SEVEN, 7),
        (HostileStr("req-2"), "req-2"),
        (float("nan"), "nan"),
        (10**5000, None),
        (NoTruth(), "no truth"),
        (["a", TOKEN], "['a', '***']"),
        ("\ud800", "\\ud800"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("fn", [lambda job_input: 1, raising(ValueError("no"))], ids=["kept", "failed"])
def test_a_request_id_is_a_json_scalar(platform, request_id, echoed, fn):
    """One that JSON can hold is echoed as it is, any other as its text."""
    envelope = seekapi.run(platform.event, LambdaContext(request_id=request_id), fn)

    json.loads(json.dumps(envelope, allow_nan=False))
    assert type(envelope["request_id"]) in (str, int, float, bool)
    assert echoed is None or envelope["request_id"] == echoed


def test_a_mocked_context_costs_no_job(platform):
    """A test with a MagicMock for a context gets an envelope, with a request id that is short."""
    envelope = seekapi.run(platform.event, MagicMock(get_remaining_time_in_millis=lambda: 30_000), lambda job_input: 1)

    assert envelope["ok"] is True
    assert len(json.dumps(envelope)) < 400


def test_a_request_id_that_cannot_be_had_costs_no_job(platform):
    """It informs; the job goes on without."""

    class Context:
        @property
        def aws_request_id(self):
            raise RuntimeError(TOKEN)

    assert seekapi.run(platform.event, Context(), lambda job_input: 1) == {"ok": True}


def test_the_secrets_are_known_before_anything_can_fail(platform):
    """An event that breaks, or a context that tells the token, gives nothing away."""

    class Breaking(dict):
        def get(self, key, default=None):
            if key == "input_presigned_url":
                raise RuntimeError(f"no {key} with {SECRET} and {TOKEN}")
            return dict.get(self, key, default)

    class Telling:
        @property
        def aws_request_id(self):
            raise SystemExit(f"{TOKEN} {SIGNATURE} {SECRET}")

    seen = json.dumps(
        [
            seekapi.run(Breaking(platform.event), None, lambda job_input: 1),
            seekapi.run(platform.event, Telling(), lambda job_input: 1),
        ]
    )

    assert not any(secret in seen for secret in (SECRET, TOKEN, SIGNATURE))
    assert seen.count("***") >= 4


def test_the_values_of_the_query_are_masked_as_they_are_after_parsing(platform):
    """parse_qs gives the session token decoded: that is as good as the one in the URL."""
    event = {**platform.event}
    event["input_presigned_url"] += "&X-Amz-Security-Token=IQoJb3JpZ2luX2VjE%2F%2FAbCdEfGh%2B123456789%3D%3D"

    envelope = seekapi.run(event, None, raising(ValueError("token is IQoJb3JpZ2luX2VjE//AbCdEfGh+123456789==")))

    assert envelope["error"]["message"] == "token is ***"


def test_a_log_that_is_closed_costs_no_job(platform, monkeypatch, capsys):
    """A registration that fails is worth a line, and the line may fail, too."""
    import io
    import logging
    import sys

    logger = logging.getLogger("seekapi")
    closed = io.StringIO()
    handler = logging.StreamHandler(closed)
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr("seekapi._backends.remote.RemoteBackend.begin_registration", _refusing)

    assert seekapi.run(platform.event, LambdaContext(), lambda job_input: 1)["ok"] is True


def _refusing(self, context, request_id, *, deadline):
    raise OSError("refused")
