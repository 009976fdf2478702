"""Run inside a mount namespace of its own (unshare --mount --map-root-user): a small disk that fills up.

Arguments: a folder to mount on, the number of points. Prints one JSON object: how often it was full, what broke.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from devserver.platforms import Dev, files_of, form

DISK = sys.argv[1]
POINTS = int(sys.argv[2])
BALLAST = os.path.join(DISK, "ballast")


def fill(leave):
    """Take what is free on the disk, except `leave` bytes."""
    with open(BALLAST, "wb", buffering=0) as ballast:
        free = os.statvfs(DISK).f_bavail * os.statvfs(DISK).f_frsize
        try:
            os.posix_fallocate(ballast.fileno(), 0, max(1, free - leave))
        except OSError:
            pass


def result_of(dev, job_id):
    return dev.ask("GET", f"/jobs/{job_id}/result").json()


subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", DISK], check=True)
chance = random.Random(7)
broken: list[str] = []
full_count = 0
for point in range(POINTS):
    folder = os.path.join(DISK, f"data-{point}")
    with Dev(folder) as dev:
        claimed = dev.started({"point": point})
        job_id, token = claimed.attempt.job_id, claimed.token
        dev.worker(job_id, "push", {"execution_token": token, "data": "before"})
        before = result_of(dev, job_id)
        fill(chance.choice([0, 4096, 8192, 20_000, 40_000]))
        size = chance.choice([10, 10_000, 100_000, 300_000])
        if chance.random() < 0.5:
            seen = dev.worker(job_id, "push", {"execution_token": token, "data": "x" * size})
        else:
            body, content_type = form(token, "f.bin", b"y" * size)
            seen = dev.worker(job_id, "push/file", body, Content_Type=content_type)
        after = result_of(dev, job_id)
        kept = len(after["pushes"]) + len(after["files"]) - len(before["pushes"])
        if seen.status == 507:
            full_count += 1
            if after != before or seen.code != "INSUFFICIENT_STORAGE" or files_of(dev.store):
                broken.append(f"{point}: refused, and something is there: {files_of(dev.store)}")
        elif seen.status != 200 or kept != 1:
            broken.append(f"{point}: {seen.status}, {kept} kept")
        os.unlink(BALLAST)
        again = dev.worker(job_id, "push", {"execution_token": token, "data": "after"})
        if again.status != 200 or result_of(dev, job_id)["pushes"][-1]["data"] != "after":
            broken.append(f"{point}: with room again {again.status}")
    with Dev(folder) as dev:
        if result_of(dev, job_id)["pushes"][-1]["data"] != "after":
            broken.append(f"{point}: not there at the next start")
    subprocess.run(["rm", "-r", folder], check=True)
print(json.dumps({"full": full_count, "broken": broken}))
