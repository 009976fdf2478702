"""Drives the real `seekapi` command, as its users do: in a process of its own, with an environment that is known."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import seekapi as package

ROOT = Path(__file__).resolve().parent.parent
# Far above what any command here takes: a bound against hanging, not a target.
LIMIT_S = 60
needs_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
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


class Screenful:
    """What a terminal shows of a text: `\\r` goes to the beginning of the line, the rest writes over what is there."""

    def __init__(self, columns: int) -> None:
        self.lines = [""]
        self.columns = columns
        self.has_wrapped = False
        self._at = 0

    def write(self, text: str) -> None:
        for c in re.sub(r"\x1b\[\d*m", "", text):
            if c == "\r":
                self._at = 0
            elif c == "\n":
                self.lines.append("")
            else:
                line = self.lines[-1].ljust(self._at)
                self.lines[-1] = line[: self._at] + c + line[self._at + 1 :]
                self._at += 1
                self.has_wrapped = self.has_wrapped or self._at > self.columns

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.lines]


def on_a_terminal(*arguments: object, cwd: Path, columns: int = 80, stdout: int | None = None, **variables: str) -> str:
    """What a terminal of so many columns gets to see of a command."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environ(**{"TERM": "xterm", **variables}),
        stdin=theirs,
        stdout=stdout or theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:
            pass  # Linux says EIO when the last writer has left
        finally:
            os.close(ours)
        process.wait(LIMIT_S)
    return shown.decode()
