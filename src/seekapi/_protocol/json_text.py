"""JSON as it may travel: strict both ways, and an error says where the fault is.

Strict means: UTF-8 (a byte order mark is tolerated), no NaN or Infinity, nesting and integers that every reader
survives, on every Python, also once the value stands in a longer text. Of duplicate keys the last wins, as in most
readers. Lone surrogates pass, as `\\ud800` escapes.
What is not JSON by itself (a dataclass, a datetime) has one form, which json_forms.py gives it.
"""

from __future__ import annotations

import json
import sys
from itertools import islice

from ..errors import SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# CPython's own limit since 3.10.7; earlier 3.10 would spend minutes on a number of a million digits.
MAX_INT_DIGITS = 4300
# How many arrays and objects of a value may stand in each other. Python itself takes 990 of them, less what its stack
# holds already; from 3.12 on more; and with the recursion limit raised, before 3.12, as many as crash the process.
MAX_DEPTH = 500
# As many more are read, and encoded where a value stands in something of ours: an answer, a page of jobs, a row.
WRAPPING = 20
_DEFAULT_RECURSION_LIMIT = 1000
_TOO_DEEP = "is nested too deeply to be sent as JSON"
# How much of a value is looked at for keys that are one in JSON: so many containers, and so many parts of each.
FIRST_PARTS = 64
_CONTAINERS = frozenset((dict, list, tuple))
# Above this, collecting garbage during the parse costs about as much as the parse.
LARGE_TEXT_LENGTH = 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonError(ValueError):
    """The bytes are not JSON as we take it. The message is ours and quotes none of them."""


def encode(
    value: object, *, what: str = "data", ascii_only: bool = True, indent: int | None = None, wrapping: int = 0
) -> str:
    """`value` as JSON text; a dataclass, datetime, UUID, Path, Enum, Decimal, set or model in its one form.

    `what` names the value in the error (`result.rows[3].price is NaN`). With `ascii_only=False` text stays
    readable, except in a value that holds a lone surrogate, which has no UTF-8 form. `wrapping` is how many levels of
    the nesting are around the value that counts.

    Raises SerializationError, with `.path`.
    """
    deepest = MAX_DEPTH + wrapping
    text = path = reason = ""
    try:
        if _may_crash():
            path, reason = _first_fault(value, what, deepest)
        if not reason:
            text = _dumped(value, ascii_only=ascii_only, indent=indent)
            if _has_doubled_keys(value):
                path, reason = _first_fault(value, what, deepest)
    except RecursionError:
        path, reason = what, _TOO_DEEP
    except MemoryError:
        raise
    except Exception:
        path, reason = _first_fault(value, what, deepest)
        if not reason:
            text, reason = _with_plain_keys(value, ascii_only=ascii_only, indent=indent)
            path = what
    if not reason and _is_nested_deeper(text, deepest):
        path, reason = _first_fault(value, what, deepest)
        path, reason = path or what, reason or _TOO_DEEP
    if not reason:
        return text
    # Raised out here, so that no context carries the data along.
    raise SerializationError(f"{path} {reason}", path=path, reason=reason)


def _first_fault(value: object, what: str, deepest: int) -> tuple[str, str]:
    from . import json_faults

    return json_faults.first_fault(value, what, deepest)


def _has_doubled_keys(value: object) -> bool:
    """Whether a dict has two keys that are one in JSON, like 5 and "5", of which a reader would keep the last.

    A look at the first of everything: to look at all takes a good part of the time that the encoding does, and a
    program that mixes up its keys does so from the start, or where it adds to what it has read.
    """
    waiting: list[Any] = [value]
    for container in waiting:
        kind = type(container)
        if kind is dict and container:
            kinds = set(map(type, islice(container, FIRST_PARTS)))
            kinds.add(type(next(reversed(container))))
            if len(kinds) > 1 and doubled_key(container) is not None:
                return True
            parts = container.values()
        elif kind is list or kind is tuple:
            parts = container
        else:
            continue
        if len(waiting) < FIRST_PARTS:
            waiting += [part for part in islice(parts, FIRST_PARTS) if type(part) in _CONTAINERS]
    return False


def doubled_key(keys: Iterable[str | float | None]) -> str | None:
    """The text that two of these keys of a dict both have in JSON, if there is one."""
    seen: set[str] = set()
    for key in keys:
        text = key if isinstance(key, str) else json.dumps(key)
        if text in seen:
            return text
        seen.add(text)
    return None


def _is_nested_deeper(text: str, deepest: int) -> bool:
    # A look at the start tells of most long texts that they have that many brackets.
    if len(text) <= deepest or (
        text.count("[", 0, LARGE_TEXT_LENGTH) + text.count("{", 0, LARGE_TEXT_LENGTH) <= deepest
        and text.count("[") + text.count("{") <= deepest
    ):
        return False
    from . import json_faults

    return json_faults.is_nested_deeper(text, deepest)


def _dumped(value: object, *, ascii_only: bool, indent: int | None) -> str:
    text = json.dumps(value, allow_nan=False, ensure_ascii=ascii_only, indent=indent, default=_form_of)
    if ascii_only or _is_utf8(text):
        return text
    return json.dumps(value, allow_nan=False, indent=indent, default=_form_of)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _form_of(item: object) -> Any:
    """What json.dumps asks for where it meets something else than JSON; plain data never gets here."""
    from . import json_forms

    return json_forms.form_of(item)


def _with_plain_keys(value: object, *, ascii_only: bool, indent: int | None) -> tuple[str, str]:
    """The text of what json.dumps refused though only keys were the trouble; else why there is none."""
    from . import json_forms

    try:
        return _dumped(json_forms.with_plain_keys(value), ascii_only=ascii_only, indent=indent), ""
    except RecursionError:
        return "", _TOO_DEEP
    except json_forms.NoForm as error:
        return "", str(error)
    except MemoryError:
        raise
    except Exception:
        return "", "has no JSON form"


def decode(data: bytes | bytearray, *, is_kept: bool = False) -> Any:
    """The value that `data` holds. One that `is_kept` will stand in longer texts: MAX_DEPTH holds. Raises JsonError."""
    return parse(text_of(data), is_kept=is_kept)


def text_of(data: bytes | bytearray) -> str:
    """`data` as text, to be parsed once `data` itself is dropped: a large input then counts once. Raises JsonError."""
    try:
        return (data[3:] if data.startswith(_BYTE_ORDER_MARK) else data).decode("utf-8")
    except UnicodeDecodeError as error:
        fault_at = error.start
    # Raised out here, so that no context carries the data along.
    raise JsonError(f"not UTF-8 (byte {fault_at})")


def parse(text: str, *, is_kept: bool = False) -> Any:
    """The value that `text` holds. As `decode`."""
    reason, value = _parse(text, is_kept or _may_crash())
    if reason:
        raise JsonError(reason)
    return value


def _may_crash() -> bool:
    """Whether Python would rather crash than refuse what is nested too deeply."""
    return sys.version_info < (3, 12) and sys.getrecursionlimit() > _DEFAULT_RECURSION_LIMIT


def _parse(text: str, is_bounded: bool) -> tuple[str, Any]:
    if not text or text.isspace():
        return "empty", None
    if is_bounded and _is_nested_deeper(text, MAX_DEPTH + WRAPPING):
        return f"nested too deeply: more than {MAX_DEPTH} deep", None
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
