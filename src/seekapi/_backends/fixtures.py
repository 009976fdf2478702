"""The file that SEEKAPI_LOCAL_FIXTURES names: what local mode answers instead of the platform.

A JSON object, all members optional: `charge` (the reply to every charge), `get_job` (what get_job_fixture returns),
`input` (the job input of events that carry no URL). Read anew for every question, so that answers are fresh copies
and an edit counts at once. What else stands in it is ignored, and what has an odd type answered, as 1.0 did; both are
warned of once.
"""

from __future__ import annotations

import errno
import os
import stat

from .._protocol import json_text
from ..errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

VARIABLE = "SEEKAPI_LOCAL_FIXTURES"
MEMBERS = ("input", "charge", "get_job")
# What the platform answers with, where that is known.
_KINDS: tuple[tuple[str, str, type, str], ...] = (
    ("charge", "ok", bool, "true or false"),
    ("charge", "metered_event_count", int, "a whole number"),
    ("charge", "limit_reached", bool, "true or false"),
    ("get_job", "status", str, "a text"),
)
# Warnings that were given: the file is read for every question, and to be told once is enough.
_given: set[str] = set()


class MissingFixturesError(ConfigurationError, FileNotFoundError):
    """The variable names a file that is not there. FileNotFoundError is the promise of seekapi 1.0.

    It reads as the class that is told of in public.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _missing, self.args


MissingFixturesError.__module__, MissingFixturesError.__qualname__ = ConfigurationError.__module__, "ConfigurationError"
MissingFixturesError.__name__ = "ConfigurationError"


def _missing(text: str) -> MissingFixturesError:
    return MissingFixturesError(text)


def charge_reply(path: str) -> dict[str, Any] | None:
    """What a charge answers, None if the file does not say. Raises ConfigurationError."""
    return _object(path, "charge")


def job(path: str) -> dict[str, Any]:
    """What get_job_fixture answers, `{}` if the file does not say. Raises ConfigurationError."""
    found = _object(path, "get_job")
    return {} if found is None else found


def has_input(path: str) -> bool:
    """Whether the file carries a job input; `null` is one. Raises ConfigurationError."""
    return "input" in _read(path)


def job_input(path: str) -> Any:
    """The job input in the file, None if there is none: ask `has_input` first. Raises ConfigurationError."""
    return _read(path).get("input")


def check(path: str) -> str:
    """Look at the whole file; return what would be warned of, or "". Raises ConfigurationError."""
    found = _load(path)
    for member in ("charge", "get_job"):
        _as_object(path, found, member)
    return _warning(path, found)


def is_warned_of(warning: str) -> None:
    """Do not give this warning, as `check` returned it: somebody else does."""
    _given.add(warning)


def _object(path: str, member: str) -> dict[str, Any] | None:
    return _as_object(path, _read(path), member)


def _as_object(path: str, found: dict[str, Any], member: str) -> dict[str, Any] | None:
    value = found.get(member)
    if value is not None and not isinstance(value, dict):
        raise ConfigurationError(f"{VARIABLE}[{member!r}] must be a JSON object: {path}")
    return value


def _read(path: str) -> dict[str, Any]:
    found = _load(path)
    warning = _warning(path, found)
    if warning and warning not in _given:
        from . import warn

        _given.add(warning)
        warn(warning)
    return found


def _warning(path: str, found: dict[str, Any]) -> str:
    told = []
    unknown = [name for name in found if name not in MEMBERS]
    if unknown:
        told.append(f"{_quoted(unknown)} is ignored; known are {_quoted(MEMBERS)}")
    for member, field, kind, shown in _KINDS:
        answer = found.get(member)
        if isinstance(answer, dict) and field in answer and type(answer[field]) is not kind:
            told.append(f"the platform's {_quoted((f'{member}.{field}',))} is {shown}")
    return f"{VARIABLE}: {path}: {'; '.join(told)}" if told else ""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _load(path: str) -> dict[str, Any]:
    if not path:
        return {}
    problem: ConfigurationError
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            found = json_text.decode(file.read())
    except FileNotFoundError:
        problem = MissingFixturesError(
            f"{VARIABLE} names a file that is not there: {os.path.abspath(path)}. Name none, or write it: a JSON "
            f"object with any of {_quoted(MEMBERS)}"
        )
    except OSError as error:
        problem = ConfigurationError(f"{VARIABLE}: {path} cannot be read: {error.strerror}")
    except json_text.JsonError as error:
        problem = ConfigurationError(f"{VARIABLE}: {path} is not JSON: {error}")
    else:
        if isinstance(found, dict):
            return found
        problem = ConfigurationError(f"{VARIABLE} must point to a JSON object: {path}")
    raise problem


def _without_waiting(path: str, flags: int) -> int:
    # To open a FIFO waits, perhaps for ever, until somebody writes to it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
