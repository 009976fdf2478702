"""The `seekapi` command: the tree of its arguments. Each command is a module of its own, and does its own work.

Here nothing is imported before main(), so that Ctrl-C is understood from the first moment.

stdout is data, stderr is talk, and the exit code says whose turn it is (exit_codes.py).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """\
examples:
  seekapi init hello                                 a worker to begin with, in a folder of its own
  seekapi dev worker.py                              the whole platform on this machine, with this worker
  seekapi call '{"name": "world"}'                   submit a job to it, follow it, print the result
  seekapi run worker.py                              call handler(event, context) once, with the input {}
  seekapi run worker.py --input '{"name": "Ada"}'    ... with this input
  seekapi run my.package:handler --input @job.json   ... a handler in a module, the input in a file
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is what follows `seekapi`. Never raises SystemExit."""
    try:
        return _main(argv)
    except KeyboardInterrupt:
        from .exit_codes import INTERRUPTED

        return INTERRUPTED


def _main(argv: Sequence[str] | None) -> int:
    from . import exit_codes, terminal

    try:
        terminal.prepare_streams()
        code = _run(argv)
        terminal.finish()
    except terminal.OutputLost as lost:
        terminal.say(f"the output could not be written: {lost}")
        return exit_codes.CONFIGURATION
    except OSError as error:
        terminal.say(_refusal(error))
        return exit_codes.CONFIGURATION
    return code


def _refusal(error: OSError) -> str:
    """What the system refuses where no command expected it."""
    import errno
    import os

    try:
        os.getcwd()
    except OSError:
        return "the current folder is gone: go to another one"
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{reason}: a higher limit helps (ulimit -n)"
    return f"{reason}: {error.filename}" if error.filename else reason


def _run(argv: Sequence[str] | None) -> int:
    from . import call, dev, exit_codes, init, jobs, run, schema, terminal
    from .arguments import Parser

    parser = Parser(prog="seekapi", examples=EXAMPLES, description="Develop SeekAPI workers on this machine.")
    parser.add_argument("--version", action="version", version=f"seekapi {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    init.add_to(commands)
    dev.add_to(commands)
    run.add_to(commands)
    call.add_to(commands)
    jobs.add_to(commands)
    schema.add_to(commands)
    try:
        arguments, unknown = parser.parse_known_args(argv)
        if unknown:
            # Of the command that was named, whose usage is the one that helps.
            getattr(arguments, "parser", parser).error(f"unrecognized arguments: {' '.join(unknown)}")
        if hasattr(arguments, "execute"):
            code: int = arguments.execute(arguments)
            return code
        parser.print_help(sys.stderr)
        return exit_codes.USAGE
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else exit_codes.OK
    except BrokenPipeError:
        terminal.discard(sys.stdout)
        return exit_codes.OK


def _version() -> str:
    from .. import __version__

    return __version__
