"""The worker's settings: /settings. Kept is what was set; the rest is the default that the worker's schema names.

A real PATCH: fields that are not sent stay as they are. A job carries the settings of the moment it was submitted.
"""

from __future__ import annotations

import json

from .._protocol import jobs, json_text
from . import contract
from .exchange import Answer, Refusal, Route
from .job_answers import decoded, unprocessable, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .app import Platform
    from .exchange import Incoming
    from .store import Reader, Transaction

UPDATED = "updated_datetime"


def show(platform: Platform, request: Incoming) -> Answer:
    """GET /settings."""
    schema = _schema_of(platform)
    with platform.store.read() as reader:
        return Answer.json(_current(platform, schema, reader))


def change(platform: Platform, request: Incoming, tx: Transaction) -> Answer:
    """PATCH /settings: 202. A field that does not exist or a value that the schema refuses: 422, nothing is set."""
    schema = _schema_of(platform)
    try:
        fields = jobs.object_of(decoded(request))
        fields.pop(UPDATED, None)  # Whoever sends back what GET gave is not punished for it.
        _check(schema, fields, {**_defaults(schema), **_kept(tx), **fields})
    except jobs.Invalid as invalid:
        return unprocessable(invalid)
    for name, value in fields.items():
        tx.execute(
            "INSERT INTO setting (name, value_json, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) "
            "DO UPDATE SET value_json = excluded.value_json, updated_at = excluded.updated_at",
            (name, json_text.encode(value), tx.now),
        )
    return Answer.json(_current(platform, schema, tx), 202)


def snapshot(platform: Platform, reader: Reader) -> str | None:
    """What a job that is submitted now carries, as JSON text; None if the worker has no settings."""
    schema = contract.settings_schema(platform)
    return None if schema is None else json.dumps(_current(platform, schema, reader))


def _schema_of(platform: Platform) -> dict[str, Any]:
    schema = contract.settings_schema(platform)
    if schema is None:
        raise Refusal(404, "NOT_FOUND", "the worker has no settings")
    return schema


def _current(platform: Platform, schema: dict[str, Any], reader: Reader) -> dict[str, Any]:
    values = {**dict.fromkeys(schema.get("properties", {})), **_defaults(schema)}
    rows = reader.rows("SELECT name, value_json, updated_at FROM setting")
    # What a field was set to that the worker has no more stays, for the day it is back, and is not shown.
    values.update({name: json.loads(text) for name, text, _ in rows if name in values})
    updated_at = max((at for _, _, at in rows), default=None)
    values[UPDATED] = None if updated_at is None else jobs.moment_text(updated_at, zone_of(platform))
    return values


def _defaults(schema: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = schema.get("properties", {})
    return {name: part["default"] for name, part in properties.items() if isinstance(part, dict) and "default" in part}


def _kept(tx: Transaction) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in tx.rows("SELECT name, value_json FROM setting")}


def _check(schema: dict[str, Any], fields: dict[str, Any], merged: dict[str, Any]) -> None:
    """Raises jobs.Invalid. The whole is checked with what was set before, so that rules between fields hold."""
    properties = schema.get("properties", {})
    unknown = [name for name in fields if name not in properties]
    if unknown:
        what = "Extra inputs are not permitted"
        raise jobs.Invalid([jobs.problem("extra_forbidden", [name], what, None) for name in unknown])
    contract.check(schema, {name: value for name, value in merged.items() if name in properties})


ROUTES = (
    Route("GET", jobs.SETTINGS, show, auth="jobs", prefixed=True),
    Route("PATCH", jobs.SETTINGS, change, writes=True, body="json", auth="jobs", prefixed=True),
)
