"""worker(settings=...): what a worker is set to from outside reaches the handler as an instance of its class."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import pytest

from seekapi import ArgumentError, Pattern, Range, Secret, worker
from seekapi.testing import DevPlatform


@dataclasses.dataclass
class Limits:
    pages: Annotated[int, Range(1, 10)] = 3
    label: str = "draft"


@pytest.fixture(scope="module")
def platform():
    with DevPlatform() as platform:
        yield platform


def shown(job_input, job):
    return {"type": type(job.settings).__name__, "pages": job.settings.pages, "label": job.settings.label}


def test_a_job_without_settings_has_the_defaults(platform):
    """Local mode and older platforms send none."""
    result = platform.invoke(worker(shown, settings=Limits), {})

    assert result.pushes == [{"type": "Limits", "pages": 3, "label": "draft"}]


def test_a_job_has_the_settings_that_it_was_sent_with(platform):
    """What is not sent keeps its default."""
    result = platform.invoke(worker(settings=Limits)(shown), {}, settings={"pages": 7})

    assert result.pushes == [{"type": "Limits", "pages": 7, "label": "draft"}]


def test_settings_that_do_not_fit_fail_before_the_handler_runs(platform):
    """It is the platform's turn, so it is the event that is wrong; all problems are named."""
    called = []

    result = platform.invoke(
        worker(lambda i, job: called.append(1), settings=Limits), {}, settings={"pages": 11, "x": 1}
    )

    assert not called and result.error["code"] == "INVALID_EVENT"
    assert "$.pages" in result.error["message"] and "$.x" in result.error["message"]


def test_a_handler_says_which_settings_it_has():
    """So that a platform can show them."""
    assert worker(shown, settings=Limits).settings_type is Limits
    assert worker(shown).settings_type is None


@pytest.mark.parametrize("settings", [{"pages": 3}, dataclasses.make_dataclass("NoDefault", ["pages"])])
def test_settings_have_to_be_a_class_with_defaults(settings):
    """Found out when the worker is imported, and not at the first job."""
    with pytest.raises(ArgumentError, match="worker: "):
        worker(shown, settings=settings)


@dataclasses.dataclass
class Hidden:
    key: Annotated[str, Secret()] = ""


def test_a_secret_among_the_settings_is_masked(platform):
    """In the log and in the verdict, as one of the input is."""

    def fn(job_input, job):
        job.log.info("with %s", job.settings.key)
        raise ValueError(f"refused: {job.settings.key}")

    result = platform.invoke(worker(fn, settings=Hidden), {}, settings={"key": "hunter2-hunter2"})

    assert result.error["message"] == "refused: ***"
    assert not [record for record in result.logs if "hunter2" in record.getMessage() + str(vars(record))]


@dataclasses.dataclass
class Slow:
    n: int = 0

    def __post_init__(self):
        while self.n:
            pass


@dataclasses.dataclass
class Backtracking:
    text: Annotated[str, Pattern(r"^(a+)+$")]


def backtracking(job_input: Backtracking):
    return 1


@pytest.mark.parametrize(
    ("handler", "job_input", "settings"),
    [
        (worker(shown, settings=Slow), {}, {"n": 1}),
        (worker(backtracking), {"text": "a" * 40 + "!"}, None),
    ],
    ids=["settings", "pattern"],
)
def test_what_checks_and_makes_is_interrupted_too(platform, handler, job_input, settings):
    """A class that does not end, and a pattern that does not: the job does, in time."""
    result = platform.invoke(handler, job_input, settings=settings, timeout=2.5)

    assert result.error["code"] == "TIMEOUT"
