"""What kind of trouble an exception is, whichever library of stores it comes from."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from enum import Enum

from scatdask.errors import StorageError


class Fault(Enum):
    """What is to be done about an exception."""

    TRANSIENT = "transient"
    """It may well work in a moment: try again."""
    FATAL = "fatal"
    """It concerns the whole run, whose other blocks would end the same way: stop."""
    BLOCK = "block"
    """It concerns this block alone, such as a chunk that cannot be decoded: go on with others."""


_FATAL_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
_TRANSIENT_ERRNO = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.EINTR,
    errno.ECONNABORTED,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.EMFILE,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENFILE,
    errno.EPIPE,
    errno.ESTALE,  # of a network file system whose server was started anew
    errno.ETIMEDOUT,
}
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504, 509, 529}
_FATAL_STATUS = {401, 403, 407, 507}

# What services call credentials that do not serve, whatever the status they come with.
_CREDENTIALS = re.compile(
    r"Expired_?Token|TokenRefreshRequired|InvalidAccessKeyId|InvalidToken|SignatureDoesNotMatch"
    r"|RequestTimeTooSkewed|AuthenticationFailed|invalid_grant"
)
_THROTTLED = re.compile("SlowDown|Throttl|RequestTimeout|TooManyRequests")
# In the chain of classes of an exception; none of these libraries need be installed.
_FATAL_CLASSES = re.compile(
    r"PermissionDenied|Unauthenticated|NoCredentials|PartialCredentials|CredentialRetrieval"
    r"|TokenRetrieval|UnauthorizedSSOToken|RefreshError|DefaultCredentials|ClientAuthentication"
)
_TRANSIENT_CLASSES = re.compile(
    r"Timeout|ConnectionError|ConnectionClosed|ServerDisconnected|ClientPayloadError"
    r"|ClientConnector|IncompleteRead|ProtocolError|ResponseStreaming|HTTPClientError"
    r"|ServiceRequestError|ResponseParserError|TransportError"
)
# obstore has one class for most, and says it in words: those of the crates object_store and hyper.
_STATUS_IN_WORDS = re.compile(r"returned non-2xx status code: (\d{3})")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TRANSIENT_WORDS = re.compile(
    r"error sending request|error decoding response body|connection (closed|reset|refused)"
    r"|timed out|broken pipe|dns error",
    re.IGNORECASE,
)


def fault_of(error: BaseException) -> Fault:
    """Return what kind of trouble an exception is.

    Looked at are the exception and those that it was raised from: their classes, by name, their
    ``errno``, and the status and words of an answer over HTTP.
    """
    for one in chain(error):
        if isinstance(one, StorageError):
            return Fault.FATAL
        if (kind := _by_answer(one) or _by_errno(one) or _by_class(one)) is not None:
            return kind
    return Fault.BLOCK


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and those that led to it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        if one.__cause__ is not None:
            waiting.append(one.__cause__)
        elif one.__context__ is not None and not one.__suppress_context__:
            waiting.append(one.__context__)


def _by_answer(error: BaseException) -> Fault | None:
    """Judge by what a server answered."""
    code, status = _answer(error)
    if status in _FATAL_STATUS or _CREDENTIALS.search(code):
        return Fault.FATAL
    if status in _TRANSIENT_STATUS or _THROTTLED.search(code):
        return Fault.TRANSIENT
    return None


def _answer(error: BaseException) -> tuple[str, int | None]:
    """Return what an answer over HTTP calls the trouble, and its status, where that is told."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        code = (response.get("Error") or {}).get("Code")
        return str(code), (response.get("ResponseMetadata") or {}).get("HTTPStatusCode")
    # aiohttp; azure; gcsfs, where it may be text
    for name in ("status", "status_code", "code"):
        value = str(getattr(error, name, ""))
        if value.isdecimal() and len(value) == 3:
            return str(error), int(value)
    if type(error).__module__ == "icechunk":  # the words of Amazon's own library
        return str(error), None
    found = _STATUS_IN_WORDS.search(str(error))
    return (str(error), int(found[1])) if found else ("", None)


def _by_errno(error: BaseException) -> Fault | None:
    number = _errno(error)
    if isinstance(error, PermissionError) or number in _FATAL_ERRNO:
        return Fault.FATAL
    return Fault.TRANSIENT if number in _TRANSIENT_ERRNO else None


def _errno(error: BaseException) -> int | None:
    """Return the number of an error of the system; libraries in Rust say it in words."""
    is_of_rust = type(error).__module__.partition(".")[0] in ("icechunk", "obstore")
    if is_of_rust and (found := _OS_ERROR.search(str(error))):
        return int(found[1])
    return getattr(error, "errno", None)


def _by_class(error: BaseException) -> Fault | None:
    names = " ".join(one.__name__ for one in type(error).__mro__)
    if _FATAL_CLASSES.search(names):
        return Fault.FATAL
    if _TRANSIENT_CLASSES.search(names):
        return Fault.TRANSIENT
    is_of_obstore = type(error).__module__.startswith("obstore")
    return Fault.TRANSIENT if is_of_obstore and _TRANSIENT_WORDS.search(str(error)) else None


def storage_error(error: BaseException, place: str) -> StorageError:
    """Return the error that ends a run, from the one that a store raised.

    Parameters
    ----------
    error : exception
        Whose `fault_of` is fatal, or transient and tried again in vain.
    place : str
        Path or URL of what was read or written.
    """
    if isinstance(error, StorageError):
        return error
    numbers = {_errno(one) for one in chain(error)}
    if fault_of(error) is Fault.TRANSIENT:
        what, remedy = "requests keep failing for", "see to it that the store answers"
    elif numbers & {errno.ENOSPC, errno.EDQUOT}:
        what, remedy = "there is no space left for", "make space or raise the quota"
    elif errno.EROFS in numbers:
        what, remedy = "the file system is read-only under", "mount it for writing"
    else:
        what, remedy = "access is refused to", "renew the credentials or ask for permission"
    reason = " ".join(str(error).split()) or "no reason given"
    if len(reason) > 300:
        reason = reason[:300] + "..."
    return StorageError(
        f"{what} {place!r} ({type(error).__name__}: {reason}). What is done is recorded: {remedy}, "
        "then run again to do the rest"
    )
