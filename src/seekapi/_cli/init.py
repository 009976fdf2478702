"""`seekapi init`: a worker to begin with, and a test that passes."""

from __future__ import annotations

import os

from . import arguments as checked
from . import exit_codes, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXAMPLES = """\
examples:
  seekapi init hello                 the folder hello, with worker.py and a test
  seekapi init .                     the same, in this folder
"""
DESCRIPTION = """\
Make a folder with a worker, its test and a README. Nothing that is there already is touched: then nothing is made.

exit code: 0 made, 2 usage, 3 something is in the way or cannot be written
"""

WORKER = '''\
"""A SeekAPI worker: a function from an input to an output."""

from __future__ import annotations

from dataclasses import dataclass

from seekapi import worker


@dataclass
class Greeting:
    """What a job sends in. An input that does not fit is refused before the handler is called."""

    name: str = "world"


@worker
def handler(greeting: Greeting, job):
    job.log.info("greeting %s", greeting.name)
    return {"message": f"hello {greeting.name}"}
'''
TEST = '''\
"""Runs the worker on a platform of its own, over real sockets: nothing leaves this machine."""

from __future__ import annotations

from worker import handler


def test_it_greets_by_name(seekapi_platform):
    result = seekapi_platform.invoke(handler, {"name": "Ada"})

    assert result.ok
    assert result.pushes == [{"message": "hello Ada"}]


def test_a_name_has_to_be_a_text(seekapi_platform):
    result = seekapi_platform.invoke(handler, {"name": 7})

    assert result.error["code"] == "INVALID_INPUT"
    assert result.pushes == []
'''
README = """\
# {name}

A SeekAPI worker. `worker.py` is all of it; `handler(event, context)` in it is an AWS Lambda handler.

    pip install 'seekapi>=2' pytest
    pytest                                   # the test
    seekapi dev worker.py                    # the platform, on this machine
    seekapi call '{{"name": "Ada"}}'           # in another terminal: submit a job
    seekapi run worker.py                    # or once, without a platform
"""
IGNORED = ".seekapi/\n.seekapi-local/\n__pycache__/\n.pytest_cache/\n.venv/\n"
FILES = {"worker.py": WORKER, "test_worker.py": TEST, "README.md": README, ".gitignore": IGNORED}


def add_to(commands: checked.Commands) -> None:
    """Add the command to the tree."""
    parser = commands.add_parser(
        "init", help="a worker to begin with, and its test", examples=EXAMPLES, description=DESCRIPTION
    )
    parser.add_argument("folder", metavar="NAME", help="the folder to make; its name is the worker's")
    parser.add_argument("--json", action="store_true", help="the folder and its files as JSON on stdout")
    parser.set_defaults(execute=execute, parser=parser)


def execute(arguments: argparse.Namespace) -> int:
    """Make the folder; return the exit code."""
    folder: str = arguments.folder
    if not folder:
        arguments.parser.error("the folder needs a name; for this folder: seekapi init .")
    in_the_way = [name for name in FILES if os.path.lexists(os.path.join(folder, name))]
    if in_the_way:
        terminal.say(f"nothing was made: {os.path.join(folder, in_the_way[0])} is there already")
        return exit_codes.CONFIGURATION
    name = os.path.basename(os.path.abspath(folder))
    try:
        os.makedirs(folder, exist_ok=True)
        for file_name, text in FILES.items():
            with open(os.path.join(folder, file_name), "x", encoding="utf-8") as file:
                file.write(text.format(name=name) if file_name == "README.md" else text)
    except OSError as error:
        terminal.say(f"cannot write {error.filename or folder}: {error.strerror or type(error).__name__}")
        return exit_codes.CONFIGURATION
    _tell(arguments, folder)
    return exit_codes.OK


def _tell(arguments: argparse.Namespace, folder: str) -> None:
    if arguments.json:
        import json

        terminal.show(json.dumps({"folder": os.path.abspath(folder), "files": list(FILES)}))
        return
    from shlex import quote

    # `cd -x` would be an option of cd.
    place = f"./{folder}" if folder.startswith("-") else folder
    enter = "" if folder == "." else f"cd {quote(place)} && "
    terminal.say(f"made {', '.join(FILES)} in {folder}\nnext: {enter}seekapi dev worker.py")
