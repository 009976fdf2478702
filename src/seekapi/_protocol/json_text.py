"""JSON as it may travel: strict both ways, and an error says where the fault is.

Strict means: UTF-8 (a byte order mark is tolerated), no NaN or Infinity, nesting and integers that a reader
survives. Of duplicate keys the last wins, as in most readers. Lone surrogates pass, as `\\ud800` escapes.
What is not JSON by itself (a dataclass, a datetime) has one form, which json_forms.py gives it.
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
    """`value` as JSON text; a dataclass, datetime, UUID, Path, Enum, Decimal, set or model in its one form.

    `what` names the value in the error (`result.rows[3].price is NaN`). With `ascii_only=False` text stays
    readable, except in a value that holds a lone surrogate, which has no UTF-8 form.

    Raises SerializationError, with `.path`.
    """
    try:
        return _dumped(value, ascii_only=ascii_only, indent=indent)
    except RecursionError:
        path, reason = what, "is nested too deeply to be sent as JSON"
    except (TypeError, ValueError):
        text, path, reason = _with_plain_keys(value, what, ascii_only=ascii_only, indent=indent)
        if not reason:
            return text
    # Raised out here, so that no context carries the data along.
    raise SerializationError(f"{path} {reason}", path=path, reason=reason)


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


def _with_plain_keys(value: object, what: str, *, ascii_only: bool, indent: int | None) -> tuple[str, str, str]:
    """The text of what json.dumps refused, if only keys were the trouble; else the way to the fault, and the reason."""
    from . import json_forms

    path, reason = _first_fault(value, what)
    if reason != _NO_FAULT:
        return "", path, reason
    try:
        return _dumped(json_forms.with_plain_keys(value), ascii_only=ascii_only, indent=indent), "", ""
    except RecursionError:
        return "", what, "is nested too deeply to be sent as JSON"
    except json_forms.NoForm as error:
        return "", what, str(error)
    except (TypeError, ValueError):
        return "", path, reason


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


_NO_FAULT = "has no JSON form"
# A value that goes on for ever is one that makes its own parts anew each time it is asked.
_DEEPEST = 20_000


def _first_fault(value: object, what: str) -> tuple[str, str]:
    """Where `value` stops being JSON, and why. Walks with a stack of its own: the value may be deep or circular."""
    above: set[int] = set()
    stack: list[tuple[str, object, bool]] = [(what, value, False)]
    while stack:
        path, item, leaving = stack.pop()
        if leaving:
            above.discard(id(item))
            continue
        reason, form = _own_fault(item)
        if reason:
            return path, reason
        if form is item and not isinstance(item, (dict, list, tuple)):
            continue
        if id(item) in above:
            return path, "refers back to itself"
        if len(above) > _DEEPEST:
            return path, "is nested too deeply to be sent as JSON"
        above.add(id(item))
        stack.append((path, item, True))
        if form is not item:
            stack.append((path, form, False))
            continue
        stack.extend((child_path, child, False) for child_path, child in reversed(list(_children(path, item))))
    return what, _NO_FAULT


def _own_fault(item: Any) -> tuple[str, Any]:
    """What is wrong with `item` itself, and what stands for it in JSON."""
    from . import json_forms

    shown = _no_number(item)
    if shown:
        return f"is {shown}, which JSON does not have (None or a string can stand for it)", item
    try:
        if isinstance(item, dict):
            return _fault_of_keys(item), item
        is_json = item is None or isinstance(item, (str, int, float, list, tuple))
        return "", item if is_json else json_forms.form_of(item)
    except json_forms.NoForm as error:
        return str(error), item
    except RecursionError:
        return "is nested too deeply to be sent as JSON", item


def _fault_of_keys(item: dict[Any, Any]) -> str:
    from . import json_forms

    odd = next(filter(None, (_no_number(json_forms.key_of(key)) for key in item)), "")
    return f"has a key that is {odd}, which JSON does not have" if odd else ""


def _no_number(item: object) -> str:
    """What a float is that is no number to JSON; "" if it is one."""
    if not isinstance(item, float) or float("-inf") < item < float("inf"):
        return ""
    return "NaN" if item != item else "inf" if item > 0 else "-inf"


def _children(path: str, item: Any) -> Iterator[tuple[str, object]]:
    if isinstance(item, dict):
        for key, child in item.items():
            name = _key_text(key)
            yield (f"{path}.{name}" if name.isidentifier() else f"{path}[{json.dumps(name)}]"), child
        return
    for index, child in enumerate(item):
        yield f"{path}[{index}]", child


def _key_text(key: object) -> str:
    from . import json_forms

    return str(json_forms.key_of(key))
