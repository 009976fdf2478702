"""Services to talk to, and clients that are closed at the end of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from transport.loopback import Script, Server

from seekapi import Client
from seekapi._protocol import job_calls
from seekapi._transport import Transport
from seekapi.client.calling import Caller
from seekapi.client.jobs import Jobs

from .service import Service


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer has set does not count."""
    for name in ("SEEKAPI_URL", "SEEKAPI_API_KEY", "http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service() -> Iterator[Service]:
    """A service as it is met in the field."""
    with Service() as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """A client of it."""
    with Client(service.url) as client:
        yield client


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(script, ...)` starts a server that says what its scripts say, one per connection."""
    servers: list[Server] = []

    def start(*scripts: Script) -> Server:
        servers.append(Server(scripts))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Clock:
    """Time that passes when somebody sleeps, and otherwise with each look at it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs_with(clock: Clock) -> Iterator[Callable[[str], Jobs]]:
    """`jobs_with(url)`: the jobs of a service, with a clock of the test's, so that nothing is waited for."""
    made: list[Transport] = []

    def make(url: str) -> Jobs:
        made.append(Transport(clock=clock, random=lambda: 0.0))
        return Jobs(Caller(job_calls.Service(url), made[-1], clock=clock, pause=clock.pause))

    yield make
    for transport in made:
        transport.close()
