"""Local mode under kill -9, with many processes at once, and with a reader that polls.

With SEEKAPI_LONG=1: 1,000 kills instead of 40, 16 processes x 200 pushes instead of 8 x 25, 10,000 reads
instead of 2,000 (about two minutes in all).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from seekapi._backends.local_rows import read_rows

sys.path.insert(0, str(Path(__file__).parent / "crash"))
import pusher

LONG = bool(os.environ.get("SEEKAPI_LONG"))
KILLS = 1_000 if LONG else 40
PROCESSES, PUSHES = (16, 200) if LONG else (8, 25)
READS = 10_000 if LONG else 2_000
# Large enough to be caught in the middle of a write().
LARGEST_BYTES = 500_000

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def start_pusher(folder: Path, worker: str, count: int, largest: int) -> subprocess.Popen[bytes]:
    arguments = [str(folder), worker, str(count), str(largest)]
    return subprocess.Popen([sys.executable, pusher.__file__, *arguments], stdout=subprocess.PIPE)


def acknowledged_of(output: bytes) -> dict[str, set[int]]:
    seen: dict[str, set[int]] = {"data": set(), "file": set(), "charge": set()}
    for line in output.decode().splitlines():
        kind, number = line.split()
        seen[kind].add(int(number))
    return seen


def problems_of(job: Path, acknowledged: dict[str, dict[str, set[int]]], largest: int, *, mended: bool) -> list[str]:
    """Every broken law in what is on disk; `acknowledged` is by worker. A torn tail may show until it is `mended`."""
    problems: list[str] = []

    def rows_of(name: str) -> list[dict]:
        rows, bad_count = read_rows(str(job / name))
        if bad_count > (0 if mended else 1):
            problems.append(f"{name}: {bad_count} bad lines")
        return rows

    data_rows = [row["data"] for row in rows_of("data_pushes.jsonl")]
    for data in data_rows:
        if data != pusher.data_of(data["worker"], data["number"], largest):
            problems.append(f"data of {data['worker']} {data['number']} is not what was pushed")
    response = json.loads((job / "response_json.json").read_bytes())
    # A kill between the row and the response leaves the response of the row before.
    if response not in data_rows[-1 if mended else -2 :]:
        problems.append("the response is not the last push")

    stored = {name: (job / "files" / name).read_bytes() for name in os.listdir(job / "files")}
    for name, content in stored.items():
        worker, number, _ = content.decode().split(" ", 2)
        if content != pusher.content_of(worker, int(number), largest):
            problems.append(f"{name} is not what was pushed")
    file_rows = rows_of("file_pushes.jsonl")
    filed = set()
    for row in file_rows:
        content = stored.get(row["stored_name"], b"")
        if len(content) != row["size_bytes"]:
            problems.append(f"{row['stored_name']} is missing or has another size than its row says")
        filed.add(tuple(content.decode().split(" ", 2)[:2]))
    if len({row["stored_name"] for row in file_rows}) != len(file_rows):
        problems.append("two rows share a file")

    charged = [row["idempotency_key"] for row in rows_of("charges.jsonl")]
    if len(set(charged)) != len(charged):
        problems.append("a key was charged twice")

    pushed = Counter((data["worker"], data["number"]) for data in data_rows)
    for worker, kinds in acknowledged.items():
        for number in kinds["data"]:
            if pushed[worker, number] != 1:
                problems.append(f"data {worker} {number} is there {pushed[worker, number]} times")
        problems += [f"file {worker} {n} was lost" for n in kinds["file"] if (worker, str(n)) not in filed]
        problems += [f"charge {worker} {n} was lost" for n in kinds["charge"] if f"{worker} {n}" not in charged]
    return problems


@posix_only
def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(local_with, tmp_path):
    """Two workers push into one job and are killed; every file parses, and the next push finds its way."""
    chance = random.Random(11)
    acknowledged_count = torn_count = 0
    for trial in range(KILLS):
        folder = tmp_path / f"out-{trial}"
        workers = {name: start_pusher(folder, name, 10_000, LARGEST_BYTES) for name in ("a", "b")}
        first_lines = {name: worker.stdout.readline() for name, worker in workers.items()}
        time.sleep(chance.uniform(0, 0.06))
        for worker in workers.values():
            worker.kill()
        acknowledged = {
            name: acknowledged_of(first_lines[name] + worker.communicate(timeout=60)[0])
            for name, worker in workers.items()
        }

        job = folder / "j1"
        torn_count += any(read_rows(str(path))[1] for path in job.glob("*.jsonl"))
        assert problems_of(job, acknowledged, LARGEST_BYTES, mended=False) == [], trial
        local = local_with(folder)
        local.push(pusher.data_of("c", 0, LARGEST_BYTES))
        local.file("same.bin", pusher.content_of("c", 0, LARGEST_BYTES))
        local.charge("c 0")
        acknowledged["c"] = {"data": {0}, "file": {0}, "charge": {0}}
        assert problems_of(job, acknowledged, LARGEST_BYTES, mended=True) == [], trial
        assert not list(job.glob(".incoming-*")) and not (job / ".response_json.json.tmp").exists()

        acknowledged_count += sum(len(numbers) for kinds in acknowledged.values() for numbers in kinds.values())
        shutil.rmtree(folder)
    print(f"{KILLS} kills, {acknowledged_count} acknowledged operations, {torn_count} torn rows mended")
    assert acknowledged_count > 5 * KILLS


def test_many_processes_push_under_one_name(tmp_path):
    """Every row, every file and every charge is there, whole, once."""
    workers = {f"w{n}": start_pusher(tmp_path / "out", f"w{n}", PUSHES, 3_000) for n in range(PROCESSES)}
    acknowledged = {name: acknowledged_of(worker.communicate(timeout=300)[0]) for name, worker in workers.items()}

    everything = set(range(PUSHES))
    assert all(
        kinds == {"data": everything, "file": everything, "charge": everything} for kinds in acknowledged.values()
    )
    assert problems_of(tmp_path / "out" / "j1", acknowledged, 3_000, mended=True) == []
    names = set(os.listdir(tmp_path / "out" / "j1" / "files"))
    assert names == {"same.bin"} | {f"same-{n}.bin" for n in range(2, PROCESSES * PUSHES + 1)}


def test_many_threads_push_under_one_name(local):
    """The lock keeps threads apart, too."""
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(20):
                local.push([name, number])
                local.file("same.bin", f"{name} {number}".encode())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert errors == []
    assert len({tuple(row["data"]) for row in local.rows("data_pushes.jsonl")}) == 160
    assert len(set(local.stored().values())) == 160


@pytest.mark.parametrize("largest", [200, 300_000])
def test_a_polling_reader_never_sees_half_a_response(tmp_path, largest):
    """response_json.json is there from the first push on, and is whole at every moment."""
    path = tmp_path / "out" / "j1" / "response_json.json"
    worker = start_pusher(tmp_path / "out", "w", 1_000_000, largest)
    drained = threading.Thread(target=worker.stdout.read)
    try:
        assert worker.stdout.readline() == b"data 0\n"
        drained.start()
        seen: set[int] = set()
        reads = 0
        while reads < READS or (len(seen) < 4 and reads < 100 * READS):
            with open(path, "rb") as file:
                seen.add(json.load(file)["number"])
            reads += 1
    finally:
        worker.kill()
        worker.wait(60)
        drained.join(60)
        worker.stdout.close()

    assert len(seen) >= 4
