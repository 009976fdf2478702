"""How many pushes a second local mode keeps, beside another seekapi.

    python benchmarks/local_mode.py --other FOLDER_WITH_SEEKAPI_1.0.5 [--folder FOLDER_ON_THE_DISK_TO_MEASURE]

The ratio is a rate: above 1, ours is faster. "CPU" is the processor time of a push, which a busy machine changes less.
Each figure comes from a fresh process with a fresh folder; only the public functions are called.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile

import measuring
from measuring import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

ROUNDS = 7

# What each process runs. Its arguments: the kind of push, how many, and the size of what is pushed in bytes.
PUSHES = """
import json, os, sys, time
import seekapi
kind, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = seekapi.create_context({"job_uuid": "job-1", "execution_token": "token-1"})
items = [{"url": f"https://example.com/{n}", "price": n * 1.5} for n in range(size // 50)]
source = os.environ["SEEKAPI_LOCAL_DIR"] + "-source.bin"
with open(source, "wb") as file:
    file.write(os.urandom(size))
def push(number):
    if kind == "data":
        seekapi.push_data(context, {"number": number, "items": items})
    else:
        seekapi.push_file(context, "result.bin", source)
push(-1)
began, cpu_began = time.perf_counter(), time.process_time()
for number in range(count):
    push(number)
took, cpu = time.perf_counter() - began, time.process_time() - cpu_began
print(json.dumps([count / took, cpu / count * 1e6]))
"""

# What the row is called, the kind of push, how many, the bytes of each.
MEASURES = (
    ("push_data, 30 bytes", "data", 1000, 0),
    ("push_data, 1 kB", "data", 1000, 1_000),
    ("push_data, 50 kB", "data", 100, 50_000),
    ("push_file, 2 kB, one name 300 times", "file", 300, 2_000),
    ("push_file, 2 kB, one name 1,000 times", "file", 1000, 2_000),
    ("push_file, 1 MB, one name 50 times", "file", 50, 1_000_000),
)


def main() -> None:
    """One table, a row for each kind of push."""
    options = measuring.arguments(__doc__, _add_arguments)
    subjects = measuring.subjects(options)
    measuring.print_head("local mode", subjects)
    rows = [row(*measure, subjects, options) for measure in MEASURES]
    columns = ("local mode", "ours /s", "other /s", "ours/other", "ours: CPU us", "other: CPU us")
    measuring.print_table(columns, rows)


def row(
    name: str, kind: str, count: int, size_bytes: int, subjects: dict[str, Subject], options: argparse.Namespace
) -> list[object]:
    """Every subject in turn, in rounds."""
    figures = measuring.interleaved(
        options.rounds or ROUNDS,
        {
            who: lambda s=subject: pushed(s, kind, count, size_bytes, options.folder)
            for who, subject in subjects.items()
        },
    )
    rates = {who: [rate for rate, _ in found] for who, found in figures.items()}
    cpu = {who: measuring.median(cpu_us for _, cpu_us in found) for who, found in figures.items()}
    if "other" not in rates:
        return [name, measuring.median(rates["ours"]), None, None, cpu["ours"], None]
    ratio = measuring.ratio(rates["ours"], rates["other"])
    return [name, *map(measuring.median, (rates["ours"], rates["other"])), ratio, cpu["ours"], cpu["other"]]


def pushed(subject: Subject, kind: str, count: int, size_bytes: int, folder: str | None) -> tuple[float, float]:
    """Pushes a second, and processor time of each in microseconds."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        env = subject.environment(SEEKAPI_LOCAL_MODE="1", SEEKAPI_LOCAL_DIR=os.path.join(fresh, "out"))
        command = [subject.python, "-c", PUSHES, kind, str(count), str(size_bytes)]
        done = subprocess.run(
            command, env=env, cwd=fresh, stdout=subprocess.PIPE, check=True, timeout=measuring.LONGEST_SILENCE_S
        )
    rate, cpu_us = json.loads(done.stdout)
    return rate, cpu_us


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", help="where is pushed to (default: the system's temporary folder)")


if __name__ == "__main__":
    main()
