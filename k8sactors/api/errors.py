"""Every error of the API layer, and the Status object that a client sees.

    ApiError
    ├── StatusError          an answer of the API server: HTTP code, reason, causes
    │   └── DecodingError    ... a body that has not the form of its kind
    ├── UnknownKindError     no resource is served under that apiVersion and kind
    ├── UnknownResourceError no resource is served under that plural name
    ├── QuantityError        a quantity that does not parse
    ├── Base64Error          bytes that are no base64
    ├── ProtobufError        bytes that are no message, or an object that fits into none
    ├── SelectorError        a label or field selector that does not parse
    ├── CronError            a schedule, or the time zone of one, that does not parse
    ├── PatchError           a patch that cannot be applied
    ├── SchemaMismatchError  an object that cannot be merged by its schema
    ├── FieldConflictError   an applied configuration that changes fields of other managers
    ├── ManifestError        a manifest that cannot be read (file, line, column, key)
    └── SuspendedError       a step of a request needs something first; it is then run again
        ├── LookupNeededError    ... what the store holds under a key
        ├── LeaseNeededError     ... a lease of the store
        └── AnswerNeededError    ... the answer of another program, such as a webhook

The wording, reasons and codes of `StatusError` are those of the API conventions ("Response status
kind") and of a real API server, because clients branch on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

BAD_REQUEST = 400
UNPROCESSABLE = 422
INTERNAL = 500

FIELD_VALUE_REQUIRED = "FieldValueRequired"
FIELD_VALUE_INVALID = "FieldValueInvalid"
FIELD_VALUE_NOT_SUPPORTED = "FieldValueNotSupported"
FIELD_VALUE_FORBIDDEN = "FieldValueForbidden"
FIELD_VALUE_DUPLICATE = "FieldValueDuplicate"
FIELD_VALUE_NOT_FOUND = "FieldValueNotFound"
FIELD_VALUE_TOO_LONG = "FieldValueTooLong"
FIELD_VALUE_TOO_MANY = "FieldValueTooMany"
FIELD_VALUE_TYPE_INVALID = "FieldValueTypeInvalid"
FIELD_UNKNOWN = "FieldUnknown"
FIELD_MANAGER_CONFLICT = "FieldManagerConflict"


class Cause(NamedTuple):
    """One reason why an object was refused: `field` is a path, `message` the text without it."""

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ResourceName(Protocol):
    """What an error needs to know of a resource; `scheme.ResourceInfo` is one."""

    @property
    def group(self) -> str:
        """The API group, "" for the core group."""

    @property
    def plural(self) -> str:
        """The resource's name in paths."""

    @property
    def kind(self) -> str:
        """The kind of its objects."""


class ApiError(Exception):
    """The root of this package's errors."""


class UnknownKindError(ApiError):
    """No resource is served under this apiVersion and kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f'no matches for kind "{kind}" in version "{api_version}"')
        self.api_version = api_version
        self.kind = kind


class UnknownResourceError(ApiError):
    """No resource is served under this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'the server doesn\'t have a resource type "{name}"')
        self.name = name


class Base64Error(ApiError):
    """Bytes in a text that is no base64; `position` is that of the first illegal byte."""

    def __init__(self, position: int) -> None:
        super().__init__(f"illegal base64 data at input byte {position}")
        self.position = position


class ProtobufError(ApiError, ValueError):
    """Bytes that are no message of their kind, or a value that no message can hold.

    `position` is where in the bytes it was seen (0: unknown), `api_version` and `kind` what the
    bytes say that they are, once that is known.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position
        self.api_version = ""
        self.kind = ""


class QuantityError(ApiError, ValueError):
    """The text is not a quantity."""


class SelectorError(ApiError, ValueError):
    """The text or structure is not a selector."""


class CronError(ApiError, ValueError):
    """The text is not a schedule, or names no time zone."""


class PatchError(ApiError, ValueError):
    """The patch does not fit the object; `code` is that of the answer."""

    def __init__(self, message: str, code: int = BAD_REQUEST) -> None:
        super().__init__(message)
        self.code = code


class SchemaMismatchError(ApiError, ValueError):
    """An object does not fit the schema by which it would be merged."""


class FieldConflictError(ApiError):
    """An applied configuration changes fields of other managers.

    `conflicts` names the managers as messages show them, each with the paths of its fields.
    """

    def __init__(self, conflicts: Sequence[tuple[str, Sequence[str]]]) -> None:
        super().__init__("fields are managed by others")
        self.conflicts = conflicts


class ManifestError(ApiError, ValueError):
    """A manifest that cannot be read; line and column count from 1, 0 when unknown."""

    def __init__(
        self, message: str, *, file: str = "", line: int = 0, column: int = 0, key: str = ""
    ) -> None:
        place = f"{file}:{line}:{column}" if line else file
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.key = key
        super().__init__(": ".join(part for part in (place, key, message) if part))


class SuspendedError(ApiError):
    """A step of a request cannot continue yet: the server fetches what is needed, and resumes.

    `resume` continues the step where it stopped; None: the step is run from its start.
    """

    resume: Callable[[], Any] | None = None


class LookupNeededError(SuspendedError):
    """The step must know the store's current value of `key`."""

    def __init__(self, key: bytes, wait_ns: int = 0) -> None:
        super().__init__(key.decode())
        self.key = key
        # How long the key may take to appear.
        self.wait_ns = wait_ns


class LeaseNeededError(SuspendedError):
    """The step needs a lease that lives at least `ttl_seconds`."""

    def __init__(self, ttl_seconds: int) -> None:
        super().__init__(f"a lease of {ttl_seconds} seconds")
        self.ttl_seconds = ttl_seconds


class AnswerNeededError(SuspendedError):
    """The step has asked another program; `begin` sends the question and resumes when answered."""

    def __init__(self, begin: Callable[[Callable[[], None]], None]) -> None:
        super().__init__("an answer of another program")
        self.begin = begin


class StatusError(ApiError):
    """A failure that the API server reports: becomes a v1 Status object on the wire."""

    # Of the FlowSchema and the priority level of the request, when a proxy was told them.
    flow_uids: list[str] | None = None

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        causes: Sequence[Cause] = (),
        name: str = "",
        group: str = "",
        kind: str = "",
        uid: str = "",
        retry_after_seconds: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = tuple(causes)
        self.name = name
        self.group = group
        self.kind = kind
        self.uid = uid
        self.retry_after_seconds = retry_after_seconds

    def status(self) -> dict[str, Any]:
        """The v1 Status object, as it goes over the wire."""
        details: dict[str, Any] = {}
        for key in ("name", "group", "kind", "uid"):
            value = getattr(self, key)
            if value:
                details[key] = value
        if self.causes:
            details["causes"] = [
                {"reason": cause.reason, "message": cause.message, "field": cause.field}
                if cause.field
                else {"reason": cause.reason, "message": cause.message}
                for cause in self.causes
            ]
        if self.retry_after_seconds:
            details["retryAfterSeconds"] = self.retry_after_seconds
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if details:
            status["details"] = details
        status["code"] = self.code
        return status

    @classmethod
    def from_status(cls, status: dict[str, Any]) -> StatusError:
        """Rebuild the error from a received Status object."""
        details = status.get("details") or {}
        return cls(
            status.get("code", 500),
            status.get("reason", ""),
            status.get("message", ""),
            causes=[
                Cause(cause.get("field", ""), cause.get("reason", ""), cause.get("message", ""))
                for cause in details.get("causes") or ()
            ],
            name=details.get("name", ""),
            group=details.get("group", ""),
            kind=details.get("kind", ""),
            uid=details.get("uid", ""),
            retry_after_seconds=details.get("retryAfterSeconds", 0),
        )


class DecodingError(StatusError):
    """400: the body has not the form of its kind; `detail` is what Go's decoder says of it."""

    def __init__(self, kind: str, version: str, detail: str) -> None:
        text = f'{kind} in version "{version}" cannot be handled as a {kind}: {detail}'
        super().__init__(BAD_REQUEST, "BadRequest", text)
        self.detail = detail


def _split(resource: ResourceName | str) -> tuple[str, str]:
    if isinstance(resource, str):
        plural, _, group = resource.partition(".")
        return plural, group
    return resource.plural, resource.group


def qualified(plural: str, group: str) -> str:
    """`pods` or `deployments.apps`."""
    return f"{plural}.{group}" if group else plural


def not_found(resource: ResourceName | str, name: str) -> StatusError:
    """404: the object is not there."""
    plural, group = _split(resource)
    message = f'{qualified(plural, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, name=name, group=group, kind=plural)


def already_exists(resource: ResourceName | str, name: str) -> StatusError:
    """409: an object of that name is there already."""
    plural, group = _split(resource)
    message = f'{qualified(plural, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, name=name, group=group, kind=plural)


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(resource: ResourceName | str, name: str, message: str = MODIFIED) -> StatusError:
    """409: optimistic concurrency or a precondition failed."""
    plural, group = _split(resource)
    text = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {message}'
    return StatusError(409, "Conflict", text, name=name, group=group, kind=plural)


def aggregate(causes: Sequence[Cause]) -> str:
    """One cause as it is, several (without repeats) as `[a, b]`."""
    lines = list(dict.fromkeys(str(cause) for cause in causes))
    return lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"


def invalid(info: ResourceName, name: str, causes: Sequence[Cause]) -> StatusError:
    """422: the object is well-formed, but its values are refused."""
    message = f'{qualified(info.kind, info.group)} "{name}" is invalid'
    if causes:
        message = f"{message}: {aggregate(causes)}"
    return StatusError(
        422, "Invalid", message, causes=causes, name=name, group=info.group, kind=info.kind
    )


def bad_request(message: str) -> StatusError:
    """400: the request makes no sense to the server."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: the credentials say not who asks; nothing tells why."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: ResourceName | str, name: str, message: str) -> StatusError:
    """403: known, but not allowed to (or an admission plugin refused)."""
    plural, group = _split(resource)
    text = f"forbidden: {message}"
    if plural and name:
        text = f'{qualified(plural, group)} "{name}" is {text}'
    elif plural:
        text = f"{qualified(plural, group)} is {text}"
    return StatusError(403, "Forbidden", text, name=name, group=group, kind=plural)


def method_not_allowed() -> StatusError:
    """405: the resource exists, the verb does not apply to it."""
    return StatusError(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )


def path_not_found() -> StatusError:
    """404: no such resource type."""
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def not_acceptable(message: str) -> StatusError:
    """406: nothing that the client accepts can be made of the answer."""
    return StatusError(406, "NotAcceptable", message)


def expired(message: str) -> StatusError:
    """410: the resourceVersion or continue token is older than what is kept."""
    return StatusError(410, "Expired", message)


def gone(message: str) -> StatusError:
    """410: what was asked for existed, and will not come back."""
    return StatusError(410, "Gone", message)


def request_entity_too_large(message: str) -> StatusError:
    """413: the body is larger than the server accepts."""
    return StatusError(413, "RequestEntityTooLarge", message)


def unsupported_media_type(message: str) -> StatusError:
    """415: the body's content type is not one the verb takes."""
    return StatusError(415, "UnsupportedMediaType", message)


def too_many_requests(message: str, retry_after_seconds: int = 1) -> StatusError:
    """429: come back later."""
    return StatusError(429, "TooManyRequests", message, retry_after_seconds=retry_after_seconds)


def internal_error(message: str) -> StatusError:
    """500: the server's own fault."""
    return StatusError(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        causes=[Cause("", "InternalError", message)],
    )


def service_unavailable(message: str) -> StatusError:
    """503: the server cannot work at the moment (its store is away, it is shutting down)."""
    return StatusError(503, "ServiceUnavailable", message)


def too_large_version(message: str) -> StatusError:
    """504: a revision was asked for that has not been reached."""
    error = timeout(message, 1)
    error.causes = (Cause("", "ResourceVersionTooLarge", "Too large resource version"),)
    return error


def timeout(message: str, retry_after_seconds: int = 0) -> StatusError:
    """504: the request was not finished in time; its outcome may be unknown."""
    return StatusError(
        504, "Timeout", f"Timeout: {message}", retry_after_seconds=retry_after_seconds
    )
