"""`seekapi jobs`: look at the jobs of a platform, and act on them."""

from __future__ import annotations

import json
import sys

from .._protocol import jobs as protocol
from .._protocol import lifecycles
from . import arguments as checked
from . import exit_codes, job_page, platform, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from datetime import datetime
    from typing import Any

    from ..client import Client

DEFAULT_LIMIT = 20
_NOT_GIVEN: Any = object()

EXAMPLES = """\
examples:
  seekapi jobs list --status error            the latest that failed
  seekapi jobs show 5f2a                      one job: input, result, error, files
  seekapi jobs logs 5f2a --follow             its log, as it grows
  seekapi jobs rerun 5f2a --input @new.json   the same again, with another input
  seekapi jobs download 5f2a --to results     all of its files
"""
DESCRIPTION = """\
Look at the jobs of a platform, and act on them. An id may be shortened to its first characters.

exit code: 0 ok, 1 the platform refuses, 2 usage or no such job, 3 configuration, 4 platform unreachable,
130 interrupted
"""


def add_to(commands: checked.Commands) -> None:
    """Add the command and those below it to the tree."""
    parser = commands.add_parser(
        "jobs",
        help="list, show, cancel or rerun jobs; their logs and files",
        examples=EXAMPLES,
        description=DESCRIPTION,
    )
    parser.set_defaults(execute=lambda arguments: _usage(parser), parser=parser)
    below = parser.add_subparsers(title="commands", metavar="COMMAND")

    listed = _add(below, "list", _list, "the latest jobs", has_id=False)
    listed.add_argument(
        "--status", metavar="STATUS", help="only these: pending, queued, processing, completed, error ..."
    )
    since = "submitted then or later: ISO-8601, 2026-11-22 or '2026-11-22 18:00:00', local time unless it has an offset"
    listed.add_argument("--since", type=_moment, metavar="TIME", help=since)
    listed.add_argument("--until", type=_moment, metavar="TIME", help="submitted then or before")
    listed.add_argument("--limit", type=_count, default=DEFAULT_LIMIT, metavar="N", help=f"default: {DEFAULT_LIMIT}")

    _add(below, "show", _show, "one job, with what it delivered")
    logs = _add(below, "logs", _logs, "the log of a job")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    _add(below, "cancel", _cancel, "cancel a job that has not ended")
    rerun = _add(below, "rerun", _rerun, "submit a job again, as a new one")
    rerun.add_argument("--input", type=checked.json_value, metavar="JSON|@FILE|-", help="with another input")
    rerun.set_defaults(input=_NOT_GIVEN)
    download = _add(below, "download", _download, "fetch the files of a job")
    download.add_argument("names", nargs="*", metavar="NAME", help="which files (default: all)")
    download.add_argument("--to", default=".", metavar="DIR", help="into this folder (default: the current one)")


def _add(below: checked.Commands, name: str, act: Any, what: str, *, has_id: bool = True) -> checked.Parser:
    parser = below.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    if has_id:
        parser.add_argument("job_id", metavar="ID", help="the job's id, or the beginning of it")
    platform.add_to(parser)
    parser.add_argument("--json", action="store_true", help="as JSON on stdout")
    parser.set_defaults(
        execute=lambda arguments: platform.with_client(arguments, lambda client: act(client, arguments)), parser=parser
    )
    return parser


def _usage(parser: checked.Parser) -> int:
    parser.print_help(sys.stderr)
    return exit_codes.USAGE


def _count(text: str) -> int:
    return checked.number(text, 1, 100_000, "a number")


def _moment(text: str) -> datetime:
    """As the table shows it: a time without an offset is that of this machine."""
    import argparse
    from datetime import datetime, timedelta, timezone

    try:
        at = protocol.moment_of(text)
        has_offset = at == protocol.moment_of(text, timezone(timedelta(hours=1)))
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=at)
        # Without one: what a clock of this place shows, which had summer time then or not.
        return moment if has_offset else moment.replace(tzinfo=None).astimezone()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("expected ISO-8601: 2026-11-22, or '2026-11-22 18:00:00+01:00'") from None


def _list(client: Client, arguments: argparse.Namespace) -> int:
    found = list(
        client.jobs.list(status=arguments.status, since=arguments.since, until=arguments.until, limit=arguments.limit)
    )
    if arguments.json:
        terminal.show(json.dumps([job.raw for job in found]))
    elif found:
        terminal.show(job_page.table(found, sys.stdout))
    else:
        terminal.say(f"no jobs at {client.url}")
    return exit_codes.OK


def _show(client: Client, arguments: argparse.Namespace) -> int:
    job = platform.job_meant(client, arguments.job_id)
    result = client.jobs.result(job.id)
    if arguments.json:
        terminal.show(json.dumps({"job": job.raw, "result": result.raw}))
    else:
        terminal.show(job_page.page(job, result, sys.stdout))
    return exit_codes.OK


def _logs(client: Client, arguments: argparse.Namespace) -> int:
    from textwrap import indent

    from .call import log_line

    job = platform.job_meant(client, arguments.job_id)
    for event in client.jobs.logs(job.id, follow=arguments.follow):
        terminal.show(json.dumps(event.raw) if arguments.json else log_line(event))
        traceback = event.data.get("traceback")
        if isinstance(traceback, str) and not arguments.json:
            terminal.show(indent(terminal.printable(traceback.rstrip(), keep="\n"), " " * 11))
    return exit_codes.OK


def _cancel(client: Client, arguments: argparse.Namespace) -> int:
    before = platform.job_meant(client, arguments.job_id)
    job = client.jobs.cancel(before.id)
    if before.is_final or job.status != lifecycles.CANCELLED:
        terminal.say("the job had ended already: nothing was cancelled")
    terminal.show(
        json.dumps(job.raw) if arguments.json else f"{terminal.printable(job.id)} {job_page.status(job, sys.stdout)}"
    )
    return exit_codes.OK


def _rerun(client: Client, arguments: argparse.Namespace) -> int:
    from ..errors import InvalidRequestError

    job_id = platform.job_meant(client, arguments.job_id).id
    try:
        changed = {} if arguments.input is _NOT_GIVEN else {"input": arguments.input}
        job = client.jobs.rerun(job_id, **changed)
    except InvalidRequestError as error:
        return platform.refused_input(error)
    terminal.show(json.dumps(job.raw) if arguments.json else terminal.printable(job.id))
    return exit_codes.OK


def _download(client: Client, arguments: argparse.Namespace) -> int:
    import os

    from ..errors import LocalWriteError

    job = platform.job_meant(client, arguments.job_id)
    files = client.jobs.files(job.id)
    if not files:
        terminal.say(f"job {job.id} has no files")
    missing = sorted(set(arguments.names) - {file.name for file in files})
    if missing:
        terminal.say(f"job {job.id} has no file {', '.join(missing)}")
        return exit_codes.USAGE
    try:
        os.makedirs(arguments.to, exist_ok=True)
    except OSError as error:
        raise LocalWriteError(f"{arguments.to}: {error.strerror}") from None
    taken: set[str] = set()
    for file in files:
        if arguments.names and file.name not in arguments.names:
            continue
        # Two names of a worker may become one here: none of its files replaces another.
        name = job_page.free_name(file.name, taken)
        path = client.jobs.download(job.id, file, os.path.join(arguments.to, name))
        terminal.show(json.dumps({**file.raw, "path": str(path)}) if arguments.json else terminal.printable(str(path)))
    return exit_codes.OK
