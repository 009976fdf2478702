"""The shapes that an input can have: each knows its JSON Schema, and how to make the Python value of a JSON value.

A shape converts only what its schema has let through (checks.py). What can still be wrong then is what no
schema says: a day that the calendar lacks, an object that its own class refuses.
"""

from __future__ import annotations

from .checks import MOST_PROBLEMS, Check
from .values import canonical
from .words import Problem, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from .checks import Validator
    from .words import Place

    Fragment = dict[str, Any]
    Part = tuple["Shape", Any]


class Conversion:
    """One conversion of one input: the problems that it meets, and which alternatives fit."""

    __slots__ = ("_check", "found")

    def __init__(self, validator: Validator) -> None:
        self.found: list[Problem] = []
        self._check = Check(validator)

    def report(self, place: Place, text: str) -> None:
        """One problem, unless there are plenty already."""
        if len(self.found) < MOST_PROBLEMS:
            self.found.append(Problem(path_of(place), text))

    def fits(self, shape: Shape, value: object) -> bool:
        """Whether the schema of `shape` lets `value` through."""
        return self._check.fits(shape.schema, value)


class Shape:
    """Anything at all, and every shape whose Python value is the JSON value itself."""

    # Whether converting changes nothing, so that it can be left out.
    is_plain = True
    is_secret = False

    def __init__(self, schema: Fragment) -> None:
        self.schema = schema

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        """The Python value of `value`. Problems go to `conversion`, and then what is returned means nothing."""
        return value

    def parts(self, value: Any) -> Iterable[Part]:
        """The shapes and values inside; also of a value that does not fit."""
        return ()


class Made(Shape):
    """A value that a function makes of a JSON scalar. The function raises ValueError with what is wrong with it."""

    is_plain = False

    def __init__(self, schema: Fragment, make: Callable[[Any], Any]) -> None:
        super().__init__(schema)
        self._make = make

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        try:
            return self._make(value)
        except (ValueError, OverflowError, ArithmeticError) as error:
            conversion.report(place, str(error) or "cannot be used")
            return None


class Whole(Shape):
    """An integer; 1.0 is one, too."""

    is_plain = False

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        return value if type(value) is int else int(value)


class Chosen(Shape):
    """One of a few Python values, each with its JSON form."""

    is_plain = False

    def __init__(self, schema: Fragment, values: Mapping[Any, Any]) -> None:
        super().__init__(schema)
        self._values = values

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        return self._values[canonical(value)]


class Many(Shape):
    """A list, set or tuple of things of one shape."""

    def __init__(self, schema: Fragment, item: Shape, make: Callable[[list[Any]], Any] | None) -> None:
        super().__init__(schema)
        self._item = item
        self._make = make
        self.is_plain = make is None and item.is_plain

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        items = value
        if not self._item.is_plain:
            convert = self._item.convert
            items = [convert(item, conversion, (place, index)) for index, item in enumerate(value)]
        if self._make is None:
            return items
        try:
            made = self._make(items)
        except TypeError:
            conversion.report(place, "holds what cannot be in a Python set")
            return None
        if len(made) < len(items) and not conversion.found:
            conversion.report(place, "two of the items mean the same")
        return made

    def parts(self, value: Any) -> Iterable[Part]:
        return ((self._item, item) for item in value) if isinstance(value, list) else ()


class Row(Shape):
    """A tuple whose items have a shape each."""

    is_plain = False

    def __init__(self, schema: Fragment, items: list[Shape], make: Callable[[list[Any]], Any]) -> None:
        super().__init__(schema)
        self._items = items
        self._make = make

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        before_count = len(conversion.found)
        pairs = zip(self._items, value, strict=False)  # what has a default may be left out
        items = [shape.convert(part, conversion, (place, i)) for i, (shape, part) in enumerate(pairs)]
        return made_by(lambda: self._make(items), conversion, place) if len(conversion.found) == before_count else None

    def parts(self, value: Any) -> Iterable[Part]:
        return zip(self._items, value, strict=False) if isinstance(value, list) else ()


class Table(Shape):
    """A dict from keys of one shape to values of one shape."""

    def __init__(self, schema: Fragment, key: Shape, item: Shape) -> None:
        super().__init__(schema)
        self._key = key
        self._item = item
        self.is_plain = key.is_plain and item.is_plain

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        if self.is_plain:
            return value
        made = {
            self._key.convert(key, conversion, (place, key)): self._item.convert(item, conversion, (place, key))
            for key, item in value.items()
        }
        if len(made) < len(value) and not conversion.found:
            conversion.report(place, "two of the keys mean the same")
        return made

    def parts(self, value: Any) -> Iterator[Part]:
        for key, item in value.items() if isinstance(value, dict) else ():
            yield self._key, key
            yield self._item, item


class Fields(Shape):
    """An object with known keys, of which a class makes its own: a dataclass, a TypedDict, a NamedTuple."""

    is_plain = False

    def __init__(self, schema: Fragment, fields: Mapping[str, Shape], make: Callable[..., Any]) -> None:
        super().__init__(schema)
        self._fields = fields
        self._make = make

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        before_count = len(conversion.found)
        members = {
            name: self._fields[name].convert(item, conversion, (place, name))
            for name, item in value.items()
            if name in self._fields
        }
        # With a part missing, the class would complain about what is no fault of the whole.
        is_whole = len(conversion.found) == before_count
        return made_by(lambda: self._make(**members), conversion, place) if is_whole else None

    def parts(self, value: Any) -> Iterable[Part]:
        if not isinstance(value, dict):
            return ()
        return ((shape, value[name]) for name, shape in self._fields.items() if name in value)


class Either(Shape):
    """One of several shapes: the first that fits, and before it the one whose Python value is the value itself."""

    def __init__(self, schema: Fragment, branches: list[Shape]) -> None:
        super().__init__(schema)
        self._branches = branches
        self.is_plain = all(branch.is_plain for branch in branches)

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        before = conversion.found
        first_found: list[Problem] | None = None
        for branch in self._in_order(value):
            if not conversion.fits(branch, value):
                continue
            conversion.found = []
            made = branch.convert(value, conversion, place)
            found, conversion.found = conversion.found, before
            if not found:
                return made
            first_found = found if first_found is None else first_found
        conversion.found = [*before, *(first_found or [Problem(path_of(place), "fits no alternative")])]
        return None

    def parts(self, value: Any) -> Iterable[Part]:
        return ((branch, value) for branch in self._branches)

    def _in_order(self, value: Any) -> list[Shape]:
        # 1.0 is an integer to JSON Schema, and 1 a number; `int | float` keeps each as what it is.
        own = {int: "integer", float: "number"}.get(type(value))
        return sorted(self._branches, key=lambda branch: branch.schema.get("type") != own) if own else self._branches


class Named(Shape):
    """A shape with a name, which may be found inside itself."""

    is_plain = False

    def __init__(self, schema: Fragment) -> None:
        super().__init__(schema)
        self.target: Shape = _NOTHING

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        return self.target.convert(value, conversion, place)

    def parts(self, value: Any) -> Iterable[Part]:
        return ((self.target, value),)


class Marked(Shape):
    """Another shape of which more is demanded, or less may be told."""

    def __init__(self, inner: Shape, schema: Fragment, *, is_secret: bool, demand: Callable[[Any], str] | None) -> None:
        super().__init__(schema)
        self._inner = inner
        self._demand = demand
        self.is_secret = is_secret
        self.is_plain = inner.is_plain and demand is None

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        before_count = len(conversion.found)
        made = self._inner.convert(value, conversion, place)
        refusal = self._demand(made) if self._demand and len(conversion.found) == before_count else ""
        if refusal:
            conversion.report(place, refusal)
        if self.is_secret and len(conversion.found) > before_count:
            del conversion.found[before_count:]
            conversion.report(place, "cannot be used")
        return made

    def parts(self, value: Any) -> Iterable[Part]:
        return ((self._inner, value),)


class Validated(Shape):
    """A class that checks and converts by itself: `model_validate(value)`."""

    is_plain = False

    def __init__(self, schema: Fragment, make: Callable[[Any], Any]) -> None:
        super().__init__(schema)
        self._make = make

    def convert(self, value: Any, conversion: Conversion, place: Place) -> Any:
        return made_by(lambda: self._make(value), conversion, place)


_NOTHING = Shape({})


def made_by(make: Callable[[], Any], conversion: Conversion, place: Place) -> Any:
    """What a class makes of its parts. Its refusal, a ValueError or one that lists `errors()`, becomes problems."""
    try:
        return make()
    except Exception as error:
        listed = getattr(error, "errors", None)
        if callable(listed):
            _report_listed(listed(), conversion, place)
        elif isinstance(error, ValueError):
            conversion.report(place, str(error) or "is refused")
        else:
            raise
    return None


def _report_listed(listed: Any, conversion: Conversion, place: Place) -> None:
    """The errors of a model, each with the way to it (`loc`) and what it says (`msg`); never its `input`."""
    reported_count = 0
    for each in listed if isinstance(listed, (list, tuple)) else ():
        entry = each if isinstance(each, dict) else {}
        way, at = entry.get("loc", ()), place
        for step in way if isinstance(way, (list, tuple)) else (way,):
            at = (at, step if type(step) is int else str(step))
        conversion.report(at, str(entry.get("msg") or entry.get("type") or "is refused"))
        reported_count += 1
    if not reported_count:
        conversion.report(place, "is refused")


def secrets_in(shape: Shape, value: object) -> list[str]:
    """The texts that a value marked Secret holds, wherever it is inside `value`, also if the value does not fit."""
    found: dict[str, None] = {}
    waiting: list[tuple[Shape | None, Any]] = [(shape, value)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        shape_here, here = waiting.pop()
        # A None stands for: inside a secret, where everything is one.
        if shape_here is None or shape_here.is_secret:
            inside = [*here.keys(), *here.values()] if isinstance(here, dict) else here
            if isinstance(inside, list):
                waiting.extend((None, part) for part in inside)
            elif here is not None and not isinstance(here, bool):
                found[str(here)] = None
        elif (id(shape_here), id(here)) not in seen:
            seen.add((id(shape_here), id(here)))
            waiting.extend(shape_here.parts(here))
    return list(found)
