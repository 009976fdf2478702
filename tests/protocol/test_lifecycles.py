"""The seven statuses, and which may follow which."""

from __future__ import annotations

import pytest

from seekapi._protocol import lifecycles
from seekapi._protocol.lifecycles import ACTIVE, FINAL, STATUSES, TRANSITIONS, may_follow


def test_the_seven_statuses_of_the_protocol():
    """Their names and their order are the protocol's; each has a name of its own here, and a row in the table."""
    names = ("pending", "queued", "validating", "processing", "completed", "error", "cancelled")

    assert names == STATUSES
    assert [getattr(lifecycles, name.upper()) for name in names] == list(names)
    assert set(TRANSITIONS) == set(STATUSES)


def test_what_is_final_ends_it_and_nothing_else_does():
    """A job is waiting, active or final; from every status that is not final there is a way to each end."""
    assert {"completed", "error", "cancelled"} == FINAL == {name for name in STATUSES if not TRANSITIONS[name]}
    assert not ACTIVE & FINAL
    for status in set(STATUSES) - FINAL - {"pending"}:
        assert TRANSITIONS[status] >= FINAL


def test_nothing_goes_back_to_the_beginning():
    """Only a worker that gives a job back leads backwards: to the queue."""
    order = {name: place for place, name in enumerate(STATUSES)}
    back = {(a, b) for a, following in TRANSITIONS.items() for b in following if order[b] < order[a]}

    assert back == {("validating", "queued"), ("processing", "queued")}
    assert all(name not in following for name, following in TRANSITIONS.items())


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("wanted", STATUSES)
def test_a_client_may_set_anything_unless_it_is_strict(status, wanted):
    """Lenient is as in the field; strict keeps to the table, and the same status again is no change."""
    assert may_follow(status, wanted, strict=False)
    assert may_follow(status, wanted, strict=True) == (wanted == status or wanted in TRANSITIONS[status])


def test_what_is_no_status_follows_nothing():
    """Not even leniently."""
    assert not may_follow("queued", "running", strict=False)
