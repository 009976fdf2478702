"""How many round trips a job costs, and how long it takes when each is 50 ms.

    python benchmarks/round_trips.py --other FOLDER_WITH_SEEKAPI_1.0.5

A job is `run()` with a small input and a small result: register, input, push. `first` is in a process that has imported
`run` and done nothing else; `warm` is the same process again; `thawed` is a warm process whose connections the
platform has closed meanwhile; `frozen` one that was stopped (SIGSTOP) until its connections were forgotten on the way.
All over TLS 1.3. The trips are counted on the delay line (delay_line.py), not derived from the time.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial

import measuring
from measuring import Child, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    # How long one run took, in seconds, and the round trips on its critical path.
    Run: TypeAlias = tuple[float, int]

FIRST_ROUNDS = 7
WARM_ROUNDS = 11
THAWED_ROUNDS = 5
FROZEN_ROUNDS = 2
NEAR_ROUNDS = 60
# Longer than any client should trust an idle connection.
FROZEN_S = 4.5


def main() -> None:
    """The far rows, then the near one."""
    options = measuring.arguments(__doc__, _add_arguments)
    subjects = measuring.subjects(options)
    measuring.print_head("round trips", subjects)
    with measuring.Platform() as platform, DelayLine(platform.ports["tls"], options.rtt_ms / 2) as line:
        print_far(subjects, line, options)
        print_near(subjects, platform.tls, options.rounds or NEAR_ROUNDS)


def print_far(subjects: dict[str, Subject], line: DelayLine, options: argparse.Namespace) -> None:
    """The rows with a round trip time."""
    rounds = options.rounds
    situations: list[tuple[str, int, Callable[[Subject], Iterator[Run]]]] = [
        ("first run()", rounds or FIRST_ROUNDS, lambda subject: first_runs(subject, line)),
        ("warm run()", rounds or WARM_ROUNDS, lambda subject: warm_runs(subject, line)),
        ("thawed: closed by the platform", rounds or THAWED_ROUNDS, lambda subject: thawed_runs(subject, line)),
        (f"frozen {FROZEN_S} s: forgotten", rounds or FROZEN_ROUNDS, lambda subject: frozen_runs(subject, line)),
    ]
    rows = []
    for title, count, runs_of in situations:
        endless = {name: runs_of(subject) for name, subject in subjects.items()}
        figures = measuring.interleaved(count, {name: partial(next, runs) for name, runs in endless.items()})
        for runs in endless.values():
            runs.close()  # type: ignore[attr-defined]
        rows.append((title, *_columns(figures, options.rtt_ms / 1000)))
    measuring.print_table(
        (
            f"TLS 1.3, RTT {options.rtt_ms:g} ms",
            *("ours, ms", "wall/RTT", "trips"),
            *("other, ms", "wall/RTT", "trips"),
            "ours/other",
        ),
        rows,
    )


def print_near(subjects: dict[str, Subject], base_url: str, rounds: int) -> None:
    """No distance: what is left is the client's own work, and the server's."""
    children = {name: measuring.subject_child(subject, base_url, "run") for name, subject in subjects.items()}
    for child in children.values():
        child.hear()
        child.ask("run")
    answers = measuring.interleaved(rounds, {name: partial(c.ask, "run") for name, c in children.items()})
    for child in children.values():
        child.end()
    rows = []
    for what, field in (("wall", "took_s"), ("CPU of the client", "cpu_s")):
        figures = {name: [answer[field] * 1000 for answer in found] for name, found in answers.items()}
        other = figures.get("other")
        rows.append(
            (
                what,
                measuring.median(figures["ours"]),
                measuring.median(other) if other else None,
                measuring.ratio(figures["ours"], other) if other else None,
            )
        )
    measuring.print_table(("warm run(), TLS, RTT 0", "ours, ms", "other, ms", "ours/other"), rows)


class DelayLine(Child):
    """The cable in front of the platform."""

    def __init__(self, port: int, one_way_ms: float) -> None:
        super().__init__([sys.executable, str(measuring.HERE / "delay_line.py"), str(port), str(one_way_ms)])
        self.base_url = f"https://127.0.0.1:{self.hear()['port']}"
        self.one_way_s = one_way_ms / 1000

    def measured(self, child: Child) -> Run:
        """One run of `child`, with its trips."""
        self.ask("reset")
        took_s = child.ask("run")["took_s"]
        trips = self.ask("trips")
        # What is still on its way belongs to this run, not to the next.
        time.sleep(4 * self.one_way_s)
        return took_s, trips


def first_runs(subject: Subject, line: DelayLine) -> Iterator[Run]:
    """A new process for each."""
    while True:
        with measuring.subject_child(subject, line.base_url, "run") as child:
            child.hear()
            yield line.measured(child)


def warm_runs(subject: Subject, line: DelayLine) -> Iterator[Run]:
    """One process, run after run."""
    with _warm_child(subject, line) as child:
        while True:
            yield line.measured(child)


def thawed_runs(subject: Subject, line: DelayLine) -> Iterator[Run]:
    """Between two runs the platform closes every connection."""
    with _warm_child(subject, line) as child:
        while True:
            line.measured(child)
            line.ask("drop")
            time.sleep(0.1)
            yield line.measured(child)


def frozen_runs(subject: Subject, line: DelayLine) -> Iterator[Run]:
    """Between two runs the process is stopped, and whoever keeps track of connections forgets them."""
    with _warm_child(subject, line) as child:
        while True:
            line.measured(child)
            os.kill(child.pid, signal.SIGSTOP)
            try:
                line.ask("vanish")
                time.sleep(FROZEN_S)
            finally:
                os.kill(child.pid, signal.SIGCONT)
            yield line.measured(child)


def _warm_child(subject: Subject, line: DelayLine) -> Child:
    child = measuring.subject_child(subject, line.base_url, "run")
    child.hear()
    line.measured(child)
    return child


def _columns(figures: dict[str, list[Run]], rtt_s: float) -> list[object]:
    """Time, time in round trips, and counted round trips of each; then the ratio."""
    columns: list[object] = []
    walls = {name: [took_s for took_s, _ in runs] for name, runs in figures.items()}
    for name in ("ours", "other"):
        if name in figures:
            wall_s = measuring.median(walls[name])
            columns += [wall_s * 1000, f"{wall_s / rtt_s:.2f}", measuring.median(trips for _, trips in figures[name])]
        else:
            columns += [None, None, None]
    return [*columns, f"{measuring.ratio(walls['ours'], walls['other']):.3f}" if "other" in walls else None]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rtt-ms", type=float, default=50.0, help="round trip time of the delay line (default: 50)")


if __name__ == "__main__":
    main()
