"""The invocations that run in this process: which job each is, its deadline, its backend and what it has delivered.

Code of a handler finds its own through the context variable. A call that names a job (push, file, charge) finds it by
that job, from whichever thread: a thread has no context of its own, and one that a former job left behind must not
pass for this one.
"""

from __future__ import annotations

from contextvars import ContextVar

from .keys import KeyLedger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._backends.port import Backend


class Invocation:
    """One run of a handler. `deadline` is in seconds of the monotonic clock; None means that nobody set one."""

    __slots__ = ("_job", "backend", "deadline", "delivered", "pushed")

    def __init__(self, deadline: float | None, backend: Backend, context: Mapping[str, str]) -> None:
        self.deadline = deadline
        # The one of the start: a handler that changes a setting does not send its result elsewhere.
        self.backend = backend
        # Anew for each run, so that a second run of the same event makes the same keys.
        self.delivered = KeyLedger()
        # Whether the handler has pushed data by itself: then a result of None adds no push.
        self.pushed = False
        self._job = _job_of(context)

    def is_of(self, context: Mapping[str, str]) -> bool:
        """Whether `context` is that of this job."""
        return self._job == _job_of(context)


_current: ContextVar[Invocation | None] = ContextVar("seekapi_invocation", default=None)
_active: list[Invocation] = []


def invocation() -> Invocation | None:
    """The invocation of the calling code, or None outside of one.

    In a thread of the handler's own that is the only one there is; among several there would be a doubt.
    """
    return _current.get() or (_active[0] if len(_active) == 1 else None)


def invocation_of(context: Mapping[str, str]) -> Invocation | None:
    """The invocation of the job that `context` belongs to, if it runs here."""
    own = _current.get()
    if own is not None and own.is_of(context):
        return own
    return next((running for running in reversed(_active) if running.is_of(context)), None)


class entered:
    """`with entered(invocation):` makes it the current one."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    def __enter__(self) -> Invocation:
        self._token = _current.set(self._invocation)
        _active.append(self._invocation)
        return self._invocation

    def __exit__(self, *exc_info: object) -> None:
        _active.remove(self._invocation)
        _current.reset(self._token)


def _job_of(context: Mapping[str, str]) -> tuple[object, object]:
    return context.get("job_uuid"), context.get("execution_token")
