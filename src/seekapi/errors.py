"""Every exception that seekapi raises: one root, one branch per kind of fault.

    SeekApiError                        .retryable
      ConfigurationError (ValueError)   a setting is missing or malformed
      ArgumentError (ValueError)        an argument of a call cannot be used
        InvalidEvent                    the event is not a dict, or an id in it is missing or malformed
        SerializationError (TypeError)  the data is not JSON: .path .reason
      MissingInputError (ValueError)    the event carries no input_presigned_url
      InputFetchError (ValueError)      the input could not be had, or is not JSON: .status .code .retry_after
        InputExpired                    the presigned URL is no longer valid
      InvalidInput (ValueError)         the input is JSON, but not what the handler asks for: .problems
      DeliveryError (OSError)           it is not certain that the platform has it: .outcome .idempotency_key
        TransportError                  no answer: refused, reset, cut short
          ConnectError                  no connection was made, so nothing was sent
            DnsError                    the name did not resolve
            TlsError                    the peer could not be verified, or does not speak TLS
          TransportTimeout (TimeoutError)
          ProtocolError                 the answer was not HTTP, or over a limit
        ApiError                        the platform answered no: .status .code .request_id .retry_after
          AuthError                     401, 403
          NotFoundError                 404
          ConflictError                 409, 412
          PayloadTooLargeError          413
          InvalidRequestError           400, 422
          RateLimitError                429
          ServerError                   5xx
      LocalWriteError (OSError)         local mode could not keep an artifact
      Fail                              the handler's own verdict: .code .message

    DeadlineExceeded, Cancelled         BaseException: they pass through a user's `except Exception`

The second bases are the promise of seekapi 1.0: `except ValueError` around the input and `except OSError`
around a push keep working. No message, attribute, cause or context here ever holds a secret, a token or
the query of a presigned URL; whoever raises sees to it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    Outcome = Literal["not_sent", "unknown", "rejected"]


class SeekApiError(Exception):
    """The root of all errors of seekapi that are `Exception`s.

    `retryable` says whether the same call may succeed later, unchanged.
    """

    retryable: bool = False

    def __init__(self, message: str = "", **evidence: Any) -> None:
        super().__init__(message)
        for name, value in evidence.items():
            setattr(self, name, value)


class ConfigurationError(SeekApiError, ValueError):
    """A setting is missing or malformed; the message names the variable, never its value."""


class ArgumentError(SeekApiError, ValueError):
    """An argument of a call cannot be used; nothing was sent or written."""


class InvalidEvent(ArgumentError):
    """The event is not a dict, or an id that it carries is missing or malformed."""


class SerializationError(ArgumentError, TypeError):
    """The data has no JSON form. `path` leads to the culprit (`result.rows[3].price`), `reason` says why."""

    path: str = ""
    reason: str = ""


class MissingInputError(SeekApiError, ValueError):
    """The event has no `input_presigned_url`."""


class InputFetchError(SeekApiError, ValueError):
    """The job input could not be fetched, or is not JSON.

    `status` is the HTTP status if there was an answer, `code` the storage's own code (S3: `NoSuchKey`).
    """

    status: int | None = None
    code: str | None = None
    retry_after: float | None = None


class InputExpired(InputFetchError):
    """The presigned URL of the input is past its expiry: the platform has to issue a new one."""


class InvalidInput(SeekApiError, ValueError):
    """The input is JSON, but not what the handler asks for; `problems` lists each one with its path."""

    problems: tuple[str, ...] = ()


class DeliveryError(SeekApiError, OSError):
    """A call to the platform did not succeed.

    `outcome` says what the platform may have done: `not_sent` nothing, `rejected` nothing, `unknown` perhaps
    everything. Calling again with `idempotency_key` is safe in all three cases where the platform keeps keys.
    """

    outcome: Outcome = "unknown"
    idempotency_key: str | None = None


class TransportError(DeliveryError):
    """No usable answer: refused, reset, cut short. `host` names the peer, without path or query."""

    retryable = True
    host: str = ""


class ConnectError(TransportError):
    """No connection was made, so nothing was sent."""

    outcome: Outcome = "not_sent"


class DnsError(ConnectError):
    """The host name did not resolve. Retryable only if the resolver said "try again"."""


class TlsError(ConnectError):
    """The peer's certificate did not verify, or the peer does not speak TLS."""

    retryable = False


class TransportTimeout(TransportError, TimeoutError):
    """The total time of the call was up before a complete answer was in."""


class ProtocolError(TransportError):
    """The answer was not HTTP/1.1, or went over one of the limits; `limit_bytes` is set if it was too large."""

    retryable = False
    limit_bytes: int | None = None


class ApiError(DeliveryError):
    """The platform answered, and the answer is no."""

    outcome: Outcome = "rejected"
    status: int = 0
    code: str | None = None
    request_id: str | None = None
    retry_after: float | None = None


class AuthError(ApiError):
    """401 or 403: the secret or the execution token is not accepted."""


class NotFoundError(ApiError):
    """404: the platform does not know the job."""


class ConflictError(ApiError):
    """409 or 412: the job is no longer ours, or an idempotency key was used for something else."""


class PayloadTooLargeError(ApiError):
    """413: the platform takes less than this."""


class InvalidRequestError(ApiError):
    """400 or 422: the platform does not accept the request as it stands; `problems` has a line for each it named."""

    problems: tuple[str, ...] = ()


class RateLimitError(ApiError):
    """429: too many requests; `retry_after` is in seconds where the platform said so."""

    retryable = True


class ServerError(ApiError):
    """5xx: the platform failed; it may have done the work before."""

    outcome: Outcome = "unknown"
    retryable = True


class LocalWriteError(SeekApiError, OSError):
    """Local mode could not keep an artifact; what was there before is intact."""


class Fail(SeekApiError):
    """The handler's own verdict: `raise Fail("NO_STOCK", "only 2 left")` ends the job with that code.

    Both are shown as text; an empty code becomes WORKER_ERROR. A subclass may set `code` once for all, and needs no
    `super().__init__()`: without a message, its arguments are shown.
    """

    code: str = "WORKER_ERROR"
    message: str = ""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class DeadlineExceeded(BaseException):
    """The job's time is up. A BaseException, so that a handler's `except Exception` does not swallow it."""


class Cancelled(BaseException):
    """The job was cancelled, by a person or because the platform shuts down."""
