"""What TARGET means: `worker.py`, `worker.py:name` or `package.module:name`, and how the handler in it is found.

A file is imported as `python worker.py` would find it: its own folder comes first on sys.path. It may have the name
of a module of Python (`random.py`): that name stays Python's. A module is looked up from the current folder.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    Handler = Callable[[Any, Any], Any]

DEFAULT_NAME = "handler"


class Unusable(Exception):
    """The target names no handler that could be called; the message tells the user why."""


class Target:
    """A module or a file (`is_file`), and the name of the handler in it."""

    __slots__ = ("is_file", "name", "place")

    def __init__(self, place: str, name: str, *, is_file: bool) -> None:
        self.place = place
        self.name = name
        self.is_file = is_file

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"


def parse(text: str) -> Target:
    """`text` as a target. Raises Unusable if it cannot be one, or names a file that is not there."""
    place, colon, name = text.rpartition(":")
    # The colon of `C:\worker.py` is none of ours.
    if not colon or not name.isidentifier():
        place, name = text, DEFAULT_NAME
    is_file = place.endswith(".py") or os.sep in place or "/" in place
    is_module = not is_file and all(part.isidentifier() for part in place.split("."))
    if not is_module and not place.endswith(".py"):
        _refuse_other_file(place)
    if is_file and not os.path.isfile(place):
        meant = f"; did you mean {place}.py:{name}?" if os.path.isfile(f"{place}.py") else ""
        raise Unusable(f"there is no file {place}{meant}")
    if not is_file and not is_module:
        raise Unusable(f"{text!r} is no target: expected worker.py, worker.py:name or package.module:name")
    return Target(place, name, is_file=is_file)


def _refuse_other_file(place: str) -> None:
    if os.path.isfile(place):
        raise Unusable(f"{place} is no handler file: its name must end in .py")


def load(target: Target, *, to_call: bool = True) -> Handler:
    """Import the target and return its handler. What the user's module raises comes through as it is.

    With `to_call=False` also a function that is no handler, but may be what a handler runs.
    """
    if target.is_file:
        _keep_pythons_own(_stem(target.place))
    sys.path.insert(0, os.path.dirname(os.path.abspath(target.place)) if target.is_file else os.getcwd())
    module = _load_file(target.place) if target.is_file else _load_module(target.place)
    if not hasattr(module, target.name):
        raise Unusable(f"{target.place} has no {target.name!r}{_suggestion(module, target)}")
    handler = getattr(module, target.name)
    _check_callable(handler, target, as_handler=to_call)
    return handler  # type: ignore[no-any-return]


def _load_file(path: str) -> ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    stem = _stem(path)
    # A worker in `json.py` must not replace the json that everybody uses.
    name = f"{stem}_worker" if stem in sys.modules or stem in sys.stdlib_module_names else stem
    spec = spec_from_file_location(name, os.path.abspath(path))
    assert spec is not None and spec.loader is not None  # parse() has seen to the suffix
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _keep_pythons_own(name: str) -> None:
    """Import Python's module of that name, if there is one, before the worker's folder is where it would be found."""
    from importlib import import_module

    if name in sys.stdlib_module_names:
        with suppress(ImportError):  # of another operating system, or left out of this Python
            import_module(name)


def _load_module(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        # Only the target itself: a module that it imports and lacks is the user's own traceback.
        if missing != name and not name.startswith(f"{missing}."):
            raise
    _refuse_other_file(name)
    parent, _, last = name.rpartition(".")
    hint = f"; a handler is named after a colon: {parent}:{last}" if missing == name and parent else ""
    raise Unusable(f"there is no module {missing!r} in {os.getcwd()} or among the installed packages{hint}")


def _suggestion(module: ModuleType, target: Target) -> str:
    """The functions that the user wrote there, if there are any."""
    own = [
        name
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return f"; did you mean {' or '.join(f'{target.place}:{name}' for name in own[:3])}?" if own else ""


def _check_callable(handler: object, target: Target, *, as_handler: bool) -> None:
    """Refuse what cannot be called, as handler(event, context) if it is to be one, with the remedy."""
    if not callable(handler):
        raise Unusable(f"{target} is not a function but {type(handler).__name__}")
    if not as_handler:
        return
    from inspect import signature

    try:
        parameters = signature(handler, follow_wrapped=False)
    except (TypeError, ValueError):
        return  # built in C without a signature: the call will tell
    try:
        parameters.bind(None, None)
    except TypeError:
        raise Unusable(
            f"{target}{parameters} cannot be called as handler(event, context); "
            "a function from input to output becomes a handler with @seekapi.worker above it"
        ) from None
