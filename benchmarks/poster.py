"""What runs inside a measured process of keep_alive.py: small JSON POSTs over one kept connection, by one means.

    poster.py raw|transport|push_data|httpx BASE_URL       then one number of posts per line; says how long they took

`raw` is the least that still sends and reads JSON correctly when the server is known: the yardstick. Every means sends
the same body to the same place, and parses the reply.
"""

from __future__ import annotations

import json
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Post = Callable[[int], Any]

PATH = "/v1/internal/jobs/benchmark/push"
HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "X-Internal-Secret": "benchmark-secret"}


def main() -> None:
    """By the first argument."""
    means, base_url = sys.argv[1:]
    poster_of = {"raw": by_raw_socket, "transport": by_transport, "push_data": by_push_data, "httpx": by_httpx}
    post = poster_of[means](base_url)
    if post(0).get("ok") is not True:
        raise SystemExit("the post was refused")
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        count = int(line)
        began, began_cpu = time.perf_counter(), time.process_time()
        for number in range(count):
            post(number)
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
        print(json.dumps({"rate": count / took_s, "cpu_us": cpu_s / count * 1e6}), flush=True)


def fields(number: int) -> dict[str, Any]:
    """What is posted."""
    return {"execution_token": "token", "data": {"number": number, "title": "a small result"}, "type": "json"}


def by_raw_socket(base_url: str) -> Post:
    """sendall and recv."""
    import socket
    import ssl

    scheme, _, authority = base_url.partition("://")
    host, _, port = authority.partition(":")
    connected = socket.create_connection((host, int(port)))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if scheme == "https":
        connected = ssl.create_default_context().wrap_socket(connected, server_hostname=host)
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {authority}", *(f"{name}: {value}" for name, value in HEADERS.items())]
    head = "\r\n".join([*lines, "Content-Length: "]).encode()

    def post(number: int) -> Any:
        body = json.dumps(fields(number)).encode()
        connected.sendall(b"%s%d\r\n\r\n%s" % (head, len(body), body))
        reply = connected.recv(65536)
        while (end := reply.find(b"\r\n\r\n")) < 0:
            reply += connected.recv(65536)
        at = reply.index(b"Content-Length: ") + 16
        size_bytes = int(reply[at : reply.index(b"\r", at)])
        while len(reply) < end + 4 + size_bytes:
            reply += connected.recv(65536)
        return json.loads(reply[end + 4 :])

    return post


def by_transport(base_url: str) -> Post:
    """seekapi's own client, below the worker's calls."""
    from seekapi._protocol.messages import Request
    from seekapi._transport import Policy, Transport

    transport = Transport()
    policy = Policy(judge=lambda response: None, response_bytes=65536)
    headers = list(HEADERS.items())

    def post(number: int) -> Any:
        body = json.dumps(fields(number)).encode()
        request = Request("POST", base_url + PATH, headers, (body,), idempotency_key="benchmark")
        return json.loads(transport.send(request, time.monotonic() + 10, policy).body)

    return post


def by_push_data(base_url: str) -> Post:
    """The whole of push_data: settings, checks, redaction, key, request, reply."""
    import os

    import seekapi

    os.environ.update(WORKER_API_BASE_URL=base_url, WORKER_INTERNAL_SECRET="benchmark-secret")
    context = seekapi.create_context({"job_uuid": "benchmark", "execution_token": "token"})
    return lambda number: seekapi.push_data(context, fields(number)["data"])


def by_httpx(base_url: str) -> Post:
    """A well-known client with a pool of its own."""
    import ssl

    import httpx  # type: ignore[import-not-found,unused-ignore]

    client = httpx.Client(verify=ssl.create_default_context(), headers=HEADERS, trust_env=False)
    return lambda number: client.post(base_url + PATH, json=fields(number)).json()


if __name__ == "__main__":
    main()
