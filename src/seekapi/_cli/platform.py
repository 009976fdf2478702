"""Which platform a command talks to, and what its refusals are as exit codes.

In this order: --url, SEEKAPI_URL, the dev server of this folder. A key only goes where it belongs: that of the dev
server to the dev server, SEEKAPI_API_KEY (or SEEKAPI_USERNAME and SEEKAPI_PASSWORD) to what the user has named.
"""

from __future__ import annotations

from . import exit_codes, ready, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ..client import Client
    from ..client.records import JobRecord
    from ..errors import InvalidRequestError
    from .arguments import Parser

# How far back a shortened id is looked for.
MOST_SEARCHED = 1000


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
        help="the platform (default: SEEKAPI_URL, else the `seekapi dev` of this folder); its key is SEEKAPI_API_KEY, "
        "its login SEEKAPI_USERNAME and SEEKAPI_PASSWORD",
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
    from .._protocol.job_calls import checked_base_url
    from ..client import Client

    settings = _settings.read_client()
    named = url or settings.url
    here = ready.read(ready.path_in(ready.FOLDER))
    if named:
        base_url = checked_base_url(named, "--url" if url else _settings.CLIENT_URL)
        own_key = here["api_key"] if here is not None and base_url in (here["url"], here["jobs_url"]) else ""
        return Client(base_url, None if settings.username else settings.api_key or own_key)
    if here is None:
        raise NotFound(
            "no platform found: start `seekapi dev worker.py` in this folder, or name one with --url or SEEKAPI_URL"
        )
    return Client(here["jobs_url"], here["api_key"])


def refused_input(error: InvalidRequestError) -> int:
    """Tell every problem of an input that the platform does not take; the exit code."""
    terminal.say("\n  ".join(["the platform refuses the input", *(error.problems or (str(error),))]))
    return exit_codes.USAGE


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
    found = [job for job in client.jobs.list(limit=MOST_SEARCHED) if job.id.startswith(job_id.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(job.id for job in found[:5])
        raise NoSuchJob(f"{job_id} begins the ids of {len(found)} jobs: {shown}")
    raise NoSuchJob(f"no job {job_id} at {client.url}; `seekapi jobs list` shows the latest")
