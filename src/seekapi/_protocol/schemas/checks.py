"""A JSON value against a JSON Schema: every problem, each with its path, and none that quotes a secret.

One Check is one look at one value. It goes through the value once; where a schema offers alternatives, what it found
out about one of them is kept, so that alternatives inside alternatives do not multiply.
"""

from __future__ import annotations

from . import words
from .keywords import vet
from .rules import RULES
from .values import may_be, type_check
from .words import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .keywords import Schema
    from .words import Place

# Nobody reads more at once.
MOST_PROBLEMS = 50


class Validator:
    """A schema that is understood. Raises SchemaError if it is not.

    `formats=False` takes `format` for an annotation, as the standard has it for a validator that is told nothing.
    """

    __slots__ = ("_plans", "formats", "schema", "targets")

    def __init__(self, schema: Schema, *, formats: bool = True) -> None:
        self.schema = schema
        self.formats = formats
        self.targets = vet(schema)
        self._plans: dict[int, Plan] = {}

    def problems(self, value: object) -> list[Problem]:
        """What is wrong with `value`, at most MOST_PROBLEMS."""
        check = Check(self)
        try:
            check.look(self.schema, value, None)
        except RecursionError:
            return [Problem("$", "is nested too deeply")]
        return check.found

    def plan_of(self, schema: dict[str, Any]) -> Plan:
        """What there is to do for a schema, found out once."""
        plan = self._plans.get(id(schema))
        if plan is None:
            plan = self._plans[id(schema)] = Plan(schema, hides=self._hides(schema))
        return plan

    def only_type_of(self, schema: Schema) -> Callable[[Any], bool] | None:
        """The check of a schema that demands a type and nothing else: a long list of numbers is gone through fast."""
        plan = self.plan_of(schema) if isinstance(schema, dict) else None
        return None if plan is None or plan.steps else plan.has_type

    def resolved(self, schema: Schema) -> dict[str, Any]:
        """The schema that says what is expected: behind a bare reference, its target."""
        for _ in range(100):
            if not isinstance(schema, dict):
                return {}
            if "$ref" not in schema:
                return schema
            schema = self.targets[id(schema)]
        return {}

    def _hides(self, schema: dict[str, Any]) -> bool:
        """Whether a value is a secret, or may be one: by what is said here, or by an alternative."""
        branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ()), schema]
        return any(_is_secret(branch) or _is_secret(self.resolved(branch)) for branch in branches)


class Plan:
    """A schema, made ready to look at many values."""

    __slots__ = ("expected", "has_type", "hides", "schema", "steps")

    def __init__(self, schema: dict[str, Any], *, hides: bool) -> None:
        self.schema = schema  # kept, so that no other gets its id
        self.hides = hides
        self.expected: str | list[str] | None = schema.get("type")
        self.has_type = None if self.expected is None else type_check(self.expected)
        self.steps = [(RULES[keyword], setting) for keyword, setting in schema.items() if keyword in RULES]


class Check:
    """One look at one value."""

    __slots__ = ("_fits", "_hidden_at", "_room", "found", "validator")

    def __init__(self, validator: Validator) -> None:
        self.validator = validator
        self.found: list[Problem] = []
        self._room = MOST_PROBLEMS
        self._fits: dict[tuple[int, int], bool] = {}
        # Where the secret began that is being looked at: nothing below it is told.
        self._hidden_at: tuple[Place] | None = None

    def look(self, schema: Schema, value: Any, place: Place) -> None:
        """Add to `found` what is wrong with `value` by `schema`."""
        if len(self.found) >= self._room or schema is True:
            return
        if schema is False:
            self.report(place, "is not allowed here")
            return
        assert isinstance(schema, dict)
        plan = self.validator.plan_of(schema)
        if plan.hides and self._hidden_at is None:
            self._hidden_at = (place,)
            try:
                self._look(plan, value, place)
            finally:
                self._hidden_at = None
            return
        self._look(plan, value, place)

    def fits(self, schema: Schema, value: Any) -> bool:
        """Whether nothing is wrong with `value` by `schema`. It must live as long as this object."""
        key = (id(schema), id(value))
        if key not in self._fits:
            before, self.found, self._room = (self.found, self._room), [], 1
            try:
                self.look(schema, value, None)
                self._fits[key] = not self.found
            finally:
                self.found, self._room = before
        return self._fits[key]

    def why_not(self, schema: Schema, value: Any) -> str:
        """The first thing that is wrong with `value` by `schema`."""
        look = Check(self.validator)
        look.look(schema, value, None)
        return look.found[0].text if look.found else ""

    def report(self, place: Place, text: str, quoting: str = "") -> None:
        """One problem. `quoting` is what is added to the text where the value is no secret."""
        if len(self.found) < self._room:
            hidden = self._hidden_at
            path = words.path_of(place if hidden is None else hidden[0])
            self.found.append(Problem(path, text + (quoting if hidden is None else "")))

    def _look(self, plan: Plan, value: Any, place: Place) -> None:
        if plan.has_type is not None and not plan.has_type(value):
            # Whatever else is wrong follows from that.
            expected = words.either(plan.expected or "")
            self.report(place, f"expected {expected}, got {words.type_of(value)}")
            return
        for check, setting in plan.steps:
            check(self, plan.schema, setting, value, place)

    def explain(self, branches: list[Schema], value: Any, place: Place) -> None:
        """Why `value` fits none of these: told by the one that was most likely meant, if there is one."""
        likely = [branch for branch in branches if may_be(value, self.validator.resolved(branch))]
        if len(likely) > 1 and isinstance(value, dict):
            tagged = [branch for branch in likely if self._is_tagged(self.validator.resolved(branch), value)]
            likely = tagged if len(tagged) == 1 else likely
        if len(likely) == 1:
            self.look(likely[0], value, place)
            return
        names = [words.name_of(self.validator.resolved(branch)) for branch in branches]
        got = "" if likely else f", got {words.type_of(value)}"
        self.report(place, f"expected {words.joined(names, 'or')}{got}")

    def _is_tagged(self, schema: dict[str, Any], value: dict[str, Any]) -> bool:
        """Whether a member that can have few values, like `kind`, has one of this alternative's."""
        properties = {name: self.validator.resolved(part) for name, part in schema.get("properties", {}).items()}
        tags = {name: part for name, part in properties.items() if "const" in part or "enum" in part}
        return bool(tags) and all(name in value and self.fits(part, value[name]) for name, part in tags.items())


def _is_secret(schema: Schema) -> bool:
    return isinstance(schema, dict) and (schema.get("writeOnly") is True or schema.get("format") == "password")
