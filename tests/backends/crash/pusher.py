"""A worker that pushes until it is killed, and says after each push that it was acknowledged.

Arguments: the folder, the name of this worker, how many pushes, the largest size of a push in bytes. Each
acknowledgement is one line on standard output, written with one system call: `<kind> <number>`.
"""

from __future__ import annotations

import io
import os
import random
import sys
import time

from seekapi._backends.local import LocalBackend
from seekapi._protocol import json_text
from seekapi._protocol.messages import FileSegment
from seekapi._settings import Settings


def content_of(worker: str, number: int, largest: int) -> bytes:
    """The bytes of one pushed file, which begin with who pushed it and can be computed again by the judge."""
    chance = random.Random(f"{worker} {number}")
    head = f"{worker} {number} ".encode()
    return head + bytes([65 + number % 26]) * chance.randrange(largest)


def data_of(worker: str, number: int, largest: int) -> dict[str, object]:
    return {"worker": worker, "number": number, "pad": content_of(worker, number, largest).decode()}


def main(folder: str, worker: str, count: int, largest: int) -> None:
    backend = LocalBackend(Settings(local_mode=True, local_dir=folder))
    context = {"job_uuid": "j1", "execution_token": "t"}
    for number in range(count):
        at = time.monotonic() + 120
        data = data_of(worker, number, largest)
        text = json_text.encode(data)
        backend.push_data(context, data, "json", text=text, idempotency_key="", deadline=at)
        os.write(1, f"data {number}\n".encode())
        content = content_of(worker, number, largest)
        source = FileSegment(lambda content=content: io.BytesIO(content), len(content))
        backend.push_file(context, "same.bin", source, "x/y", idempotency_key="", deadline=at)
        os.write(1, f"file {number}\n".encode())
        backend.charge(context, f"{worker} {number}", 1, None, deadline=at)
        os.write(1, f"charge {number}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
