"""JSON as it may travel: strict both ways, and an error says where the fault is.

Strict means: UTF-8 (a byte order mark is tolerated), no NaN or Infinity, nesting and integers that a reader
survives. Of duplicate keys the last wins, as in most readers. Lone surrogates pass, as `\\ud800` escapes.
"""

from __future__ import annotations

import json

from ..errors import SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# CPython's own limit since 3.10.7; earlier 3.10 would spend minutes on a number of a million digits.
MAX_INT_DIGITS = 4300
# Above this, collecting garbage during the parse costs about as much as the parse.
LARGE_TEXT_LENGTH = 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonError(ValueError):
    """The bytes are not JSON as we take it. The message is ours and quotes none of them."""


def encode(value: object, *, what: str = "data", ascii_only: bool = True, indent: int | None = None) -> str:
    """`value` as JSON text.

    `what` names the value in the error (`result.rows[3].price is NaN`). With `ascii_only=False` text stays
    readable, except in a value that holds a lone surrogate, which has no UTF-8 form.

    Raises SerializationError, with `.path`.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=ascii_only, indent=indent)
        if not ascii_only:
            text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return encode(value, what=what, indent=indent)
    except RecursionError:
        path, reason = what, "is nested too deeply to be sent as JSON"
    except (TypeError, ValueError):
        path, reason = _first_fault(value, what)
    # Raised out here, so that no context carries the data along.
    raise SerializationError(f"{path} {reason}", path=path, reason=reason)


def decode(data: bytes | bytearray) -> Any:
    """The value that `data` holds. Raises JsonError."""
    return parse(text_of(data))


def text_of(data: bytes | bytearray) -> str:
    """`data` as text, to be parsed once `data` itself is dropped: a large input then counts once. Raises JsonError."""
    try:
        return (data[3:] if data.startswith(_BYTE_ORDER_MARK) else data).decode("utf-8")
    except UnicodeDecodeError as error:
        fault_at = error.start
    # Raised out here, so that no context carries the data along.
    raise JsonError(f"not UTF-8 (byte {fault_at})")


def parse(text: str) -> Any:
    """The value that `text` holds. Raises JsonError."""
    reason, value = _parse(text)
    if reason:
        raise JsonError(reason)
    return value


def _parse(text: str) -> tuple[str, Any]:
    if not text or text.isspace():
        return "empty", None
    paused = len(text) >= LARGE_TEXT_LENGTH and _pause_collector()
    try:
        return "", _decoder().decode(text)
    except json.JSONDecodeError as error:
        return f"{error.msg} at line {error.lineno} column {error.colno}", None
    except RecursionError:
        return "nested too deeply", None
    except JsonError as error:
        return str(error), None
    except ValueError:
        return f"holds an integer of more than {MAX_INT_DIGITS} digits", None
    finally:
        if paused:
            _resume_collector()


def _pause_collector() -> bool:
    import gc

    was_enabled = gc.isenabled()
    gc.disable()
    return was_enabled


def _resume_collector() -> None:
    import gc

    # All that the parse made counts as young, and the next object would have the collector visit every piece of it.
    # Frozen and unfrozen it is old, without a visit. Not if the program froze something itself: that would thaw too.
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
    gc.enable()


def _refuse_constant(name: str) -> Any:
    raise JsonError(f"holds {name}, which is not JSON")


def _decoder() -> json.JSONDecoder:
    """The strict decoder, for the limit on digits that the interpreter has now."""
    import sys

    limit = getattr(sys, "get_int_max_str_digits", lambda: 0)()
    is_limited = 0 < limit <= MAX_INT_DIGITS
    if is_limited not in _decoders:
        # Without a parser of our own, which is the fast path, where the interpreter itself limits the digits.
        parse_int = None if is_limited else _short_int
        _decoders[is_limited] = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=parse_int)
    return _decoders[is_limited]


_decoders: dict[bool, json.JSONDecoder] = {}


def _short_int(digits: str) -> int:
    if len(digits) > MAX_INT_DIGITS:
        raise JsonError(f"holds an integer of more than {MAX_INT_DIGITS} digits")
    return int(digits)


def _first_fault(value: object, what: str) -> tuple[str, str]:
    """Where `value` stops being JSON, and why. Walks with a stack of its own: the value may be deep or circular."""
    above: set[int] = set()
    stack: list[tuple[str, object, bool]] = [(what, value, False)]
    while stack:
        path, item, leaving = stack.pop()
        if leaving:
            above.discard(id(item))
            continue
        reason = _own_fault(item)
        if reason:
            return path, reason
        if isinstance(item, (dict, list, tuple)):
            if id(item) in above:
                return path, "refers back to itself"
            above.add(id(item))
            stack.append((path, item, True))
            stack.extend((child_path, child, False) for child_path, child in reversed(list(_children(path, item))))
    return what, "has no JSON form"


def _own_fault(item: object) -> str:
    if isinstance(item, float) and (item != item or item in (float("inf"), float("-inf"))):
        shown = "NaN" if item != item else item
        return f"is {shown}, which JSON does not have (None or a string can stand for it)"
    if item is None or isinstance(item, (str, int, float, list, tuple)):
        return ""
    if isinstance(item, dict):
        odd = next((key for key in item if key is not None and not isinstance(key, (str, int, float))), None)
        return "" if odd is None else f"has a key of type {type(odd).__name__}; JSON keys are strings"
    hint = ": an async function was called, and not awaited" if hasattr(item, "__await__") else ""
    return f"is of type {type(item).__name__}, which has no JSON form{hint}"


def _children(path: str, item: Any) -> Iterator[tuple[str, object]]:
    if isinstance(item, dict):
        for key, child in item.items():
            name = str(key)
            yield (f"{path}.{name}" if name.isidentifier() else f"{path}[{json.dumps(name)}]"), child
        return
    for index, child in enumerate(item):
        yield f"{path}[{index}]", child
