"""What this server serves, as an OpenAPI document, and the page that shows it."""

from __future__ import annotations

from .._protocol import jobs, openapi
from . import contract, static
from .exchange import Answer, Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exchange import Incoming
    from .platform import Options, Platform


def schema(platform: Platform, request: Incoming) -> Answer:
    """GET /openapi/schema, and under the name that the field knows: the document, of this moment's worker."""
    return Answer.json(document(platform))


def page(platform: Platform, request: Incoming) -> Answer:
    """GET /openapi: the document for people."""
    return static.file("openapi.html")


def document(platform: Platform) -> dict[str, Any]:
    """All routes of the server, with the schemas that the worker has told."""
    from . import app

    options = platform.options
    return openapi.document(
        [(route.method, route.path) for route in app.routes()],
        title=options.title,
        version=options.version,
        prefix=options.prefix,
        url=platform.url,
        # A worker without a schema takes anything; without a worker it is an object, as in the field.
        input_schema=None if platform.runner is None else contract.input_schema(platform) or {},
        settings_schema=contract.settings_schema(platform),
        security=_security(options),
    )


def _security(options: Options) -> dict[str, str]:
    closed = {"worker": "secret"}
    if options.needs_token:
        closed.update(jobs="bearer", page="bearer", document="bearer")
    if options.basic_auth:
        closed.update(jobs="basic", page="basic")
    return closed


ROUTES = (
    Route("GET", jobs.OPENAPI_PAGE, page),
    Route("GET", jobs.OPENAPI_SCHEMA, schema, auth="open"),
    Route("GET", jobs.OPENAPI_JSON, schema, auth="open"),
)
