"""Run inside a mount namespace of its own (unshare --mount --map-root-user): a small disk that fills up.

Arguments: a folder to mount on, the number of points. Prints one JSON object: what was tried, and every broken law.
"""

from __future__ import annotations

import functools
import json
import os
import random
import subprocess
import sys
import time

from seekapi._backends.local import LocalBackend
from seekapi._backends.local_rows import read_rows
from seekapi._protocol import json_text
from seekapi._protocol.messages import FileSegment
from seekapi._settings import Settings
from seekapi.errors import LocalWriteError

DISK = sys.argv[1]
POINTS = int(sys.argv[2])
BASE = os.path.join(DISK, "out")
CONTEXT = {"job_uuid": "j1", "execution_token": "t"}


def push(data: object) -> None:
    text = json_text.encode(data)
    backend.push_data(CONTEXT, data, "json", text=text, idempotency_key="", deadline=time.monotonic() + 30)


def push_file(name: str, path: str) -> None:
    source = FileSegment(functools.partial(open, path, "rb"), os.stat(path).st_size)
    backend.push_file(CONTEXT, name, source, "x/y", idempotency_key="", deadline=time.monotonic() + 30)


def snapshot() -> dict[str, bytes]:
    found = {}
    for folder, _, names in os.walk(BASE):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, BASE)] = file.read()
    return {path: content for path, content in found.items() if content}


def fill(leave: int) -> None:
    """Take what is free on the disk, except `leave` bytes."""
    with open(os.path.join(DISK, "ballast"), "wb", buffering=0) as ballast:
        free = os.statvfs(DISK).f_bavail * os.statvfs(DISK).f_frsize
        try:
            os.posix_fallocate(ballast.fileno(), 0, max(1, free - leave))
        except OSError:
            pass


def empty() -> None:
    os.unlink(os.path.join(DISK, "ballast"))


def attempt(work, broken: list[str], label: str) -> int:
    """1 if the disk was full. Then nothing has changed, and the error is ours and says what to do."""
    before = snapshot()
    try:
        work()
        return 0
    except LocalWriteError as error:
        if "SEEKAPI_LOCAL_DIR" not in str(error) or "full" not in str(error):
            broken.append(f"{label}: message {error}")
    except BaseException as error:
        broken.append(f"{label}: {error!r}")
    empty()
    if snapshot() != before:
        broken.append(f"{label}: something has changed: {set(snapshot().items()) ^ set(before.items())!r:.300}")
    return 1


def check(broken: list[str], label: str, data: object) -> None:
    """With room again, the next push works, and every file parses."""
    push(data)
    rows, bad_count = read_rows(os.path.join(BASE, "j1", "data_pushes.jsonl"))
    with open(os.path.join(BASE, "j1", "response_json.json"), "rb") as file:
        response = json.load(file)
    if bad_count or rows[-1]["data"] != data or response != data:
        broken.append(f"{label}: {bad_count} bad rows, or not the last push")


mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", DISK]
subprocess.run(mount, check=True)
backend = LocalBackend(Settings(local_mode=True, local_dir=BASE))
chance = random.Random(7)
broken: list[str] = []
full_count = 0
sources = {}
for size in (1_000, 60_000, 300_000):
    # Beside the small disk, not on it.
    sources[size] = f"{DISK}-{size}"
    with open(sources[size], "wb") as out:
        out.write(os.urandom(size))
for point in range(POINTS):
    push({"n": point, "state": "before"})
    fill(chance.choice([0, 4096, 8192, 20_000, 40_000]))
    size = chance.choice([10, 1_000, 10_000, 100_000, 300_000])
    if chance.random() < 0.6:
        full = attempt(lambda: push({"pad": "x" * size}), broken, f"{point} data {size}")  # noqa: B023
    else:
        source = sources[chance.choice(list(sources))]
        full = attempt(lambda: push_file("f.bin", source), broken, f"{point} file")  # noqa: B023
    full_count += full
    if not full:
        empty()
    check(broken, str(point), {"n": point, "state": "after"})
    if point % 10 == 9:
        subprocess.run(["rm", "-r", BASE], check=True)

subprocess.run(["mount", "-o", "remount,bind,ro", DISK], check=True)
read_only = ""
try:
    push(1)
except LocalWriteError as error:
    read_only = str(error)
print(json.dumps({"full": full_count, "broken": broken, "read_only": read_only}))
