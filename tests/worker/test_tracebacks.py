"""The story of an exception: only what helps, no secret, never too long, whatever the exception is."""

from __future__ import annotations

import builtins
import os
import re
import sys

import pytest

import seekapi
from seekapi._redaction import Redactor
from seekapi._worker import places, tracebacks
from seekapi._worker.progress import Progress

ExceptionGroup = getattr(builtins, "ExceptionGroup", None)

SECRET = "internal-secret-for-tests"
needs_groups = pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")


def caught(work, *arguments) -> BaseException:
    """What `work()` raises, with its traceback."""
    try:
        work(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("it was meant to fail")


def told(error: BaseException) -> str:
    return tracebacks.of(error, Redactor([SECRET])).text


def chained(count: int) -> BaseException:
    error: BaseException | None = None
    for number in range(count):
        later = ValueError(f"number {number}")
        later.__cause__ = error
        error = later
    assert error is not None
    return error


def test_our_own_calls_are_left_out_wherever_they_are():
    """Between two calls of the user's there may be one of ours; in a cause there may be many."""

    def items():
        yield 1
        raise LookupError("below")

    def work():
        for _ in Progress(lambda: None, float).track(items()):
            pass

    error = caught(work)
    error.__cause__ = caught(seekapi.push_data, {}, 1)
    story = told(error)

    assert f"{os.sep}seekapi{os.sep}" not in story
    assert [line.rpartition(" in ")[2] for line in story.splitlines() if line.startswith("  File ")] == [
        "caught",
        "caught",
        "work",
        "items",
    ]


def test_what_python_does_below_us_is_ours():
    """asyncio around a handler, or a socket below a push, is no place to look; where the user calls it, it is."""

    def in_re(story: str) -> bool:
        return re.search(r"[/\\]re([/\\]__init__)?\.py", story) is not None

    assert not in_re(told(caught(Redactor().text, 5)))
    assert in_re(told(caught(re.sub, "a", "b", 5)))


def test_nothing_but_type_and_text_is_bare():
    """The log says that already."""
    assert tracebacks.of(ValueError("x"), Redactor()).is_bare
    assert not tracebacks.of(caught(int, "x"), Redactor()).is_bare
    assert not tracebacks.of(chained(2), Redactor()).is_bare
    with_note = ValueError("x")
    with_note.__notes__ = ["note"]
    assert not tracebacks.of(with_note, Redactor()).is_bare


@pytest.mark.parametrize("count", [2, 11, 12, 100, 20_000])
def test_a_long_chain_is_cut_at_its_beginning(count):
    """The last ones are what one reads."""
    story = told(chained(count))

    assert story.endswith(f"ValueError: number {count - 1}")
    assert story.startswith("[... earlier exceptions ...]") is (count > 11)
    assert story.count("ValueError") == min(count, 11)


def test_circles_end():
    """Whoever is each other's cause, or a member of its own context."""
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__cause__ = two, one

    assert told(one).count("ValueError") == 2
    one.__cause__ = one
    assert told(one).count("ValueError") == 1


@needs_groups
def test_groups_in_groups_end():
    """As deep, and as wide, as one reads."""
    group: Exception = ValueError("innermost")
    for _ in range(3000):
        group = ExceptionGroup("deeper", [group])
    wide = ExceptionGroup("wide", [ExceptionGroup("w", [ValueError(SECRET)] * 100)] * 100)

    assert "innermost" not in told(group) and "and 1 more" in told(group)
    assert SECRET not in told(wide) and "and 85 more" in told(wide)
    assert len(told(wide)) <= tracebacks.LONGEST_TRACEBACK + 20


@needs_groups
def test_a_member_that_was_shown_is_not_shown_again():
    """The same exception in two groups is one exception."""
    member = ValueError("once")
    story = told(ExceptionGroup("a", [member, member]))

    assert "ValueError: once (see above)" in story


@needs_groups
def test_the_causes_of_members_are_shown():
    """With the margin of their group on each line."""
    error = ValueError("later\nof two lines")
    error.__cause__ = KeyError("earlier")

    assert told(ExceptionGroup("a", [error])).splitlines() == [
        "  | ExceptionGroup: a (1 sub-exception)",
        "  +-+---------------- 1 ----------------",
        "    | KeyError: 'earlier'",
        "    |",
        "    | The above exception was the direct cause of the following exception:",
        "    |",
        "    | ValueError: later",
        "    | of two lines",
        "    +------------------------------------",
    ]


def test_a_recursion_over_two_functions_is_cut_in_the_middle():
    """Nothing repeats itself line by line, and still nobody wants a thousand lines."""

    def ping(n):
        return pong(n - 1)

    def pong(n):
        return 1 / n if n < 1 else ping(n)

    story = told(caught(ping, 300))

    assert "more calls ...]" in story
    assert story.count("File ") == tracebacks.FIRST_CALLS + tracebacks.LAST_CALLS
    assert story.endswith("in pong\n    return 1 / n if n < 1 else ping(n)\nZeroDivisionError: division by zero")


class Hostile(Exception):
    """Answers nobody, not even about itself."""

    def _refuse(self, *arguments: object) -> object:
        raise SystemExit("no")

    __str__ = __repr__ = __getattribute__ = __eq__ = __bool__ = __len__ = __iter__ = _refuse  # type: ignore[assignment]
    __hash__ = Exception.__hash__


class HostileNotes(list):  # type: ignore[type-arg]
    def __iter__(self):
        raise SystemExit("no")

    __getitem__ = __len__ = __iter__


@pytest.mark.parametrize("notes", [5, "text", HostileNotes(["a"]), None, {"a": 1}, [Hostile(), 5, "fine"]])
def test_hostile_exceptions_are_told(notes):
    """Of the user's classes only __str__ is called, and whatever that does is caught."""
    error = caught(raise_, Hostile())
    BaseException.__dict__["__dict__"].__get__(error)["__notes__"] = notes
    BaseException.__dict__["__cause__"].__set__(error, Hostile())

    story = told(error)

    assert story.count("Hostile: Hostile (its text cannot be had)") >= 2
    assert "in raise_" in story
    assert ("\nfine" in story) is (type(notes) is list)


def test_many_notes_are_some():
    """And how many there are."""
    error = ValueError("x")
    error.__notes__ = [f"note {number}" for number in range(5000)]

    assert told(error).splitlines()[-2:] == ["note 19", "[... 4980 more notes]"]


@pytest.mark.parametrize(
    ("make", "may_be_seen"),
    [
        (lambda: ValueError("harmless"), True),
        (lambda: ValueError(f"with {SECRET}"), False),
        (lambda: ValueError("x" * 9000 + SECRET), False),
        (lambda: chained(5), True),
        (lambda: chained(50), False),
    ],
)
def test_what_was_masked_or_cut_may_not_be_seen_as_it_is(make, may_be_seen):
    """Somebody else's formatter would show all of it."""
    assert tracebacks.of(make(), Redactor([SECRET])).may_be_seen is may_be_seen


@needs_groups
def test_the_whole_is_cut_in_its_middle():
    """Many long messages are too long together; the beginning and the end are what one reads."""
    group = ExceptionGroup("many", [ValueError(f"{number}{'x' * 8000}") for number in range(10)])
    story = told(group)

    assert len(story) <= tracebacks.LONGEST_TRACEBACK + 20
    assert "ValueError: 0x" in story and "\n  [...]\n" in story and story.endswith("---")
    assert not tracebacks.of(group, Redactor()).may_be_seen


def test_a_story_can_be_written():
    """What has no UTF-8 form is escaped."""
    assert told(ValueError("half a pair: \ud83d")) == "ValueError: half a pair: \\ud83d"


def test_a_secret_over_two_lines_is_masked_inside_of_a_margin():
    """It is masked before the lines are taken apart."""
    secret = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----"
    error = ValueError(f"key {secret}")
    error.__notes__ = [secret]

    assert tracebacks.of(error, Redactor([secret])).text == "ValueError: key ***\n***"


def test_source_that_never_ends_is_not_read():
    """A file name of generated code may be anything, also a device."""
    error = caught(eval, compile("1 / 0", "/dev/zero", "eval"))

    assert 'File "/dev/zero", line 1' in told(error)
    assert places.source("/dev/zero", 1) == ""


def raise_(error: BaseException) -> None:
    raise error
