"""Where in the user's own code something happened: what a person wants to see first of a long traceback.

The user's own is what is neither ours, nor Python's, nor that of an installed package.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_STDLIB_FOLDER = os.path.join(os.path.dirname(os.path.abspath(os.__file__)), "")
_INSTALLED = {"site-packages", "dist-packages"}


def of(trace: TracebackType | None, known: dict[str, bool] | None = None) -> tuple[str, str] | None:
    """`path:line` and the source of the last line of the user's own on the way to a fault; None if there is none.

    The source is "" where it cannot be read. `known` keeps of which files it is known whose they are.
    """
    last, known = None, {} if known is None else known
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if path not in known:
            known[path] = is_users(path)
        last = trace if known[path] else last
        trace = trace.tb_next
    if last is None:
        return None
    path = last.tb_frame.f_code.co_filename
    return f"{shown_path(path)}:{last.tb_lineno}", source(path, last.tb_lineno, last.tb_frame.f_globals)


def of_error(error: BaseException) -> tuple[str, str] | None:
    """As `of`, for an exception: its own place, else that of what it was made from or is a group of."""
    from . import tracebacks

    known: dict[str, bool] = {}
    waiting, seen = [error], 0
    while waiting and seen < tracebacks.MOST_EXCEPTIONS:
        seen += 1
        error = waiting.pop(0)
        place = of(tracebacks.trace_of(error), known)
        if place is not None:
            return place
        cause = tracebacks.cause_of(error)
        waiting += [*([cause] if cause is not None else []), *tracebacks.members_of(error)[: tracebacks.MOST_MEMBERS]]
    return None


def is_users(path: str) -> bool:
    """Whether a file is the user's own."""
    return not (path.startswith("<") or is_ours(path) or is_pythons(path) or _is_installed(os.path.abspath(path)))


def is_ours(path: str) -> bool:
    """Whether a file is one of this package."""
    return path.startswith(_PACKAGE_FOLDER) or os.path.abspath(path).startswith(_PACKAGE_FOLDER)


def is_pythons(path: str) -> bool:
    """Whether a file is of the standard library."""
    if path.startswith("<frozen "):
        return True
    return os.path.abspath(path).startswith(_STDLIB_FOLDER) and not _INSTALLED.intersection(path.split(os.sep))


def source(path: str, line_number: int | None, namespace: dict[str, object] | None = None) -> str:
    """One line of a file, without its indentation; "" if it cannot be read."""
    import linecache

    if not line_number or (os.path.exists(path) and not os.path.isfile(path)):
        return ""  # a device or a pipe may not end
    return linecache.getline(path, line_number, namespace).strip()


def shown_path(path: str) -> str:
    """A path as a person wants it: relative to the current folder if it lies below."""
    relative = os.path.relpath(path) if os.path.splitdrive(path)[0] == os.path.splitdrive(os.getcwd())[0] else path
    return path if relative.startswith(os.pardir) else relative


def _is_installed(path: str) -> bool:
    """Whether an installer put the file there: by the name of the folder, or by its own records.

    In a Lambda package (`pip install --target`) what is installed lies beside the user's own files.
    """
    if _INSTALLED.intersection(path.split(os.sep)):
        return True
    for root in sys.path:
        if root and path.startswith(os.path.join(os.path.abspath(root), "")):
            inside = os.path.relpath(path, root).replace(os.sep, "/")
            if any(f"\n{inside}," in record for record in _records(os.path.abspath(root))):
                return True
    return False


def _records(folder: str) -> list[str]:
    """What pip has noted of the packages that it put into a folder: a line for each file."""
    from glob import escape, iglob

    records = []
    for path in iglob(os.path.join(escape(folder), "*.dist-info", "RECORD")):
        try:
            with open(path, encoding="utf-8") as file:
                records.append("\n" + file.read())
        except (OSError, ValueError):
            continue
    return records
