"""The fixtures of the transport's tests: servers and transports that are closed at the end of a test."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from seekapi._transport import Transport

from .loopback import CERTIFICATES, Script, Server


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(script, ...)` starts a server; all are closed at the end of the test."""
    servers: list[Server] = []

    def start(*scripts: Script, certificate: str = "", family: int = socket.AF_INET) -> Server:
        servers.append(Server(scripts, certificate, family))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def make_transport(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Transport]]:
    """`make_transport(**options)`: waits without chance, trusts the tests' authority, is closed at the end."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    made: list[Transport] = []

    def make(**options: object) -> Transport:
        made.append(Transport(**{"random": lambda: 0.0, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def transport(make_transport: Callable[..., Transport]) -> Transport:
    return make_transport()
