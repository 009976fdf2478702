"""Content codings undone while the body streams in: gzip and deflate, with a cap on what comes out.

A bomb of 600 MB travels in 600 KB, so the cap is on the output, and a ratio that no JSON has ends it earlier.
"""

from __future__ import annotations

from ..errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Deflate reaches 1032:1 on zeros; JSON stays below 100:1.
HIGHEST_RATIO = 500
RATIO_FREE_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024


class Inflater:
    """gzip (any number of members) or deflate (with or without the zlib wrapper), piece by piece."""

    __slots__ = ("_cap", "_coding", "_engine", "_in", "_out", "_peer")

    def __init__(self, coding: str, cap_bytes: int, peer: str) -> None:
        self._coding = coding
        self._cap = cap_bytes
        self._peer = peer
        self._in = self._out = 0
        self._engine: Any = None

    def decode(self, data: bytes) -> bytes:
        """What `data` decodes to. Raises ProtocolError if it is corrupt or too much."""
        import zlib

        self._in += len(data)
        pieces: list[bytes] = []
        corrupt = is_full = False
        try:
            # A full piece may have left more inside the engine, although it has taken all of its input.
            while data or is_full:
                if self._engine is None:
                    self._engine = self._new_engine(data[0])
                pieces.append(self._engine.decompress(data, _PIECE_BYTES))
                self._count(len(pieces[-1]))
                data = self._engine.unconsumed_tail
                is_full = len(pieces[-1]) == _PIECE_BYTES
                if self._engine.eof:
                    data = self._engine.unused_data
                    # Another gzip member may follow; zero bytes are padding.
                    if data.strip(b"\0") == b"":
                        break
                    self._engine, is_full = None, False
        except zlib.error:
            corrupt = True
        if corrupt:
            raise ProtocolError(f"the {self._coding} body from {self._peer} is corrupt")
        return b"".join(pieces)

    def finish(self) -> None:
        """The body is complete. Raises ProtocolError if the compressed stream is not."""
        if self._in and (self._engine is None or not self._engine.eof):
            raise ProtocolError(f"the {self._coding} body from {self._peer} is cut short")

    def _new_engine(self, first_byte: int) -> Any:
        import zlib

        if self._coding == "gzip":
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        # RFC 9110 means zlib by deflate; some servers send it raw. The low half of zlib's first byte is always 8.
        return zlib.decompressobj(zlib.MAX_WBITS if first_byte & 0x0F == 8 else -zlib.MAX_WBITS)

    def _count(self, size_bytes: int) -> None:
        self._out += size_bytes
        if self._out > self._cap:
            raise too_large(self._peer, self._cap)
        if self._out > RATIO_FREE_BYTES and self._out > HIGHEST_RATIO * self._in:
            raise ProtocolError(f"the body from {self._peer} inflates more than {HIGHEST_RATIO}-fold, which is refused")


def decoder_for(content_encoding: str, cap_bytes: int, peer: str) -> Inflater | None:
    """What undoes `content_encoding`, None if there is nothing to undo. Raises ProtocolError, naming the unknown."""
    codings = [c for c in (part.strip().lower() for part in content_encoding.split(",")) if c not in ("", "identity")]
    if not codings:
        return None
    coding = codings[0].removeprefix("x-")
    if len(codings) == 1 and coding in ("gzip", "deflate"):
        return Inflater(coding, cap_bytes, peer)
    shown = "".join(c for c in ", ".join(codings)[:40] if c.isalnum() or c in "-_, ")
    raise ProtocolError(f"the body from {peer} has a content encoding that is not supported: {shown}")


def too_large(peer: str, cap_bytes: int) -> ProtocolError:
    """The error for a body above its cap."""
    return ProtocolError(f"the answer of {peer} is larger than {cap_bytes} bytes", limit_bytes=cap_bytes)
