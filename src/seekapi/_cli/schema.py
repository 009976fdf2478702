"""`seekapi schema`: what input a handler asks for, as JSON Schema."""

from __future__ import annotations

import json
import os

from . import arguments as checked
from . import exit_codes, handler_process, targets, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

EXAMPLES = """\
examples:
  seekapi schema worker.py                      the input of handler in worker.py
  seekapi schema my.package:resize              ... of a handler in a module, or of the function that one runs
  seekapi schema worker.py > input.schema.json  ... for an editor, a form, another language
"""
DESCRIPTION = """\
Print the JSON Schema (2020-12) of a handler's input, as the annotation of its first parameter has it.
The handler is imported in a process of its own, in local mode, and not called. What it prints goes to stderr.

exit code: 0 ok, 2 usage, 3 not importable, not to be typed, or output not written, 130 interrupted
"""
# Every schema says which dialect it is; one that says no more allows everything.
_KEYS_OF_AN_OPEN_SCHEMA = {"$schema"}


def add_to(commands: checked.Commands) -> None:
    """Add the command to the tree."""
    parser = commands.add_parser(
        "schema", help="print the JSON Schema of a handler's input", examples=EXAMPLES, description=DESCRIPTION
    )
    parser.add_argument("target", metavar="TARGET", help="worker.py, worker.py:name or package.module:name")
    parser.add_argument(
        "--timeout",
        type=checked.seconds,
        default=handler_process.SHORTEST_IMPORT_LIMIT_S,
        metavar="SECONDS",
        help=f"how long importing it may take, if more than {handler_process.SHORTEST_IMPORT_LIMIT_S:g} s",
    )
    parser.add_argument("--json", action="store_true", help="on one line; also an error, as one JSON object on stdout")
    parser.set_defaults(execute=execute, parser=parser)


def execute(arguments: argparse.Namespace) -> int:
    """Import the handler, print its schema, return the exit code."""
    from tempfile import TemporaryDirectory

    from . import supervisor, verdict

    try:
        targets.parse(arguments.target)
    except targets.Unusable as error:
        return _refuse(arguments, verdict.refused(str(error))["error"], exit_codes.CONFIGURATION)
    with TemporaryDirectory(prefix="seekapi-schema-") as folder:
        order = {
            "target": arguments.target,
            "event": {},
            "request_id": "",
            "timeout_s": arguments.timeout,
            "describes": True,
        }
        with open(os.path.join(folder, handler_process.ORDER), "w", encoding="ascii") as file:
            json.dump(order, file)
        ended = supervisor.supervise(folder, _environ(), arguments.timeout)
    judged = verdict.of(ended, arguments.timeout)
    if judged["error"]:
        # Whatever else it was, there is no handler to be had here.
        code = judged["exit_code"] if judged["status"] == "interrupted" else exit_codes.CONFIGURATION
        return _refuse(arguments, judged["error"], code)
    schema: dict[str, Any] = (ended.report or {})["schema"]
    terminal.show(json.dumps(schema, indent=None if arguments.json else 2))
    if schema.keys() <= _KEYS_OF_AN_OPEN_SCHEMA:
        terminal.say("this handler takes any input: its function's first parameter says nothing about it")
    return exit_codes.OK


def _environ() -> dict[str, str]:
    """The environment to import it in: local mode, so that nothing a module does at once reaches the platform."""
    from .. import _settings

    return {**os.environ, _settings.LOCAL_MODE: "1"}


def _refuse(arguments: argparse.Namespace, error: dict[str, Any], exit_code: int) -> int:
    from . import report

    if arguments.json:
        terminal.show(json.dumps({"error": error}))
    else:
        terminal.say(report.of_error(error))
    return exit_code
