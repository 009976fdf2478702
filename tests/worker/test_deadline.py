"""How much time a job has: pure arithmetic, fractions of a second included."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from seekapi._worker import deadline


class Context:
    def __init__(self, answer: object) -> None:
        self._answer = answer

    def get_remaining_time_in_millis(self) -> object:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("answer, seconds", [(3000, 3.0), (3999, 3.999), ("3000", 3.0), (0, 0.0), (-5, -0.005)])
def test_remaining_time_is_counted_in_fractions(answer, seconds):
    """1.0.5 rounded 3.999 s down to 3 and then took 2 off."""
    assert deadline.remaining_seconds(Context(answer)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "answer", [None, float("nan"), float("inf"), "soon", RuntimeError("no clock"), [1], True, MagicMock()]
)
def test_an_answer_that_cannot_be_believed_is_no_deadline(answer):
    """Then the defaults of the single calls hold."""
    assert deadline.remaining_seconds(Context(answer)) is None


@pytest.mark.parametrize("context", [None, object(), {}, ""])
def test_a_context_without_a_clock_is_no_deadline(context):
    """A local call passes None."""
    assert deadline.remaining_seconds(context) is None


@pytest.mark.parametrize("remaining_s, kept_back_s", [(3.0, 0.6), (30.0, 0.6), (900.0, 18.0)])
def test_the_handler_leaves_time_for_what_comes_after_it(remaining_s, kept_back_s):
    """0.6 s, or 2 % of a long budget; half of it is for delivering, the other half for the answer."""
    end = 100.0 + remaining_s

    assert deadline.handler_deadline(100.0, remaining_s) == pytest.approx(end - kept_back_s)
    assert deadline.delivery_deadline(100.0, remaining_s) == pytest.approx(end - kept_back_s / 2)


def test_without_a_limit_there_is_no_deadline():
    """None stays None, and a step takes its own timeout."""
    assert deadline.handler_deadline(100.0, None) is deadline.delivery_deadline(100.0, None) is None
    assert deadline.step_deadline(100.0, None, 8.0) == 108.0


@pytest.mark.parametrize(
    "left_s, timeout_s, share, granted_s", [(20, 8, 1, 8), (5, 8, 1, 5), (10, 10, 0.6, 6), (-1, 8, 1, 0)]
)
def test_a_step_never_outlives_the_job(left_s, timeout_s, share, granted_s):
    """The smaller of its own timeout and its share of what is left; never below zero."""
    assert deadline.step_deadline(100.0, 100.0 + left_s, timeout_s, share) == pytest.approx(100.0 + granted_s)
