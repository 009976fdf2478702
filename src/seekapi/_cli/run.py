"""`seekapi run`: any Lambda handler, once, in local mode, and what it did."""

from __future__ import annotations

import os
import sys

from .._worker import deadline
from . import arguments as checked
from . import exit_codes, handler_process, targets, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from .._redaction import Redactor
    from .._settings import Settings

# The platform's own limit is not published; a job that needs more than a minute says so with --timeout.
DEFAULT_TIMEOUT_S = 60.0
INPUT = "input.json"
_NOT_GIVEN: Any = object()

EXAMPLES = """\
examples:
  seekapi run worker.py                                     handler(event, context) in worker.py, input {}
  seekapi run worker.py --input '{"name": "Ada"}'           this input
  seekapi run worker.py:resize --input @photo.json          another function, the input in a file
  cat job.json | seekapi run my.package:handler --input -   a module, the input from stdin
  seekapi run worker.py --event event.json --json           a whole event; the outcome as one JSON object
"""
DESCRIPTION = """\
Call a handler once in local mode, and show what it did: pushes, files, charges, verdict, time.
What it prints goes to stderr. Nothing ever reaches the platform.

exit code: 0 ok, 1 the job failed, 2 usage, 3 configuration, handler not importable or output not written, 5 timeout,
130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP
"""


def add_to(commands: checked.Commands) -> None:
    """Add the command to the tree."""
    parser = commands.add_parser(
        "run", help="call a handler once, in local mode", examples=EXAMPLES, description=DESCRIPTION
    )
    parser.add_argument("target", metavar="TARGET", help="worker.py, worker.py:name or package.module:name")
    parser.add_argument("--input", type=checked.json_value, metavar="JSON|@FILE|-", help="the job's input")
    parser.add_argument(
        "--event",
        type=checked.event_value,
        metavar="JSON|@FILE|-|FILE",
        help="the whole event; ids are made up if it has none",
    )
    parser.add_argument("--fixtures", metavar="FILE", help="what local mode answers (default: SEEKAPI_LOCAL_FIXTURES)")
    parser.add_argument(
        "--out", metavar="DIR", help="where the artifacts go (default: SEEKAPI_LOCAL_DIR, else .seekapi-local)"
    )
    parser.add_argument(
        "--timeout",
        type=checked.seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help="how long the handler may run; importing it may take as long again, and at least "
        f"{handler_process.SHORTEST_IMPORT_LIMIT_S:g} s. A worker is interrupted {deadline.HANDLER_RESERVE_S:g} s "
        f"before (2 %% if that is more), to have time to answer (default: {DEFAULT_TIMEOUT_S:g})",
    )
    parser.add_argument("--json", action="store_true", help="the outcome as one JSON object on stdout")
    # `null` is an input, so None cannot stand for an option that was not given.
    parser.set_defaults(execute=execute, parser=parser, input=_NOT_GIVEN, event=_NOT_GIVEN)


def execute(arguments: argparse.Namespace) -> int:
    """Run the handler, print the outcome, return the exit code."""
    from tempfile import TemporaryDirectory

    from .. import _settings, errors
    from .._backends import fixtures

    has_odd_event = arguments.event is not _NOT_GIVEN and not isinstance(arguments.event, dict)
    if has_odd_event and arguments.input is not _NOT_GIVEN:
        terminal.say("an event that is no JSON object cannot carry an --input")
        return exit_codes.USAGE
    environ = _environ(arguments)
    try:
        target = targets.parse(arguments.target)
        settings = _settings.read(environ)
        warning = fixtures.check(settings.local_fixtures)
        fixtures.is_warned_of(warning)
        has_input = fixtures.has_input(settings.local_fixtures)
        _check_place(arguments, settings.local_dir)
    except (targets.Unusable, errors.ConfigurationError) as error:
        return _refuse(arguments, _in_given_words(arguments, str(error)))
    if warning:
        terminal.say(_in_given_words(arguments, warning))
    with TemporaryDirectory(prefix="seekapi-run-") as folder:
        event = _event(arguments, folder, has_input=has_input)
        if too_large := _too_large(folder, settings.max_input_bytes):
            return _refuse(arguments, too_large)
        return _run(arguments, target, event, settings, environ, folder)


def _run(
    arguments: argparse.Namespace,
    target: targets.Target,
    event: Any,
    settings: Settings,
    environ: dict[str, str],
    folder: str,
) -> int:
    import json
    from uuid import uuid4

    from . import supervisor, verdict

    request_id, mark = str(uuid4()), uuid4().hex
    job_uuid = _job_uuid(event)
    artifacts = verdict.Artifacts(settings.local_dir, job_uuid) if job_uuid else None
    order = {
        "target": arguments.target,
        "event": event,
        "request_id": request_id,
        "timeout_s": arguments.timeout,
        "mark": mark,
    }
    with open(os.path.join(folder, handler_process.ORDER), "w", encoding="ascii") as file:
        json.dump(order, file)
    ended = supervisor.supervise(folder, environ, arguments.timeout, mark, has_page=not arguments.json)
    redact = _redactor(event).text
    judged = verdict.of(ended, arguments.timeout)
    if ended.withheld and (judged["error"] or {}).get("code") != ended.withheld[0]:
        terminal.talk(ended.withheld[1])  # a failure that the page does not tell
    if judged["error"]:
        judged["error"] = {name: text and redact(text) for name, text in judged["error"].items()}
    log, log_is_cut = supervisor.shown_log(ended, redact)
    outcome: verdict.Verdict = {
        "target": str(target),
        **judged,
        "job_uuid": job_uuid or None,
        "request_id": request_id,
        **(artifacts.added() if artifacts else verdict.NOTHING_ADDED),
        "progress": ended.progress,
        "log": log,
        "log_is_cut": log_is_cut,
    }
    return _tell(arguments, outcome)


def _in_given_words(arguments: argparse.Namespace, text: str) -> str:
    """What is said of the fixtures, by the name under which the user gave them."""
    from .. import _settings

    return text.replace(_settings.LOCAL_FIXTURES, "--fixtures", 1) if arguments.fixtures else text


def _environ(arguments: argparse.Namespace) -> dict[str, str]:
    """The handler's environment: local mode, whatever else is set."""
    from .. import _settings

    environ = {**os.environ, _settings.LOCAL_MODE: "1"}
    if arguments.fixtures:
        environ[_settings.LOCAL_FIXTURES] = os.path.abspath(arguments.fixtures)
    out = arguments.out or environ.get(_settings.LOCAL_DIR, "").strip() or _settings.DEFAULT_LOCAL_DIR_NAME
    environ[_settings.LOCAL_DIR] = os.path.abspath(out)
    return environ


def _check_place(arguments: argparse.Namespace, local_dir: str) -> None:
    """Raise ConfigurationError if no folder can be made where the artifacts go; leave nothing there."""
    from tempfile import mkdtemp

    from .. import _settings, errors

    place = local_dir
    while not os.path.lexists(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    try:
        # Rights, a read-only or a full disk, a file in the way: only trying tells.
        os.rmdir(mkdtemp(prefix=".seekapi-", dir=place))
    except OSError as error:
        reason = error.strerror or type(error).__name__
    else:
        return
    name, remedy = ("--out", "") if arguments.out else (_settings.LOCAL_DIR, "; --out names another place")
    raise errors.ConfigurationError(f"{name}: cannot write to {local_dir}: {reason}{remedy}")


def _event(arguments: argparse.Namespace, folder: str, *, has_input: bool) -> Any:
    """The event as given, with an input and ids where it has none. One that is no object stays as it is."""
    from uuid import uuid4

    event = {} if arguments.event is _NOT_GIVEN else arguments.event
    if not isinstance(event, dict):
        return event
    made_up = {"job_uuid": str(uuid4()), "execution_token": f"local-{uuid4().hex}"}
    event = {**made_up, **event}
    if arguments.input is not _NOT_GIVEN:
        event["input_presigned_url"] = _input_url(arguments.input, folder)
    elif arguments.event is _NOT_GIVEN and not has_input:
        event["input_presigned_url"] = _input_url({}, folder)
    return event


def _input_url(job_input: Any, folder: str) -> str:
    import json
    from pathlib import Path

    path = Path(folder, INPUT)
    path.write_text(json.dumps(job_input), encoding="ascii")
    return path.as_uri()


def _too_large(folder: str, most_bytes: int) -> str:
    """What is wrong with the --input, if it is too large for any job: told here, where it is known by its name."""
    from pathlib import Path

    from .. import _settings

    path = Path(folder, INPUT)
    if not path.exists() or path.stat().st_size <= most_bytes:
        return ""

    return f"--input is larger than {most_bytes} bytes, which {_settings.MAX_INPUT_BYTES} can raise"


def _job_uuid(event: Any) -> str:
    """The event's job id if a folder can be named after it, else "": the handler will meet the same trouble."""
    job_uuid = event.get("job_uuid") if isinstance(event, dict) else None
    text = job_uuid.strip() if isinstance(job_uuid, str) else ""
    return "" if text in (".", "..") else text


def _redactor(event: Any) -> Redactor:
    """Knows the secrets of this job, which a handler may have printed."""
    from .. import _redaction, _settings

    return _redaction.Redactor([*_settings.secrets(), *handler_process.event_secrets(event)])


def _refuse(arguments: argparse.Namespace, message: str) -> int:
    """Nothing was run: say why."""
    from . import verdict

    return _tell(arguments, {"target": arguments.target, **verdict.refused(message)})


def _tell(arguments: argparse.Namespace, outcome: dict[str, Any]) -> int:
    from . import report

    exit_code: int = outcome["exit_code"]
    if arguments.json:
        import json

        terminal.show(json.dumps(outcome))
    elif outcome["status"] == "unusable":
        terminal.say(report.of_error(outcome["error"]))
    else:
        terminal.show(report.of(outcome, sys.stdout))
    return exit_code
