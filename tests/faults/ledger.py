"""The platform behind the wire: what the worker's calls do, and a ledger of their effects.

An *effect* is what a customer would see: one push, one file, one charge, one registered request id. The same
`Idempotency-Key` (for a charge also the key in its body) is one effect, and is answered with the stored reply.
A call without a key is a new effect every time, as on a platform that does not know keys.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any

from .connection import Request

Reply = tuple[int, bytes]

ROUTES = {"worker-request-id": "register", "push": "push", "push/file": "file", "charge": "charge"}
_CALL = re.compile(r"/v1/internal/jobs/([^/?]+)/(worker-request-id|push/file|push|charge)(?:-moved)?$")
_PART = re.compile(
    rb'Content-Disposition: form-data; name="([^"]*)"(?:; filename="([^"]*)")?(?:\r\nContent-Type: ([^\r\n]*))?\r\n\r\n'
)


@dataclass(frozen=True)
class Effect:
    """One thing that the platform did: `detail` is what it kept."""

    kind: str
    job: str
    key: str | None
    detail: Any


@dataclass
class Ledger:
    """What the platform knows and has done. Safe to use from many connections at once."""

    secret: str
    token: str
    effects: list[Effect] = field(default_factory=list)
    # Same key, other bytes: a client that rebuilds its request for a retry.
    rewritten: list[str] = field(default_factory=list)
    _kept: dict[tuple[str, str, str], tuple[bytes, Reply]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str) -> int:
        """How many effects of that kind there are."""
        return sum(effect.kind == kind for effect in self.effects)

    def answer(self, request: Request, body: bytes) -> Reply:
        """Do what the request asks, once per key, and say how it went."""
        route = route_of(request.target)
        if request.method != "POST" or route is None:
            return _refusal(404, "NOT_FOUND")
        if request.header("x-internal-secret") != self.secret:
            return _refusal(401, "UNAUTHORIZED")
        job, kind = route
        try:
            token, body_key, detail = _READERS[kind](request, body)
        except (ValueError, KeyError, AttributeError):
            return _refusal(400, "INVALID_REQUEST")
        if token is not None and token != self.token:
            return _refusal(403, "INVALID_EXECUTION_TOKEN")
        return self._once(kind, job, body_key or request.header("idempotency-key"), body, detail)

    def _once(self, kind: str, job: str, key: str | None, body: bytes, detail: Any) -> Reply:
        fingerprint = hashlib.sha256(body).digest()
        with self._lock:
            if key is not None and (kind, job, key) in self._kept:
                first_fingerprint, reply = self._kept[kind, job, key]
                if fingerprint != first_fingerprint:
                    self.rewritten.append(f"{kind} {key}")
                return reply
            self.effects.append(Effect(kind, job, key, detail))
            reply = (200, json.dumps(self._reply_to(kind)).encode())
            if key is not None:
                self._kept[kind, job, key] = (fingerprint, reply)
            return reply

    def _reply_to(self, kind: str) -> dict[str, Any]:
        if kind != "charge":
            return {"ok": True}
        total = sum(effect.detail["count"] for effect in self.effects if effect.kind == "charge")
        return {"ok": True, "metered_event_count": total, "limit_reached": False}


def route_of(target: str) -> tuple[str, str] | None:
    """(job, kind of call) of a path of the worker API, or None."""
    match = _CALL.fullmatch(target.partition("?")[0])
    return (match[1], ROUTES[match[2]]) if match else None


def _read_register(request: Request, body: bytes) -> tuple[None, str, Any]:
    request_id = _json_object(request, body)["request_id"]
    # Setting the same id twice is one effect, key or no key.
    return None, f"id:{request_id}", request_id


def _read_push(request: Request, body: bytes) -> tuple[str, None, Any]:
    message = _json_object(request, body)
    if message["type"] != "json" or "data" not in message:
        raise ValueError
    return message["execution_token"], None, message["data"]


def _read_charge(request: Request, body: bytes) -> tuple[str, str, Any]:
    message = _json_object(request, body)
    if not isinstance(message["count"], int) or not message["idempotency_key"]:
        raise ValueError
    return message["execution_token"], message["idempotency_key"], message


def _read_file(request: Request, body: bytes) -> tuple[str, None, Any]:
    media_type, _, parameter = (request.header("content-type") or "").partition("; boundary=")
    if media_type != "multipart/form-data" or not parameter:
        raise ValueError
    parts: dict[str, tuple[bytes, bytes]] = {}
    dash = b"--" + parameter.strip('"').encode()
    at = 0
    while body[at : at + len(dash) + 4] != dash + b"--\r\n":
        head = _PART.match(body, at + len(dash) + 2)
        if head is None or head[1].decode() in parts:
            raise ValueError
        end = body.index(b"\r\n" + dash, head.end())
        parts[head[1].decode()] = (head[2] or b"", body[head.end() : end])
        at = end + 2
    if list(parts) != ["execution_token", "name", "file"] or at + len(dash) + 4 != len(body):
        raise ValueError
    content = parts["file"][1]
    detail = {
        "name": parts["name"][1].decode(),
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return parts["execution_token"][1].decode(), None, detail


def _json_object(request: Request, body: bytes) -> dict[str, Any]:
    if (request.header("content-type") or "").partition(";")[0] != "application/json":
        raise ValueError
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError
    return message


def _refusal(status: int, code: str) -> Reply:
    return status, json.dumps({"ok": False, "error": {"code": code, "message": code.lower()}}).encode()


_READERS = {"register": _read_register, "push": _read_push, "charge": _read_charge, "file": _read_file}
