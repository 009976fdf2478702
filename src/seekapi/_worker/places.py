"""Where in the user's own code something happened: what a person wants to see first of a long traceback.

The user's own is what is neither ours, nor Python's, nor that of an installed package.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INSTALLED = {"site-packages", "dist-packages"}


def of(trace: TracebackType | None) -> tuple[str, str] | None:
    """`path:line` and the source of the last line of the user's own on the way to a fault; None if there is none.

    The source is "" where it cannot be read.
    """
    import sysconfig

    stdlib = sysconfig.get_paths()["stdlib"]
    last = None
    while trace is not None:
        if is_users(trace.tb_frame.f_code.co_filename, stdlib):
            last = trace
        trace = trace.tb_next
    if last is None:
        return None
    import linecache

    path = last.tb_frame.f_code.co_filename
    source = linecache.getline(path, last.tb_lineno, last.tb_frame.f_globals)
    return f"{shown_path(path)}:{last.tb_lineno}", source.strip()


def is_users(path: str, stdlib: str) -> bool:
    """Whether a file is the user's own; `stdlib` is the folder of Python's."""
    if path.startswith("<"):
        return False  # `<string>`, `<frozen importlib._bootstrap>`
    absolute = os.path.abspath(path)
    is_foreign = any(absolute.startswith(os.path.join(place, "")) for place in (_PACKAGE_FOLDER, stdlib))
    return not is_foreign and not _INSTALLED.intersection(absolute.split(os.sep))


def shown_path(path: str) -> str:
    """A path as a person wants it: relative to the current folder if it lies below."""
    relative = os.path.relpath(path) if os.path.splitdrive(path)[0] == os.path.splitdrive(os.getcwd())[0] else path
    return path if relative.startswith(os.pardir) else relative
