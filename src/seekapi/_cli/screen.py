"""What a person sees on stderr while a job runs: its output, the log, and on a terminal how far it is.

The bar is one line, the last one. Whatever else is shown takes its place, and it comes back below.
"""

from __future__ import annotations

import os
import sys
import time

from .._worker import logs
from . import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .records import Record

REDRAW_EVERY_S = 0.1
WIDEST_BAR, NARROWEST_BAR = 30, 8
_COLOUR_OF = {"WARNING": terminal.YELLOW, "ERROR": terminal.RED, "CRITICAL": terminal.RED}


class Screen:
    """Shows one run. Used by one thread only, except for `bar_width`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, has_page: bool = False) -> None:
        self.progress: dict[str, Any] | None = None
        # Code and text of a failure that waits for what comes next; if nothing does the page tells it.
        self.withheld: tuple[str, str] | None = None
        self._has_page = has_page
        # How much of the last line the bar takes; 0 if it is not there.
        self.bar_width = 0
        self._clock = clock
        self._is_watched = sys.stderr.isatty()
        self._has_bar = self._is_watched and os.environ.get("TERM") != "dumb"
        self._is_at_line_start = True
        self._drawn_at = float("-inf")

    def say(self, text: str) -> None:
        """The handler's own output: as it is, but a terminal is not shown what could move its cursor."""
        self._show(terminal.printable(text, keep="\n\t") if self._is_watched else text)

    def tell(self, record: Record) -> str:
        """One record of the log. Returns what was shown of it, without colours."""
        progress = record.fields.get(logs.PROGRESS)
        if isinstance(progress, dict):
            self.show_progress(progress)
            return ""
        if record.is_heard:
            return ""
        front, rest = _text_of(record.fields)
        begun = "" if self._is_at_line_start else "\n"
        level = str(record.fields.get("level"))
        painted = terminal.painted(front, _COLOUR_OF.get(level, terminal.DIM), sys.stderr)
        code = record.fields.get(logs.CODE)
        if self._has_page and isinstance(code, str) and not record.fields.get(logs.TRACEBACK):
            self._show(begun)
            self.withheld = code, f"{painted} {rest}\n"
        else:
            self._show(f"{begun}{painted} {rest}\n")
        return f"{begun}{front} {rest}\n"

    def show_progress(self, progress: dict[str, Any]) -> None:
        """How far it is now: `done`, `total`, `message`."""
        self.progress = progress
        self.tick()

    @property
    def wants_tick(self) -> bool:
        """Whether the bar is not there and should be."""
        return self._has_bar and self.progress is not None and not self.bar_width and self._is_at_line_start

    def tick(self) -> None:
        """Draw the bar, unless it was drawn a moment ago."""
        if not self._has_bar or self.progress is None or not self._is_at_line_start:
            return
        now = self._clock()
        if now - self._drawn_at < REDRAW_EVERY_S:
            return
        self._drawn_at = now
        bar = bar_of(self.progress, _columns())
        cleared = self._cleared()
        self.bar_width = terminal.cells(bar)
        terminal.talk(cleared + bar)

    def close(self) -> None:
        """Take the bar away: nothing of it stays on the screen."""
        self._has_bar = False
        if self.bar_width:
            terminal.talk(self._cleared())

    def _show(self, text: str) -> None:
        if self.withheld is not None and text:
            text, self.withheld = self.withheld[1] + text, None
        if not text:
            return
        self._is_at_line_start = text.endswith("\n")
        # Also if whoever read our stderr has left: the process must not block on a full pipe.
        terminal.talk(self._cleared() + text)
        self.tick()

    def _cleared(self) -> str:
        """What takes the bar away, without any code that a terminal might not know."""
        width, self.bar_width = self.bar_width, 0
        return f"\r{' ' * width}\r" if width else ""


def bar_of(progress: Mapping[str, Any], columns: int) -> str:
    """How far a job is, in less than `columns`: `[#####-----]  50 %  5/10  fetching`."""
    room = columns - 1
    done, total = _number(progress.get("done")), _number(progress.get("total"))
    if done is None:
        return ""
    share = min(1.0, done / total) if total else None
    percent = f"{terminal.percent(done, total)} %" if total else ""
    counts = f"{done:.10g}" if total is None else f"{done:.10g}/{total:.10g}"
    shown = counts if share is None else f"{percent:>5}  {counts}"
    if share is not None and len(shown) > room:
        shown = percent
    if len(shown) > room:
        return ""
    message = terminal.printable(str(progress.get("message") or ""))
    spare = room - len(shown) - len("[] ")
    width = min(WIDEST_BAR, spare // 2 if message else spare)
    if share is not None and width >= NARROWEST_BAR:
        filled = int(share * width)
        shown = f"[{'#' * filled}{'-' * (width - filled)}] {shown}"
    left = room - len(shown) - 2
    return f"{shown}  {terminal.cut(message, left)}" if message and left > 1 else shown


def _text_of(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Time and level, and the message with what belongs to it, indented."""
    first, *others = str(fields.get("message")).split("\n")
    trace = str(fields.get(logs.TRACEBACK) or "")
    lines = [first, *(line if line.startswith("  ") else f"  {line}" for line in others)]
    lines += [f"  {line}".rstrip() for line in trace.split("\n") if trace]
    front = f"{time.strftime('%H:%M:%S')} {fields.get('level')}"
    return terminal.printable(front), "\n".join(terminal.printable(line, keep="\t") for line in lines)


def _number(value: object) -> Any:
    return value if isinstance(value, (int, float)) and 0 <= value < 1e18 else None


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
