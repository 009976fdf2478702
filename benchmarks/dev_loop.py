"""From a saved file to the result of its new code, under `seekapi dev`.

    python benchmarks/dev_loop.py [--rounds 30] [--python INTERPRETER_WITH_SEEKAPI]

Each round saves the worker with another constant in it and submits a job; the clock stops when the result with that
constant is there. Once by a client that is running already, as an editor or a page has it, and once by a fresh
`seekapi call`, as a person types it. Both go the whole way: HTTP, the queue on the disk, a fresh process for the
handler, the input by its signed URL, the push.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "src"
TARGET_MS = 300
ROUNDS = 30
LIMIT_S = 60
WORKER = """
from seekapi import worker

@worker
def handler(job_input):
    return {"n": N, "hello": job_input["name"]}
"""
JOB = json.dumps({"name": "world"})


def main() -> None:
    """Two rows: through a client, and through the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEEKAPI", "WORKER", "PYTHON"))}
    environ = kept | {"PYTHONPATH": str(SOURCE)}
    with tempfile.TemporaryDirectory(prefix="seekapi-dev-loop-") as folder:
        begin = [arguments.python, "-m", "seekapi"]
        command = [*begin, "dev", "worker.py", "--port", "0", "--ready-file", "ready"]
        save(Path(folder), 0)
        server = subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.DEVNULL)
        try:
            url = ready(Path(folder))
            by_client = measure(Path(folder), arguments.rounds, Client(arguments.python, folder, environ, url))
            by_command = measure(Path(folder), arguments.rounds, Command([*begin, "call", JOB], folder, environ))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(LIMIT_S)
    print(f"{'edit to result':<28}{'median':>9}{'best':>9}{'worst':>9}   target {TARGET_MS} ms (median)")
    for name, times in (("a client that is running", by_client), ("a fresh `seekapi call`", by_command)):
        middle = statistics.median(times)
        verdict = "met" if middle <= TARGET_MS else "MISSED"
        print(f"{name:<28}{middle:>6.0f} ms{min(times):>6.0f} ms{max(times):>6.0f} ms   {verdict}")


class Client:
    """A process that has loaded everything, and asks when it is told to."""

    PROGRAM = """
import json, sys
import seekapi
client = seekapi.Client(sys.argv[1])
for line in sys.stdin:
    job = client.jobs.submit(json.loads(line))
    job = client.jobs.wait(job.id)
    print(json.dumps(client.jobs.result(job.id).pushes[-1].data), flush=True)
"""

    def __init__(self, python: str, folder: str, environ: dict[str, str], url: str) -> None:
        self._process = subprocess.Popen(
            [python, "-c", self.PROGRAM, url],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def call(self) -> str:
        """One job's result."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(JOB + "\n")
        return self._process.stdout.readline()

    def end(self) -> None:
        """No more jobs."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(LIMIT_S)


class Command:
    """`seekapi call`, each time anew."""

    def __init__(self, command: list[str], folder: str, environ: dict[str, str]) -> None:
        self._command = command
        self._folder = folder
        self._environ = environ

    def call(self) -> str:
        """One job's result."""
        done = subprocess.run(
            self._command, cwd=self._folder, env=self._environ, capture_output=True, text=True, check=True
        )
        return done.stdout

    def end(self) -> None:
        """Nothing is left."""


def measure(folder: Path, rounds: int, caller: Client | Command) -> list[float]:
    """Milliseconds from the save to the result; the first round, which warms the caller up, aside."""
    times = []
    for n in range(1, rounds + 2):
        began = time.perf_counter()
        save(folder, n)
        result = json.loads(caller.call())
        times.append((time.perf_counter() - began) * 1000)
        if result != {"n": n, "hello": "world"}:
            raise SystemExit(f"round {n} ran other code than the one that was saved: {result}")
    caller.end()
    return times[1:]


def save(folder: Path, n: int) -> None:
    """As an editor does it: a new file in the place of the old one."""
    unfinished = folder / "worker.py.tmp"
    unfinished.write_text(WORKER.replace("N", str(n), 1))
    unfinished.replace(folder / "worker.py")


def ready(folder: Path) -> str:
    """The platform's URL, once it is up."""
    ends_at = time.monotonic() + LIMIT_S
    while not (folder / "ready").exists():
        if time.monotonic() > ends_at:
            raise SystemExit("the platform did not come up")
        time.sleep(0.01)
    url: str = json.loads((folder / "ready").read_text())["url"]
    return url


if __name__ == "__main__":
    main()
