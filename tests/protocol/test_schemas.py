"""Typed input: what the first parameter asks for is checked and made, all problems are told, no secret is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import KW_ONLY, InitVar, dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import partial, wraps
from types import ModuleType
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar, Union
from uuid import UUID

import pytest

from seekapi import ArgumentError, Choices, Doc, InvalidInput, Pattern, Range, Secret, schema, worker
from seekapi._protocol import schemas

T = TypeVar("T")
Json = dict[str, "Json"] | list["Json"] | str | int | None
Endless = Union["Endless", int]
UserId = NewType("UserId", int)


class Mode(Enum):
    FAST = "fast"
    GOOD = "good"


class Size(TypedDict):
    width: int
    height: int


class Options(TypedDict, total=False):
    quality: int
    sizes: list[Size]


class Point(NamedTuple):
    x: int
    y: float = 0.5


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class Lid(Box[list[T]], Generic[T]):
    over: Box[list[T]] | None = None
    below: T | None = None


@dataclass
class IntLid(Lid[int]):
    size: int = 0


@dataclass
class Growing(Generic[T]):
    inner: Growing[list[T]] | None = None


@dataclass
class Span:
    """From a moment to a later one.

    Both are included.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError("the end is before the start")


@dataclass
class Job:
    urls: Annotated[list[str], Range(1, 3), Doc("The pages.")]
    mode: Mode = Mode.FAST
    token: Annotated[str, Secret()] = "default-secret"
    count: Annotated[int, Range(1, 100)] = 10
    when: datetime | None = None
    price: Annotated[Decimal, Range(above=0)] = Decimal("1.50")
    span: Span = field(default_factory=lambda: Span(1, 2))
    start: InitVar[int] = 3
    version: ClassVar[int] = 3
    computed: int = field(default=7, init=False)
    _: KW_ONLY
    loud: bool = False

    def __post_init__(self, start: int) -> None:
        self.computed = start * 2


class Model:
    """As pydantic's models behave."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def model_validate(cls, value: object) -> Model:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            raise Refused(
                [{"loc": ("name",), "msg": "a text is needed", "input": value}, {"loc": ("tags", 2), "msg": "no"}]
            )
        return cls(value["name"])

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"properties": {"part": {"$ref": "#/$defs/Part"}}, "$defs": {"Part": {"type": "string"}}}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and other.name == self.name


class Refused(Exception):
    def __init__(self, found: list[dict[str, Any]]) -> None:
        super().__init__("several")
        self._found = found

    def errors(self) -> list[dict[str, Any]]:
        return self._found


@dataclass
class WithModel:
    model: Model
    other: Model | None = None


class Even(NamedTuple("Even", [("n", int)])):
    def __new__(cls, n: int) -> Even:
        if n % 2:
            raise ValueError("n is odd")
        return super().__new__(cls, n)


def function_of(annotation: Any) -> Any:
    def fn(job_input): ...

    fn.__annotations__["job_input"] = annotation
    return fn


def converted(annotation: Any, value: object) -> Any:
    converter = schemas.input_converter(function_of(annotation))
    assert converter is not None
    return converter(value)


def problems_of(annotation: Any, value: object) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        converted(annotation, value)
    assert caught.value.__context__ is None
    return list(caught.value.problems)


def test_a_dataclass_is_made_with_all_that_it_holds():
    """Fields become what they are annotated with; defaults, InitVar, keyword-only are the class's own."""
    value = {
        "urls": ["a"],
        "mode": "good",
        "count": 5.0,
        "when": "2026-01-31T12:00:00Z",
        "price": 9.99,
        "span": {"start": 1, "end": 2},
        "start": 4,
        "loud": True,
    }

    job = converted(Job, value)

    assert job == Job(
        urls=["a"],
        mode=Mode.GOOD,
        count=5,
        when=datetime(2026, 1, 31, 12, tzinfo=timezone.utc),
        price=Decimal("9.99"),
        span=Span(1, 2),
        start=4,
        loud=True,
    )
    assert (job.computed, type(job.count)) == (8, int)


def test_all_problems_are_told_with_their_paths():
    """One look at the answer tells everything that has to be mended, and what may have been meant."""
    value = {
        "urls": ["a", "b", 3, "d"],
        "mode": "fats",
        "modee": "fast",
        "count": "5",
        "when": "yesterday",
        "span": {"start": 1, "en": 2},
        "computed": 1,
        "loud": 1,
    }

    assert problems_of(Job, value) == [
        "$.urls[2]: expected string, got integer",
        "$.urls: must have at most 3 items, got 4",
        '$.mode: expected one of "fast", "good", got "fats"; did you mean "fast"?',
        "$.count: expected integer, got string",
        "$.when: expected a date and time with its offset (2026-01-31T12:00:00Z)",
        "$.span.end: is missing",
        '$.span.en: unknown key, did you mean "end"?',
        "$.loud: expected boolean, got integer",
        '$.modee: unknown key, did you mean "mode"?',
        '$.computed: unknown key, did you mean "count"?',
    ]


def test_the_message_has_the_problems():
    """One problem is the message; of several it has as many as a verdict has room for."""
    with pytest.raises(InvalidInput) as one:
        converted(list[int], [1, "2"])
    with pytest.raises(InvalidInput) as many:
        converted(list[int], ["2"] * 1000)

    assert str(one.value) == "$[1]: expected integer, got string"
    assert str(many.value).startswith("50 problems: $[0]: expected integer, got string; $[1]: ")
    assert str(many.value).endswith("more") and len(str(many.value)) < 1700
    assert len(many.value.problems) == 50


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, True),
        (int, "1"),
        (int, 1.5),
        (int, None),
        (float, "1"),
        (float, True),
        (str, 1),
        (bool, 0),
        (bool, "true"),
        (list[int], ["1"]),
        (dict[str, int], {"a": "1"}),
        (tuple[int, str], [1]),
        (tuple[int, str], [1, "a", 2]),
        (set[int], [1, 1]),
        (Literal[1], True),
        (Literal[0, "a"], False),
        (float, 10**400),
        (float, float("inf")),
        (Size, {"width": 1, "height": "2"}),
        (Size, {"width": 1}),
        (Size, {"width": 1, "height": 2, "depth": 3}),
        (Options, {"quality": None}),
        (Point, {"y": 1.5}),
        (Point, [1, 2, 3]),
        (Box[int], {"content": "a"}),
        (UserId, "7"),
        (None, 0),
    ],
)
def test_nothing_is_guessed(annotation, value):
    """A text is no number, a number no boolean, true no 1: what does not fit is refused, not bent."""
    assert problems_of(annotation, value)


@pytest.mark.parametrize(
    ("annotation", "value", "made"),
    [
        (int, 1.0, 1),
        (float, 1, 1.0),
        (int | float, 1.0, 1.0),
        (float | int, 1, 1),
        (Union[int, None], None, None),
        (int | None, 2, 2),
        (list, [1, "a"], [1, "a"]),
        (tuple[int, ...], [1, 2.0], (1, 2)),
        (tuple[()], [], ()),
        (set[str], ["a"], {"a"}),
        (frozenset[Mode], ["fast"], frozenset({Mode.FAST})),
        (dict[int, Mode], {"-1": "fast"}, {-1: Mode.FAST}),
        (dict[Mode, int], {"fast": 1.0}, {Mode.FAST: 1}),
        (Literal[Mode.GOOD, 3], "good", Mode.GOOD),
        (Size, {"width": 1, "height": 2.0}, {"width": 1, "height": 2}),
        (Options, {}, {}),
        (Options, {"sizes": [{"width": 1, "height": 2}]}, {"sizes": [{"width": 1, "height": 2}]}),
        (Point, {"x": 1}, Point(1)),
        (Point, [1, 2], Point(1, 2.0)),
        (Box[Mode], {"content": "fast"}, Box(Mode.FAST)),
        (Box, {"content": [1]}, Box([1])),
        (UserId, 7, 7),
        (Node, {"name": "a", "children": [{"name": "b"}]}, Node("a", [Node("b")])),
        ("Json", {"a": [1, None, "x"]}, {"a": [1, None, "x"]}),
        (Size | Node, {"name": "a"}, Node("a")),
        (datetime | str, "later", "later"),
        (Model, {"name": "a", "more": 1}, Model("a")),
        (WithModel, {"model": {"name": "a"}}, WithModel(Model("a"))),
        (WithModel, {"model": {"name": "a"}, "other": None}, WithModel(Model("a"))),
        (Model | int, 3, 3),
        (Decimal, "12345678901234567890.123456789", Decimal("12345678901234567890.123456789")),
        (Decimal, 0.1, Decimal("0.1")),
        (Annotated[str, "a stranger's", Choices("a", "b")], "a", "a"),
        (Annotated[str, Secret], "abc", "abc"),
    ],
)
def test_what_fits_becomes_the_python_value(annotation, value, made):
    """As annotated, and of the very type."""
    result = converted(annotation, value)

    assert result == made
    assert type(result) is type(made)


def test_a_class_that_refuses_gives_problems():
    """A ValueError of __post_init__, the errors() of a model: each at its place, without the input."""
    assert problems_of(list[Span], [{"start": 2, "end": 1}]) == ["$[0]: the end is before the start"]
    assert problems_of(list[Even], [{"n": 1}, [3], [4]]) == ["$[0]: n is odd", "$[1]: n is odd"]
    assert problems_of(WithModel, {"model": {"password": "hunter2"}}) == [
        "$.model.name: a text is needed",
        "$.model.tags[2]: no",
    ]


def test_an_error_of_the_class_that_is_no_verdict_comes_through():
    """A bug in the user's class is no fault of who sent the job."""

    class Broken:
        @classmethod
        def model_validate(cls, value: object) -> None:
            raise KeyError("bug")

    with pytest.raises(KeyError):
        converted(Broken, {})


@pytest.mark.parametrize(
    "annotation",
    [
        *(dict, Any, object, dict[str, Any], dict[Any, Any], dict | None, dict | list, T),
        *("Nowhere", "dict", "sys.nothing", "1/0"),
        *(type, subprocess.Popen, list[subprocess.Popen]),
    ],
)
def test_what_asks_for_nothing_is_not_checked(annotation):
    """Annotations out of habit, and those that no input could meet, change nothing for a program that has them."""
    assert schemas.input_converter(function_of(annotation)) is None
    assert schema(function_of(annotation)) == {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def test_a_field_that_no_input_can_fill_is_told_at_once():
    """Inside of a class there is no silence: the function would get something else than it asks for."""

    @dataclass
    class Holder:
        process: subprocess.Popen

    Holder.__annotations__["process"] = subprocess.Popen

    with pytest.raises(ArgumentError, match=r"Holder.process: no input can be of type Popen"):
        schemas.input_converter(function_of(Holder))
    Holder.__annotations__["process"] = "Nowhere"
    with pytest.raises(ArgumentError, match=r"Holder.process: 'Nowhere' cannot be read \(NameError"):
        schemas.input_converter(function_of(Holder))


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Annotated[int, Pattern("a")], "Pattern is for text"),
        (Annotated[str, Pattern("(")], "not a regular expression"),
        (Annotated[str, Pattern(r"\Aa\Z")], "anchor a pattern"),
        (Annotated[str, Range(-1, 5)], "a length is a whole number"),
        (Annotated[str, Range(above=1)], "above and below are for numbers"),
        (Annotated[int, Range("a")], "Range takes numbers"),
        (Annotated[int, Range(float("nan"))], "Range takes numbers"),
        (Annotated[bool, Range(1)], "Range bounds nothing"),
        (Annotated[int, Range()], "Range bounds nothing"),
        (Annotated[datetime, Range(1)], "Range cannot bound a date-time"),
        (Annotated[datetime | None, Range(1)], "Range cannot bound a date-time"),
        (Annotated[Decimal | str, Range(1)], "Range cannot bound both a Decimal and a text"),
        (Annotated[str, Choices()], "nothing to choose"),
        (Annotated[str, Choices(object())], "Choices: value is of type object"),
    ],
)
def test_a_marker_that_cannot_be_kept_is_told_at_once(annotation, reason):
    """To the author of the worker, not to who sends a job."""
    with pytest.raises(ArgumentError, match=reason):
        schemas.input_converter(function_of(annotation))


class TestFirstParameter:
    """Which function it is, whatever is around it."""

    def asked(self, fn: Any) -> Any:
        return schema(fn).get("type")

    def test_of_functions_methods_objects_and_partials(self):
        """Bound arguments and self are no input."""

        class Tool:
            def work(self, n: int) -> None: ...

            def __call__(self, n: int, job: object) -> None: ...

            @classmethod
            def make(cls, n: int) -> None: ...

        def two(first: str, second: int) -> None: ...

        for fn in (Tool().work, Tool(), Tool.make, partial(two, "a"), partial(partial(two, "a")), lambda: 0):
            assert self.asked(fn) == ("integer" if "lambda" not in repr(fn) else None), fn
        assert self.asked(len) is self.asked(partial(two, "a", 1)) is self.asked(object()) is None

    def test_of_a_handler_and_of_decorated_functions(self):
        """@worker is looked through, and so is a wrapper that passes on whatever it gets; another speaks for itself."""

        def number(n: int) -> None: ...

        @wraps(number)
        def passing(*args: Any, **more: Any) -> None: ...

        @wraps(number)
        def other(event: object) -> None: ...

        @wraps(number)
        def alone() -> None: ...

        assert self.asked(worker(number)) == self.asked(worker(passing)) == self.asked(passing) == "integer"
        assert self.asked(worker(partial(number))) == "integer"
        assert self.asked(other) is self.asked(alone) is None

    def test_names_of_the_functions_around_are_known(self):
        """A class defined inside of a function, if the function uses it."""

        @dataclass
        class Local:
            n: int

        def fn(local: Local) -> Any:
            return Local

        def unknown(local: Elsewhere) -> None: ...  # noqa: F821

        assert self.asked(fn) == "object"
        assert schemas.input_converter(unknown) is None


def test_secrets_are_found_and_never_told():
    """Neither a value, nor what a class says about it, nor a key inside it; also where the input does not fit."""

    @dataclass
    class Login:
        token: str
        headers: dict[str, str]
        pin: int

        def __post_init__(self) -> None:
            raise ValueError(f"refused: {self.token}")

    Login.__annotations__ = {
        "token": Annotated[Literal["token-one"] | str, Secret()],
        "headers": Annotated[dict[str, Literal["x"]], Secret()],
        "pin": Annotated[int, Range(5), Secret()] | None,
    }
    converter = schemas.input_converter(function_of(Login))
    fits = {"token": "hunter-22", "headers": {"x-key": "x"}, "pin": 123456}
    wrong = {"token": ["hunter-33"], "headers": {"x-key": "value-44"}, "pin": 4}

    assert sorted(converter.secrets(fits)) == ["123456", "hunter-22", "x", "x-key"]
    assert sorted(converter.secrets(wrong)) == ["4", "hunter-33", "value-44", "x-key"]
    assert problems_of(Login, fits) == ["$: refused: ***"]
    assert problems_of(Login, wrong) == [
        '$.token: expected "token-one" or string, got array',
        '$.headers: expected "x"',
        "$.pin: must be at least 5",
    ]
    assert "default-secret" not in str(schema(function_of(Job)))


def test_a_value_that_may_be_a_secret_is_one():
    """An alternative that is marked hides what the others would say."""
    annotation = Annotated[str, Secret()] | Literal[1, 2]

    assert "hunter2" not in str(problems_of(dict[str, annotation], {"a": 3.5, "b": ["hunter2"]}))
    assert problems_of(annotation, 1234567) == ["$: expected one of 1, 2"]


def test_what_is_made_of_a_secret_may_not_tell_it():
    """However short it is, and whatever its class says."""

    @dataclass
    class Pin:
        digits: str

        def __post_init__(self) -> None:
            raise ValueError(f"bad pin {self.digits}")

    assert problems_of(Annotated[Pin, Secret()], {"digits": "1234"}) == ["$: cannot be used"]


def test_a_class_is_not_made_of_parts_that_could_not_be():
    """It would complain about what is no fault of its own."""

    @dataclass
    class Period:
        start: datetime
        end: datetime

        def __post_init__(self) -> None:
            if self.end < self.start:
                raise ValueError("the end is before the start")

    leap = "1998-12-31T23:59:60Z"

    assert problems_of(Period, {"start": leap, "end": "2026-01-31T12:00:00Z"}) == [
        "$.start: a leap second, which Python's datetime does not have"
    ]
    assert len(problems_of(list[datetime], [leap] * 1000)) == 50


def test_what_only_python_cannot_hold_is_a_problem():
    """Lists in a set; two items that are one, two texts that are one key; more seconds than there are."""
    same = ["12345678-1234-5678-1234-abcdefabcdef", "12345678-1234-5678-1234-ABCDEFABCDEF"]

    assert problems_of(set[list[int]], [[1]]) == ["$: holds what cannot be in a Python set"]
    assert problems_of(set[int | bool], [1, True]) == ["$: two of the items mean the same"]
    assert problems_of(timedelta, 1e300) == ["$: is too long a time"]
    assert problems_of(dict[UUID, int], dict.fromkeys(same, 1)) == ["$: two of the keys mean the same"]


def test_markers_add_up():
    """A type that has bounds already keeps them."""
    positive = Annotated[int, Range(1, 10)]

    assert problems_of(Annotated[positive, Range(5)], 20) == ["$: must be at most 10, got 20"]
    assert problems_of(Annotated[positive, Range(0)], 0) == ["$: must be at least 1, got 0"]
    assert problems_of(Annotated[positive, Range(5)], 3) == ["$: must be at least 5, got 3"]


def test_names_are_read_where_they_were_written():
    """A field may have the name of its type; a class may hold itself; a TypedDict's base may be of another module."""
    other = ModuleType("other_module")
    sys.modules["other_module"] = other
    exec(
        "from typing import TypedDict\nPrice = int\nclass Base(TypedDict):\n    price: 'Price'\n",
        other.__dict__,
    )

    class Child(other.Base):  # type: ignore[name-defined, misc]
        size: Size

    @dataclass
    class Local:
        datetime: datetime | None = None
        below: list[Local] = field(default_factory=list)

    try:
        assert problems_of(Child, {"price": "1", "size": {"width": 1, "height": 2}}) == [
            "$.price: expected integer, got string"
        ]
        assert converted(Local, {"below": [{"datetime": "2026-01-31T12:00:00Z"}]}).below[0].datetime.year == 2026
    finally:
        del sys.modules["other_module"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="typing has them since 3.11")
def test_required_and_not_required_hold_as_texts_too():
    """In a module with annotations as texts the class itself does not see them."""
    names: dict[str, Any] = {"__name__": __name__}
    exec(
        """
from __future__ import annotations
from typing import Annotated, NotRequired, Required, TypedDict
class Most(TypedDict):
    a: NotRequired[int]
    b: int
    c: Annotated[NotRequired[int], "a stranger's"]
class Few(TypedDict, total=False):
    a: Required[int]
    b: int
""",
        names,
    )
    most, few = names["Most"], names["Few"]
    for made, name in ((most, "a"), (most, "c"), (few, "a")):
        made.__annotations__[name] = eval(made.__annotations__[name].__forward_arg__, names)

    assert problems_of(most, {}) == ["$.b: is missing"]
    assert problems_of(few, {}) == ["$.a: is missing"]


def test_a_type_that_is_only_itself_is_told():
    """No value could be of it."""
    with pytest.raises(ArgumentError, match="refers to itself without an end"):
        schemas.input_converter(function_of("Endless"))


def test_a_class_that_checks_by_itself_may_have_no_schema():
    """Then the schema allows what the class will judge."""

    class Own:
        @classmethod
        def model_validate(cls, value: object) -> object:
            return value

    assert schema(function_of(list[Own])) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "array",
    }


def test_what_a_class_says_is_cut():
    """A model may quote a whole input."""

    class Loud:
        @classmethod
        def model_validate(cls, value: object) -> object:
            raise ValueError("x" * 100_000)

    assert len(problems_of(Loud, 1)[0]) < 500


def test_deep_and_hostile_inputs_are_problems():
    """Nesting without end, long keys, long texts, huge numbers: one bounded problem each."""
    deep: Any = {"name": "a"}
    for _ in range(50_000):
        deep = {"name": "a", "children": [deep]}

    assert problems_of(Node, deep) == ["$: is nested too deeply"]
    assert schemas.input_converter(function_of(Node)).secrets(deep) == []
    for value in ({"k" * 9999: 1}, {"name": 10**4000}, {"name": {}, "x" * 50: 1, "\x1b[31m\u202e": 2}):
        for problem in problems_of(Node, value):
            assert len(problem) < 700 and problem.isprintable()
    assert len(problems_of(Literal["a"], "b" * 10**6)[0]) < 200
    assert problems_of(Literal["a"], "\u202e" * 3)[0].isprintable()
    assert problems_of(Annotated[int, Range(0, 5)], 10**5000) == ["$: must be at most 5, got a large number"]
    far: Any = {"name": 1}
    for _ in range(40):
        far = {"name": "a", "children": [far]}
    assert problems_of(Node, far)[0].startswith("$…") and len(problems_of(Node, far)[0]) < 300


def test_alternatives_inside_alternatives_do_not_multiply():
    """A tree of two kinds of nodes, both of which fit for long, is looked at once per node and kind."""

    @dataclass
    class Left:
        below: list[Any]

    @dataclass
    class Right:
        below: list[Any]

    Left.__annotations__["below"] = Right.__annotations__["below"] = list[Left | Right | None]
    value: Any = {"below": [1]}
    for _ in range(40):
        value = {"below": [value]}

    assert problems_of(Left, value)
    value["below"] = [{"below": [None]}]
    assert converted(Left, value) == Left([Left([None])])


def test_an_alternative_is_told_apart_by_its_tag():
    """`kind` says which was meant; without one the names of the alternatives are told."""

    class Circle(TypedDict):
        kind: Literal["circle"]
        radius: float

    class Square(TypedDict):
        kind: Literal["square"]
        side: float

    shape = Circle | Square

    assert problems_of(shape, {"kind": "circle", "side": 1}) == [
        "$.radius: is missing",
        "$.side: unknown key; known: kind, radius",
    ]
    assert problems_of(shape, {"kind": "line"}) == ["$: expected Circle or Square"]
    assert problems_of(shape | int | None, "x") == ["$: expected Circle, Square, integer or null, got string"]


@pytest.mark.parametrize("decimal", [Decimal, Decimal | None], ids=str)
def test_a_bound_of_a_decimal_holds_for_texts_too(decimal):
    """JSON Schema bounds numbers only; also where the Decimal is one of several."""
    annotation = Annotated[decimal, Range(at_most=10, above=0)]

    assert converted(annotation, "10") == 10
    assert converted(annotation, "3.1415926535897932") == Decimal("3.1415926535897932")
    for value in ("10.01", 10.01, "0", 0, "-1", "1e400"):
        assert problems_of(annotation, value)
    if decimal is not Decimal:
        assert converted(annotation, None) is None


def test_a_type_variable_is_what_the_class_says_that_it_is():
    """In a base, in a part, and in one that has a variable of the same name; where nothing is said, anything."""
    wrong = {"content": ["x"], "over": {"content": ["y"]}, "below": "z"}

    assert (
        problems_of(Lid[int], wrong)
        == problems_of(IntLid, wrong)
        == [
            "$.content[0]: expected integer, got string",
            "$.over.content[0]: expected integer, got string",
            "$.below: expected integer or null, got string",
        ]
    )
    assert converted(Lid, wrong) == converted(Lid[T], wrong) == Lid(["x"], Box(["y"]), "z")
    assert problems_of(Lid, {"content": 1}) == ["$.content: expected array, got integer"]


def test_a_type_that_grows_without_an_end_is_told():
    """To the author of the worker: no schema could be written down."""
    with pytest.raises(ArgumentError, match="never ends"):
        schemas.input_converter(function_of(Growing[int]))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is new in 3.12")
def test_a_marker_looks_through_the_name_of_a_type():
    """`type Ids = list[int]` is bounded as a list, `type Word = str` takes a pattern."""
    names: dict[str, Any] = {"Decimal": Decimal}
    exec("type Ids = list[int]\ntype Word = str\ntype Price = Decimal | None", names)
    ids, word, price = (names[name] for name in ("Ids", "Word", "Price"))

    assert problems_of(Annotated[ids, Range(1, 2)], []) == ["$: must have at least 1 items, got 0"]
    assert problems_of(Annotated[word, Pattern("^a")], "b") == ['$: must match "^a"']
    assert problems_of(Annotated[price, Range(1)], "0.5") == ["$: must be at least 1, got 0.5"]


def test_a_function_without_a_useful_annotation_loads_nothing():
    """Typed input is paid for by those who have it."""
    code = """
import sys
def fn(job_input: dict) -> None: ...
def other(job_input): ...
before = set(sys.modules)
from seekapi._protocol import schemas
assert schemas.input_converter(fn) is schemas.input_converter(other) is None
print(*(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert not {"typing", "dataclasses", "inspect", "datetime", "enum"} & set(done.stdout.split())
    assert not any("schema_" in name for name in done.stdout.split())


def test_markers_are_values():
    """Equal if they say the same, so that annotations are, too; and they print as they are written."""
    assert Range(1, 2) == Range(1, 2) != Range(1, 3)
    assert {Secret(), Secret(), Doc("a")} == {Doc("a"), Secret()}
    assert hash(Choices([1])) == hash(Choices([1]))
    assert repr(Pattern("a")) == "Pattern(regex='a')"


def test_the_schema_says_it_all():
    """Titles, descriptions, defaults, bounds; secrets have no default; a class that is found within itself is named."""
    job = schema(function_of(Job))
    tree = schema(function_of(Node))
    span = schema(function_of(Span))

    assert (job["$schema"], job["title"], job["required"]) == (
        "https://json-schema.org/draft/2020-12/schema",
        "Job",
        ["urls"],
    )
    assert job["properties"]["urls"] == {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "maxItems": 3,
        "description": "The pages.",
    }
    assert job["properties"]["token"] == {"type": "string", "writeOnly": True, "format": "password"}
    assert job["properties"]["mode"] == {"title": "Mode", "enum": ["fast", "good"], "default": "fast"}
    assert job["properties"]["price"]["default"] == "1.50"
    assert list(job["properties"]) == ["urls", "mode", "token", "count", "when", "price", "span", "start", "loud"]
    assert (tree["$ref"], list(tree["$defs"])) == ("#/$defs/Node", ["Node"])
    assert span["description"] == "From a moment to a later one."
    assert "description" not in tree["$defs"]["Node"]
    assert schema(function_of(WithModel))["$defs"]["Model.Part"] == {"type": "string"}


def test_two_classes_of_one_name_are_two():
    """Each has its own definition."""
    one, other = (dataclass(type("Same", (), {"__annotations__": {"n": kind}})) for kind in (int, str))

    made = schema(function_of(tuple[one, other]))

    assert [made["$defs"][name]["properties"]["n"]["type"] for name in ("Same", "Same_2")] == ["integer", "string"]


def test_two_models_of_one_name_keep_their_parts_apart():
    """Also a name that one of our own has already; a model that has no schema allows what it will judge."""

    def model(kind: str) -> Any:
        def own_schema(cls: type) -> dict[str, Any]:
            if not kind:
                raise TypeError("no schema for a lambda")
            return {"$ref": "#/$defs/Part", "$defs": {"Part": {"type": kind}}}

        parts = {"model_validate": lambda value: value, "model_json_schema": classmethod(own_schema)}
        return type("Same", (), parts)

    text = model("string")
    made = schema(function_of(tuple[text, model("integer"), text, model("")]))

    *known, unknown = made["prefixItems"]
    assert [made["$defs"][part["$ref"].rpartition("/")[2]]["type"] for part in known] == ["string", "integer", "string"]
    assert unknown is True


def test_a_schema_is_its_readers_own():
    """Changing a part of it changes no other part."""
    properties = schema(function_of(tuple[Node, Node]))["prefixItems"]

    properties[0]["description"] = "the first"

    assert properties[1] == {"$ref": "#/$defs/Node"}
