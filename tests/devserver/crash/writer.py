"""A process that uses the store as the server does, until it is killed. Arguments: a folder, a seed.

Three threads submit jobs and push values and files; what was acknowledged is printed, one line each, after the fact.
Every value tells by its content who wrote it.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from devserver.platforms import Dev, form


def say(line):
    """One write: lines of several threads must not mix, and a kill must not cut one."""
    os.write(1, line.encode() + b"\n")


def write(dev, chance, name):
    number = 0
    while True:
        number += 1
        claimed = dev.started({"of": name, "number": number, "pad": "p" * chance.choice((0, 10, 5_000))})
        job_id, token = claimed.attempt.job_id, claimed.token
        say(f"job {job_id}")
        for step in range(3):
            text = f"{name} {number} {step}"
            seen = dev.worker(job_id, "push", {"execution_token": token, "data": text, "type": "json"})
            if seen.status == 200:
                say(f"push {job_id} {text}")
            body, content_type = form(token, text, text.encode() * chance.choice((1, 1_000)))
            seen = dev.worker(job_id, "push/file", body, Content_Type=content_type)
            if seen.status == 200:
                say(f"file {job_id} {text}")
            charge = {"execution_token": token, "idempotency_key": text, "count": step + 1}
            seen = dev.worker(job_id, "charge", charge)
            if seen.status == 200:
                say(f"charge {job_id} {text}")


if __name__ == "__main__":
    server = Dev(sys.argv[1])
    say("ready")
    for thread in range(3):
        arguments = (server, random.Random(f"{sys.argv[2]} {thread}"), f"{sys.argv[2]}-{thread}")
        threading.Thread(target=write, args=arguments, daemon=True).start()
    sys.stdin.read()
