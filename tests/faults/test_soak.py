"""A minute of the long run, in seconds: so that `soak.py` works on the day that it is needed."""

from __future__ import annotations

from .soak import soak


def test_a_short_soak_is_flat() -> None:
    """Descriptors, threads and memory stay as they are over many invocations, whatever goes wrong in them."""
    problems = soak(invocations=120, seconds=20.0, seed=7, paced=False, longest_freeze_s=0.5)

    assert not problems, "\n".join(problems)
