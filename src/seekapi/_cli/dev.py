"""`seekapi dev`: the whole platform on this machine, with one worker or without."""

from __future__ import annotations

import argparse
import os
import sys
import time

from . import arguments as checked
from . import exit_codes, ready, targets, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from .._devserver.platform import Options

DEFAULT_PORT = 8788
DEFAULT_TIMEOUT_S = 60.0
# As Lambda runs several jobs side by side; few enough for a laptop.
DEFAULT_CONCURRENCY = 4
MOST_CONCURRENCY = 64
# The record, its readers, a dozen connections, and what four processes need.
LEAST_OPEN_FILES = 64

EXAMPLES = """\
examples:
  seekapi dev worker.py                          the platform, with handler(event, context) of worker.py
  seekapi dev worker.py --python .venv/bin/python    ... in the environment that the worker has
  seekapi dev my.package:handler --port 9000     a handler in a module; another port
  seekapi dev                                    the platform alone: for workers and clients of your own
"""
DESCRIPTION = """\
Run the platform: submit jobs by `seekapi call`, HTTP or the dashboard, and see everything that the worker does. Each
job runs in a fresh process along the production path, so a saved file is what the next job runs. Jobs are kept.
Ctrl-C lets running jobs end, for some seconds; twice ends them at once.

exit code: 2 usage, 3 configuration, port or data folder; 130 interrupted
"""


def add_to(commands: checked.Commands) -> None:
    """Add the command to the tree."""
    parser = commands.add_parser(
        "dev", help="the whole platform on this machine", examples=EXAMPLES, description=DESCRIPTION
    )
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", help="worker.py, worker.py:name or package.module:name; none: no worker"
    )
    add = parser.add_argument
    add("--port", type=_port, default=DEFAULT_PORT, help=f"or the next free one (default: {DEFAULT_PORT})")
    add("--host", default="127.0.0.1", help="the address to listen on; one that others reach needs --auth")
    add("--data-dir", metavar="DIR", help=f"where jobs are kept (default: {ready.FOLDER})")
    add("--ephemeral", action="store_true", help="keep nothing")
    add(
        "--timeout",
        type=checked.seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long a handler may run (default: {DEFAULT_TIMEOUT_S:g})",
    )
    add(
        "--concurrency",
        type=_concurrency,
        default=DEFAULT_CONCURRENCY,
        metavar="N",
        help=f"how many jobs run at once (default: {DEFAULT_CONCURRENCY})",
    )
    add(
        "--reload",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look at the worker again when a file is saved (a new job runs the new code in any case)",
    )
    add("--python", metavar="PATH", help="the worker's interpreter (default: the one of this command)")
    add("--ready-file", metavar="FILE", help="write url, pid, secret and api_key there as JSON, once up")
    add("--faults", metavar="FILE", help="faults on purpose, as JSON: docs/dev-server.md")
    add("--auth", action="store_true", help="ask a token of every request; it is printed at the start")
    add("--json", action="store_true", help="every event as a line of JSON on stdout")
    add = parser.add_argument_group("the jobs API").add_argument
    add("--title", default="seekapi dev", help="of the OpenAPI document")
    add("--api-version", default="1.0", metavar="VERSION", help="of the OpenAPI document")
    add("--prefix", type=_prefix, default="", metavar="/PATH", help="in front of /jobs and its neighbours")
    add("--basic-auth", metavar="FILE", help="ask for the user:password that is in this file")
    add("--strict", action="store_true", help="refuse changes of status that are not documented")
    add("--callback", default="", metavar="URL", help="POST each new job there")
    add("--timezone", type=_zone, metavar="NAME", help="of moments in answers (default: RESPONSE_TIMEZONE, or UTC)")
    add("--charge-limit", type=_count, metavar="N", help="metered events that a job may charge for")
    parser.set_defaults(execute=execute, parser=parser)


def execute(arguments: argparse.Namespace) -> int:
    """Serve until a signal; return the exit code."""
    started_at = time.monotonic()
    from .. import errors

    if arguments.ephemeral and arguments.data_dir:
        arguments.parser.error("--ephemeral keeps nothing: there is no use for --data-dir")
    try:
        _check_open_files()
        target = None if arguments.target is None else targets.parse(arguments.target)
        options = _options(arguments)
        python = _interpreter(arguments.python)
        from .dev_session import Session

        with Session(arguments, options, target, python, started_at) as session:
            return session.run()
    except (targets.Unusable, errors.ConfigurationError) as error:
        terminal.say(str(error))
        return exit_codes.CONFIGURATION


def _check_open_files() -> None:
    """A server that runs out of them fails at any place; so it does not begin. Raises ConfigurationError."""
    from ..errors import ConfigurationError

    try:
        from resource import RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows has no such limit
        return
    limit = getrlimit(RLIMIT_NOFILE)[0]
    if 0 <= limit < LEAST_OPEN_FILES:
        raise ConfigurationError(
            f"a limit of {limit} open files is too low for a server: `ulimit -n 1024` (at least {LEAST_OPEN_FILES})"
        )


def _options(arguments: argparse.Namespace) -> Options:
    from datetime import timezone
    from pathlib import Path

    from .._devserver import planned_faults
    from .._devserver.platform import Options

    return Options(
        data_dir=Path(arguments.data_dir or ready.FOLDER),
        timeout_s=arguments.timeout,
        needs_token=arguments.auth,
        prefix=arguments.prefix,
        basic_auth=_user_and_password(arguments.basic_auth) if arguments.basic_auth else None,
        strict=arguments.strict,
        title=arguments.title,
        version=arguments.api_version,
        callback_url=arguments.callback,
        charge_limit=arguments.charge_limit,
        zone=arguments.timezone or _zone_of_environment() or timezone.utc,
        faults=planned_faults.read_plan(arguments.faults) if arguments.faults else None,
    )


def _interpreter(path: str | None) -> str:
    from shutil import which

    from ..errors import ConfigurationError

    if path is None:
        return sys.executable
    # Made absolute, but not resolved: the python of a virtual environment is a link, and knows it by its own place.
    found = which(os.path.expanduser(path))
    if found is None:
        raise ConfigurationError(f"--python {path}: there is no such program")
    return os.path.abspath(found)


def _user_and_password(path: str) -> tuple[str, str]:
    from ..errors import ConfigurationError

    try:
        with open(path, encoding="utf-8") as file:
            user, colon, password = file.readline().rstrip("\r\n").partition(":")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise ConfigurationError(f"--basic-auth {path}: {reason}") from None
    if not (user and colon and password):
        raise ConfigurationError(f"--basic-auth {path}: expected one line, user:password")
    return user, password


def _zone_of_environment() -> tzinfo | None:
    from ..errors import ConfigurationError

    name = os.environ.get("RESPONSE_TIMEZONE", "").strip()
    try:
        return _zone(name) if name else None
    except argparse.ArgumentTypeError as error:
        raise ConfigurationError(f"RESPONSE_TIMEZONE: {error}") from None


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"{name!r} is no time zone that is known here") from None


def _port(text: str) -> int:
    return checked.number(text, 0, 65535, "a port")


def _concurrency(text: str) -> int:
    return checked.number(text, 1, MOST_CONCURRENCY, "a number")


def _count(text: str) -> int:
    return checked.number(text, 1, 1_000_000, "a number")


def _prefix(text: str) -> str:
    path = text.rstrip("/")
    if not path:
        return ""
    if path.startswith("/") and "//" not in path and path.isascii() and not set(path) & set("?#%{} \t\\"):
        return path
    raise argparse.ArgumentTypeError("expected a path like /api/v1")
