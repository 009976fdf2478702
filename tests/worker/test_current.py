"""Which invocation a call belongs to: that of its job, or the caller's own."""

from __future__ import annotations

import threading

from seekapi._worker import current


class Backend:
    is_remote = True


def invocation(name: str) -> current.Invocation:
    return current.Invocation(1.0, Backend(), job(name))


def job(name: str) -> dict[str, str]:
    return {"job_uuid": name, "execution_token": f"token-of-{name}"}


def in_a_thread(ask) -> object:
    seen = []
    thread = threading.Thread(target=lambda: seen.append(ask()))
    thread.start()
    thread.join(10)
    return seen[0]


def test_outside_of_a_run_there_is_none():
    """The low-level functions then keep their own timeouts."""
    assert current.invocation() is None and current.invocation_of(job("a")) is None


def test_inside_it_is_the_innermost():
    """And the outer one comes back."""
    outer, inner = invocation("outer"), invocation("inner")

    with current.entered(outer):
        with current.entered(inner):
            assert current.invocation() is inner
        assert current.invocation() is outer
    assert current.invocation() is None


def test_a_thread_of_the_handler_belongs_to_the_only_run():
    """A thread has no context of its own; with one run in the process there is no doubt."""
    with current.entered(invocation("a")) as only:
        assert in_a_thread(current.invocation) is only


def test_a_thread_among_several_runs_belongs_to_none():
    """A wrong deadline would be worse than none."""
    with current.entered(invocation("a")), current.entered(invocation("b")):
        assert in_a_thread(current.invocation) is None


def test_a_call_belongs_to_the_run_of_its_job_from_any_thread():
    """The context says whose it is; a job that does not run here has none, whoever asks."""
    with current.entered(invocation("a")) as first, current.entered(invocation("b")) as second:
        for ask in (lambda of: of(), in_a_thread):
            assert ask(lambda: current.invocation_of(job("a"))) is first
            assert ask(lambda: current.invocation_of(job("b"))) is second
            assert ask(lambda: current.invocation_of(job("c"))) is None
