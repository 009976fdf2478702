"""How it came to a failure, as a text: Python's traceback without our frames, with secrets masked, and not too long.

What an exception is, is read past its own methods and attributes: of the user's classes nothing is called but
`__str__`, and whatever that does is caught (envelopes.text_of).
"""

from __future__ import annotations

import builtins

from .._protocol import envelopes
from . import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .._redaction import Redactor

    # File, line, function, and the globals it ran in (which may know where its source is).
    Call = tuple[str, int | None, str, dict[str, object]]

# A recursion, or an exception that carries a document, must not drown the log.
LONGEST_TRACEBACK = 32 * 1024
LONGEST_MESSAGE = 8 * 1024
LONGEST_LINE = 1024
# Of the calls that led to one exception, the first and the last; and how often the same call is repeated.
FIRST_CALLS, LAST_CALLS, SAME_CALLS = 20, 40, 3
MOST_EXCEPTIONS = 50
MOST_CAUSES = 10
MOST_MEMBERS = 15
MOST_NOTES = 20
DEEPEST_GROUP = 10

_BECAUSE = "The above exception was the direct cause of the following exception:"
_MEANWHILE = "During handling of the above exception, another exception occurred:"
_GROUP: type[BaseException] | None = getattr(builtins, "BaseExceptionGroup", None)  # from Python 3.11 on
_TRACE = BaseException.__dict__["__traceback__"]
_CAUSE = BaseException.__dict__["__cause__"]
_CONTEXT = BaseException.__dict__["__context__"]
_IS_ALONE = BaseException.__dict__["__suppress_context__"]
_OWN = BaseException.__dict__["__dict__"]


class Story:
    """What there is to tell of an exception: its `text`, and whether the exception itself `may_be_seen`.

    `is_bare` if the text is no more than its type and what it says. It may be seen if nothing was masked or left out.
    """

    __slots__ = ("is_bare", "may_be_seen", "text")

    def __init__(self, text: str, *, is_bare: bool, may_be_seen: bool) -> None:
        self.text = text
        self.is_bare = is_bare
        self.may_be_seen = may_be_seen


def of(error: BaseException, redactor: Redactor, text: str | None = None) -> Story:
    """The whole story of an exception; `text` is what it says itself, if that is known."""
    writer = _Writer(redactor, {} if text is None else {id(error): text})
    writer.add(error, 0)
    text = "\n".join(writer.lines)
    if len(text) > LONGEST_TRACEBACK:
        # All of it is masked already: no cut can leave half a secret.
        half = LONGEST_TRACEBACK // 2
        text = f"{text[:half]}\n  [...]\n{text[-half:]}"
        writer.is_whole = False
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return Story(text, is_bare=writer.is_bare, may_be_seen=writer.is_whole)


def trace_of(error: BaseException) -> TracebackType | None:
    """Its traceback, whatever its class says."""
    trace: TracebackType | None = _TRACE.__get__(error)
    return trace


def cause_of(error: BaseException) -> BaseException | None:
    """What it was raised from."""
    cause: BaseException | None = _CAUSE.__get__(error)
    return cause


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions of a group; of any other none."""
    if _GROUP is None or not issubclass(type(error), _GROUP):
        return ()
    members: tuple[BaseException, ...] = _GROUP.__dict__["exceptions"].__get__(error)
    return members


class _Writer:
    """Writes one exception after the other into `lines`; `depth` is that of the groups around."""

    def __init__(self, redactor: Redactor, texts: dict[int, str]) -> None:
        self.lines: list[str] = []
        self.is_bare = True
        self.is_whole = True
        self._redactor = redactor
        self._texts = texts
        self._seen: set[int] = set()

    def add(self, error: BaseException, depth: int) -> None:
        """The exception, and before it what it came from."""
        chain, is_cut = self._chain(error)
        if is_cut:
            self.is_whole = False
            self._write("[... earlier exceptions ...]\n", depth)
        for number, (one, link) in enumerate(chain):
            self._one(one, depth)
            if number < len(chain) - 1:
                self._write(f"\n{link}\n", depth)

    def _chain(self, error: BaseException) -> tuple[list[tuple[BaseException, str]], bool]:
        """What led to `error`, the earliest first, each with how the next one came of it."""
        chain: list[tuple[BaseException, str]] = []
        link = ""
        earlier: BaseException | None = error
        while earlier is not None and id(earlier) not in self._seen:
            if len(chain) > MOST_CAUSES or len(self._seen) >= MOST_EXCEPTIONS:
                return chain[::-1], True
            self._seen.add(id(earlier))
            chain.append((earlier, link))
            cause, link = cause_of(earlier), _BECAUSE
            if cause is None and not _IS_ALONE.__get__(earlier):
                cause, link = _CONTEXT.__get__(earlier), _MEANWHILE
            earlier = cause
        self.is_bare = self.is_bare and len(chain) < 2
        return chain[::-1], False

    def _one(self, error: BaseException, depth: int) -> None:
        members = members_of(error)
        if members:
            depth = max(depth, 1)
            self.is_bare = False
        calls = self._calls(trace_of(error))
        if calls:
            self.is_bare = False
            opening = "Exception Group Traceback" if members else "Traceback"
            self._write(f"{opening} (most recent call last):", depth, "+ " if members and depth == 1 else "")
        for call in calls:
            self._write(call, depth)
        self._write(self._message(error), depth)
        for note in _notes(error):
            self.is_bare = False
            self._write(self._shown(note), depth)
        if members:
            self._members(members, depth)

    def _members(self, members: tuple[BaseException, ...], depth: int) -> None:
        margin = "  " * depth
        for number, member in enumerate(members, 1):
            if number > MOST_MEMBERS or depth > DEEPEST_GROUP or len(self._seen) >= MOST_EXCEPTIONS:
                self.is_whole = False
                self.lines.append(f"{margin}  +---------------- ... ----------------")
                self._write(f"and {len(members) - number + 1} more", depth + 1)
                break
            corner = "+-+" if number == 1 else "  +"
            self.lines.append(f"{margin}{corner}---------------- {number} ----------------")
            if id(member) in self._seen:
                self._write(f"{self._message(member)} (see above)", depth + 1)
            else:
                self.add(member, depth + 1)
        self.lines.append(f"{margin}  +------------------------------------")

    def _write(self, text: str, depth: int, mark: str = "| ") -> None:
        """A text of one line or more, inside the margin of `depth` groups."""
        for number, line in enumerate(text.split("\n")):
            margin = "  " * depth + ((mark if number == 0 and mark else "| ") if depth else "")
            self.lines.append(f"{margin}{line}".rstrip())

    def _message(self, error: BaseException) -> str:
        text = self._texts.get(id(error))
        text = self._shown(envelopes.text_of(error) if text is None else text)
        return f"{_full_name(type(error))}: {text}" if text else _full_name(type(error))

    def _shown(self, text: str, length: int = LONGEST_MESSAGE) -> str:
        shown = self._redactor.start(text, length, "…")
        self.is_whole = self.is_whole and shown == text
        return shown

    def _calls(self, trace: TracebackType | None) -> list[str]:
        """The calls that are not ours: each its place, and what stands there."""
        runs = _runs(trace)
        shown = [self._call(*run) for run in runs[:FIRST_CALLS]]
        left_out = len(runs) - FIRST_CALLS - LAST_CALLS
        if left_out > 0:
            shown.append(f"  [... {left_out} more calls ...]")
        return shown + [self._call(*run) for run in runs[FIRST_CALLS:][-LAST_CALLS:]]

    def _call(self, call: Call, count: int) -> str:
        path, line_number, name, namespace = call
        source = places.source(path, line_number, namespace)
        place = f'  File "{path}", line {line_number or "?"}, in {name}'
        lines = [self._shown(line, LONGEST_LINE) for line in (place, f"    {source}") if line.strip()]
        lines *= min(count, SAME_CALLS)
        if count > SAME_CALLS:
            lines.append(f"  [Previous line repeated {count - SAME_CALLS} more times]")
        return "\n".join(lines)


def _runs(trace: TracebackType | None) -> list[tuple[Call, int]]:
    """The calls on the way to a fault without those of ours and what we called, and how often each is repeated."""
    runs: list[tuple[Call, int]] = []
    owners: dict[str, str] = {}
    is_called_by_us = False
    while trace is not None:
        code = trace.tb_frame.f_code
        owner = owners.get(code.co_filename) or owners.setdefault(code.co_filename, _owner(code.co_filename))
        # Python's own below ours is ours too (asyncio around a handler, socket below a push), until somebody else's.
        is_called_by_us = owner == "ours" or (is_called_by_us and owner == "python's")
        if not is_called_by_us:
            call = (code.co_filename, trace.tb_lineno, code.co_name, trace.tb_frame.f_globals)
            if runs and runs[-1][0][:3] == call[:3]:
                runs[-1] = (call, runs[-1][1] + 1)
            else:
                runs.append((call, 1))
        trace = trace.tb_next
    return runs


def _owner(path: str) -> str:
    if places.is_ours(path):
        return "ours"
    return "python's" if places.is_pythons(path) else "theirs"


def _notes(error: BaseException) -> list[str]:
    """What was added to an exception with add_note()."""
    notes = _OWN.__get__(error).get("__notes__")
    if type(notes) not in (list, tuple):
        return []
    shown = [envelopes.text_of(note) for note in notes[:MOST_NOTES]]
    return [*shown, f"[... {len(notes) - MOST_NOTES} more notes]"] if len(notes) > MOST_NOTES else shown


def _full_name(kind: type) -> str:
    """As Python shows it, with its module. Read as `type` has it: a metaclass may have other ideas."""
    name = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)
    return name if type(module) is not str or module in ("builtins", "__main__") else f"{module}.{name}"
