"""Whose code a frame is: where an exception may be raised into a running program, and what to call the place.

Looked at from inside a signal handler, so nothing here imports, blocks, or trusts what it meets.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])
    Value = TypeVar("Value")

_OURS, _PURE, _PYTHONS, _INSTALLED, _USERS = "ours", "pure", "python's", "installed", "user's"
_OUR_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
# Of ours, but it only looks at the input or the result: nothing is half done there, and a pattern of the user's, or a
# result of a million rows, may take for ever.
_PURE_PATHS = tuple(
    os.path.join(_OUR_FOLDER, "_protocol", name)
    for name in (os.path.join("schemas", ""), "json_faults.py", "json_forms.py")
)
_PYTHONS_FOLDER = os.path.join(os.path.dirname(os.__file__), "")
_PACKAGE_FOLDERS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
LONGEST_SOURCE = 120
MOST_AWAITS = 1000
# So many calls the work of an import hook takes at most; a recursion may be a million deep.
DEEPEST_HOOK = 100
_SUSPENDED = (("cr_frame", "cr_await"), ("ag_frame", "ag_await"), ("gi_frame", "gi_yieldfrom"))

_open: set[CodeType] = set()
_kinds: dict[str, str] = {}


def open_to_interrupts(function: Function) -> Function:
    """Decorates a function of ours that does no more than run the user's: it may be interrupted as theirs may."""
    _open.add(function.__code__)
    return function


@open_to_interrupts
def call(function: Callable[..., Value], arguments: tuple[Any, ...]) -> Value:
    """`function(*arguments)`: the border. What is called from here on is the handler, what called it is not."""
    return function(*arguments)


def is_interruptible(frame: FrameType | None) -> bool:
    """Whether an exception raised in `frame` hits the user's code, or what that has called of Python and of packages.

    Not if our own code stands between: what it has half done would stay so.
    """
    calls = 0  # from the innermost that is theirs
    while frame is not None and calls < DEEPEST_HOOK:
        if frame.f_code in _open:
            return True
        kind = _kind(frame)
        if kind == _OURS:
            return calls > 0
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            calls = 0  # An import hook (setuptools installs one) works for whoever imports, and that may be us.
        elif calls or kind != _PYTHONS:
            calls += 1
        frame = frame.f_back
    return calls > 0


def is_pythons(frame: FrameType) -> bool:
    """Whether it is code of the standard library."""
    return _kind(frame) == _PYTHONS


def place(frame: FrameType | None, *, is_known: bool = False) -> str:
    """`worker.py:12 in fetch: time.sleep(10)`: the handler's innermost frame of the user's own, or else of a package.

    "" if there is none, or `frame` is not in a handler at all; but that is not asked if it `is_known` whose call it is.
    """
    calls = []
    while frame is not None and frame.f_code is not call.__code__:
        calls.append((frame, frame.f_lineno))
        frame = frame.f_back
    return _innermost(calls) if is_known or frame is not None else ""


def place_awaited(awaitable: Any) -> str:
    """As `place`, of where a suspended coroutine waits; "" if that is not to be seen."""
    found = None
    for _ in range(MOST_AWAITS):
        for frame_name, next_name in _SUSPENDED:
            frame = getattr(awaitable, frame_name, None)
            if frame is not None:
                found = frame if _kind(frame) in (_USERS, _INSTALLED) else found
                awaitable = getattr(awaitable, next_name, None)
                break
        else:
            awaitable = _generator_of(awaitable)
            if awaitable is None:
                break
    return "" if found is None else _described(found, found.f_lineno)


def _innermost(calls: list[tuple[FrameType, int]]) -> str:
    """The place of the first that is the user's own, or else a package's."""
    for wanted in (_USERS, _INSTALLED):
        for frame, line in calls:
            if _kind(frame) == wanted:
                return _described(frame, line)
    return ""


def _generator_of(awaitable: Any) -> Any:
    """The async generator whose next value is awaited: Python has no attribute that would say so."""
    if type(awaitable).__name__ not in ("async_generator_asend", "async_generator_athrow"):
        return None
    import gc

    return next((thing for thing in gc.get_referents(awaitable) if hasattr(thing, "ag_frame")), None)


def _kind(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    kind = _kinds.get(path)
    if kind is None:
        kind = _kinds[path] = _kind_of(path)
    return kind


def _kind_of(path: str) -> str:
    if path.startswith(_OUR_FOLDER):
        return _PURE if path.startswith(_PURE_PATHS) else _OURS
    # Code without a file says nothing of itself (`<frozen importlib>`; the `<string>` of a namedtuple that a call of
    # ours has made; what a user typed): it is as open as whoever has called it.
    if path.startswith("<"):
        return _PYTHONS
    if any(folder in path for folder in _PACKAGE_FOLDERS):
        return _INSTALLED
    return _PYTHONS if path.startswith(_PYTHONS_FOLDER) else _USERS


def _described(frame: FrameType, line: int) -> str:
    import linecache

    from . import places

    path = frame.f_code.co_filename
    try:
        path = places.shown_path(path)
    except OSError:
        pass  # the current folder is gone
    source = linecache.getline(frame.f_code.co_filename, line).strip()
    if len(source) > LONGEST_SOURCE:
        source = source[: LONGEST_SOURCE - 1] + "…"
    return f"{path}:{line} in {frame.f_code.co_name}" + (f": {source}" if source else "")
