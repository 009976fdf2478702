"""What uploading a large file costs: time beside another seekapi and `curl -F`, and memory.

    python benchmarks/push_file.py --other FOLDER_WITH_SEEKAPI_1.0.5 [--size-mb 1000] [--curl]

The memory is the peak of a process that uploads, above one that only imported the calls: under TLS that includes ssl
and the trusted roots. The file is in the page cache, and the server throws away what it gets.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import measuring
from measuring import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

ROUNDS = 7
MIB = 1024 * 1024


def main() -> None:
    """One table, a row for plain and one for TLS."""
    options = measuring.arguments(__doc__, _add_arguments)
    subjects = measuring.subjects(options)
    measuring.print_head(f"push_file, {options.size_mb} MB", subjects)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, measuring.Platform() as platform:
        path = str(Path(folder) / "benchmark.bin")
        write_file(path, options.size_mb * 1_000_000)
        rows = [row(kind, subjects, platform, path, options) for kind in ("plain", "TLS")]
    measuring.print_table(
        (
            "push_file",
            "ours, s",
            "other, s",
            "ours/other",
            "of CPU",
            "curl, s",
            "ours/curl",
            "ours: added MiB",
            "other: added MiB",
        ),
        rows,
    )


def row(
    kind: str, subjects: dict[str, Subject], platform: measuring.Platform, path: str, options: argparse.Namespace
) -> list[object]:
    """Every subject and curl in turn, once to warm up and then in rounds."""
    base = platform.base(kind)
    measured: dict[str, Callable[[], dict[str, float]]] = {
        name: partial(pushed, subject, base, path) for name, subject in subjects.items()
    }
    if options.curl:
        measured["curl"] = partial(curled, options.curl, base, path)
    answers = measuring.interleaved((options.rounds or ROUNDS) + 1, measured)

    def figures(name: str, field: str) -> list[float]:
        return [answer[field] for answer in answers[name][1:]] if name in answers else []

    def typical(name: str, field: str) -> float | None:
        return measuring.median(figures(name, field)) if name in answers else None

    def compared(name: str, field: str) -> float | None:
        return measuring.ratio(figures("ours", field), figures(name, field)) if name in answers else None

    return [
        kind,
        typical("ours", "took_s"),
        typical("other", "took_s"),
        compared("other", "took_s"),
        compared("other", "cpu_s"),
        typical("curl", "took_s"),
        compared("curl", "took_s"),
        typical("ours", "added_mib"),
        typical("other", "added_mib"),
    ]


def pushed(subject: Subject, base_url: str, path: str) -> dict[str, float]:
    """Seconds, and MiB above a process that only imported."""
    with measuring.subject_child(subject, base_url, "memory", "nothing") as child:
        bare_bytes = child.hear()["peak_bytes"]
    with measuring.subject_child(subject, base_url, "memory", "push_file", path) as child:
        answer: dict[str, float] = child.hear()
    return answer | {"added_mib": (answer["peak_bytes"] - bare_bytes) / MIB}


def curled(curl: str, base_url: str, path: str) -> dict[str, float]:
    """Seconds of the same form, without the start of the process."""
    command = [
        *(curl, "-sS", "--fail", "-o", os.devnull, "-w", "%{time_total}", "--cacert", str(measuring.AUTHORITY)),
        *("-H", "X-Internal-Secret: benchmark-secret", "-F", "execution_token=token", "-F", "name=benchmark.bin"),
        *("-F", f"file=@{path}", f"{base_url}/v1/internal/jobs/benchmark/push/file"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"took_s": float(done.stdout.replace(",", "."))}


def write_file(path: str, size_bytes: int) -> None:
    """Bytes that no layer can compress or skip."""
    block = os.urandom(MIB)
    with open(path, "wb") as file:
        for _ in range(size_bytes // MIB):
            file.write(block)
        file.write(block[: size_bytes % MIB])


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size-mb", type=int, default=200, help="size of the file in MB (default: 200)")
    parser.add_argument("--curl", nargs="?", const=shutil.which("curl"), help="compare with curl -F (a path, or found)")
    parser.add_argument("--folder", help="where the file is written (default: the system's temporary folder)")


if __name__ == "__main__":
    main()
