"""Where a value stops being JSON, and how deep a text is nested: asked only when something looks wrong.

It does no more than look, so whoever runs out of time may be interrupted here.
"""

from __future__ import annotations

import json
import sys
from itertools import accumulate

from . import json_forms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# How often the innermost brackets are taken out of a text before what is left is gone through one by one.
_MOST_PASSES = 8
_STRUCTURE = b'"[]{}'
_OPEN, _CLOSE, _STRING_END = b"\x01", b"\xff", b"\x00"
_MARKS = bytes.maketrans(_STRUCTURE, _STRING_END + (_OPEN + _CLOSE) * 2)
_REST = bytes(set(range(256)) - set(_STRUCTURE))

# Python writes integers of 640 digits whatever its limit; nearly all are shorter than these.
_SHORT_INT_BITS = 2000
_SHORT_INT = 1 << 64
# As many steps of a path are shown: whoever nests deeper than that looks at its beginning.
_MOST_STEPS = 30
# The step from a value to what stands for it in JSON.
_FORM = object()


def is_nested_deeper(text: str, deepest: int) -> bool:
    """Whether more than `deepest` arrays and objects are open at once, in what is JSON of `text`.

    A text that breaks off may count a few levels deeper than it is.

    Many brackets at a time, and in bytes: to look at each one would take as long as the parse.
    """
    left = text.encode("utf-8", "surrogatepass")
    if b"\\" in left:
        left = left.replace(b"\\\\", b"").replace(b'\\"', b"")
    left = left.translate(_MARKS, _REST).replace(_STRING_END * 2, b"")
    if _STRING_END in left:
        # Brackets in strings are text.
        left = b"".join(left.split(_STRING_END)[::2])
    for passes in range(_MOST_PASSES):
        if left.count(_OPEN) <= deepest - passes:
            return False
        left = left.replace(_OPEN + _CLOSE, b"")
    return max(accumulate(memoryview(left).cast("b")), default=0) > deepest - _MOST_PASSES


def first_fault(value: object, what: str, deepest: int) -> tuple[str, str]:
    """The way to where `value` stops being JSON, and why; two empty texts if it nowhere does.

    `what` names the value itself.
    """
    walk = _Walk(value, deepest)
    try:
        reason = walk.first_fault()
    except json_forms.NoForm as error:
        reason = str(error)
    except RecursionError:
        reason = too_deep(deepest)
    except MemoryError:
        raise
    except Exception as error:
        # A class of the user's own.
        reason = f"cannot be read: {type(error).__name__}"
    return (walk.path(what), reason) if reason else ("", "")


def too_deep(deepest: int) -> str:
    """The reason against what is nested deeper than that."""
    return f"is nested too deeply to be sent as JSON: more than {deepest} deep"


class _Walk:
    """Goes through a value with a stack of its own: that may be deep or circular.

    Only what leads to the current place is kept, and turned into text when there is something to tell.
    """

    def __init__(self, value: object, deepest: int) -> None:
        self._deepest = deepest
        # What is open, and its parts that were not looked at yet; with its steps, as many as there are of those.
        self._open: list[tuple[object, Iterator[tuple[object, Any]]]] = [(None, iter(((_FORM, value),)))]
        self._steps: list[object] = [_FORM]

    def first_fault(self) -> str:
        above: set[int] = set()
        depth = 0
        while self._open:
            owner, parts = self._open[-1]
            for step, item in parts:
                kind = type(item)
                if kind is str or item is None or kind is bool or (kind is int and -_SHORT_INT < item < _SHORT_INT):
                    continue
                self._steps[-1] = step
                inside = _inside(item)
                if inside is None:
                    continue
                if id(item) in above:
                    return "refers back to itself"
                depth += _is_container(item)
                # A value that makes its own parts anew each time it is asked never comes to a container.
                if depth > self._deepest or len(self._open) > 3 * self._deepest:
                    return too_deep(self._deepest)
                above.add(id(item))
                self._open.append((item, iter(inside)))
                self._steps.append(_FORM)
                break
            else:
                self._open.pop()
                self._steps.pop()
                above.discard(id(owner))
                depth -= _is_container(owner)
        return ""

    def path(self, what: str) -> str:
        """From `what` to where the walk stands."""
        owners = (owner for owner, _ in self._open)
        steps = [_step_text(owner, step) for owner, step in zip(owners, self._steps, strict=True) if step is not _FORM]
        return what + "".join(steps[:_MOST_STEPS]) + ("…" if len(steps) > _MOST_STEPS else "")


def _step_text(owner: object, step: object) -> str:
    if not issubclass(type(owner), dict):
        return f"[{step}]"
    name = str(json_forms.key_of(step))
    return f".{name}" if name.isidentifier() else f"[{json.dumps(name)}]"


def _is_container(item: object) -> bool:
    return issubclass(type(item), (dict, list, tuple))


def _inside(item: Any) -> Iterable[tuple[object, Any]] | None:
    """The parts of `item`, each with the step to it; None if it has none. Raises NoForm if it is no JSON itself.

    By its type, and by the methods that json.dumps uses: a class of the user's own may say anything of itself.
    """
    kind = type(item)
    if issubclass(kind, dict):
        pairs = item.items() if kind is dict else list(item.items())
        others = [_checked_key(key) for key, _ in pairs if type(key) is not str]
        if others:
            texts = (key for key, _ in pairs if type(key) is str)
            json_forms.refuse_doubled((*texts, *others))
        return pairs
    if issubclass(kind, (list, tuple)):
        return enumerate((list if issubclass(kind, list) else tuple).__iter__(item))
    if issubclass(kind, (str, int, float)):
        shown = _no_number(item)
        if shown:
            raise json_forms.NoForm(f"is {shown} (None or a string can stand for it)")
        return None
    return ((_FORM, json_forms.form_of(item)),)


def _checked_key(key: object) -> str | float | None:
    """What stands for `key` in JSON. Raises NoForm."""
    plain = json_forms.key_of(key)
    shown = _no_number(plain)
    if shown:
        raise json_forms.NoForm(f"has a key that is {shown}")
    return plain


def _no_number(item: Any) -> str:
    """What a number is that JSON does not have; "" if it has it."""
    if issubclass(type(item), float):
        number = float.__pos__(item)
        if float("-inf") < number < float("inf"):
            return ""
        return f"{'NaN' if number != number else 'inf' if number > 0 else '-inf'}, which JSON does not have"
    if issubclass(type(item), int) and int.bit_length(item) >= _SHORT_INT_BITS:
        try:
            int.__repr__(item)
        except ValueError:
            return f"an integer of more than {sys.get_int_max_str_digits()} digits, which no reader takes"
    return ""
