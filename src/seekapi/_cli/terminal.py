"""What a terminal may be shown: text without control characters, colour where it is wanted, sizes for people."""

from __future__ import annotations

import json
import os
import sys

from .._worker.log_lines import printable as printable  # one way to escape, here and in the log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

RED, GREEN, YELLOW, DIM = "31", "32", "33", "2"
# Where nobody watches (a pipe, a file) a line may be longer, but still one that a person reads.
WIDTH_OF_A_PIPE = 200
LABEL_WIDTH = 11


class OutputLost(Exception):
    """What was meant for stdout could not be written; the message says why."""


def prepare_streams() -> None:
    """No text can fail to be printed: what the encoding of a stream does not have is escaped.

    Raises OutputLost if stdout is closed. A closed stderr is one that nobody reads: it becomes the null device.
    """
    if sys.stderr is None:
        # Kept open for as long as we run. It takes the free descriptor, which otherwise some file of ours would get.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        raise OutputLost("stdout is closed")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def json_text(value: object) -> str:
    """`value` as JSON in one line; what `printable` would escape, or stdout cannot hold, is escaped as JSON does it."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        # The stream would escape it as Python does (`\xe4`), which is no JSON.
        text = json.dumps(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def show(text: str) -> None:
    """One piece of data: stdout. A reader that has left (`| head`) is no error. Raises OutputLost."""
    try:
        print(text)
    except OSError as error:
        _give_up_stdout(error)
    finish()


def finish() -> None:
    """Write what is still buffered for stdout. Raises OutputLost."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _give_up_stdout(error)


def _give_up_stdout(error: OSError) -> None:
    discard(sys.stdout)
    if not isinstance(error, BrokenPipeError):
        raise OutputLost(error.strerror or type(error).__name__) from None


def discard(stream: TextIO) -> None:
    """Send what is still buffered for `stream`, and all that follows, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def let_go(stream: TextIO) -> None:
    """Discard `stream` if at this moment it takes nothing. For a signal handler: the end must not wait for a reader."""
    import select

    try:
        is_taking = select.select([], [stream.fileno()], [], 0)[1]
    except (OSError, ValueError):  # closed, or no socket where only sockets can be asked
        return
    if not is_taking:
        discard(stream)


def say(text: str) -> None:
    """One message for the person at the terminal: stderr, so that stdout stays data. Nobody may be there to read it."""
    talk(f"seekapi: {printable(text, keep=chr(10))}\n")


def talk(text: str) -> None:
    """Text for stderr, as it is. It may be lost: a stderr that cannot be written stops nothing."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)
    except ValueError:
        pass  # closed


def painted(text: str, colour: str, stream: TextIO) -> str:
    """`text` in a colour, if `stream` is a terminal and its user has not asked for none (NO_COLOR)."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def width(stream: TextIO) -> int:
    """How many characters a line may have."""
    if not stream.isatty():
        return WIDTH_OF_A_PIPE
    from shutil import get_terminal_size

    return max(40, get_terminal_size().columns)


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns."""
    if text.isascii():
        return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"
    used = end = 0
    for index, c in enumerate(text):
        used += cells(c)
        if used > width:
            return f"{text[:end]}…"
        if used < width:
            end = index + 1
    return text


def labelled(label: str, text: str, stream: TextIO) -> str:
    """One line of a page."""
    return cut(f"  {label:<{LABEL_WIDTH}}{printable(text)}", width(stream))


def listed(label: str, texts: list[str], most: int, stream: TextIO) -> list[str]:
    """A line for each text, at most `most`, and how many more there are."""
    lines = [labelled(label, text, stream) for text in texts[:most]]
    hidden_count = len(texts) - len(lines)
    return [*lines, labelled("", f"... and {hidden_count} more", stream)] if hidden_count else lines


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    plural = "es" if noun.endswith("sh") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"


def percent(done: float, total: float) -> int:
    """How much of `total` is done: 100 only if all of it is."""
    return int(min(1.0, done / total) * 100)


def cells(text: str) -> int:
    """How many columns `text` takes: some letters take two, and some none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def size(size_bytes: int) -> str:
    """`1536` as `1.5 KiB`."""
    amount, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{size_bytes} B" if unit == "B" else f"{amount:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds as `12 ms` or `3.4 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
