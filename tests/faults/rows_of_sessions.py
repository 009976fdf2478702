"""The rows of `session_faults.py` and `proxy.py`: TLS, reused sockets, lost answers, proxies."""

from __future__ import annotations

from typing import Any

from .expect import (
    DELIVERY,
    INPUT,
    LATE_DELIVERY,
    LATE_INPUT,
    NOT_SENT,
    OK,
    ONCE,
    SHORT,
    TLS,
    UNKNOWN,
    Expect,
    Row,
    also,
    rows,
)
from .server import FAULTS


def _tls(name: str, must: str, *, certificate: str = "", says: str = "", retried: bool = False, **more: Any) -> Row:
    limits = {"connections": None if retried else (1, 2)}
    words = (says,) if says else ()
    return Row(
        name,
        must,
        also(INPUT, says=words, **limits),
        also(NOT_SENT, "TlsError", says=words, **limits),
        fault=None if name in ("tls_plaintext", "tls_rst_handshake") else "",
        stage={"certificate": certificate or "good"},
        **more,
    )


TLS_ROWS = [
    _tls("tls_self_signed", "not verified: final, no plain fallback", certificate="self_signed"),
    _tls("tls_wrong_host", "another name: final", certificate="wrong_host"),
    _tls("tls_expired", "expired: hints at the clock", certificate="expired", says="clock"),
    _tls("tls_not_yet_valid", "not yet valid: hints at the clock", certificate="not_yet_valid", says="clock"),
    _tls("tls_plaintext", "does not speak TLS: final"),
    Row(
        "tls_handshake_stall",
        "the handshake is under the deadline",
        LATE_INPUT,
        also(LATE_DELIVERY, "ConnectError", "TransportTimeout"),
        stage={"certificate": "good"},
        **SHORT,
    ),
    Row(
        "tls_rst_handshake",
        "typed, tried again",
        also(INPUT, connections=(2, 4)),
        also(DELIVERY, "TransportError", connections=(2, 6)),
        **TLS,
    ),
    Row(
        "tls_close_delimited_truncation",
        "no length and no close_notify is a cut",
        INPUT,
        also(UNKNOWN, "TransportError", effects=1),
        **TLS,
    ),
]

TWICE: dict[str, Any] = {"calls": 2}
# The second call starts when the server has done to the idle connection what it does.
AFTERWARDS: dict[str, Any] = {"calls": 2, "between": "settled"}
KEEPALIVE = [
    *rows(
        "stale_keepalive_fin stale_keepalive_rst keepalive_poison_late",
        "the second call succeeds, once",
        OK,
        also(OK, effects=2),
        scene=AFTERWARDS,
    ),
    *rows(
        "stale_keepalive_race stale_keepalive_race_processed stale_keepalive_blackhole keepalive_poison",
        "the second call succeeds, once",
        OK,
        also(OK, effects=2),
        scene=TWICE,
    ),
]
REPLAY = [
    Row(
        "stale_keepalive_lost_then_429",
        "a later no does not undo an earlier perhaps: the outcome is unknown",
        post=also(UNKNOWN, "RateLimitError", effects=2, told={"outcome": "unknown", "status": 429}),
        ops=("push_data", "push_file", "charge"),
        scene={"calls": 2},
    ),
    Row("response_lost_once", "done, then cut: tried again under the same key, one effect", OK, ONCE),
    Row(
        "response_lost_caller_retries",
        "the caller calls again after an error: still one effect",
        OK,
        ONCE,
        scene={"calls": 2, "same_key": True, "between": "heal", "errors_before": True},
    ),
]


def _proxy(name: str, must: str, get: Expect, post: Expect, proxied: bool = True, **env: str) -> Row:
    """A row with HTTPS_PROXY set, to a proxy of that name if there is one."""
    stage = {"certificate": "good", "proxy": name if name in FAULTS else "proxy_ok"}
    return Row(name, must, get, post, fault="", stage=stage, scene={"proxied": proxied, "env": env}, **SHORT)


NO_TUNNEL = also(NOT_SENT, "ConnectError")
PROXY = [
    _proxy("proxy_ok", "the proxy sees a name and ciphertext", OK, ONCE),
    _proxy("proxy_refuses", "typed; what the proxy says is not quoted", INPUT, NO_TUNNEL),
    _proxy("proxy_wants_credentials", "typed; the password is not shown", INPUT, NO_TUNNEL),
    _proxy(
        "proxy_stalls",
        "the proxy is under the deadline",
        LATE_INPUT,
        also(LATE_DELIVERY, "ConnectError", "TransportTimeout"),
    ),
    _proxy("proxy_is_no_proxy", "typed, quotes nothing", INPUT, NO_TUNNEL),
    _proxy("proxy_lies", "whoever answers has to prove the name", INPUT, NO_TUNNEL),
    _proxy("proxy_exempt", "NO_PROXY is heeded", OK, ONCE, proxied=False, NO_PROXY="localhost"),
    Row(
        "proxy_not_for_plain_http",
        "a plain base never goes through a proxy",
        OK,
        ONCE,
        fault="",
        stage={"proxy": "proxy_ok"},
        scene={"proxied": False},
    ),
]
