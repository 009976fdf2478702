"""One worker, six shapes, three hosts: local mode, AWS's own runtime client, and `seekapi dev` leave the same.

All three are the real thing: the command `seekapi run`, awslambdaric, the command `seekapi dev`.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command import outcome
from interop.dev_command import Left, dev_command, left_by

from seekapi.testing import DevPlatform

if TYPE_CHECKING:
    from interop.conftest import StartSandbox

WORK = """
    from functools import partial
    from seekapi import AsyncJob, Fail, Job, worker

    def checked(job_input):
        if job_input.get("fail"):
            raise Fail("NO_STOCK", "only 2 left")
        return {"done": job_input["n"]}
"""
OUT_OF_STOCK = {"code": "NO_STOCK", "message": "only 2 left"}
SHAPES = {
    "plain": """
        @worker
        def handler(job_input):
            return checked(job_input)
    """,
    "with the job": """
        @worker
        def handler(job_input, job: Job):
            job.push_data({"first": "é\\ud800"})
            job.push_file("a b.txt", b"file")
            job.charge("key", 2, justification={"why": "é"})
            return checked(job_input)
    """,
    "async": """
        @worker
        async def handler(job_input, job: AsyncJob):
            await job.push_data({"first": [1, None, True]})
            await job.push_file("a b.txt", b"file")
            await job.charge("key", 2)
            return checked(job_input)
    """,
    "generator": """
        @worker
        def handler(job_input, job: Job):
            yield {"first": 1}
            job.push_file("a b.txt", b"file")
            yield None
            job.charge("key", 2)
            return checked(job_input)
    """,
    "async generator": """
        @worker
        async def handler(job_input, job: AsyncJob):
            yield {"first": 1}
            await job.push_file("a b.txt", b"file")
            await job.charge("key", 2)
            yield checked(job_input)
    """,
    "object": """
        class Handler:
            def __call__(self, job_input, more, job):
                job.push_data(more)
                return checked(job_input)

        handler = worker(partial(Handler(), more="bound"))
    """,
}


def in_local_mode(folder: Path, job_input: object) -> Left:
    told: dict[str, Any] = outcome("function.py", "--input", json.dumps(job_input), cwd=folder)
    files = [(file["name"], file["content_type"], Path(file["path"]).read_bytes()) for file in told["files"]]
    return Left(told["envelope"], [push["data"] for push in told["pushes"]], files, told["charges"])


def under_lambda(source: str, job_input: object, start_sandbox: StartSandbox) -> Left:
    with DevPlatform() as platform:
        sandbox = start_sandbox(source, platform.url, platform.environ())
        left = platform.invoke(lambda event, context: sandbox.invoke(event, timeout_s=30).payload, job_input)
        files = [(file.name, file.content_type, file.read()) for file in left.files]
        return Left(left.envelope, left.pushes, files, left.charges)


def under_dev(folder: Path, job_input: object) -> Left:
    with dev_command(folder, "function.py") as client:
        return left_by(client, job_input, folder)


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_worker_leaves_the_same_on_every_host(
    tmp_path: Path, start_sandbox: StartSandbox, shape: str, fail: bool
) -> None:
    """Pushes, files, charges and verdict; also what was pushed before a failure."""
    source = textwrap.dedent(WORK) + textwrap.dedent(SHAPES[shape])
    (tmp_path / "function.py").write_text(source, encoding="utf-8")
    job_input = {"n": 3, "fail": fail}

    local = in_local_mode(tmp_path, job_input)
    others = {
        "lambda": under_lambda(source, job_input, start_sandbox),
        "dev": under_dev(tmp_path, job_input),
    }

    assert (local.ok, local.error) == ((False, OUT_OF_STOCK) if fail else (True, None))
    assert local.pushes[-1:] == [{"done": 3}] or fail
    assert bool(local.files) == bool(local.charges) == ("push_file" in SHAPES[shape])
    for host, left in others.items():
        assert vars(left) == vars(local), host
