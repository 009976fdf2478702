"""What the worker takes: the schemas that it described itself with, and what a value that breaks them is told."""

from __future__ import annotations

import re

from .._protocol import jobs, schemas
from .._protocol.schemas.keywords import SchemaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .platform import Platform

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]""")


def input_schema(platform: Platform) -> dict[str, Any] | None:
    """The JSON Schema of the worker's input; None if nobody said."""
    schema = getattr(platform.runner, "input_schema", None)
    return schema or None


def settings_schema(platform: Platform) -> dict[str, Any] | None:
    """The JSON Schema of the worker's settings, with their defaults; None if it has none."""
    schema = getattr(platform.runner, "settings_schema", None)
    return schema or None


def check_input(platform: Platform, value: object) -> None:
    """Whether the worker takes `value`. Raises jobs.Invalid, with all that is wrong.

    A platform without a worker takes what the protocol takes, an object. A worker that did not say takes anything.
    """
    schema = input_schema(platform)
    if schema is not None:
        check(schema, value)
    elif platform.runner is None:
        jobs.object_of(value)


def check(schema: dict[str, Any], value: object, *before: str | int) -> None:
    """`value` by `schema`. Raises jobs.Invalid; the places in it begin with `before`.

    A schema that says more than is understood here (a stranger's, of a class with `model_validate`) refuses nothing:
    the worker checks again, and knows.
    """
    try:
        found = schemas.problems(schema, value)
    except SchemaError:
        return
    if found:
        # What was given is not repeated: a secret may be among it.
        raise jobs.Invalid(
            [jobs.problem("schema", [*before, *place_of(problem.path)], problem.text, None) for problem in found]
        )


def place_of(path: str) -> list[str | int]:
    """`$.urls[2]` as ["urls", 2]."""
    steps: list[str | int] = []
    for name, index, quoted in _STEP.findall(path):
        steps.append(int(index) if index else name or quoted)
    return steps
