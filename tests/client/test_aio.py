"""AsyncClient: the same calls, awaited; a cancelled one has ended."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading

import pytest

from seekapi import ArgumentError, AsyncClient, Client, NotFoundError
from seekapi.client.aio import AsyncJobs, AsyncServiceSettings
from seekapi.client.jobs import Jobs
from seekapi.client.settings import ServiceSettings

LIMIT_S = 20


def run(coroutine):
    """With a bound against hanging."""
    return asyncio.run(asyncio.wait_for(coroutine, LIMIT_S))


def public(kind: type) -> dict[str, object]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize(
    "sync, asynchronous", [(Jobs, AsyncJobs), (ServiceSettings, AsyncServiceSettings), (Client, AsyncClient)]
)
def test_every_call_has_its_asynchronous_form(sync, asynchronous):
    """The same names; the same parameters, where they are made from each other."""
    assert public(sync).keys() == public(asynchronous).keys()
    if sync is not Client:
        for name, call in public(asynchronous).items():
            assert inspect.signature(call) == inspect.signature(getattr(sync, name)), name
            assert call.__doc__ == getattr(sync, name).__doc__


def test_the_calls_work(service):
    """Submit, get, list, settings, health; errors are the same ones."""

    async def use():
        async with AsyncClient(service.url) as client:
            job = await client.jobs.submit({"name": "ada"})
            assert (await client.jobs.get(job.id)).input == {"name": "ada"}
            assert [found.id async for found in client.jobs.list()] == [job.id]
            assert (await client.settings.get())["label"] == "first"
            assert await client.health()
            with pytest.raises(NotFoundError):
                await client.jobs.get("nobody")
            with pytest.raises(ArgumentError):
                await client.jobs.get("")

    run(use())


def test_many_calls_wait_side_by_side(serve):
    """As many as `concurrency` says; those above it get their turn."""
    everybody = threading.Barrier(8)

    def script(peer):
        peer.read_request()
        everybody.wait(LIMIT_S)
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "OK"}')

    server = serve(script)

    async def use():
        async with AsyncClient(server.url, concurrency=8) as client:
            assert all(await asyncio.gather(*(client.health() for _ in range(16))))

    run(use())


@pytest.mark.parametrize(
    "call",
    [
        lambda client, folder: client.jobs.submit({}),
        lambda client, folder: client.jobs.wait("j"),
        lambda client, folder: client.jobs.download("j", "f", folder),
        lambda client, folder: anext(client.jobs.list()),
        lambda client, folder: anext(client.jobs.events("j")),
    ],
    ids=["submit", "wait", "download", "list", "events"],
)
def test_a_cancelled_call_has_ended(serve, tmp_path, call):
    """The thread is woken from its waiting, its connection is closed, and nothing is left on the disk."""
    asked, left = threading.Event(), threading.Event()

    def script(peer):
        peer.read_head()
        asked.set()
        peer.wait_for_the_end()
        left.set()

    server = serve(script)

    async def use():
        async with AsyncClient(server.url, timeout=600) as client:
            task = asyncio.ensure_future(call(client, tmp_path))
            await asyncio.to_thread(asked.wait, LIMIT_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(left.wait, LIMIT_S)

    run(use())

    assert os.listdir(tmp_path) == []


def test_a_cancelled_pause_has_ended(service):
    """Also between two questions nobody sleeps on."""
    job_id = service.add({}, "processing")["job_id"]

    async def use():
        async with AsyncClient(service.url) as client:
            task = asyncio.ensure_future(client.jobs.wait(job_id, timeout=600))
            while len(service.requests) < 4:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(use())


def test_a_call_that_waits_for_its_turn_can_be_cancelled(serve):
    """It was never started, and nothing is sent."""
    asked = threading.Event()

    def script(peer):
        peer.read_head()
        asked.set()
        peer.wait_for_the_end()

    server = serve(script)

    async def use():
        async with AsyncClient(server.url, concurrency=1, timeout=600) as client:
            first = asyncio.ensure_future(client.health())
            await asyncio.to_thread(asked.wait, LIMIT_S)
            second = asyncio.ensure_future(client.health())
            await asyncio.sleep(0)
            for task in (second, first):
                task.cancel()
            await asyncio.gather(first, second, return_exceptions=True)
            assert first.cancelled() and second.cancelled()

    run(use())

    assert server.connections == 1


def test_a_timeout_of_asyncio_ends_the_call(serve):
    """`wait_for` cancels it; the descriptors are given back."""
    server = serve(lambda peer: peer.wait_for_the_end())

    async def use():
        async with AsyncClient(server.url) as client:
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(5):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.health(), 0.05)
            # The server's ends are in this process, too, and close a moment later.
            while len(os.listdir("/proc/self/fd")) > before:
                await asyncio.sleep(0.01)

    if os.path.isdir("/proc/self/fd"):
        run(use())


@pytest.mark.parametrize("concurrency", [0, -1])
def test_concurrency_is_above_zero(concurrency):
    """Otherwise nothing would ever have its turn."""
    with pytest.raises(ArgumentError):
        AsyncClient("http://127.0.0.1:1", concurrency=concurrency)


def test_a_closed_client_says_so(service):
    """And opens nothing for the call that it refuses."""

    async def use():
        async with AsyncClient(service.url) as client:
            await client.health()
        opened = len(os.listdir("/proc/self/fd"))
        with pytest.raises(RuntimeError, match="this AsyncClient is closed"):
            await client.health()
        # Fewer, if the service's end of the connection was closed only now.
        assert len(os.listdir("/proc/self/fd")) <= opened

    run(use())
