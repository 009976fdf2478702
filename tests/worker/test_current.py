"""Which invocation a call belongs to: the caller's own, also from a thread that the handler started."""

from __future__ import annotations

import threading

from seekapi._redaction import Redactor
from seekapi._worker import current


def test_outside_of_a_run_there_is_none():
    """The low-level functions then keep their own timeouts."""
    assert current.invocation() is None


def test_inside_it_is_the_innermost():
    """And the outer one comes back."""
    outer, inner = current.Invocation(1.0, Redactor()), current.Invocation(2.0, Redactor())

    with current.entered(outer):
        with current.entered(inner):
            assert current.invocation() is inner
        assert current.invocation() is outer
    assert current.invocation() is None


def test_a_thread_of_the_handler_belongs_to_the_only_run():
    """A thread has no context of its own; with one run in the process there is no doubt."""
    seen = []
    with current.entered(current.Invocation(1.0, Redactor())) as only:
        thread = threading.Thread(target=lambda: seen.append(current.invocation()))
        thread.start()
        thread.join(10)

    assert seen == [only]


def test_a_thread_among_several_runs_belongs_to_none():
    """A wrong deadline would be worse than none."""
    seen = []
    with current.entered(current.Invocation(1.0, Redactor())), current.entered(current.Invocation(2.0, Redactor())):
        thread = threading.Thread(target=lambda: seen.append(current.invocation()))
        thread.start()
        thread.join(10)

    assert seen == [None]
