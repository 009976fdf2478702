"""How many small JSON POSTs a second go over one kept connection.

    python benchmarks/keep_alive.py [--httpx-python INTERPRETER_THAT_HAS_HTTPX] [--other FOLDER_WITH_SEEKAPI_1.0.5]

Beside a hand-rolled loop over a raw socket, which checks nothing and knows its server, and beside httpx. `transport` is
seekapi's client alone; `push_data` the whole public call. The ratios are of rates: larger is better.
"""

from __future__ import annotations

from functools import partial

import measuring
from measuring import Child, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import Any

ROUNDS = 15
# One round of one means takes about this long, so that a fast one is not measured by its noise.
ROUND_S = 0.25


def main() -> None:
    """A table for plain and one for TLS."""
    options = measuring.arguments(__doc__, _add_arguments)
    subjects = measuring.subjects(options)
    measuring.print_head("keep-alive JSON client", subjects)
    with measuring.Platform() as platform:
        for kind in ("plain", "TLS"):
            print_rates(kind, subjects, platform.base(kind), options)


def print_rates(kind: str, subjects: dict[str, Subject], base_url: str, options: argparse.Namespace) -> None:
    """Every means in turn, and its rate beside that of the raw socket."""
    ours = subjects["ours"]
    children = {means: _poster(ours, ours.python, means, base_url) for means in ("raw", "transport", "push_data")}
    if options.httpx_python:
        children["httpx"] = _poster(ours, options.httpx_python, "httpx", base_url)
    if "other" in subjects:
        other = subjects["other"]
        children["other push_data"] = _poster(other, other.python, "push_data", base_url)
    for child in children.values():
        child.hear()
    measured = {name: _measure(child) for name, child in children.items()}
    answers = measuring.interleaved(options.rounds or ROUNDS, measured)
    for child in children.values():
        child.end()
    rates = {name: [answer["rate"] for answer in found] for name, found in answers.items()}
    rows = [
        (
            name,
            measuring.median(found),
            measuring.median(answer["cpu_us"] for answer in answers[name]),
            f"{measuring.ratio(found, rates['raw']):.2f}",
            f"{measuring.ratio(found, rates['httpx']):.2f}" if "httpx" in rates else None,
        )
        for name, found in rates.items()
    ]
    measuring.print_table((f"POSTs, {kind}", "per s", "CPU each, µs", "rate / raw", "rate / httpx"), rows)


def _poster(subject: Subject, python: str, means: str, base_url: str) -> Child:
    return Child([python, str(measuring.HERE / "poster.py"), means, base_url], subject.environment())


def _measure(child: Child) -> Callable[[], Any]:
    """Rounds of about the same length: the first tells how many posts that is."""

    def rounds() -> Iterator[Any]:
        count = max(20, int(child.ask("50")["rate"] * ROUND_S))
        while True:
            yield child.ask(str(count))

    endless = rounds()
    return partial(next, endless)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--httpx-python", help="an interpreter that has httpx, to compare with")


if __name__ == "__main__":
    main()
