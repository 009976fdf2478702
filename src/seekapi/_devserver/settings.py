"""The worker's settings: /settings. Kept is what was set; the rest is the default that the worker's schema names.

A real PATCH: fields that are not sent stay as they are. A job carries the settings of the moment it was submitted. A
field or a value that the worker takes no more is kept for the day it is back; until then the default holds.
"""

from __future__ import annotations

import json
import logging

from .._protocol import jobs
from . import contract
from .exchange import Answer, Refusal, Route
from .job_answers import decoded, encoded, unprocessable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exchange import Incoming
    from .platform import Platform
    from .transactions import Reader, Transaction

log = logging.getLogger("seekapi.dev")

UPDATED = "updated_datetime"
# Each job carries a copy.
MOST_BYTES = 1024 * 1024
# Under this name among the options of the platform: which settings were said to fit no more.


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
        _check(schema, fields, {**_defaults(schema), **_fitting(platform, schema, tx), **fields})
        texts = {name: encoded(value, name) for name, value in fields.items()}
        _check_size({**_stored(schema, tx), **texts})
    except jobs.Invalid as invalid:
        return unprocessable(invalid)
    for name, text in texts.items():
        tx.execute(
            "INSERT INTO setting (name, value_json, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) "
            "DO UPDATE SET value_json = excluded.value_json, updated_at = excluded.updated_at",
            (name, text, tx.now),
        )
    return Answer.json(_current(platform, schema, tx), 202)


def snapshot(platform: Platform, reader: Reader) -> str | None:
    """What a job that is submitted now carries, as JSON text; None if the worker has no settings."""
    schema = contract.settings_schema(platform)
    return None if schema is None else json.dumps(_current(platform, schema, reader))


def for_worker(carried: dict[str, Any]) -> dict[str, Any]:
    """Of the settings that a job carries the worker's own fields: its class takes no other."""
    return {name: value for name, value in carried.items() if name != UPDATED}


def _schema_of(platform: Platform) -> dict[str, Any]:
    schema = contract.settings_schema(platform)
    if schema is None:
        raise Refusal(404, "NOT_FOUND", "the worker has no settings")
    return schema


def _current(platform: Platform, schema: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """A field that nobody set and the schema has no default for is left out: the worker's class knows what it is."""
    row = reader.row("SELECT max(updated_at) FROM setting")
    updated_at = None if row is None else row[0]
    moment = None if updated_at is None else jobs.moment_text(updated_at, platform.options.zone)
    return {**_defaults(schema), **_fitting(platform, schema, reader), UPDATED: moment}


def _defaults(schema: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = schema.get("properties", {})
    return {name: part["default"] for name, part in properties.items() if isinstance(part, dict) and "default" in part}


def _fitting(platform: Platform, schema: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """What was set, without what the worker takes no more."""
    texts = _stored(schema, reader)
    kept = {name: json.loads(text) for name, text in texts.items()}
    for _ in texts:
        misfits = _misfits(schema, kept)
        if not misfits:
            break
        for name, what in misfits.items():
            _say_once(platform, name, texts[name], what)
            del kept[name]
    return kept


def _stored(schema: dict[str, Any], reader: Reader) -> dict[str, str]:
    """What was set to fields that the worker has, as JSON."""
    rows = reader.rows("SELECT name, value_json FROM setting")
    return {name: text for name, text in rows if name in schema.get("properties", {})}


def _misfits(schema: dict[str, Any], kept: dict[str, Any]) -> dict[str, str]:
    """What is wrong, by name; a rule between several fields is nobody's alone."""
    try:
        contract.check(schema, {**_defaults(schema), **kept})
    except jobs.Invalid as invalid:
        entries = invalid.body if isinstance(invalid.body, list) else []
        return {entry["loc"][0]: entry["msg"] for entry in entries if entry["loc"] and entry["loc"][0] in kept}
    return {}


def _say_once(platform: Platform, name: str, text: str, what: str) -> None:
    if (name, text) not in platform.settings_said:
        platform.settings_said.add((name, text))
        log.warning("the setting %s does not fit any more, its default is used: %s", name, what)


def _check_size(texts: dict[str, str]) -> None:
    if sum(len(text.encode()) for text in texts.values()) > MOST_BYTES:
        what = f"Settings should have at most {MOST_BYTES} bytes together"
        raise jobs.Invalid([jobs.problem("too_long", [], what, None)])


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
