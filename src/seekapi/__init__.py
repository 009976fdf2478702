"""The Python SDK for SeekAPI workers: one function from input to output, whose result is never lost in silence.

    from seekapi import run

    def handler(event, context):
        return run(event, context, lambda job_input: {"message": f"hello {job_input['name']}"})

Importing the package loads nothing else: each name is fetched from its module when it is first asked for.
"""

__version__ = "2.0.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._protocol.envelopes import failure, success
    from ._protocol.schemas import schema
    from ._protocol.schemas.markers import Choices, Doc, Pattern, Range, Secret
    from ._worker.invocation import run, worker
    from ._worker.job import AsyncJob, Charge, Job
    from ._worker.operations import (
        charge,
        create_context,
        get_input,
        get_job_fixture,
        push_data,
        push_file,
        register_request_id,
    )
    from .client import Client
    from .client.aio import AsyncClient
    from .errors import (
        ApiError,
        ArgumentError,
        AuthError,
        Cancelled,
        ConfigurationError,
        ConflictError,
        ConnectError,
        DeadlineExceeded,
        DeliveryError,
        DnsError,
        Fail,
        InputExpired,
        InputFetchError,
        InvalidEvent,
        InvalidInput,
        InvalidRequestError,
        LocalWriteError,
        MissingInputError,
        NotFoundError,
        PayloadTooLargeError,
        ProtocolError,
        RateLimitError,
        SeekApiError,
        SerializationError,
        ServerError,
        TlsError,
        TransportError,
        TransportTimeout,
    )

__all__ = [
    "ApiError",
    "ArgumentError",
    "AsyncClient",
    "AsyncJob",
    "AuthError",
    "Cancelled",
    "Charge",
    "Choices",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "DeadlineExceeded",
    "DeliveryError",
    "DnsError",
    "Doc",
    "Fail",
    "InputExpired",
    "InputFetchError",
    "InvalidEvent",
    "InvalidInput",
    "InvalidRequestError",
    "Job",
    "LocalWriteError",
    "MissingInputError",
    "NotFoundError",
    "Pattern",
    "PayloadTooLargeError",
    "ProtocolError",
    "Range",
    "RateLimitError",
    "Secret",
    "SeekApiError",
    "SerializationError",
    "ServerError",
    "TlsError",
    "TransportError",
    "TransportTimeout",
    "charge",
    "create_context",
    "failure",
    "get_input",
    "get_job_fixture",
    "push_data",
    "push_file",
    "register_request_id",
    "run",
    "schema",
    "success",
    "worker",
]

_HOME_OF = dict.fromkeys(__all__, "errors") | {
    "AsyncJob": "_worker.job",
    "Charge": "_worker.job",
    "Job": "_worker.job",
    "AsyncClient": "client.aio",
    "Client": "client",
    "Choices": "_protocol.schemas.markers",
    "Doc": "_protocol.schemas.markers",
    "Pattern": "_protocol.schemas.markers",
    "Range": "_protocol.schemas.markers",
    "Secret": "_protocol.schemas.markers",
    "charge": "_worker.operations",
    "create_context": "_worker.operations",
    "failure": "_protocol.envelopes",
    "get_input": "_worker.operations",
    "get_job_fixture": "_worker.operations",
    "push_data": "_worker.operations",
    "push_file": "_worker.operations",
    "register_request_id": "_worker.operations",
    "run": "_worker.invocation",
    "schema": "_protocol.schemas",
    "success": "_protocol.envelopes",
    "worker": "_worker.invocation",
}


if not TYPE_CHECKING:
    # Out of sight of type checkers, which would take every misspelt name for an object.
    def __getattr__(name):
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "__doc__"])
