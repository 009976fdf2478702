"""From annotations to shapes: which Python types an input can have, and the JSON Schema of each.

Loaded only for a function that has an annotation. The user's own modules have loaded `typing` and `dataclasses` by
then, and every class that is looked for here: one that is not loaded annotates nothing.
"""

from __future__ import annotations

import collections.abc
import re
import typing
from enum import Enum

from ...errors import SerializationError
from .. import json_text
from . import annotated, generics, markers, scalars
from .demands import Misused, marked
from .keywords import moved
from .shapes import Chosen, Either, Fields, Many, Named, Row, Shape, Table, Validated, secrets_in
from .values import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .annotated import Scope

_LISTS = (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable)
_LISTS += (collections.abc.Collection,)  # type: ignore[assignment]
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_SETS = {set: set, frozenset: frozenset, collections.abc.Set: frozenset, collections.abc.MutableSet: set}
# What only says how a field may be used. By name: on 3.10 they come from elsewhere.
_WRAPPERS = {"Final", "ReadOnly", "Required", "NotRequired"}


class Unsupported(Exception):
    """No input can be of this type. `inside` names the field of a class that has it; empty if it is no field."""

    def __init__(self, reason: str, inside: str = "") -> None:
        super().__init__(f"{inside}: {reason}" if inside else reason)
        self.reason = reason
        self.inside = inside


class Builder:
    """Makes shapes. `definitions` are the schemas of the named ones, for the `$defs` of the document.

    `foreign` says whether the schema of a class that validates by itself is told, or left to that class.
    """

    def __init__(self, *, foreign: bool) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}
        self._foreign = foreign
        self._taken: set[str] = set()
        self._named: dict[Any, Named] = {}
        self._models: dict[Any, Validated] = {}
        self._aliases: list[Any] = []

    def shape_of(self, annotation: Any, scope: Scope) -> Shape:
        """The shape that an annotation means. Raises Unsupported, Misused or annotated.Unresolved."""
        written, annotation = annotation, scope.resolved(annotation)
        if isinstance(annotation, typing.TypeVar):
            return self.shape_of(generics.meant(annotation, scope.variables), scope)
        if hasattr(annotation, "__supertype__"):  # NewType
            return self.shape_of(annotation.__supertype__, scope)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if hasattr(annotation, "__value__") or hasattr(origin, "__value__"):
            return self._alias(annotation, scope)
        name = getattr(written, "__forward_arg__", written)
        if isinstance(name, str) and name.isidentifier() and arguments:
            return self._forward(name, annotation, scope)
        return self._of_origin(annotation, origin, arguments, scope)

    def _of_origin(self, annotation: Any, origin: Any, arguments: tuple[Any, ...], scope: Scope) -> Shape:
        if hasattr(annotation, "__metadata__"):
            inner = self.shape_of(annotation.__origin__, scope)
            return marked(inner, _markers_in(annotation.__metadata__), self.definitions)
        if origin is None:
            return self._of_class(annotation, (), scope)
        if getattr(origin, "_name", None) in _WRAPPERS:
            return self.shape_of(arguments[0], scope)
        if origin is typing.Literal:
            return _chosen(arguments, "")
        if origin is typing.Union or getattr(origin, "__name__", "") == "UnionType":
            return self._either([self.shape_of(argument, scope) for argument in arguments])
        return self._of_class(origin, arguments, scope)

    def _of_class(self, cls: Any, arguments: tuple[Any, ...], scope: Scope) -> Shape:
        if cls is None or cls is type(None):
            return Shape({"type": "null"})
        if cls is typing.Any or cls is object:
            return Shape({})
        if not isinstance(cls, type):
            raise Unsupported(f"{cls!r} is no type that an input can have")
        if hasattr(cls, "model_validate"):
            return self._validated(cls)
        scalar = scalars.shape_of(cls)
        if scalar is not None:
            return scalar
        if issubclass(cls, Enum):
            return _chosen(tuple(cls), cls.__name__)
        if _has_fields(cls):
            return self._in_definitions(cls, arguments, scope)
        if cls in _LISTS or cls in _SETS:
            return self._many(cls, arguments, scope)
        if cls in _DICTS:
            return self._table(arguments, scope)
        if cls is tuple:
            return self._tuple(arguments, scope)
        raise Unsupported(f"no input can be of type {cls.__qualname__}")

    def _many(self, cls: Any, arguments: tuple[Any, ...], scope: Scope) -> Shape:
        item = self.shape_of(arguments[0], scope) if arguments else Shape({})
        schema: dict[str, Any] = {"type": "array"} | ({"items": item.schema} if item.schema else {})
        if cls in _SETS:
            schema["uniqueItems"] = True
        return Many(schema, item, _SETS.get(cls))

    def _tuple(self, arguments: tuple[Any, ...], scope: Scope) -> Shape:
        if not arguments or arguments[-1] is Ellipsis:
            item = self.shape_of(arguments[0], scope) if arguments else Shape({})
            return Many({"type": "array"} | ({"items": item.schema} if item.schema else {}), item, tuple)
        items = [] if arguments == ((),) else [self.shape_of(argument, scope) for argument in arguments]
        return Row(_row_schema(items, len(items)), items, tuple)

    def _table(self, arguments: tuple[Any, ...], scope: Scope) -> Shape:
        if not arguments:
            return Shape({"type": "object"})
        key, item = self.shape_of(arguments[0], scope), self.shape_of(arguments[1], scope)
        if key.schema.get("type") == "integer":
            key = scalars.integer_key()
        names = scalars.as_key(key.schema)
        if names is None:
            raise Unsupported("a key of a JSON object is a string")
        schema: dict[str, Any] = {"type": "object"}
        schema |= {"additionalProperties": item.schema} if item.schema else {}
        schema |= {"propertyNames": names} if names else {}
        return Table(schema, key, item)

    def _either(self, branches: list[Shape]) -> Shape:
        schemas = [branch.schema for branch in branches]
        if {} in schemas and all(branch.is_plain for branch in branches):
            return Shape({})
        if all(schema.keys() == {"type"} and isinstance(schema["type"], str) for schema in schemas):
            return Either({"type": list(dict.fromkeys(schema["type"] for schema in schemas))}, branches)
        return Either({"anyOf": schemas}, branches)

    def _alias(self, alias: Any, scope: Scope) -> Shape:
        """`type Name = ...` of Python 3.12, which may be found inside itself."""
        named = self._named.get(alias)
        if named is None:
            origin = typing.get_origin(alias) or alias
            variables = dict(zip(getattr(origin, "__type_params__", ()), typing.get_args(alias), strict=False))
            own = annotated.Scope({}, {}, {**scope.variables, **variables})
            named = self._new_name(alias, origin.__name__)
            named.target = self.shape_of(origin.__value__, own)
            self.definitions[_name_in(named.schema)] = named.target.schema
        return named

    def _forward(self, name: str, annotation: Any, scope: Scope) -> Shape:
        """`Json = dict[str, "Json"] | str`: a name in quotes, which may be found inside itself."""
        key = (name, id(annotation))
        if key not in self._named:
            self._aliases.append(annotation)  # kept, so that no other gets its id
            named = self._new_name(key, name)
            origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
            named.target = self._of_origin(annotation, origin, arguments, scope)
            self.definitions[_name_in(named.schema)] = named.target.schema
        return self._named[key]

    def _in_definitions(self, cls: type, arguments: tuple[Any, ...], scope: Scope) -> Shape:
        arguments = tuple(generics.meant(argument, scope.variables) for argument in arguments)
        key = (cls, arguments)
        if key not in self._named:
            named = self._new_name(key, cls.__name__)
            variables = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
            named.target = self._fields(cls, variables)
            self.definitions[_name_in(named.schema)] = named.target.schema
        return self._named[key]

    def _new_name(self, key: Any, name: str) -> Named:
        free = self._free_name(name)
        self.definitions[free] = {}  # until the schema is known
        self._named[key] = named = Named({"$ref": f"#/$defs/{free}"})
        return named

    def _free_name(self, name: str) -> str:
        plain = free = re.sub(r"\W", "_", name)
        number = 2
        while free in self._taken:
            free, number = f"{plain}_{number}", number + 1
        self._taken.add(free)
        return free

    def _fields(self, cls: type, variables: Mapping[Any, Any]) -> Shape:
        fields: dict[str, Shape] = {}
        properties: dict[str, Any] = {}
        required: list[str] = []
        try:
            found = list(_fields_of(cls, variables))
        except annotated.Unresolved as error:
            raise Misused(f"{cls.__name__}: {error}") from None
        for name, annotation, scope, default in found:
            shape = self._field(cls, name, annotation, scope)
            fields[name] = shape
            properties[name] = _with_default(shape, default)
            if default is _REQUIRED:
                required.append(name)
        schema: dict[str, Any] = {"type": "object", "title": cls.__name__, **_description_of(cls)}
        schema["properties"] = properties
        schema |= {"required": required} if required else {}
        schema["additionalProperties"] = False
        if not issubclass(cls, tuple):
            return Fields(schema, fields, dict if issubclass(cls, dict) else cls)
        row = Row(_row_schema(list(fields.values()), len(required)), list(fields.values()), lambda items: cls(*items))
        as_object = {name: setting for name, setting in schema.items() if name not in ("title", "description")}
        either = {"title": cls.__name__, **_description_of(cls), "anyOf": [as_object, row.schema]}
        return Either(either, [Fields(as_object, fields, cls), row])

    def _field(self, cls: type, name: str, annotation: Any, scope: Scope) -> Shape:
        try:
            return self.shape_of(annotation, scope)
        except Unsupported as error:
            raise Unsupported(error.reason, error.inside or f"{cls.__name__}.{name}") from None
        except (Misused, annotated.Unresolved) as error:
            raise Misused(f"{cls.__name__}.{name}: {error}") from None

    def _validated(self, cls: Any) -> Shape:
        if cls not in self._models:
            self._models[cls] = Validated(self._schema_of_model(cls) if self._foreign else {}, cls.model_validate)
        return self._models[cls]

    def _schema_of_model(self, cls: Any) -> dict[str, Any]:
        """What a class says of itself; nothing if it does not, since it will judge the input all the same."""
        try:
            own = cls.model_json_schema()
        except Exception:  # it has none; or has parts that it cannot tell of, as pydantic's models may
            return {}
        prefix = self._free_name(cls.__name__)
        definitions = own.pop("$defs", {}) if isinstance(own, dict) else {}
        home = {f"#/$defs/{name}": f"#/$defs/{prefix}.{name}" for name in definitions}
        self.definitions |= {f"{prefix}.{name}": moved(part, home) for name, part in definitions.items()}
        return moved(own, home)  # type: ignore[no-any-return]


_REQUIRED: Any = object()
# Has a default, which cannot be told.
_UNTOLD: Any = object()


def _markers_in(metadata: tuple[Any, ...]) -> list[markers.Marker]:
    """What is ours among the metadata of an Annotated; `Secret` may be written for `Secret()`."""
    found = [markers.Secret() if each is markers.Secret else each for each in metadata]
    return [each for each in found if isinstance(each, markers.Marker)]


def _chosen(values: tuple[Any, ...], title: str) -> Shape:
    """One of some values, members of an Enum or parts of a Literal."""
    try:
        by_form = [(json_text.parse(json_text.encode(value)), value) for value in values]
    except (SerializationError, json_text.JsonError):
        raise Unsupported(f"{title or 'a Literal'} has a value without a JSON form") from None
    schema = ({"title": title} if title else {}) | {"enum": [form for form, _ in by_form]}
    return Chosen(schema, {canonical(form): value for form, value in reversed(by_form)})


def _row_schema(items: list[Shape], least_count: int) -> dict[str, Any]:
    if not items:
        return {"type": "array", "maxItems": 0}
    parts = [item.schema or True for item in items]
    return {"type": "array", "prefixItems": parts, "items": False} | ({"minItems": least_count} if least_count else {})


def _has_fields(cls: type) -> bool:
    return hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__required_keys__") or hasattr(cls, "_fields")


def _fields_of(cls: Any, variables: Mapping[Any, Any]) -> Iterator[tuple[str, Any, Scope, Any]]:
    """Name, annotation, scope and default of each field that an input can give."""
    variables_of = generics.variables_of_bases(cls, variables)
    hints = {name: (annotation, scope) for name, annotation, scope in annotated.of_class(cls, variables_of)}
    if hasattr(cls, "__required_keys__"):
        for name, (annotation, scope) in hints.items():
            said = _is_said_to_be_required(annotation, scope)
            is_required = name in cls.__required_keys__ if said is None else said
            yield name, annotation, scope, _REQUIRED if is_required else _UNTOLD
    elif hasattr(cls, "__dataclass_fields__"):
        yield from _dataclass_fields(cls, hints)
    else:
        for name in cls._fields:
            annotation, scope = hints.get(name, (object, annotated.Scope({}, {})))
            yield name, annotation, scope, cls._field_defaults.get(name, _REQUIRED)


def _is_said_to_be_required(annotation: Any, scope: Scope) -> bool | None:
    """Whether there is a Required or NotRequired; in an annotation that was a text, the class could not see it."""
    while True:
        resolved = scope.resolved(annotation)
        origin = typing.get_origin(resolved)
        name = getattr(origin, "_name", None)
        if name in ("Required", "NotRequired"):
            return bool(name == "Required")
        if origin is not typing.Annotated and name != "ReadOnly":
            return None
        annotation = typing.get_args(resolved)[0]


def _dataclass_fields(cls: Any, hints: dict[str, tuple[Any, Scope]]) -> Iterator[tuple[str, Any, Scope, Any]]:
    from dataclasses import MISSING, InitVar

    for name, field in cls.__dataclass_fields__.items():
        kind = field._field_type.name  # of an InitVar there is no other sign, since fields() leaves it out
        if kind == "_FIELD_CLASSVAR" or not field.init:
            continue
        annotation, scope = hints.get(name, (field.type, annotated.Scope({}, {})))
        if kind == "_FIELD_INITVAR":
            resolved = scope.resolved(annotation)
            annotation = resolved.type if isinstance(resolved, InitVar) else object
        default = field.default
        if default is MISSING:
            factory = field.default_factory
            # Another factory may give something new each time, or cost something.
            default = _REQUIRED if factory is MISSING else factory() if factory in (list, dict, set, tuple) else _UNTOLD
        yield name, annotation, scope, default


def _with_default(shape: Shape, default: Any) -> dict[str, Any]:
    """A property's schema, with its default where that has a JSON form and is no secret."""
    if default is _REQUIRED or default is _UNTOLD:
        return shape.schema
    try:
        form = json_text.parse(json_text.encode(default))
    except Exception:  # a class of the user's own may raise anything here
        return shape.schema
    return shape.schema if secrets_in(shape, form) else {**shape.schema, "default": form}


def _description_of(cls: type) -> dict[str, str]:
    """The first paragraph of a class's own docstring; not the signature that Python writes for one that has none."""
    text = vars(cls).get("__doc__")
    if not isinstance(text, str) or text.startswith(f"{cls.__name__}("):
        return {}
    first = " ".join(text.strip().split("\n\n")[0].split())
    return {"description": first} if first else {}


def _name_in(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]
