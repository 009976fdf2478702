"""The OpenAPI 3.1 document of the server: what is true of every route, and the shapes of what travels.

The routes come from the table that the server itself uses, so none is forgotten; what each of them takes and gives is
in `openapi_operations`, under its method and path.
"""

from __future__ import annotations

import re

from . import jobs, lifecycles
from .openapi_operations import OPERATIONS
from .routes import WORKER_PATHS
from .schemas import keywords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Schema = dict[str, Any]

VERSION = "3.1.0"
INPUT = "Input"
SETTINGS = "Settings"
SETTINGS_CHANGE = "SettingsChange"

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_SECONDS: Schema = {"type": ["number", "null"], "description": "Seconds since 1970."}
_TEXTS_OR_NULL: Schema = {"type": ["array", "null"], "items": {"type": "string"}}
_ONE_FAULT: Schema = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "operation": _TEXT,
        "count": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1},
    },
    "required": ["name"],
}
_FAULT_PLAN: Schema = {
    "type": "object",
    "additionalProperties": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
}


def document(
    routes: Iterable[tuple[str, str]],
    *,
    title: str,
    version: str,
    prefix: str = "",
    url: str = "",
    input_schema: Schema | None = None,
    settings_schema: Schema | None = None,
    security: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The document for `routes`, pairs of a method and a path without the prefix.

    The schemas are those of the worker, if it has told. `security` names, for each group of operations that is
    closed ("jobs", "worker", "page", "document"), the scheme that opens it: "basic", "bearer", "secret".
    """
    shapes = _shapes()
    _embed(shapes, INPUT, {"type": "object"} if input_schema is None else input_schema)
    _embed(shapes, SETTINGS_CHANGE, {"type": "object", **(settings_schema or {}), "required": []})
    shapes[SETTINGS] = _with_moment(shapes[SETTINGS_CHANGE])
    closed = dict(security or {})
    paths: dict[str, Any] = {}
    for method, path in routes:
        operation = OPERATIONS.get(f"{method} {path}")
        described = _operation(method, path, operation or {}, closed)
        shown = prefix + path if operation and operation.get("prefixed") else path
        paths.setdefault(shown, {})[method.lower()] = described
    made: dict[str, Any] = {
        "openapi": VERSION,
        "info": {"title": title, "version": version, "description": _ABOUT},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(shapes.items())), "securitySchemes": _SCHEMES},
    }
    if url:
        made["servers"] = [{"url": url}]
    return made


def is_described(method: str, path: str) -> bool:
    """Whether more is known of a route than that it is there."""
    return f"{method} {path}" in OPERATIONS


def _operation(method: str, path: str, known: Mapping[str, Any], closed: Mapping[str, str]) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", path)
    summary = known.get("summary", f"{method} {path}")
    made: dict[str, Any] = {
        "operationId": known.get("id") or re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "summary": summary,
        "tags": [known.get("tag", "other")],
        "responses": _responses(path, known),
    }
    if "description" in known:
        made["description"] = known["description"]
    parameters = [_path_parameter(name) for name in names] + list(known.get("parameters", ()))
    if parameters:
        made["parameters"] = parameters
    if "body" in known:
        made["requestBody"] = {"required": not known.get("is_body_optional"), "content": known["body"]}
    scheme = closed.get(known.get("group", "page"))
    made["security"] = [{scheme: []}] if scheme else []
    return made


def _path_parameter(name: str) -> dict[str, Any]:
    pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}


def _responses(path: str, known: Mapping[str, Any]) -> dict[str, Any]:
    refusal = "WorkerRefusal" if path.startswith(WORKER_PATHS) else "Message"
    made: dict[str, Any] = dict(known.get("responses", {"200": {"description": "As asked."}}))
    refused = {
        "400": "The request is malformed.",
        "403": "An unknown Host, or a foreign page asks.",
        "414": "The URL is too long.",
        "431": "The header fields are too large.",
    }
    if known.get("group", "page") != "open":
        refused["401"] = "A key, a login or a secret is missing or wrong."
    if "{" in path:
        refused["404"] = "There is no such thing."
    if "body" in known:
        refused["413"] = "The body is too large."
        refused["415"] = "The body has another type than is asked for."
        refused["422"] = "The body is not what is asked for."
        refused["507"] = "The disk is full: nothing was kept."
    refused.update(known.get("refusals", {}))
    for status, description in refused.items():
        shape = "Refusal422" if status == "422" and refusal == "Message" else refusal
        made.setdefault(status, {"description": description, "content": _json(shape)})
    return dict(sorted(made.items()))


def _json(shape: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}


def _object(properties: Schema, optional: Iterable[str] = ()) -> Schema:
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": required}


def _array(shape: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{shape}"}}


def _shapes() -> dict[str, Schema]:
    status: Schema = {"type": "string", "enum": list(lifecycles.STATUSES)}
    anything: Schema = {}
    job = dict.fromkeys(jobs.JOB_FIELDS, anything) | {
        "job_id": _TEXT,
        "registered_datetime": _MOMENT,
        "updated_datetime": _MOMENT,
        "completed_datetime": {"type": ["string", "null"], "format": "date-time"},
        "status": status,
        "errors": _TEXTS_OR_NULL,
        "warnings": _TEXTS_OR_NULL,
        "result_count": {"type": "integer"},
        "settings": {"type": ["object", "null"]},
    }
    where = {"type": "array", "items": {"type": ["string", "integer"]}}
    problem = {"type": _TEXT, "loc": where, "msg": _TEXT, "input": anything}
    error: Schema = dict.fromkeys(("code", "message", "where", "line", "traceback"), _TEXT_OR_NULL)
    file = {"name": _TEXT, "content_type": _TEXT, "size_bytes": _COUNT, "sha256": _TEXT}
    event = {"seq": _COUNT, "job_id": _TEXT_OR_NULL, "attempt": {"type": ["integer", "null"]}, "at": _SECONDS}
    return {
        "Job": _object(job),
        "Jobs": _object({"Jobs": _array("Job")}),
        "Change": _object(
            {"status": status, "errors": _TEXTS_OR_NULL, "warnings": _TEXTS_OR_NULL}, ("errors", "warnings")
        ),
        "Message": _object({"message": _TEXT}),
        "Problem": _object(problem),
        "Refusal422": {"anyOf": [_array("Problem"), {"$ref": "#/components/schemas/Message"}]},
        "WorkerRefusal": _object({"ok": {"const": False}, "error": _object({"code": _TEXT, "message": _TEXT})}),
        "WorkerReply": _object({"ok": {"const": True}}),
        "Error": _object(error, ("where", "line", "traceback")),
        "Push": _object({"type": _TEXT, "data": anything, "pushed_at": _SECONDS, "attempt": _COUNT}),
        "File": _object(file, ("sha256",)),
        "Files": _object({"files": _array("File"), "next": _TEXT_OR_NULL}),
        "Charge": _object({"idempotency_key": _TEXT, "count": _COUNT, "justification": {"type": ["object", "null"]}}),
        "Result": _object(
            {
                "job_id": _TEXT,
                "status": status,
                "error": {"anyOf": [{"$ref": "#/components/schemas/Error"}, {"type": "null"}]},
                "pushes": _array("Push"),
                "files": _array("File"),
                "charges": _array("Charge"),
                "attempts": {"type": "array", "items": {"type": "object"}},
                "next": _TEXT_OR_NULL,
                "metered_event_count": _COUNT,
                "charge_limit": {"type": ["integer", "null"]},
                "rerun_of": _TEXT_OR_NULL,
            }
        ),
        "Faults": {"anyOf": [_ONE_FAULT, _FAULT_PLAN]},
        "Event": _object({**event, "kind": _TEXT, "data": {"type": "object"}}),
        "Events": _object({"events": _array("Event"), "next": _COUNT, "ended": {"type": "boolean"}, "status": status}),
    }


def _with_moment(settings: Schema) -> Schema:
    """The settings as they are answered: with the moment of their last change."""
    moment = {"type": ["string", "null"], "format": "date-time"}
    return {**settings, "properties": {**settings.get("properties", {}), "updated_datetime": moment}}


def _embed(shapes: dict[str, Schema], name: str, schema: Schema) -> None:
    """Put a JSON Schema among the shapes, and what it defines beside it: here a `$ref` starts at the document."""
    definitions = schema.get("$defs", {})
    names: dict[str, str] = {}
    for defined in definitions:
        free = f"{name}." + re.sub(r"[^A-Za-z0-9._-]", "_", defined)
        while free in shapes or free in names.values():
            free += "_"
        names[defined] = free
    home = {f"#/$defs/{defined}": f"#/components/schemas/{free}" for defined, free in names.items()}
    shapes.update({names[defined]: keywords.moved(content, home) for defined, content in definitions.items()})
    shapes[name] = keywords.moved({key: part for key, part in schema.items() if key not in ("$defs", "$schema")}, home)


_ABOUT = (
    "The whole platform on one machine: the jobs API for those who submit jobs, and the internal API that a worker "
    "calls. Statuses: pending, queued, validating, processing; then completed, error or cancelled."
)
_SCHEMES = {
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "secret": {"type": "apiKey", "in": "header", "name": "X-Internal-Secret"},
}
