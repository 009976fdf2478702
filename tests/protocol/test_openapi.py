"""The OpenAPI document, as far as one needs no stranger to judge it; the others are in tests/interop."""

from __future__ import annotations

import json
import re

from seekapi._devserver import app
from seekapi._protocol import jobs, openapi
from seekapi._protocol.openapi_operations import OPERATIONS

ROUTES = [tuple(name.split(" ")) for name in OPERATIONS]
PERSON = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "a": {"$ref": "#/$defs/a~1b"},
        "b": {"$ref": "#/$defs/a_b"},
        "$ref": {"type": "string"},
        "default": {"$ref": "#/$defs/a_b", "default": {"$ref": "#/$defs/a_b"}},
    },
    "discriminator": {"propertyName": "a", "mapping": {"x": "#/$defs/a_b"}},
    "$defs": {"a/b": {"type": "array", "items": {"$ref": "#/$defs/a~1b"}}, "a_b": {"const": {"$ref": "#/$defs/a_b"}}},
}


def document(**options: object) -> dict[str, object]:
    return openapi.document(ROUTES, **{"title": "t", "version": "1", **options})  # type: ignore[arg-type]


def test_every_route_of_the_server_is_described_and_no_other():
    """Whoever adds a route adds its row."""
    served = {f"{route.method} {route.path}" for route in app.routes()}

    assert served ^ set(OPERATIONS) == set()


def test_every_reference_leads_somewhere():
    """Also those of the worker's own schema, which start at the document here."""
    made = document(input_schema=PERSON, settings_schema=PERSON)
    text = json.dumps(made)
    targets = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', text))
    shapes = made["components"]["schemas"]  # type: ignore[index]

    assert targets <= set(shapes)
    assert {"Input.a_b", "Input.a_b_", "SettingsChange.a_b"} <= set(shapes)
    assert shapes["Input.a_b"]["items"] == {"$ref": "#/components/schemas/Input.a_b"}
    assert shapes["Input"]["properties"]["b"] == {"$ref": "#/components/schemas/Input.a_b_"}


def test_data_in_a_schema_is_left_alone():
    """A constant or a default that looks like a reference; a field of such a name is a field."""
    shapes = document(input_schema=PERSON)["components"]["schemas"]  # type: ignore[index]

    assert shapes["Input.a_b_"] == {"const": {"$ref": "#/$defs/a_b"}}
    assert shapes["Input"]["properties"]["$ref"] == {"type": "string"}
    assert shapes["Input"]["properties"]["default"] == {
        "$ref": "#/components/schemas/Input.a_b_",
        "default": {"$ref": "#/$defs/a_b"},
    }
    assert shapes["Input"]["discriminator"]["mapping"] == {"x": "#/components/schemas/Input.a_b_"}
    assert "$defs" in PERSON and "$schema" not in shapes["Input"]


def test_operations_have_names_of_their_own():
    """As generators of clients need it."""
    names = [operation["operationId"] for methods in document()["paths"].values() for operation in methods.values()]  # type: ignore[attr-defined]

    assert len(names) == len(set(names)) == len(OPERATIONS)


def test_only_the_jobs_api_stands_behind_the_prefix():
    """As the server has it."""
    prefixed = {f"{route.method} {route.path}": route.prefixed for route in app.routes()}

    assert {name: bool(OPERATIONS[name].get("prefixed")) for name in prefixed} == prefixed
    assert "/api/jobs" in document(prefix="/api")["paths"]  # type: ignore[operator]


def test_bodies_and_closed_doors_are_those_of_the_routes():
    """What takes a body says so, and the group of an operation is the one that the server asks."""
    groups = {"secret": "worker", "jobs": "jobs", "page": "page", "open": "document", "signed": "open"}
    for route in app.routes():
        operation = OPERATIONS[f"{route.method} {route.path}"]

        assert ("body" in operation) == (route.body != "none"), route
        assert operation["group"] == groups[route.auth], route


def test_a_route_that_nobody_has_described_is_listed_all_the_same():
    """With its parameters."""
    made = openapi.document([("GET", "/new/{thing}")], title="t", version="1")["paths"]["/new/{thing}"]["get"]

    assert made["parameters"][0]["name"] == "thing" and made["operationId"] == "get_new_thing"
    assert not openapi.is_described("GET", "/new/{thing}")


def test_the_job_of_the_document_is_the_job_of_the_protocol():
    """All of its fields, always."""
    assert tuple(document()["components"]["schemas"]["Job"]["required"]) == jobs.JOB_FIELDS  # type: ignore[index]
