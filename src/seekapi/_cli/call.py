"""`seekapi call`: submit a job, follow it, print what it delivered."""

from __future__ import annotations

import json
import sys
import time

from . import arguments as checked
from . import exit_codes, platform, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from ..client import Client
    from ..client.records import JobEvent, JobResult

DEFAULT_TIMEOUT_S = 600.0
# How long a Ctrl-C waits for the platform to be told.
CANCEL_S = 2.0

EXAMPLES = """\
examples:
  seekapi call '{"name": "Ada"}'              submit to the `seekapi dev` of this folder, and print the result
  seekapi call @job.json --json               the input in a file; everything about the job as one JSON object
  cat job.json | seekapi call -               the input from stdin
  seekapi call '{}' --detach                  print the job's id, and do not wait
"""
DESCRIPTION = """\
Submit a job, follow it, and print what it delivered: one line of JSON on stdout for each value that it pushed.
Its log and its progress go to stderr. Ctrl-C cancels the job.

exit code: 0 completed, 1 failed or cancelled, 2 usage or an input that the platform refuses, 3 configuration,
4 platform unreachable, 5 timeout, 130 interrupted
"""


def add_to(commands: checked.Commands) -> None:
    """Add the command to the tree."""
    parser = commands.add_parser("call", help="submit a job and follow it", examples=EXAMPLES, description=DESCRIPTION)
    parser.add_argument(
        "input", type=checked.json_value, metavar="INPUT", help="the job's input: JSON, @FILE, or - for stdin"
    )
    platform.add_to(parser)
    parser.add_argument(
        "--timeout",
        type=checked.seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long to wait for the job; it goes on after that (default: {DEFAULT_TIMEOUT_S:g})",
    )
    parser.add_argument("--key", metavar="KEY", help="an idempotency key: the same key again is the same job")
    parser.add_argument("--detach", action="store_true", help="print the job's id, and do not wait for it")
    parser.add_argument("--json", action="store_true", help="everything about the job as one JSON object on stdout")
    parser.set_defaults(execute=execute, parser=parser)


def execute(arguments: argparse.Namespace) -> int:
    """Submit, follow, print; return the exit code."""
    return platform.with_client(arguments, lambda client: _call(client, arguments))


def _call(client: Client, arguments: argparse.Namespace) -> int:
    from ..errors import InvalidRequestError

    deadline = time.monotonic() + arguments.timeout
    try:
        job = client.jobs.submit(arguments.input, idempotency_key=arguments.key)
    except InvalidRequestError as error:
        return platform.refused_input(error)
    except KeyboardInterrupt:
        terminal.say(f"interrupted; the job may have been submitted already: `seekapi jobs list --url {client.url}`")
        raise
    if arguments.detach:
        terminal.show(json.dumps(job.raw) if arguments.json else terminal.printable(job.id))
        return exit_codes.OK
    return follow(client, job.id, deadline, as_json=arguments.json)


def follow(client: Client, job_id: str, deadline: float, *, as_json: bool) -> int:
    """Show what happens to the job until it ends, then what it delivered. Ctrl-C cancels it."""
    started = time.monotonic()
    watcher = Watcher()
    try:
        is_over = _watch(client, job_id, deadline, watcher)
        result = client.jobs.result(job_id)
    except KeyboardInterrupt:
        watcher.end()
        _cancel(client, job_id)
        raise
    finally:
        watcher.end()
    return _tell(client, result, time.monotonic() - started, is_over=is_over, as_json=as_json)


def _watch(client: Client, job_id: str, deadline: float, watcher: Watcher) -> bool:
    """Whether the job has ended; it has not if the time is up."""
    from ..errors import NotFoundError, TransportTimeout

    try:
        try:
            for event in client.jobs.events(
                job_id, kinds=("submitted", "log", "progress"), timeout=max(0.01, deadline - time.monotonic())
            ):
                watcher.show(event)
        except NotFoundError:
            # A service that keeps no events; a job that is not there is not found again.
            client.jobs.wait(job_id, timeout=max(0.01, deadline - time.monotonic()))
    except TransportTimeout:
        if time.monotonic() < deadline:
            raise
        return False
    return True


def _cancel(client: Client, job_id: str) -> None:
    from ..errors import SeekApiError

    try:
        status = client.jobs.cancel(job_id, timeout=CANCEL_S).status
        terminal.say(f"interrupted; job {job_id} is {status}")
    except SeekApiError as error:
        terminal.say(f"interrupted; job {job_id} could not be cancelled: {error}")


def _tell(client: Client, result: JobResult, seconds: float, *, is_over: bool, as_json: bool) -> int:
    error = result.error
    exit_code = platform.exit_code_of_job(result.status, error.code if error else "") if is_over else exit_codes.TIMEOUT
    if as_json:
        terminal.show(json.dumps(_outcome(client, result, seconds, exit_code)))
        return exit_code
    for value in result.values:
        terminal.show(terminal.json_text(value))
    terminal.talk(_last_words(result, seconds, is_over=is_over))
    return exit_code


def _outcome(client: Client, result: JobResult, seconds: float, exit_code: int) -> dict[str, Any]:
    error = result.error
    return {
        "job_id": result.job_id,
        "status": result.status,
        "exit_code": exit_code,
        "error": {name: getattr(error, name) for name in ("code", "message", "where", "line")} if error else None,
        "pushes": [push.raw for push in result.pushes],
        "files": [file.raw for file in result.files],
        "charges": result.charges,
        "duration_ms": round(seconds * 1000, 1),
        "url": client.url,
    }


def _last_words(result: JobResult, seconds: float, *, is_over: bool) -> str:
    """One line, or a few if it failed."""
    colour = terminal.GREEN if result.ok else terminal.RED
    status = result.status if is_over else f"still {result.status}: gave up waiting"
    what = (("file", len(result.files)), ("charge", len(result.charges)))
    counts = [terminal.counted(count, noun) for noun, count in what if count]
    parts = [f"job {result.job_id}", terminal.duration(seconds), *counts]
    lines = [f"{terminal.painted(status, colour, sys.stderr)}  {'   '.join(map(terminal.printable, parts))}"]
    if result.error is not None:
        lines.append(f"  {_indented(str(result.error), 2)}")
        if result.error.where:
            lines.append(f"    at {terminal.printable(result.error.where)}   {terminal.printable(result.error.line)}")
    if not is_over:
        lines.append(f"  it goes on: seekapi jobs show {terminal.printable(result.job_id)}")
    return "".join(f"{line.rstrip()}\n" for line in lines)


class Watcher:
    """Shows events on stderr: log lines as they are, progress as a bar, for a terminal only."""

    def __init__(self) -> None:
        from . import screen

        self._screen = screen.Screen()

    def show(self, event: JobEvent) -> None:
        """One event."""
        if event.kind == "submitted" and event.data.get("platform_only") is True:
            terminal.say("this platform runs no worker: the job waits until one of your own takes it")
        elif event.kind == "log":
            self._screen.say(f"{log_line(event)}\n")
        elif event.kind == "progress":
            self._screen.show_progress(event.data)

    def end(self) -> None:
        """Leave nothing of the bar behind."""
        self._screen.close()


def log_line(event: JobEvent) -> str:
    """`worker  fetched 3 pages`, escaped; a later line of the same message is indented."""
    source = event.data.get("source")
    label = source if isinstance(source, str) else "log"
    return f"{terminal.printable(label):<8} {_indented(event.text.rstrip(chr(10)), 9)}"


def _indented(text: str, columns: int) -> str:
    """`text`, escaped; its later lines begin where no line of ours does."""
    return terminal.printable(text, keep="\n").replace("\n", "\n" + " " * columns)
