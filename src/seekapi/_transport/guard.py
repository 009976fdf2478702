"""Which addresses a URL from a stranger may not lead to: those that answer only to the machine itself.

Metadata services hand out the machine's credentials to whoever asks from inside. Loopback and private networks stay
allowed: that is where development and on-premises storage live. The check is on the address that is then connected
to, so a name that changes its mind between check and use gains nothing.
"""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# (first bytes, how many bits of them count, what it is)
_FORBIDDEN_V4 = (
    (b"\x00", 8, "unspecified"),
    (b"\xa9\xfe", 16, "link-local or metadata"),
    (b"\xe0", 4, "multicast"),
    (b"\xff\xff\xff\xff", 32, "broadcast"),
    # Metadata outside link-local: Alibaba Cloud, Azure, Oracle Cloud.
    (b"\x64\x64\x64\xc8", 32, "metadata"),
    (b"\xa8\x3f\x81\x10", 32, "metadata"),
    (b"\xc0\x00\x00\xc0", 32, "metadata"),
)
_FORBIDDEN_V6 = (
    (b"\xff", 8, "multicast"),
    (b"\xfe\x80", 10, "link-local"),
    (b"\xfe\xc0", 10, "site-local"),
    # AWS keeps its metadata service, time and DNS here (fd00:ec2::254).
    (b"\xfd\x00\x0e\xc2", 32, "metadata"),
)
# IPv6 ranges whose last or next four bytes are an IPv4 address: mapped, compatible, NAT64, 6to4.
_EMBEDS_V4 = (
    (bytes(10) + b"\xff\xff", slice(12, 16)),
    (bytes(12), slice(12, 16)),
    (b"\x00\x64\xff\x9b" + bytes(8), slice(12, 16)),
    (b"\x20\x02", slice(2, 6)),
)


def refusal_of(address: str) -> str:
    """What kind of forbidden address a numeric `address` is; empty if it may be connected to."""
    if ":" not in address:
        return _match(socket.inet_pton(socket.AF_INET, address), _FORBIDDEN_V4)
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    if packed == bytes(15) + b"\x01":
        return ""
    kind = _match(packed, _FORBIDDEN_V6)
    for prefix, where in _EMBEDS_V4:
        if not kind and packed.startswith(prefix):
            kind = _match(packed[where], _FORBIDDEN_V4)
    return kind


def is_allowed_host(host: str, allowed: Iterable[str]) -> bool:
    """Whether `host` is on the list; an empty list allows all. `.example.com` or `*.example.com`: all below it."""
    names = [name.strip().lower().removeprefix("*").rstrip(".") for name in allowed]
    if not names:
        return True
    return any(host == name or (name.startswith(".") and host.endswith(name)) for name in names)


def _match(packed: bytes, table: Iterable[tuple[bytes, int, str]]) -> str:
    value = int.from_bytes(packed, "big")
    width = len(packed) * 8
    for prefix, bits, kind in table:
        wanted = int.from_bytes(prefix, "big") >> (len(prefix) * 8 - bits)
        if value >> (width - bits) == wanted:
            return kind
    return ""
