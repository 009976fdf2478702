"""What each route of the server takes and gives, under its method and path: the data behind `openapi`."""

from __future__ import annotations

from . import jobs, lifecycles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Operation = dict[str, Any]


def _gives(
    shape: str, description: str, status: str = "200", *, headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    response = {"description": description, "content": _json(shape)}
    return {status: {**response, "headers": headers} if headers else response}


def _json(shape: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}


def _bytes(media_type: str, description: str, status: str = "200") -> dict[str, Any]:
    return {status: {"description": description, "content": {media_type: {}}}}


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


_MOMENT = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
# What a URL may hold.
_WORDS = {"type": "string", "pattern": "^[^\\u0000]*$"}
_SEQ = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
_PREFER = _header(
    "Prefer",
    {"type": "string"},
    f"`wait=20`: hold the answer back for so many seconds, at most {jobs.LONGEST_WAIT_S}, until there is news. "
    "Another preference is ignored.",
)
_KEY = _header(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[ -~]{0,255}$"},
    "The same key with the same body is the same effect, and the same answer.",
)
_NEXT = {jobs.NEXT_PAGE: {"description": "The path of the next page; empty on the last.", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "The path of the job.", "schema": {"type": "string"}}}
_JOB = {"tag": "jobs", "group": "jobs", "prefixed": True}
_SETTINGS = {"tag": "settings", "group": "jobs", "prefixed": True}
_WORKER = {"tag": "worker", "group": "worker"}
_PAGE = {"tag": "pages", "group": "page"}
_FAULTS = {"tag": "faults", "group": "page"}
_OBJECT = {
    "200": {"description": "As asked.", "content": {"application/json": {"schema": {"type": "object"}}}},
}
_CONFLICT = {"409": "The job's status does not allow it, or the key was used for something else."}
_TOKEN = {"execution_token": {"type": "string", "minLength": 1}}
_LIMIT = _header(
    "SeekAPI-Charge-Limit",
    {"type": "integer", "minimum": 0, "maximum": 2**53},
    "How many units the job may be charged for.",
)


_REQUEST_ID = {
    "type": "object",
    "properties": {"request_id": {"type": ["string", "integer"], "pattern": r"\S", "maxLength": 256}},
    "required": ["request_id"],
}


def _worker_body(required: list[str], **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {**_TOKEN, **properties}, "required": required}
    return {"application/json": {"schema": schema}}


OPERATIONS: dict[str, Operation] = {
    "POST /jobs": {
        **_JOB,
        "id": "submit_job",
        "summary": "Submit a job",
        "description": "The body is the job's input. It is queued, and a worker takes it.",
        "parameters": [_KEY, _LIMIT],
        "body": _json("Input"),
        "responses": _gives("Job", "The job, queued.", "201", headers=_LOCATION),
        "refusals": {**_CONFLICT, "429": "Too many at once."},
    },
    "GET /jobs": {
        **_JOB,
        "id": "list_jobs",
        "summary": "List jobs, newest first",
        "parameters": [
            _query(
                "limit",
                {
                    "type": "integer",
                    "minimum": jobs.LEAST_LIMIT,
                    "maximum": jobs.MOST_LIMIT,
                    "default": jobs.DEFAULT_LIMIT,
                },
                "How many on a page.",
            ),
            _query("status", {"type": "string", "enum": list(lifecycles.STATUSES)}, "Only these."),
            _query("registered_datetime_gte", _MOMENT, "Submitted then or later."),
            _query("registered_datetime_lte", _MOMENT, "Submitted then or before."),
            _query(
                "job_id",
                {"type": "array", "items": _WORDS, "contains": {"pattern": r"[^,\s]"}, "maxItems": jobs.MOST_JOB_IDS},
                "Only these jobs, repeated or with commas; the other filters then do not count.",
            ),
            _query("ekey", {"type": "string", "pattern": f"^({jobs.PAGE_KEY})?$"}, f"From {jobs.NEXT_PAGE}."),
        ],
        "responses": _gives("Jobs", "A page.", headers=_NEXT),
        "refusals": {"422": "A parameter is not what is asked for."},
    },
    "GET /jobs/{job_id}": {
        **_JOB,
        "id": "get_job",
        "summary": "One job",
        "parameters": [_PREFER],
        "responses": _gives("Job", "The job as it is."),
    },
    "PATCH /jobs/{job_id}": {
        **_JOB,
        "id": "change_job",
        "summary": "Set the status of a job",
        "description": "Errors and warnings are added to those that are there.",
        "body": _json("Change"),
        "responses": _gives("Job", "The job as it then is.", "202"),
        "refusals": _CONFLICT,
    },
    "PUT /jobs/{job_id}": {
        **_JOB,
        "id": "complete_job",
        "summary": "Hand in the result of a job",
        "body": {"application/json": {"schema": {"type": "object"}}},
        "responses": _gives("Job", "The job, completed."),
        "refusals": _CONFLICT,
    },
    "GET /jobs/{job_id}/result": {
        **_JOB,
        "id": "get_result",
        "summary": "What a job has delivered so far",
        "parameters": [
            _query(
                "after",
                {"type": "string", "pattern": f"^{jobs.RESULT_KEY}$"},
                "The `next` of an answer that was cut; or an event, and only what came behind it.",
            )
        ],
        "responses": _gives("Result", "Pushes, files, charges, error."),
    },
    "GET /jobs/{job_id}/events": {
        **_JOB,
        "id": "get_events",
        "summary": "What happened to a job",
        "description": "JSON by default; with `Accept: text/event-stream` an event stream.",
        "parameters": [
            _PREFER,
            _query("after", _SEQ, "Behind this event."),
            _query("limit", {"type": "integer", "minimum": 1, "maximum": jobs.MOST_EVENTS}, "How many."),
            _query("kinds", _WORDS, "Only these, with commas."),
        ],
        "responses": {"200": {"description": "The events.", "content": {**_json("Events"), "text/event-stream": {}}}},
        "refusals": {"422": "A parameter is not what is asked for."},
    },
    "GET /jobs/{job_id}/files": {
        **_JOB,
        "id": "list_files",
        "summary": "The files of a job",
        "parameters": [_query("after", _SEQ, "Only files behind this event: the `next` of an answer that was cut.")],
        "responses": _gives("Files", "Name, type and size of each."),
    },
    "GET /jobs/{job_id}/files/{name}": {
        **_JOB,
        "id": "get_file",
        "summary": "One file of a job",
        "responses": _bytes("*/*", "The file as it was pushed."),
    },
    "GET /files/{file_id}": {
        **_PAGE,
        "id": "get_file_by_id",
        "summary": "One file, by its id or its name",
        "responses": _bytes("*/*", "The file as it was pushed."),
    },
    "POST /jobs/{job_id}/cancel": {
        **_JOB,
        "id": "cancel_job",
        "summary": "Cancel a job",
        "description": "A job that has ended stays as it is. There need be no body, and what it says does not matter; "
        "but `Content-Type: application/json` has to be there.",
        "body": {"application/json": {"schema": {}}},
        "is_body_optional": True,
        "responses": _gives("Job", "The job as it then is."),
    },
    "POST /jobs/{job_id}/rerun": {
        **_JOB,
        "id": "rerun_job",
        "summary": "Submit a job again, as a new one",
        "parameters": [_LIMIT],
        "body": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"request_payload": {"$ref": "#/components/schemas/Input"}},
                    "additionalProperties": False,
                }
            }
        },
        "responses": _gives("Job", "The new job, queued.", "201", headers=_LOCATION),
    },
    "GET /settings": {
        **_SETTINGS,
        "id": "get_settings",
        "summary": "The settings that a new job takes a snapshot of",
        "responses": _gives("Settings", "The settings."),
        "refusals": {"404": "The worker has no settings."},
    },
    "PATCH /settings": {
        **_SETTINGS,
        "id": "change_settings",
        "summary": "Change settings",
        "description": "What is not named stays as it is.",
        "body": _json("SettingsChange"),
        "responses": _gives("Settings", "All of the settings.", "202"),
        "refusals": {"404": "The worker has no settings."},
    },
    "GET /healthcheck": {
        **_JOB,
        "id": "check_health",
        "tag": "health",
        "summary": "Whether the server is well",
        "responses": {
            "200": {
                "description": "It is.",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {"status": {"const": "OK"}},
                            "required": ["status"],
                        }
                    }
                },
            }
        },
    },
    "GET /": {**_PAGE, "id": "dashboard", "summary": "The dashboard", "responses": _bytes("text/html", "The page.")},
    "GET /static/{name}": {
        **_PAGE,
        "id": "page_file",
        "summary": "What a page is made of",
        "responses": _bytes("*/*", "The file."),
    },
    "GET /about": {**_PAGE, "id": "about", "summary": "This server and its worker", "responses": _OBJECT},
    "GET /worker": {**_PAGE, "id": "worker", "summary": "The worker and what it takes", "responses": _OBJECT},
    "GET /overview": {
        **_PAGE,
        "id": "overview",
        "summary": "The latest jobs in brief, and how many there are of each status",
        "parameters": [
            _query("limit", {"type": "integer", "minimum": 1, "maximum": 500}, "How many."),
            _query("before", {"type": "integer", "minimum": 0, "maximum": 10**19 - 1}, "Older than this number."),
            _query("status", _WORDS, "Only these."),
            _query("q", _WORDS, "Only those that hold this text."),
        ],
        "responses": _OBJECT,
        "refusals": {"422": "A parameter is not what is asked for."},
    },
    "GET /events": {
        **_PAGE,
        "id": "follow_all",
        "summary": "Everything that happens, as an event stream",
        "parameters": [_query("after", _SEQ, "Behind this event.")],
        "responses": _bytes("text/event-stream", "Events, for as long as the client stays."),
        "refusals": {"422": "A parameter is not what is asked for."},
    },
    "GET /faults": {**_FAULTS, "id": "list_faults", "summary": "What can be broken, and what is", "responses": _OBJECT},
    "POST /faults": {
        **_FAULTS,
        "id": "arm_fault",
        "summary": "Break something",
        "description": 'As in a file of faults, `{"push": "http_503_once"}`; or one fault for the next `count` calls. '
        "Which operations there are, and what the page offers by its name alone, is told by `GET /faults`.",
        "body": _json("Faults"),
        "responses": _OBJECT,
        "refusals": {"422": "There is no such fault, or not for this operation, or too many are armed."},
    },
    "DELETE /faults": {**_FAULTS, "id": "clear_faults", "summary": "Break nothing more", "responses": _OBJECT},
    "GET /openapi": {
        **_PAGE,
        "id": "openapi_page",
        "summary": "This document as a page",
        "responses": _bytes("text/html", "The page."),
    },
    **{
        f"GET {path}": {
            "tag": "pages",
            "group": "document",
            "id": f"openapi_{path.rpartition('/')[2].partition('.')[0]}",
            "summary": "This document",
            "responses": {
                "200": {
                    "description": "OpenAPI 3.1, as JSON.",
                    "content": {"application/json": {"schema": {"type": "object", "required": ["openapi"]}}},
                }
            },
        }
        for path in (jobs.OPENAPI_SCHEMA, jobs.OPENAPI_JSON)
    },
    "GET /inputs/{attempt}": {
        "tag": "worker",
        "group": "open",
        "id": "get_input",
        "summary": "The input of an attempt, behind a signed URL that expires",
        "parameters": [
            _query("expires", _WORDS, "Seconds since 1970."),
            _query("sig", _WORDS, "The signature."),
        ],
        "responses": {
            "200": {"description": "The input.", "content": {"application/json": {"schema": {}}}},
            "403": {
                "description": "Not signed, expired, or an unknown Host.",
                "content": {"application/xml": {}, **_json("Message")},
            },
            "404": {"description": "There is no such attempt.", "content": {"application/xml": {}, **_json("Message")}},
        },
    },
    "POST /v1/internal/jobs/{job_id}/worker-request-id": {
        **_WORKER,
        "id": "register_request_id",
        "summary": "Under which id the runtime logs this job",
        "body": {"application/json": {"schema": _REQUEST_ID}},
        "responses": _gives("WorkerReply", "Noted."),
        "refusals": _CONFLICT,
    },
    "POST /v1/internal/jobs/{job_id}/push": {
        **_WORKER,
        "id": "push_data",
        "summary": "Deliver one value",
        "parameters": [_KEY],
        "body": _worker_body(["execution_token", "data"], data={}, type={"type": ["string", "null"], "maxLength": 64}),
        "responses": _gives("WorkerReply", "Kept."),
        "refusals": _CONFLICT,
    },
    "POST /v1/internal/jobs/{job_id}/push/file": {
        **_WORKER,
        "id": "push_file",
        "summary": "Deliver one file",
        "parameters": [_KEY],
        "body": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        **_TOKEN,
                        "name": {"type": "string"},
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                    },
                    "required": ["execution_token", "name", "file"],
                    "propertyNames": {"pattern": "^[A-Za-z0-9_-]+$"},
                }
            }
        },
        "responses": _gives("WorkerReply", "Kept."),
        "refusals": _CONFLICT,
    },
    "POST /v1/internal/jobs/{job_id}/charge": {
        **_WORKER,
        "id": "charge",
        "summary": "Meter events, once per key",
        "parameters": [_KEY],
        "body": _worker_body(
            ["execution_token", "idempotency_key", "count"],
            idempotency_key={"type": "string", "pattern": r"\S", "maxLength": 1024},
            count={"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
            justification={"type": ["object", "null"]},
        ),
        "responses": _gives("WorkerReply", "Metered, or known already."),
        "refusals": _CONFLICT,
    },
}
