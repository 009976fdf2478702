"""The worker that this platform runs: where it is, what it says about itself, and whether that is still true.

To ask it, it is imported: in a process of its own, with a time limit, as every job does it. So the platform never runs
a line of the worker's, and a worker that cannot be imported costs an error with its line, and nothing else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from .._redaction import Redactor
from . import verdicts
from .exchange import Answer, Route
from .processes import Child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .exchange import Incoming
    from .platform import Platform

# What Lambda gives a module to be imported.
IMPORT_LIMIT_S = 10.0
# What was printed while it was imported is shown if that failed.
SHOWN_LINES = 20
_NAMES_OF_ANY = ("handler", "lambda_handler", "main", "worker", "app", "lambda_function", "<lambda>", "index", "")


class Description:
    """What a worker says about itself; or the `error` for which it cannot: code, message, where, line, traceback."""

    __slots__ = ("doc", "error", "input_schema", "name", "python", "schema_error", "seekapi", "settings_schema")

    def __init__(self, report: Mapping[str, Any]) -> None:
        self.name: str = report.get("name") or ""
        self.doc: str | None = report.get("doc")
        self.python: str | None = report.get("python")
        self.seekapi: str | None = report.get("seekapi")
        self.input_schema: dict[str, Any] | None = report.get("input_schema")
        self.settings_schema: dict[str, Any] | None = report.get("settings_schema")
        self.schema_error: str | None = report.get("schema_error")
        self.error: dict[str, Any] | None = report.get("error")


class Worker:
    """A handler by its place: a file or a module, and a name in it. `python` is the command of its interpreter.

    `environ` is the whole environment of its processes.
    """

    def __init__(
        self, place: str, handler: str, *, is_file: bool, python: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        self.place = place
        self.handler = handler
        self.is_file = is_file
        self.python = tuple(python)
        self.environ = dict(environ)
        self.description = Description({})
        self.is_described = False
        self._described_version: tuple[int, int] | None = None
        self._asking = threading.Lock()

    def __str__(self) -> str:
        return f"{self.place}:{self.handler}"

    @property
    def name(self) -> str:
        """What people call it: by its function, its file or its folder, whichever says something."""
        path = Path(self.place).absolute() if self.is_file else Path(self.place.rpartition(".")[2])
        names = (self.handler, self.description.name, path.stem, self.folder.name)
        return next((name for name in names if name not in _NAMES_OF_ANY), "worker")

    @property
    def folder(self) -> Path:
        """Where its code is, and what is imported from there."""
        return Path(self.place).absolute().parent if self.is_file else Path.cwd()

    @property
    def is_current(self) -> bool:
        """Whether what is known of it was said by the file as it is now."""
        return self.is_described and self._described_version == self._version()

    def order(self, mode: str, **more: Any) -> dict[str, Any]:
        """What its process is told to do."""
        return {"mode": mode, "place": self.place, "name": self.handler, "is_file": self.is_file, **more}

    def describe(self, limit_s: float = IMPORT_LIMIT_S) -> Description:
        """Ask it, again. On any thread; takes as long as importing it."""
        with self._asking:
            version = self._version()
            self.description = self._asked(limit_s)
            self._described_version, self.is_described = version, True
            return self.description

    def _asked(self, limit_s: float) -> Description:
        ends_at = time.monotonic() + limit_s
        try:
            child = Child(self.python, self.order("describe"), self.environ)
        except OSError as error:
            return _unusable(cannot_start(self.python, error))
        lines: list[str] = []
        while not child.has_ended and time.monotonic() < ends_at:
            child.step(ends_at - time.monotonic())
            lines = [*lines, *(line.text for _, line in child.taken_lines())][-SHOWN_LINES:]
        is_late = not child.has_ended
        exit_code = child.finish()
        lines = [*lines, *(line.text for _, line in child.taken_lines())][-SHOWN_LINES:]
        if child.report is None:
            fault = verdicts.late_import(limit_s) if is_late else verdicts.crashed(exit_code)
            return _unusable({**fault, "code": verdicts.NOT_IMPORTABLE, "traceback": "\n".join(lines)})
        if "error" in child.report:
            mask = Redactor(_secrets(self.environ)).text
            told = {name: mask(text) for name, text in child.report["error"].items() if text}
            return _unusable(verdicts.error(verdicts.NOT_IMPORTABLE, **told))
        return Description(child.report)

    def _version(self) -> tuple[int, int] | None:
        """Of the file that has the handler; what that imports, the watcher looks after."""
        try:
            found = os.stat(self.place)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


class Watcher(threading.Thread):
    """Calls `changed()` when a Python file below `folder` was saved, made or removed; looks every `every_s` seconds."""

    def __init__(self, folder: Path, changed: Callable[[], object], every_s: float = 0.25) -> None:
        super().__init__(name="seekapi-watcher", daemon=True)
        self._folder = folder
        self._changed = changed
        self._every_s = every_s
        self._ended = threading.Event()
        self._seen = versions_below(folder)

    def run(self) -> None:
        while not self._ended.wait(self._every_s):
            now = versions_below(self._folder)
            if now != self._seen:
                self._seen = now
                self._changed()

    def stop(self) -> None:
        """Look no more. What it has begun, it may still end."""
        self._ended.set()


# A folder with more is no worker's, but somebody's home.
MOST_FOLDERS = 500
_NOT_LOOKED_INTO = frozenset(("__pycache__", "node_modules", "site-packages"))


def versions_below(folder: Path) -> dict[str, tuple[int, int]]:
    """Every Python file below `folder`, with what changes when it is saved. Hidden folders and environments aside."""
    found: dict[str, tuple[int, int]] = {}
    waiting, seen_count = [str(folder)], 0
    while waiting and seen_count < MOST_FOLDERS:
        seen_count += 1
        try:
            entries = list(os.scandir(waiting.pop(0)))
        except OSError:
            continue
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        for entry in entries:
            try:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    found[entry.path] = (status.st_mtime_ns, status.st_size)
                elif entry.is_dir(follow_symlinks=False) and not _is_passed_over(entry.name):
                    waiting.append(entry.path)
            except OSError:
                continue
    return found


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in _NOT_LOOKED_INTO


def cannot_start(python: Sequence[str], error: OSError) -> dict[str, Any]:
    """The interpreter is not there, or is none."""
    return verdicts.error(verdicts.NOT_IMPORTABLE, f"cannot start {' '.join(python)}: {error.strerror or error}")


def info(platform: Platform, request: Incoming) -> Answer:
    """What the dashboard shows of the worker."""
    runner, options = platform.runner, platform.options
    told: dict[str, Any] = {
        "version": __version__,
        "timeout_s": options.timeout_s,
        "platform_only": runner is None,
        **dict.fromkeys(("name", "target", "schema", "settings_schema", "error", "doc", "python", "seekapi")),
        "concurrency": 0,
    }
    if runner is not None:
        worker = runner.worker
        known = worker.description
        told.update(
            name=worker.name,
            target=str(worker),
            schema=known.input_schema,
            settings_schema=known.settings_schema,
            error=known.error,
            doc=known.doc,
            python=known.python,
            seekapi=known.seekapi,
            concurrency=runner.concurrency,
        )
    return Answer.json(told)


ROUTES = (Route("GET", "/worker", info),)


def _unusable(error: dict[str, Any]) -> Description:
    return Description({"error": error})


def _secrets(environ: Mapping[str, str]) -> list[str]:
    return [value for name, value in environ.items() if name.endswith(("SECRET", "API_KEY", "PASSWORD"))]
