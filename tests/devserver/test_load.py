"""Many jobs at once, and a server that is killed under them: the real command, a real worker, real clients.

With SEEKAPI_LONG=1: 1,000 jobs and 500 kills instead of 24 and 3 (nine minutes on two cores).
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import seekapi

LONG = bool(os.environ.get("SEEKAPI_LONG"))
JOBS = 1000 if LONG else 24
KILLS = 500 if LONG else 3
SUBMITTERS = 8
# Only against hanging.
LIMIT_S = 900 if LONG else 90

WORKER = """
from seekapi import Job, worker

@worker
def handler(job_input, job: Job):
    job.push_file("n.txt", str(job_input["n"]).encode())
    job.charge(f"n:{job_input['n']}")
    return job_input
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


@contextmanager
def dev(folder, *options):
    """`seekapi dev` in `folder`: its process and its URL."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "seekapi", "dev", *options, "--port", "0", "--ready-file", str(ready)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SEEKAPI_", "WORKER_"))}
    with open(folder / "dev.log", "ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        ends_at = time.monotonic() + LIMIT_S
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < ends_at, (folder / "dev.log").read_text()
            time.sleep(0.01)
        yield process, json.loads(ready.read_text(encoding="utf-8"))["url"]
    finally:
        process.terminate()
        process.wait(LIMIT_S)


def test_eight_submitters_lose_no_job(tmp_path):
    """Each job is completed once, with its own input, file and charge."""
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf-8")

    with dev(tmp_path, "worker.py") as (_, url), seekapi.Client(url) as client, ThreadPoolExecutor(SUBMITTERS) as pool:
        submitted = list(pool.map(lambda n: client.jobs.submit({"n": n}, timeout=LIMIT_S).id, range(JOBS)))
        results = list(
            pool.map(lambda job: (client.jobs.wait(job, timeout=LIMIT_S), client.jobs.result(job)), submitted)
        )

    assert len(set(submitted)) == JOBS
    for number, (job, result) in enumerate(results):
        assert job.ok and result.values == [{"n": number}], (number, job, result.error)
        assert [file.name for file in result.files] == ["n.txt"]
        assert [charge["idempotency_key"] for charge in result.raw["charges"]] == [f"n:{number}"]


def test_a_server_that_is_killed_under_load_loses_no_job(tmp_path):
    """What was answered with 201 is there after each kill -9, once per key; the record is sound."""
    chance = random.Random(5)
    kept: dict[str, str] = {}
    for trial in range(KILLS):
        with dev(tmp_path) as (process, url), ThreadPoolExecutor(SUBMITTERS) as pool:
            client = seekapi.Client(url)
            count = len(kept)
            running = [pool.submit(_submit_until_the_end, client, f"{trial}-{n}", kept) for n in range(SUBMITTERS)]
            while len(kept) < count + trial % 5 and not all(one.done() for one in running):
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.25))
            process.kill()
            for one in running:
                one.result(LIMIT_S)
            client.close()
    connection = sqlite3.connect(tmp_path / ".seekapi" / "record.db")
    sound = connection.execute("PRAGMA integrity_check").fetchall()
    found = dict(connection.execute("SELECT submit_key, job_id FROM job"))
    connection.close()

    assert sound == [("ok",)]
    assert len(kept) >= KILLS
    assert {key: found.get(key) for key in kept} == kept


def _submit_until_the_end(client, name, kept):
    """Put into `kept` what is acknowledged before the server is gone: keys and ids."""
    for number in range(10_000):
        key = f"{name}-{number}"
        try:
            kept[key] = client.jobs.submit({"n": number}, idempotency_key=key, timeout=2).id
        except seekapi.DeliveryError:
            return
