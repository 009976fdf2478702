"""What fetching and parsing a large input costs, in time and in memory.

    python benchmarks/get_input.py --other FOLDER_WITH_SEEKAPI_1.0.5 [--sizes-mb 10 100]

The document is a list of records as job inputs have them (see platform_server.document). Peak memory is that of the
whole process, so the parsed value is in it.
"""

from __future__ import annotations

from functools import partial

import measuring
from measuring import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

ROUNDS = {10: 11, 100: 5}
MIB = 1024 * 1024


def main() -> None:
    """A row for each size."""
    options = measuring.arguments(__doc__, _add_arguments)
    subjects = measuring.subjects(options)
    measuring.print_head("get_input", subjects)
    rows = []
    with measuring.Platform() as platform:
        for kind in options.kinds:
            for size_mb in options.sizes_mb:
                rounds = options.rounds or ROUNDS.get(size_mb, 5)
                rows.append(row(f"{size_mb} MB, {kind}", subjects, platform.base(kind), size_mb * 1_000_000, rounds))
    measuring.print_table(
        (
            "get_input",
            *("ours, s", "other, s", "ours/other"),
            *("ours: CPU s", "other: CPU s", "ours/other"),
            *("ours: peak MiB", "other: peak MiB", "ours/other"),
        ),
        rows,
    )


def row(title: str, subjects: dict[str, Subject], base_url: str, size_bytes: int, rounds: int) -> list[object]:
    """Each subject in turn; the first round only warms up."""

    def fetched(subject: Subject) -> Any:
        caps = {"SEEKAPI_MAX_INPUT_BYTES": str(2 * size_bytes)}
        with measuring.subject_child(subject, base_url, "memory", "get_input", str(size_bytes), **caps) as child:
            return child.hear()

    answers = measuring.interleaved(rounds + 1, {name: partial(fetched, s) for name, s in subjects.items()})
    cells: list[object] = [title]
    for field, unit in (("took_s", 1), ("cpu_s", 1), ("peak_bytes", MIB)):
        figures = {name: [answer[field] / unit for answer in found[1:]] for name, found in answers.items()}
        other = figures.get("other")
        cells.append(measuring.median(figures["ours"]))
        cells.append(measuring.median(other) if other else None)
        cells.append(measuring.ratio(figures["ours"], other) if other else None)
    return cells


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes-mb", type=int, nargs="+", default=[10, 100], help="sizes in MB (default: 10 100)")
    parser.add_argument("--kinds", nargs="+", default=["plain"], choices=["plain", "TLS"], help="default: plain")


if __name__ == "__main__":
    main()
