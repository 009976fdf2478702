"""One worker, six shapes, three hosts: local mode, AWS's own runtime client, and `seekapi dev` leave the same."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command import outcome
from devserver.running import running

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
            job.charge("key", 2)
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


def in_local_mode(folder: Path, job_input: object) -> dict[str, Any]:
    told = outcome("function.py", "--input", json.dumps(job_input), cwd=folder)
    # A job that left nothing has no folder.
    charges = Path(told["artifacts"] or folder) / "charges.jsonl"
    return {
        "envelope": told["envelope"],
        "pushes": [push["data"] for push in told["pushes"]],
        "files": [(file["name"], Path(file["path"]).read_bytes()) for file in told["files"]],
        "charges": charges.read_text("utf-8").count('"key"') if charges.exists() else 0,
    }


def under_lambda(source: str, job_input: object, start_sandbox: StartSandbox) -> dict[str, Any]:
    with DevPlatform() as platform:
        sandbox = start_sandbox(source, platform.url, platform.environ())
        left = platform.invoke(lambda event, context: sandbox.invoke(event, timeout_s=30).payload, job_input)
        return {
            "envelope": left.envelope,
            "pushes": left.pushes,
            "files": [(file.name, file.read()) for file in left.files],
            "charges": len(left.charges),
        }


def under_dev(folder: Path, source: str, job_input: object) -> dict[str, Any]:
    folder.mkdir()
    with running(folder, source) as platform:
        job = platform.run(job_input)
        contents = [(platform.store.files / file["id"]).read_bytes() for file in job.of("file")]
        return {
            "envelope": {"ok": True} if job.status == "completed" else {"ok": False, "error": job.error},
            "pushes": job.pushes,
            "files": [(file["name"], content) for file, content in zip(job.of("file"), contents, strict=True)],
            "charges": len(job.of("charge")),
        }


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_worker_leaves_the_same_on_every_host(
    tmp_path: Path, start_sandbox: StartSandbox, shape: str, fail: bool
) -> None:
    """Pushes, files, charges and verdict; also what was pushed before a failure."""
    source = textwrap.dedent(WORK) + textwrap.dedent(SHAPES[shape])
    (tmp_path / "function.py").write_text(source, encoding="utf-8")
    job_input = {"n": 3, "fail": fail}

    hosts = {
        "local mode": in_local_mode(tmp_path, job_input),
        "lambda": under_lambda(source, job_input, start_sandbox),
        "dev": under_dev(tmp_path / "dev", source, job_input),
    }

    for left in hosts.values():
        envelope = left.pop("envelope")
        assert (envelope["ok"], {**envelope.get("error", {})}.get("code")) == (not fail, "NO_STOCK" if fail else None)
    assert hosts["lambda"] == hosts["local mode"]
    assert hosts["dev"] == hosts["local mode"]
    assert hosts["dev"]["pushes"][-1:] == ([{"done": 3}] if not fail else hosts["local mode"]["pushes"][-1:])
