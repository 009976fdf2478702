"""The only sockets of the worker side: `send(Request, deadline, Policy) -> Response`, and what it needs.

    transport     send, start, settle: attempts, redirects, which connection
    driver        one loop that polls the main exchange and the background ones; no threads
    exchange      one request and its response on one connection
    patience      how long an attempt may wait: the deadline in all, a share of it in silence
    connecting    addresses in turn, CONNECT through a proxy, TLS
    resolving     names to addresses, under the deadline
    streams pool  a connected socket, plain or TLS; the idle ones
    tls           one context per process, sessions, what went wrong
    decoding      gzip and deflate, bounded
    targets guard proxies policy    pure: URLs, forbidden addresses, NO_PROXY, how a call wants to be treated

Whatever waits is a generator that yields what it waits for. Every OSError, TLS and codec error becomes one of
`seekapi.errors` here, and only here, with the host and nothing else of the URL in its message.
"""

from __future__ import annotations

from .policy import Policy
from .transport import Transport

__all__ = ["Policy", "Transport"]
