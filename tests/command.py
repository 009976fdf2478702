"""Drives the real `seekapi` command, as its users do: in a process of its own, with an environment that is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import seekapi as package

ROOT = Path(__file__).resolve().parent.parent
# Far above what any command here takes: a bound against hanging, not a target.
LIMIT_S = 60
_NOT_INHERITED = ("SEEKAPI_", "WORKER_", "AWS_", "NO_COLOR", "PYTHON", "FORCE_COLOR")


def environ(**variables: str) -> dict[str, str]:
    """The environment without anything that would change a worker, and with this seekapi."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    parent = Path(package.__file__).resolve().parents[1]
    if parent.name != "site-packages":
        env["PYTHONPATH"] = str(parent)
    return {**env, **variables}


def command(*arguments: object) -> list[str]:
    """`seekapi ARGUMENTS...` as a command line."""
    return [sys.executable, "-m", "seekapi", *map(str, arguments)]


def seekapi(
    *arguments: object, cwd: Path, stdin: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `seekapi ARGUMENTS...` to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environ(**variables),
        input="" if stdin is None else stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=LIMIT_S,
    )


def outcome(*arguments: object, cwd: Path, stdin: str | None = None, **variables: str) -> dict[str, object]:
    """What `seekapi run ... --json` tells; its exit code is part of it."""
    done = seekapi("run", *arguments, "--json", cwd=cwd, stdin=stdin, **variables)
    told = json.loads(done.stdout)

    assert done.stdout.count("\n") == 1
    assert told["exit_code"] == done.returncode
    return told
