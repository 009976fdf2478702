"""What every benchmark here shares: the subjects, their child processes, interleaved rounds, and the table.

A *subject* is one seekapi: an interpreter and the folder that the package lies in. Every figure comes from a child
process, so that nothing which this process has loaded helps or hurts. Rounds are interleaved (ours, other, ours, ...)
and a ratio is the median of the ratios within each round: a machine that slows down halfway slows down both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeVar

    SomeChild = TypeVar("SomeChild", bound="Child")

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
CERTIFICATES = PROJECT / "tests" / "faults" / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"
SERVER_CERTIFICATE = CERTIFICATES / "good.pem"
# A child that says nothing for this long is not slow but stuck.
LONGEST_SILENCE_S = 300


class Subject:
    """One seekapi to be measured."""

    def __init__(self, name: str, python: str, path: Path) -> None:
        self.name = name
        self.python = python
        self.path = path

    def environment(self, **more: str) -> dict[str, str]:
        """What its children see: its package first, and nothing of the caller's settings."""
        ours = ("PYTHON", "SEEKAPI", "WORKER")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ours) and not k.lower().endswith("_proxy")}
        return kept | {"PYTHONPATH": str(self.path), "SSL_CERT_FILE": str(AUTHORITY)} | more

    def version(self) -> str:
        """What `importlib.metadata` or the package itself says, and the interpreter."""
        code = (
            "import sys, seekapi, importlib.metadata as m\n"
            "v = getattr(seekapi, '__version__', None) or m.version('seekapi')\n"
            "print(v, 'on CPython', sys.version.split()[0], 'from', seekapi.__file__)"
        )
        done = subprocess.run(
            [self.python, "-c", code], env=self.environment(), cwd="/", capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


class Child:
    """A process of ours that answers one line of JSON for each line it is told."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command, env=env, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.pid = self._process.pid

    def __enter__(self: SomeChild) -> SomeChild:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    def hear(self) -> Any:
        """The next line it says; it speaks first when it is ready."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait(10)}")
        return json.loads(line)

    def ask(self, order: str) -> Any:
        """Tell it one line, and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self.hear()

    def end(self) -> None:
        """Closing its input is the sign to leave."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()


class Platform(Child):
    """The platform that the subjects talk to, in a process of its own. `plain` and `tls` are its base URLs."""

    def __init__(self) -> None:
        super().__init__([sys.executable, str(HERE / "platform_server.py")])
        self.ports = self.hear()
        self.plain = f"http://127.0.0.1:{self.ports['plain']}"
        self.tls = f"https://127.0.0.1:{self.ports['tls']}"

    def base(self, kind: str) -> str:
        """The base URL of "plain" or "TLS"."""
        return self.tls if kind.lower() == "tls" else self.plain


def subject_child(subject: Subject, base_url: str, mode: str, *arguments: str, **more: str) -> Child:
    """A child that has done what `mode` does before its first order (see subject.py)."""
    env = subject.environment(WORKER_API_BASE_URL=base_url, WORKER_INTERNAL_SECRET="benchmark-secret", **more)
    return Child([subject.python, str(HERE / "subject.py"), mode, *arguments], env)


def interleaved(rounds: int, measured: Mapping[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Every callable once per round, in an order that turns around with each; the figures by name."""
    figures: dict[str, list[Any]] = {name: [] for name in measured}
    for number in range(rounds):
        names = list(measured)
        for name in names if number % 2 == 0 else reversed(names):
            figures[name].append(measured[name]())
    return figures


def median(figures: Iterable[float]) -> float:
    """The middle one."""
    return statistics.median(figures)


def ratio(ours: Sequence[float], other: Sequence[float]) -> float:
    """The median of ours/other, round by round."""
    return statistics.median(a / b for a, b in zip(ours, other, strict=True))


def arguments(doc: str | None, add: Callable[[argparse.ArgumentParser], None] | None = None) -> argparse.Namespace:
    """The command line that all benchmarks share, and what `add` adds to it."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter for ours (default: this one)")
    parser.add_argument("--ours", type=Path, default=PROJECT / "src", help="folder that holds our seekapi/")
    parser.add_argument("--other", type=Path, help="folder that holds another seekapi/, such as 1.0.5")
    parser.add_argument("--other-python", help="interpreter for the other (default: the same as ours)")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (each row has its default)")
    if add is not None:
        add(parser)
    return parser.parse_args()


def subjects(options: argparse.Namespace) -> dict[str, Subject]:
    """ "ours", and "other" if there is one."""
    found = {"ours": Subject("ours", options.python, options.ours.resolve())}
    if options.other is not None:
        found["other"] = Subject("other", options.other_python or options.python, options.other.resolve())
    return found


def print_head(title: str, those: Mapping[str, Subject]) -> None:
    """What ran where."""
    print(f"# {title}")
    print(f"machine: {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    for name, subject in those.items():
        print(f"{name}: seekapi {subject.version()}")
    print(f"rounds are interleaved, figures are medians; load average at the start: {_load()}\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A Markdown table that is also readable as it is."""
    cells = [list(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    print(flush=True)


def _text(cell: object) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3g}" if abs(cell) < 1000 else str(round(cell))
    return str(cell)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _load() -> str:
    return " ".join(f"{figure:.2f}" for figure in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
