"""TLS: one context per process, made late, and what a failed handshake means.

`ssl` is imported here, inside the functions, so that plain http never pays for it. Roots come from the system
(OpenSSL honours SSL_CERT_FILE and SSL_CERT_DIR by itself); names are verified; there is no way to turn that off.
"""

from __future__ import annotations

from ..errors import ConnectError, TlsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

_NOT_YET_VALID = 9
_EXPIRED = 10
# Loading a CA bundle costs up to 48 ms. Keyed by where the roots come from, so that a change of it counts.
_contexts: dict[Any, ssl.SSLContext] = {}


def shared_context() -> ssl.SSLContext:
    """The context of this process. Raises TlsError if there is no TLS to be had here."""
    problem = ""
    try:
        import ssl

        roots = ssl.get_default_verify_paths()
        if roots not in _contexts:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            _contexts.setdefault(roots, context)
        return _contexts[roots]
    except (ImportError, OSError) as error:
        problem = type(error).__name__
    raise TlsError(f"TLS cannot be set up in this process ({problem}): check Python's ssl and SSLKEYLOGFILE")


def fault_of_handshake(error: OSError, peer: str) -> ConnectError:
    """The typed error for what ended a handshake. Only a peer that merely hung up is worth another try."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        hint = ""
        if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
            hint = "; if other machines accept it, check the clock of this one"
        return TlsError(f"the certificate of {peer} did not verify: {error.verify_message}{hint}")
    if isinstance(error, ssl.SSLError) and not _is_end(error):
        reason = (error.reason or "protocol error").replace("_", " ").lower()
        hint = ""
        if "wrong version" in reason or "record layer" in reason or "http request" in reason:
            hint = " (the peer does not seem to speak TLS)"
        return TlsError(f"no TLS connection to {peer}: {reason}{hint}")
    return ConnectError(f"{peer} closed the connection during the TLS handshake")


def _is_end(error: ssl.SSLError) -> bool:
    import ssl

    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
        return True
    return "EOF" in (error.reason or "")
