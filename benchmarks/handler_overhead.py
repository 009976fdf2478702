"""What run() adds to a handler: to one that does nothing, to one that yields, and to one that reports its progress.

    python benchmarks/handler_overhead.py --other FOLDER_WITH_SEEKAPI_1.0.5

A no-op handler is measured in local mode and over HTTP, beside the other seekapi, which has neither yields nor
progress: a loop of `push_data` stands for the former. Progress is measured beside the same loop that calls a function
with a counter and a clock read, and beside the bare loop with both written into it. Each figure comes from a
process of its own; standard error, where the log goes, is a file.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import measuring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from measuring import Subject

ROUNDS = 7
JOBS = 300
YIELDS = 10_000
REPORTS = 100_000
# A job as it is; the context says that a quarter of an hour is left, so that the guard is on.
JOB = """
import json, os, sys, time
from seekapi import run
class Context:
    aws_request_id = "11111111-2222-3333-4444-555555555555"
    def get_remaining_time_in_millis(self): return 900_000
def event(number):
    url = os.environ["INPUT_URL"]
    return {"job_uuid": f"job-{number}", "execution_token": f"token-{number}", "input_presigned_url": url}
def checked(envelope):
    if envelope["ok"] is not True: sys.exit(f"the run failed: {envelope}")
def timed(work, count):
    began, cpu_began = time.perf_counter(), time.process_time()
    work()
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    print(json.dumps([took_s / count * 1e6, cpu_s / count * 1e6]))
"""
# The number of jobs, or of values, is the first argument.
NO_OP = """
def jobs(first, last):
    for number in range(first, last):
        checked(run(event(number), Context(), lambda job_input: None))
count = int(sys.argv[1])
jobs(0, 10)
timed(lambda: jobs(10, 10 + count), count)
"""
YIELDED = """
def handler(job_input):
    for number in range(count):
        yield {"number": number}
count = int(sys.argv[1])
timed(lambda: checked(run(event(0), Context(), handler)), count)
"""
PUSHED = """
from seekapi import create_context, push_data
count = int(sys.argv[1])
def push():
    job = create_context(event(0))
    for number in range(count):
        push_data(job, {"number": number})
timed(push, count)
"""
PROGRESS = """
count = int(sys.argv[1])
def handler(job_input, job):
    def counted(done, total):
        global last
        last = done, time.monotonic()
    def bare():
        done = 0
        for _ in range(count):
            done += 1
            time.monotonic()
    def called():
        for done in range(count):
            counted(done, count)
    def reported():
        for done in range(count):
            job.progress(done, count)
    def tracked():
        for _ in job.track(range(count)):
            pass
    loops = {"bare": bare, "called": called, "reported": reported, "tracked": tracked}
    best = dict.fromkeys(loops, 1e9)
    for _ in range(5):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop()
            best[name] = min(best[name], (time.perf_counter() - began) / count * 1e9)
    print(json.dumps(best))
checked(run(event(0), Context(), handler))
"""


def main() -> None:
    """One table each for no-op handlers, yields, and progress."""
    options = measuring.arguments(__doc__)
    subjects = measuring.subjects(options)
    measuring.print_head("handler overhead", subjects)
    rounds = options.rounds or ROUNDS
    with measuring.Platform() as platform:
        print_no_op(subjects, platform.plain, rounds)
        print_yields(subjects, platform.plain, rounds)
        print_progress(subjects["ours"], rounds)


def print_no_op(subjects: Mapping[str, Subject], base_url: str, rounds: int) -> None:
    """run() around a handler that does nothing: what it costs, in microseconds of a warm process."""
    rows = []
    for host, base in (("local mode", ""), ("HTTP, plain", base_url)):
        measured = {name: partial(figures, subject, NO_OP, JOBS, base) for name, subject in subjects.items()}
        rows.append(_row(f"no-op handler, {host}", measured, rounds))
    measuring.print_table(("run()", "ours, us", "other, us", "ours/other", "ours: CPU us", "other: CPU us"), rows)


def print_yields(subjects: Mapping[str, Subject], base_url: str, rounds: int) -> None:
    """A value yielded by ours beside a value pushed by either."""
    rows = []
    for host, base in (("local mode", ""), ("HTTP, plain", base_url)):
        measured = {"ours": partial(figures, subjects["ours"], YIELDED, YIELDS, base)}
        for who, subject in subjects.items():
            beside = {"other": partial(figures, subject, PUSHED, YIELDS, base)}
            rows.append(_row(f"{host}: beside push_data of {who}", measured | beside, max(1, rounds // 2)))
    columns = (f"{YIELDS:,} yields", "each, us", "other, us", "yield/push", "CPU us", "other: CPU us")
    measuring.print_table(columns, rows)


def print_progress(subject: Subject, rounds: int) -> None:
    """job.progress() and job.track(), in nanoseconds a call, and how many lines they wrote."""
    found = [progress(subject) for _ in range(rounds)]
    names = ("bare", "called", "reported", "tracked")
    best = {name: measuring.median(loops[name] for loops, _ in found) for name in names}
    lines = max(count for _, count in found)
    rows = [
        ("a bare loop with a counter and a clock read", best["bare"], None, None),
        ("a call of a function with both", best["called"], 1.0, None),
        ("job.progress(done, total)", best["reported"], best["reported"] / best["called"], lines),
        ("for item in job.track(items)", best["tracked"], best["tracked"] / best["called"], None),
    ]
    measuring.print_table((f"{REPORTS:,} times", "ns each", "beside a call", "lines of log in all"), rows)


def _row(name: str, measured: Mapping[str, partial[list[float]]], rounds: int) -> list[object]:
    found = measuring.interleaved(rounds, measured)
    wall = {who: [took for took, _ in runs] for who, runs in found.items()}
    cpu = {who: measuring.median(used for _, used in runs) for who, runs in found.items()}
    if "other" not in wall:
        return [name, measuring.median(wall["ours"]), None, None, cpu["ours"], None]
    ratio = measuring.ratio(wall["ours"], wall["other"])
    return [name, *map(measuring.median, (wall["ours"], wall["other"])), ratio, cpu["ours"], cpu["other"]]


def figures(subject: Subject, program: str, count: int, base_url: str) -> list[float]:
    """Wall and processor time of each of `count`, in microseconds; without a base URL, in local mode."""
    output, _ = _output_of(subject, program, count, base_url)
    found: list[float] = json.loads(output)
    return found


def progress(subject: Subject) -> tuple[dict[str, float], int]:
    """Nanoseconds a call for each loop, and the lines of log that all rounds of both wrote."""
    output, log = _output_of(subject, PROGRESS, REPORTS, "")
    found: dict[str, float] = json.loads(output)
    return found, len(log.splitlines())


def _output_of(subject: Subject, program: str, count: int, base_url: str) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        input_file = Path(folder, "input.json")
        input_file.write_text('[{"id": 1}]', encoding="ascii")
        local = {"SEEKAPI_LOCAL_MODE": "1", "SEEKAPI_LOCAL_DIR": folder, "INPUT_URL": input_file.as_uri()}
        remote = {
            "WORKER_API_BASE_URL": base_url,
            "WORKER_INTERNAL_SECRET": "benchmark-secret",
            "INPUT_URL": f"{base_url}/input/200?X-Amz-Signature=0123456789abcdef",
        }
        env = subject.environment(**(remote if base_url else local))
        log_path = Path(folder, "log.txt")
        with open(log_path, "w", encoding="utf-8") as log:
            done = subprocess.run(
                [subject.python, "-c", JOB + program, str(count)],
                env=env,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=True,
                timeout=measuring.LONGEST_SILENCE_S,
            )
        return done.stdout, log_path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
