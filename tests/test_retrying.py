"""The retry policy: pure arithmetic on errors, attempts and the time left."""

from __future__ import annotations

import math

import pytest

from seekapi import _retrying, errors


@pytest.mark.parametrize(
    ("attempt", "remaining_s", "share_s"), [(1, 8.0, 4.0), (2, 4.0, 2.0), (3, 1.0, 1.0), (1, 2.0, 1.2), (1, 0.5, 0.5)]
)
def test_an_attempt_gets_half_of_what_is_left_and_the_last_one_all(attempt, remaining_s, share_s):
    """One silent connection leaves room for another, but never less than a busy platform needs."""
    assert _retrying.attempt_s(attempt, remaining_s) == pytest.approx(share_s)


@pytest.mark.parametrize(
    ("attempt", "chance", "pause_s"), [(1, 0.0, 0.075), (1, 1.0, 0.15), (2, 0.0, 0.15), (2, 1.0, 0.3), (9, 1.0, 2.0)]
)
def test_backoff_doubles_is_jittered_and_capped(attempt, chance, pause_s):
    """Never less than half a step, so that no attempt is wasted on a port that is 100 ms from being back."""
    assert _retrying.backoff_s(attempt, chance) == pytest.approx(pause_s)


@pytest.mark.parametrize(
    ("error", "attempt", "repeatable", "again"),
    [
        (errors.ConnectError(), 1, False, True),
        (errors.TlsError(), 1, True, False),
        (errors.DnsError(retryable=False), 1, True, False),
        (errors.TransportError(outcome="unknown"), 1, True, True),
        (errors.TransportError(outcome="unknown"), 1, False, False),
        (errors.TransportError(outcome="not_sent"), 1, False, True),
        (errors.TransportError(), 3, True, False),
        (errors.ProtocolError(), 1, True, False),
        (errors.ServerError(status=503), 2, True, True),
        (errors.ServerError(status=503), 1, False, False),
        (errors.RateLimitError(status=429), 1, False, True),
        (errors.ConflictError(status=409), 1, True, False),
        (errors.InputFetchError(status=503, retryable=True), 1, True, True),
        (errors.ApiError(status=200, outcome="unknown", retryable=True), 1, True, True),
        (errors.ApiError(status=200, outcome="unknown", retryable=True), 2, True, False),
    ],
)
def test_what_is_tried_again(error, attempt, repeatable, again):
    """Passing troubles only, three attempts at most, and nothing twice that may have been done and cannot be keyed."""
    assert _retrying.may_retry(error, attempt, repeatable=repeatable) is again


@pytest.mark.parametrize("junk", [None, -5, math.nan, "soon", 0])
def test_junk_in_retry_after_is_ignored(junk):
    """Whatever is not a time to wait leaves the backoff as it is."""
    error = errors.RateLimitError(retry_after=junk)

    assert _retrying.delay_s(error, 1, 8.0, 0.0) == pytest.approx(0.075)


def test_retry_after_is_a_floor():
    """The server's wish counts when it is longer than ours."""
    assert _retrying.delay_s(errors.RateLimitError(retry_after=2.0), 1, 8.0, 0.0) == 2.0
    assert _retrying.delay_s(errors.RateLimitError(retry_after=0.001), 1, 8.0, 0.0) == pytest.approx(0.075)


@pytest.mark.parametrize("retry_after", [8.0, 3600, math.inf])
def test_a_delay_that_does_not_fit_is_not_waited_for(retry_after):
    """Better an error now than the same error later."""
    assert _retrying.delay_s(errors.RateLimitError(retry_after=retry_after), 1, 8.0, 0.0) is None
    assert _retrying.delay_s(errors.ServerError(), 1, 0.1, 0.0) is None


def test_the_quota_ends_the_retries_of_a_process_that_only_fails():
    """Ten transient retries, or twenty throttled ones, and then the first error is the last."""
    quota = _retrying.Quota()

    taken = [quota.take(_retrying.cost_of(errors.ServerError(status=500))) for _ in range(11)]

    assert taken == [True] * 10 + [False]
    assert _retrying.cost_of(errors.RateLimitError(status=429)) == 5


def test_success_fills_the_quota_again():
    """A retried success gives back what it cost, a clean one adds one, never above the capacity."""
    quota = _retrying.Quota(left=50)

    quota.succeeded(spent=10)
    quota.succeeded(spent=0)

    assert quota.left == 61
    quota.succeeded(spent=100)
    assert quota.left == 100
