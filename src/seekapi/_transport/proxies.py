"""Whether an https request goes through a proxy, and through which. Pure.

Only `https` does, through CONNECT: then the proxy sees a host name and ciphertext, never the secret. A plain-http base
never goes through a proxy, whatever the environment says.
"""

from __future__ import annotations

from ..errors import ConfigurationError
from .targets import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    # Host, port, and the value of Proxy-Authorization or "".
    Proxy: TypeAlias = tuple[str, int, str]


def proxy_for(target: Target, https_proxy: str, no_proxy: str) -> Proxy | None:
    """The proxy for `target`, None for a direct way. Raises ConfigurationError, without the value."""
    if not https_proxy or not target.secure or is_exempt(target.host, target.port, no_proxy):
        return None
    return _parsed(https_proxy)


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY names `host`: `*`, a name with its subdomains, an address, a range; `:port` narrows it."""
    return any(_matches(rule, host, port) for rule in no_proxy.lower().replace(",", " ").split())


def _matches(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    if "/" in rule:
        return _is_in_network(host, rule)
    name, colon, its_port = rule.rpartition(":")
    if colon and its_port.isdigit() and (":" not in name or name.endswith("]")):
        if int(its_port) != port:
            return False
        rule = name
    name = rule.strip("[]").removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _is_in_network(host: str, network: str) -> bool:
    from ipaddress import ip_address, ip_network

    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _parsed(https_proxy: str) -> Proxy:
    from . import targets

    scheme, separator, rest = https_proxy.strip().rpartition("://")
    if not separator:
        rest = https_proxy.strip()
    userinfo, _, authority = rest.partition("/")[0].rpartition("@")
    target = None
    if not separator or scheme.lower() == "http":
        try:
            target = targets.target_of(f"http://{authority}/")
        except OSError:
            target = None
    if target is None:
        raise ConfigurationError("HTTPS_PROXY must look like http://host:port: the way to the proxy is plain http")
    return target.host, target.port, _authorization(userinfo)


def _authorization(userinfo: str) -> str:
    if not userinfo:
        return ""
    from binascii import b2a_base64
    from urllib.parse import unquote_to_bytes

    user, _, password = userinfo.partition(":")
    raw = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return "Basic " + b2a_base64(raw, newline=False).decode("ascii")
