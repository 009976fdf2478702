"""What TARGET means: `worker.py`, `worker.py:name` or `package.module:name`.

A file is imported as `python worker.py` would find it: its own folder comes first on sys.path. It may have the name
of a module of Python (`random.py`): that name stays Python's. A module is looked up from the current folder. All that
happens in the handler's own process: _devserver/bootstrap_targets.py.
"""

from __future__ import annotations

import os

from .._devserver.bootstrap_targets import Unusable as Unusable
from .._devserver.bootstrap_targets import refuse_other_file

DEFAULT_NAME = "handler"


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
        refuse_other_file(place)
    if is_file and not os.path.isfile(place):
        meant = f"; did you mean {place}.py:{name}?" if os.path.isfile(f"{place}.py") else ""
        raise Unusable(f"there is no file {place}{meant}")
    if not is_file and not is_module:
        raise Unusable(f"{text!r} is no target: expected worker.py, worker.py:name or package.module:name")
    return Target(place, name, is_file=is_file)
