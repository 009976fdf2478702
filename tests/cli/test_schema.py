"""`seekapi schema`: the schema on stdout and nothing else there, whatever the worker's module does."""

from __future__ import annotations

import json

import pytest
from command import seekapi

TYPED = """
    from dataclasses import dataclass
    from typing import Annotated
    from seekapi import Doc, Range, worker
    print("noise on stdout")
    @dataclass
    class Input:
        count: Annotated[int, Range(1, 9), Doc("How many.")] = 3
    @worker
    def handler(job_input: Input, job): ...
    def plain(job_input: list[str]): ...
    def untyped(event, context): ...
    @dataclass
    class Odd:
        view: memoryview
    def odd(job_input: Odd): ...
    number = 3
"""


def test_the_schema_of_a_handler(write_worker, tmp_path):
    """As seekapi.schema() has it, readable; what the module prints goes to stderr."""
    write_worker(TYPED)

    done = seekapi("schema", "worker.py", cwd=tmp_path)

    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "title": "Input",
        "properties": {
            "count": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many.", "default": 3}
        },
        "additionalProperties": False,
    }
    assert done.stdout.startswith('{\n  "$schema"')
    assert "noise on stdout" in done.stderr


def test_of_a_function_of_a_module_on_one_line(write_worker, tmp_path):
    """The function that a handler runs will do; --json is for programs."""
    write_worker(TYPED)

    done = seekapi("schema", "worker:plain", "--json", cwd=tmp_path)

    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert json.loads(done.stdout)["items"] == {"type": "string"}


@pytest.mark.parametrize("kind", ["dataclass class Order:", "class Order(TypedDict):"])
def test_of_a_class(kind, write_worker, tmp_path):
    """What a handler that takes it would say, and not what a function with its fields would."""
    write_worker(f"""
        from dataclasses import dataclass
        from typing import TypedDict
        {kind.replace("dataclass ", "@dataclass" + chr(10) + " " * 8)}
            size: int
    """)

    schema = json.loads(seekapi("schema", "worker.py:Order", cwd=tmp_path).stdout)

    assert (schema["type"], schema["required"]) == ("object", ["size"])
    assert schema["properties"] == {"size": {"type": "integer"}}


def test_a_handler_that_takes_anything(write_worker, tmp_path):
    """The schema that allows everything, and a word about why."""
    write_worker(TYPED)

    done = seekapi("schema", "worker.py:untyped", cwd=tmp_path)

    assert (done.returncode, json.loads(done.stdout).keys()) == (0, {"$schema"})
    assert "takes any input" in done.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("missing.py", "there is no file missing.py"),
        ("worker.py:nothing", "has no 'nothing'"),
        ("worker.py:number", "not a function but int"),
        ("worker.py:odd", "Odd.view: no input can be of type memoryview"),
        ("broken.py", "ZeroDivisionError"),
        ("leaving.py", "exit code 7"),
    ],
)
def test_what_cannot_be_had_is_told(target, said, write_worker, tmp_path):
    """Exit code 3, one message on stderr, no traceback; with --json one object on stdout."""
    write_worker(TYPED)
    write_worker("1 / 0", "broken.py")
    write_worker("import os; os._exit(7)", "leaving.py")

    done = seekapi("schema", target, cwd=tmp_path)
    as_json = seekapi("schema", target, "--json", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (3, "")
    assert said in done.stderr and "Traceback" not in done.stderr
    assert as_json.returncode == 3
    assert said in json.loads(as_json.stdout)["error"]["message"]


def test_nothing_reaches_the_platform_meanwhile(write_worker, tmp_path):
    """A module that pushes while it is imported does so in local mode."""
    write_worker("import os\nassert os.environ['SEEKAPI_LOCAL_MODE'] == '1'\ndef handler(x: int): ...")

    assert seekapi("schema", "worker.py", cwd=tmp_path, SEEKAPI_LOCAL_MODE="0").returncode == 0


def test_help_and_usage(tmp_path):
    """Examples first; a missing target is wrong usage."""
    assert seekapi("schema", "-h", cwd=tmp_path).stdout.startswith("examples:\n  seekapi schema worker.py")
    assert seekapi("schema", cwd=tmp_path).returncode == 2
