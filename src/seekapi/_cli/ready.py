"""The ready file: how others on this machine find a platform that is up. It holds what opens it, so mode 0600."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile

from ..errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

# Where a platform keeps its jobs if not told otherwise, and the only folder in which commands look for its ready file.
FOLDER = ".seekapi"
NAME = "ready.json"
# What is in a data folder, with what begins with record.db.
_OURS = ("lock", "files", NAME)
# Far above what a ready file holds.
_MOST_BYTES = 64 * 1024
# On this machine somebody who listens takes a connection at once.
_CONNECT_S = 1.0


def path_in(folder: str | Path) -> str:
    """Where commands in the same folder look for it."""
    return os.path.join(folder, NAME)


def read(path: str) -> dict[str, Any] | None:
    """What a platform wrote when it began to listen; None if there is none, or its process has ended.

    `url` and `jobs_url` are texts, without a slash at their ends; `api_key` is a text.
    """
    try:
        with open(path, "rb") as file:
            told = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("url"), str) or not _is_alive(told.get("pid")):
        return None
    url, jobs_url, api_key = told["url"], told.get("jobs_url"), told.get("api_key")
    return {
        "pid": told["pid"],
        "url": url.rstrip("/"),
        "jobs_url": (jobs_url if isinstance(jobs_url, str) else url).rstrip("/"),
        "api_key": api_key if isinstance(api_key, str) else "",
    }


def other_that_is_up(path: str) -> dict[str, Any] | None:
    """The other platform that this file names, if it still listens: a number of a process may be another's by now."""
    import socket
    from urllib.parse import urlsplit

    told = read(path)
    if told is None or told["pid"] == os.getpid():
        return None
    try:
        url = urlsplit(told["url"])
        socket.create_connection((url.hostname or "", url.port or 80), _CONNECT_S).close()
    except (OSError, ValueError):
        return None
    return told


def write(path: str, known: dict[str, Any]) -> None:
    """Whole or not at all, mode 0600. Raises ConfigurationError."""
    # Through a link, as whatever writes to a file does; and never over a device or a pipe.
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigurationError(f"cannot write {path}: it is there, and is no file")
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{NAME}-", dir=folder)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(known, file)
            file.write("\n")
        os.replace(unfinished, path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    else:
        return
    raise ConfigurationError(f"cannot write {path}: {reason}")


def remove(path: str) -> None:
    """If it is still ours: another server may have begun in this folder meanwhile."""
    told = read(path)
    if told is not None and told["pid"] == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(os.path.realpath(path))


def keep_out_of_git(folder: Path) -> None:
    """What a platform keeps is nobody's source; but a folder that also holds something else may well be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not all(name in _OURS or name.startswith("record.db") for name in os.listdir(folder)):
            return
        with open(folder / ".gitignore", "x", encoding="ascii") as file:
            file.write("*\n")
    except OSError:  # It is there already; what cannot be written at all, others have found out.
        pass


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return False
    if os.name != "posix":
        return True  # to ask would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
