"""Which platform a command talks to, and what its refusals are as exit codes.

In this order: --url, SEEKAPI_URL, the dev server of this folder. A key only goes where it belongs: that of the dev
server to the dev server, SEEKAPI_API_KEY to what the user has named.
"""

from __future__ import annotations

import json
import os

from . import exit_codes, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ..client import Client
    from ..client.records import JobRecord
    from .arguments import Parser

READY_FILE = os.path.join(".seekapi", "ready.json")
# Far above what a ready file holds.
_MOST_READY_BYTES = 64 * 1024
# How far back a shortened id is looked for, and how short it may be.
MOST_SEARCHED = 1000
SHORTEST_ID = 3


class NotFound(Exception):
    """There is no platform to talk to, or no such job; the message says what to do."""

    exit_code = exit_codes.PLATFORM_UNREACHABLE


class NoSuchJob(NotFound):
    """No job, or more than one, is meant by an id."""

    exit_code = exit_codes.USAGE


def add_to(parser: Parser) -> None:
    """The options of every command that talks to a platform."""
    parser.add_argument(
        "--url",
        metavar="URL",
        help="the platform (default: SEEKAPI_URL, else the `seekapi dev` of this folder); its key is SEEKAPI_API_KEY",
    )


def with_client(arguments: argparse.Namespace, act: Callable[[Client], int]) -> int:
    """What `act` returns; a trouble with the platform is one line on stderr, and an exit code."""
    from .. import errors

    try:
        with client_of(arguments.url) as client:
            return act(client)
    except NotFound as error:
        terminal.say(str(error))
        return error.exit_code
    except errors.SeekApiError as error:
        terminal.say(str(error))
        return exit_code_of(error)


def client_of(url: str | None) -> Client:
    """A client of the platform that is meant. Raises NotFound, ConfigurationError."""
    from .. import _settings
    from ..client import Client

    named = url or _settings.read_client().url
    here = _dev_server_of_this_folder()
    if named:
        is_here = here is not None and here["url"] == named.rstrip("/")
        own_key = here["api_key"] if here is not None and is_here else ""
        return Client(named, _settings.read_client().api_key or own_key)
    if here is None:
        raise NotFound(
            "no platform found: start `seekapi dev worker.py` in this folder, or name one with --url or SEEKAPI_URL"
        )
    return Client(here["url"], here["api_key"])


def exit_code_of(error: Exception) -> int:
    """Whose turn it is."""
    from .. import errors

    usage = (errors.InvalidRequestError, errors.NotFoundError, errors.ArgumentError, errors.PayloadTooLargeError)
    configuration = (errors.AuthError, errors.ConfigurationError, errors.LocalWriteError)
    unreachable = (errors.TransportError, errors.ServerError, errors.RateLimitError)
    if isinstance(error, usage):
        return exit_codes.USAGE
    if isinstance(error, configuration):
        return exit_codes.CONFIGURATION
    if isinstance(error, unreachable) or getattr(error, "code", "") == "UNREADABLE_REPLY":
        return exit_codes.PLATFORM_UNREACHABLE
    return exit_codes.JOB_FAILED


def exit_code_of_job(status: str, error_code: str) -> int:
    """How a job ended, as an exit code."""
    if status == "completed":
        return exit_codes.OK
    return exit_codes.TIMEOUT if error_code == "TIMEOUT" else exit_codes.JOB_FAILED


def job_meant(client: Client, job_id: str) -> JobRecord:
    """The job with this id, or the one recent job whose id begins so. Raises NoSuchJob."""
    from .. import errors

    try:
        return client.jobs.get(job_id)
    except errors.NotFoundError:
        pass
    found = []
    if len(job_id) >= SHORTEST_ID:
        found = [job for job in client.jobs.list(limit=MOST_SEARCHED) if job.id.startswith(job_id.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(job.id for job in found[:5])
        raise NoSuchJob(f"{job_id} begins the ids of {len(found)} jobs: {shown}")
    raise NoSuchJob(f"no job {job_id} at {client.url}; `seekapi jobs list` shows the latest")


def _dev_server_of_this_folder() -> dict[str, str] | None:
    """What the dev server wrote when it began to listen; None if there is none, or it has ended."""
    try:
        with open(READY_FILE, "rb") as file:
            told = json.loads(file.read(_MOST_READY_BYTES))
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("url"), str) or not _is_alive(told.get("pid")):
        return None
    api_key = told.get("api_key")
    return {"url": told["url"].rstrip("/"), "api_key": api_key if isinstance(api_key, str) else ""}


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
