"""What `seekapi dev` tells at the terminal: a banner, and one line per event. Whatever a worker said is escaped."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress

from .. import __version__
from .._devserver import records
from .._devserver.database import NotStored
from . import example, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._devserver.platform import Platform
    from .._devserver.transactions import Event
    from .._devserver.workers import Worker

# Said of the worker, and not of a job.
WORKER = "worker"
_SHOWN = frozenset(("called", "ended", "status", "fault", "log"))
_SHOWN_WITHOUT_WORKER = _SHOWN | {"submitted"}
# What the protocol calls otherwise than people do.
_WORDS = {"processing": "running", "error": "failed"}
# As many characters of an id as tell jobs apart on a screen.
SHORT_ID = 4
_LABEL_WIDTH, _STATE_WIDTH = 12, 9
_EXAMPLE: dict[str, Any] = {"name": "world"}


class Lines:
    """Writes to stderr for people; with `is_json` also every event to stdout, as a line of JSON."""

    def __init__(self, platform: Platform, *, is_json: bool) -> None:
        self.worker: Worker | None = None
        self._platform = platform
        self._is_json = is_json

    def is_shown(self, event: Event) -> bool:
        """Whether it is worth a line."""
        return self._is_json or event.kind in (_SHOWN_WITHOUT_WORKER if self.worker is None else _SHOWN)

    def introduce(self, took_s: float, *, reloads: bool, call_line: str) -> None:
        """Who is here, where, and what to do next: `call_line`, and an input that the worker takes."""
        platform, options = self._platform, self._platform.options
        url = f"{platform.url}/?token={platform.api_key}" if options.needs_token else platform.url
        title = f"seekapi dev {__version__}"
        lines = [f"{title:<39}ready in {took_s:.1f} s", self._labelled("dashboard", url)]
        if options.prefix:
            lines.append(self._labelled("jobs", f"{platform.url}{options.prefix}"))
        if self.worker is not None:
            how = f"(deadline {options.timeout_s:g} s{', reload on save' if reloads else ''})"
            lines.append(self._labelled("worker", f"{self.worker.name}  ->  {self.worker}      {how}"))
            lines.append(self._labelled("try", f"{call_line} {self._example()}"))
        else:
            lines.append(self._labelled("worker", "none: jobs wait for one of your own"))
        lost_count = len(platform.store.lost)
        if lost_count:
            jobs = "1 job" if lost_count == 1 else f"{lost_count} jobs"
            lines.append(self._labelled("lost", f"{jobs} that ran when the last server ended"))
        terminal.talk("".join(f"  {terminal.printable(line)}\n" for line in lines))

    def tell(self, item: Event | str) -> None:
        """One event, or news of the worker."""
        if isinstance(item, str):
            self.tell_worker()
            return
        if self._is_json:
            terminal.show(records.event_line(item))
        if item.kind in (_SHOWN_WITHOUT_WORKER if self.worker is None else _SHOWN):
            self._tell_event(item)

    def tell_worker(self, *, is_first: bool = False) -> None:
        """Whether it can be imported, as its file is now."""
        assert self.worker is not None
        known = self.worker.description
        front = f"{time.strftime('%H:%M:%S')} worker {self.worker.name}"
        if known.error is None:
            if not is_first:
                self._say(f"{front}  reloaded")
            if known.schema_error:
                self._say(f"{front}  its schema cannot be made: {known.schema_error}")
            return
        self._say(f"{front}  ", ("broken", terminal.RED), f"  {known.error['message']}")
        self._say_place(known.error)
        if not known.error.get("where"):
            for line in known.error.get("traceback", "").splitlines():
                self._say(f"  {line}")

    def _tell_event(self, event: Event) -> None:
        data = event.data
        state, colour, rest = getattr(self, f"_{event.kind}")(event, data)
        clock = time.strftime("%H:%M:%S", time.localtime(event.at))
        name = f" {self.worker.name}" if self.worker is not None else ""
        rest, *more = rest.split("\n") if event.kind == "log" else [rest]
        self._say(f"{clock} job {event.job_id[:SHORT_ID]}{name}  ", (f"{state:<{_STATE_WIDTH}}", colour), f"  {rest}")
        for line in more:
            self._say(line if line.startswith("  ") else f"  {line}")
        if event.kind == "ended" and isinstance(data.get("error"), dict):
            self._say_place(data["error"])

    def _submitted(self, event: Event, data: dict[str, Any]) -> tuple[str, str, str]:
        return "submitted", "", ""

    def _called(self, event: Event, data: dict[str, Any]) -> tuple[str, str, str]:
        return "running", "", f"(cold {data['cold_ms']:.0f} ms)"

    def _ended(self, event: Event, data: dict[str, Any]) -> tuple[str, str, str]:
        error = data.get("error")
        if error:
            return "failed", terminal.RED, f"{error['code']}: {error['message']}".rstrip(": ")
        counts: dict[str, int] = {}
        with suppress(NotStored), self._platform.store.read() as reader:
            counts = records.effect_counts(reader, event.job_number)
        what = [terminal.counted(counts.get(kind, 0), kind) for kind in ("push", "file")]
        what += [terminal.counted(counts[kind], kind) for kind in ("charge",) if counts.get(kind)]
        took_ms = data.get("handler_ms", data["duration_s"] * 1000)
        return "completed", terminal.GREEN, f"{terminal.duration(took_ms / 1000)}   {', '.join(what)}"

    def _status(self, event: Event, data: dict[str, Any]) -> tuple[str, str, str]:
        status, error = str(data.get("status", "")), data.get("error")
        if isinstance(error, dict):
            return _WORDS.get(status, status), terminal.RED, f"{error['code']}: {error['message']}"
        return _WORDS.get(status, status), "", str(data.get("reason") or f"by {data.get('by', 'the platform')}")

    def _fault(self, event: Event, data: dict[str, Any]) -> tuple[str, str, str]:
        return "fault", "", f"{data.get('operation')} {data.get('name')}: {data.get('title')}"

    def _log(self, event: Event, data: dict[str, Any]) -> tuple[str, str, str]:
        level = data.get("level", "INFO")
        front = f"{level.lower()}: " if level not in ("INFO", "DEBUG") else ""
        return data["source"], terminal.DIM, front + data["message"]

    def _example(self) -> str:
        """What this worker could be called with, quoted for a shell; a file, if that is not known."""
        from shlex import quote

        assert self.worker is not None
        schema = self.worker.description.input_schema
        try:
            value = _EXAMPLE if schema is None else example.of(schema)
        except Exception:  # whatever a worker may call a schema
            return "@input.json"
        return quote(json.dumps(value, ensure_ascii=False))

    def _labelled(self, label: str, text: str) -> str:
        return f"{label:<{_LABEL_WIDTH}}{text}"

    def _say_place(self, error: dict[str, Any]) -> None:
        if error.get("where"):
            self._say(f"  at {error['where']}   {error.get('line') or ''}")

    def _say(self, *parts: str | tuple[str, str]) -> None:
        """One line; a pair is a text and its colour. Every text is escaped before it is painted."""
        shown = []
        for part in parts:
            text, colour = (part, "") if isinstance(part, str) else part
            text = terminal.printable(text, keep="\t")
            shown.append(terminal.painted(text, colour, sys.stderr) if colour else text)
        terminal.talk("".join(shown).rstrip() + "\n")
