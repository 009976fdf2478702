"""The ready file: how others on this machine find a platform that is up. It holds what opens it, so mode 0600."""

from __future__ import annotations

import json
import os
import tempfile

from ..errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

NAME = "ready.json"
# What is in a data folder, with what begins with record.db.
_OURS = ("lock", "files", NAME)


def path_in(folder: Path) -> str:
    """Where commands in the same folder look for it."""
    return os.path.join(folder, NAME)


def write(path: str, known: dict[str, Any]) -> None:
    """Whole or not at all, mode 0600. Raises ConfigurationError."""
    folder = os.path.dirname(os.path.abspath(path))
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
    try:
        with open(path, encoding="ascii") as file:
            is_ours = json.load(file).get("pid") == os.getpid()
        if is_ours:
            os.unlink(path)
    except (OSError, ValueError, AttributeError):
        pass


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
