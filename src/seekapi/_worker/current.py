"""The invocation that user code runs in: its deadline and its secrets, for the calls that user code makes itself."""

from __future__ import annotations

from contextvars import ContextVar

from .._redaction import Redactor


class Invocation:
    """One run of a handler. `deadline` is in seconds of the monotonic clock; None means that nobody set one."""

    __slots__ = ("deadline", "pushed", "redactor")

    def __init__(self, deadline: float | None, redactor: Redactor) -> None:
        self.deadline = deadline
        self.redactor = redactor
        # Whether the handler has pushed data by itself: then a result of None adds no push.
        self.pushed = False


_current: ContextVar[Invocation | None] = ContextVar("seekapi_invocation", default=None)
_active: list[Invocation] = []


def invocation() -> Invocation | None:
    """The invocation of the calling code, or None outside of one.

    A thread that the handler started has no context of its own; with one invocation in the process there is no doubt.
    """
    return _current.get() or (_active[0] if len(_active) == 1 else None)


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
