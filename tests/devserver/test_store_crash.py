"""The platform under kill -9, and on a disk that is full.

With SEEKAPI_LONG=1: 500 kills instead of 6, 200 points of a full disk instead of 25 (some minutes).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

CRASH = Path(__file__).parent / "crash"
LONG = bool(os.environ.get("SEEKAPI_LONG"))
KILLS = 500 if LONG else 6
POINTS = 200 if LONG else 25

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def broken_laws(folder: Path, acknowledged: list[str]) -> list[str]:
    """Every law that the record breaks, as it is on the disk now."""
    connection = sqlite3.connect(folder / "record.db")
    problems = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    jobs = dict(connection.execute("SELECT job_id, number FROM job"))
    seen = {"push": set(), "file": set(), "charge": set()}
    for job_id, kind, text in connection.execute(
        "SELECT job_id, kind, data FROM event JOIN job ON job.number = event.job "
        "WHERE kind IN ('push', 'file', 'charge')"
    ):
        data = json.loads(text)
        name = data["data"] if kind == "push" else data["name" if kind == "file" else "idempotency_key"]
        if (job_id, name) in seen[kind]:
            problems.append(f"{kind} {name} is there twice")
        seen[kind].add((job_id, name))
        if kind == "file":
            content = (folder / "files" / data["id"]).read_bytes()
            if len(content) != data["size_bytes"] or content.replace(name.encode(), b""):
                problems.append(f"the file {name} is not what was pushed")
    totals = connection.execute(
        "SELECT job.metered_count, (SELECT coalesce(sum(json_extract(data, '$.count')), 0) FROM event "
        "WHERE event.job = job.number AND kind = 'charge') FROM job"
    ).fetchall()
    problems += [f"metered {total}, charged {charged}" for total, charged in totals if total != charged]
    orphans = connection.execute(
        "SELECT count(*) FROM file LEFT JOIN event USING (seq) WHERE event.seq IS NULL"
    ).fetchone()
    problems += [f"{orphans[0]} files without an event"] if orphans[0] else []
    connection.close()
    for line in acknowledged:
        what, job_id, *rest = line.split(" ", 2)
        if job_id not in jobs or (what != "job" and (job_id, rest[0]) not in seen[what]):
            problems.append(f"{line} was lost")
    return problems


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path):
    """One folder, killed again and again under load: sound, complete, nothing twice, and the next start goes on."""
    chance = random.Random(17)
    acknowledged: list[str] = []
    folder = tmp_path / "data"
    for trial in range(KILLS):
        command = [sys.executable, str(CRASH / "writer.py"), str(folder), str(trial)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            # Counted first, so that a slow machine has done something, too.
            acknowledged += [process.stdout.readline().rstrip() for _ in range(chance.randrange(20))]
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
            acknowledged += process.stdout.read().splitlines()

        if trial % 25 == 24 or trial == KILLS - 1 or not LONG:
            assert broken_laws(folder, acknowledged) == [], trial
    assert len(acknowledged) > KILLS * 5


def test_a_full_disk_keeps_what_was_acknowledged_and_nothing_else(tmp_path):
    """507 for what did not fit, in a group or in the file of an upload; with room again, everything works."""
    unshare = shutil.which("unshare")
    inside = [unshare or "", "--mount", "--map-root-user"]
    if not unshare or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [*inside, sys.executable, str(CRASH / "full_disk.py"), str(disk), str(POINTS)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["broken"] == []
    assert result["full"] >= POINTS // 5, result
