"""What the views of jobs have in common: how a body is read, and what is answered."""

from __future__ import annotations

import json

from .._protocol import jobs, json_text
from ..errors import SerializationError
from . import records
from .exchange import Answer, Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo
    from typing import Any

    from .exchange import Incoming
    from .platform import Platform
    from .records import JobRow

# Who submits waits so long for the callback, which may have others to answer first, and then has the job as it stands.
CALLBACK_WAIT_S = 15.0
# Written out, numbers may be longer than they were sent. A job with such an input and result can still be read.
MOST_BYTES = 20 * 1024 * 1024


def shown(job: JobRow, zone: tzinfo) -> dict[str, Any]:
    """The Job object of a row."""
    return jobs.job_object(
        job_id=job.job_id,
        registered_at=job.registered_at,
        updated_at=job.updated_at,
        completed_at=job.completed_at,
        status=job.status,
        errors=_value(job.errors_json),
        warnings=_value(job.warnings_json),
        settings=_value(job.settings_json),
        request_payload=_value(job.request_json),
        response_payload=_value(job.response_json),
        zone=zone,
    )


def created(platform: Platform, job: JobRow) -> Answer | Later:
    """201, and where the new job is. If a callback is to be asked, once it has answered: the Job then says how."""

    def ask(is_last: bool) -> Answer | None:
        with platform.store.read() as reader:
            now = records.job_of(reader, job.job_id)
        if now is None:
            return missing(job.job_id)
        return None if now.awaits_callback and not is_last else _created(platform, now)

    return Later(ask, CALLBACK_WAIT_S) if job.awaits_callback else _created(platform, job)


def _created(platform: Platform, job: JobRow) -> Answer:
    location = f"{platform.options.prefix}{jobs.JOBS}/{job.job_id}"  # The id is ours: nothing in it wants quoting.
    return Answer.json(shown(job, platform.options.zone), 201, (("Location", location),))


def missing(job_id: str) -> Answer:
    """404 in the words of the protocol."""
    return Answer.json(jobs.not_found(job_id), 404)


def unprocessable(invalid: jobs.Invalid) -> Answer:
    """422: an array of what is wrong, or one message."""
    try:
        return Answer.json(invalid.body, 422)
    except SerializationError:
        # It repeats what was given, and 1e999 is read as a number that JSON does not have.
        return Answer.json([{**entry, "input": None} for entry in invalid.body if isinstance(entry, dict)], 422)


def encoded(value: object, what: str) -> str:
    """`value` as JSON text. Raises jobs.Invalid: a number may be too large to be one."""
    try:
        text = json_text.encode(value, what=what, ascii_only=False)
        if len(text) <= MOST_BYTES:
            return text
        reason = f"{what} has more than {MOST_BYTES} characters when its numbers are written out"
    except SerializationError as error:
        reason = str(error)
    raise jobs.Invalid([jobs.problem("json_invalid", [], reason, None)])


def decoded(request: Incoming) -> Any:
    """The body as a JSON value. Raises jobs.Invalid."""
    try:
        return json_text.decode(request.body, is_kept=True)
    except json_text.JsonError as error:
        reason = str(error)
    raise jobs.Invalid([jobs.problem("json_invalid", [], f"the body is not JSON: {reason}", None)])


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)
