"""Typed input: what the first parameter of a handler's function asks for, as a check, a conversion and a JSON Schema.

The schema is the truth. What checks an input here and what checks it before it is queued is the same code on the same
document, so both say the same words. Only a class with `model_validate` checks by itself.
"""

from __future__ import annotations

from ...errors import ArgumentError, InvalidInput
from . import annotated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .shapes import Shape
    from .words import Problem

# Of the problems in a message. All of them are in `.problems`; the verdict has room for about two thousand bytes.
LONGEST_LIST = 1500
# As short as one may be that is masked in a text: a shorter one is a word of the language.
SHORTEST_MASKED = 6
MASK = "***"


class Converter:
    """Checks an input and makes of it what the function asks for."""

    __slots__ = ("_has_secrets", "_shape", "_validator")

    def __init__(self, shape: Shape, definitions: dict[str, Any]) -> None:
        from .checks import Validator

        self._shape = shape
        # The same fragments as in the shapes, by identity: alternatives are looked up by it.
        document = {"allOf": [shape.schema], "$defs": definitions}
        self._validator = Validator(document)
        self._has_secrets = _says(document, "writeOnly", True)

    def __call__(self, value: object) -> Any:
        """The Python value of a JSON value. Raises InvalidInput with all problems, quoting no secret."""
        from .shapes import Conversion

        found = self._validator.problems(value)
        if not found:
            conversion = Conversion(self._validator)
            made = self._shape.convert(value, conversion, None)
            found = conversion.found
            if not found:
                return made
        texts = self._masked([str(problem) for problem in found], value)
        # Raised out here, so that no context carries the input along.
        raise InvalidInput(_message(texts), problems=tuple(texts))

    def secrets(self, value: object) -> list[str]:
        """What is marked Secret in `value`, as texts, also if `value` does not fit."""
        from .shapes import secrets_in

        return secrets_in(self._shape, value) if self._has_secrets else []

    def _masked(self, texts: list[str], value: object) -> list[str]:
        # The checks quote no secret; a class of the user's own may have, in what it raised.
        secrets = sorted(self.secrets(value), key=len, reverse=True)
        for secret in secrets:
            if len(secret) >= SHORTEST_MASKED:
                texts = [text.replace(secret, MASK) for text in texts]
        return texts


def input_converter(fn: Callable[..., Any]) -> Converter | None:
    """The converter for the first parameter of `fn`; None if it asks for nothing that could be checked.

    That is: no annotation, `dict`, `Any`, `object`, or one that cannot be read or that no JSON value can be of. Raises
    ArgumentError if a field of a dataclass (TypedDict, NamedTuple) is such, or a marker does not go with its type.
    """
    built = _built(fn, foreign=False)
    if built is None:
        return None
    from .keywords import SchemaError

    try:
        return Converter(*built)
    except SchemaError as error:  # a type that is only defined by itself
        reason = str(error)
    raise ArgumentError(f"the input cannot be typed: {reason}")


def schema(fn: Callable[..., Any]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the input of a handler or of the function in it.

    It says what the annotation of the function's first parameter says: a dataclass, a TypedDict, a NamedTuple, a class
    with `model_validate`, or any type made of those and of `int`, `list[str]`, `Literal`, `datetime` and the like;
    `Annotated` adds `Range`, `Pattern`, `Choices`, `Doc` and `Secret`. Without an annotation that can be read, the
    schema allows everything.

    Raises ArgumentError if a field has a type that no JSON value can be of.
    """
    from .keywords import DIALECT

    built = _built(fn, foreign=True)
    document: dict[str, Any] = {"$schema": DIALECT}
    if built is None:
        return document
    shape, definitions = built
    root = shape.schema
    name = str(root.get("$ref", "")).removeprefix("#/$defs/")
    # A class that is found nowhere inside itself needs no name: it is the document.
    if root.keys() == {"$ref"} and name in definitions and not _says(list(definitions.values()), "$ref", root["$ref"]):
        root = definitions.pop(name)
    document |= root
    return _copied(document | ({"$defs": definitions} if definitions else {}))  # type: ignore[no-any-return]


def problems(schema: dict[str, Any] | bool, value: object, *, formats: bool = True) -> list[Problem]:
    """What is wrong with a JSON value by a JSON Schema: each problem with its path, fifty at most, [] if nothing is.

    The text of a problem quotes nothing that the schema marks as a secret (`writeOnly`, `format: password`).
    `formats=False` does not look at `format`. Raises keywords.SchemaError if the schema is not understood.
    """
    from .checks import Validator

    return Validator(schema, formats=formats).problems(value)


def _built(fn: Callable[..., Any], *, foreign: bool) -> tuple[Shape, dict[str, Any]] | None:
    """The shape of the input of `fn` and the definitions it needs; None if there is nothing to check."""
    found = annotated.of_input(fn)
    if found is None:
        return None
    written, scope = found
    try:
        annotation = scope.resolved(written)
    except annotated.Unresolved:
        return None
    # Before anything is loaded that only a useful annotation needs.
    if annotation is dict or annotation is object:
        return None
    from .demands import Misused
    from .of_types import Builder, Unsupported

    builder = Builder(foreign=foreign)
    try:
        shape = builder.shape_of(annotation, scope)
        return None if _is_open(shape) else (shape, builder.definitions)
    except annotated.Unresolved:
        return None
    except Unsupported as error:
        if not error.inside:
            return None
        reason = str(error)
    except Misused as error:
        reason = str(error)
    except RecursionError:
        reason = "its type holds itself in ever new forms, and never ends"
    raise ArgumentError(f"the input cannot be typed: {reason}")


def _is_open(shape: Shape) -> bool:
    """`Any`, `dict[str, Any]`, `dict | None`: many programs have them out of habit, and were never held to it."""
    types = shape.schema.get("type", "object")
    return shape.is_plain and shape.schema.keys() <= {"type"} and "object" in ([types] if types == "object" else types)


def _message(texts: list[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    shown: list[str] = []
    length = 0
    for text in texts:
        length += len(text) + 2
        if shown and length > LONGEST_LIST:
            break
        shown.append(text)
    hidden_count = len(texts) - len(shown)
    more = f"; and {hidden_count} more" if hidden_count else ""
    return f"{len(texts)} problems: {'; '.join(shown)}{more}"


def _says(schema: Any, keyword: str, setting: object) -> bool:
    """Whether a keyword has this setting anywhere in a document."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    is_here = isinstance(schema, dict) and schema.get(keyword) == setting
    return is_here or any(_says(part, keyword, setting) for part in parts)


def _copied(schema: Any) -> Any:
    """A document whose parts are its own: whoever changes one changes nothing else."""
    if isinstance(schema, dict):
        return {name: _copied(part) for name, part in schema.items()}
    return [_copied(part) for part in schema] if isinstance(schema, list) else schema
