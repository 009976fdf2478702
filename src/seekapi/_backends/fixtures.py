"""The file that SEEKAPI_LOCAL_FIXTURES names: what local mode answers instead of the platform.

A JSON object, all members optional: `charge` (the reply to every charge), `get_job` (what get_job_fixture returns),
`input` (the job input of events that carry no URL). Read anew for every question, so that answers are fresh copies
and an edit counts at once.
"""

from __future__ import annotations

from .._protocol import json_text
from ..errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLE = "SEEKAPI_LOCAL_FIXTURES"


class MissingFixturesError(ConfigurationError, FileNotFoundError):
    """The variable names a file that is not there. FileNotFoundError is the promise of seekapi 1.0."""


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


def _object(path: str, member: str) -> dict[str, Any] | None:
    found = _read(path).get(member)
    if found is not None and not isinstance(found, dict):
        raise ConfigurationError(f"{VARIABLE}[{member!r}] must be a JSON object")
    return found


def _read(path: str) -> dict[str, Any]:
    if not path:
        return {}
    problem: ConfigurationError
    try:
        with open(path, "rb") as file:
            found = json_text.decode(file.read())
    except FileNotFoundError:
        problem = MissingFixturesError(f"{VARIABLE} names a file that is not there: {path}")
    except OSError as error:
        problem = ConfigurationError(f"{VARIABLE}: {path} cannot be read: {error.strerror}")
    except json_text.JsonError as error:
        problem = ConfigurationError(f"{VARIABLE}: {path} is not JSON: {error}")
    else:
        if isinstance(found, dict):
            return found
        problem = ConfigurationError(f"{VARIABLE} must point to a JSON object")
    raise problem
