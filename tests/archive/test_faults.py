from __future__ import annotations

import errno
import pickle

import pytest

from scatdask.archive.faults import Fault, fault_of, storage_error
from scatdask.errors import StorageError


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def of_library(name: str, message: str = "", module: str = "", **attributes: object) -> Exception:
    """Return an exception as a library would raise it that need not be installed here."""
    error = type(name, (Exception,), {"__module__": module})(message)
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


def botocore(code: str, status: int) -> Exception:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return of_library("ClientError", f"An error occurred ({code})", response=response)


def obstore(name: str, status: int, code: str) -> Exception:
    message = f"Server returned non-2xx status code: {status} Some: <Error><Code>{code}</Code>"
    return of_library(name, message, "obstore.exceptions")


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("no answer"),
        ConnectionResetError(errno.ECONNRESET, "reset by peer"),
        OSError(errno.ESTALE, "stale file handle"),
        caused(OSError(errno.EBUSY, "reduce your request rate"), botocore("SlowDown", 503)),
        caused(OSError(errno.EIO, "unknown to s3fs"), botocore("BadGateway", 502)),
        caused(OSError(errno.EREMOTEIO, "InternalError"), botocore("InternalError", 500)),
        botocore("Throttling", 400),
        obstore("GenericError", 503, "SlowDown"),
        of_library("GenericError", "HTTP error: error sending request", "obstore.exceptions"),
        of_library("EndpointConnectionError", "no route"),
        of_library("ServerDisconnectedError"),
        of_library("FSTimeoutError"),
        of_library("ClientResponseError", status=429),
        of_library("HttpError", code="504"),  # of gcsfs
        of_library("HttpResponseError", status_code=500),  # of azure
        ExceptionGroup("several", [ValueError("one"), TimeoutError("other")]),
    ],
    ids=repr,
)
def test_what_may_work_in_a_moment(error):
    assert fault_of(error) is Fault.TRANSIENT
    assert fault_of(caused(RuntimeError("wrapped"), error)) is Fault.TRANSIENT


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "no space left on device"),
        OSError(errno.EDQUOT, "quota exceeded"),
        OSError(errno.EROFS, "read-only file system"),
        PermissionError(errno.EACCES, "permission denied"),
        caused(PermissionError("Forbidden"), botocore("403", 403)),
        caused(PermissionError("the token has expired"), botocore("ExpiredToken", 400)),
        obstore("PermissionDeniedError", 403, "ExpiredToken"),
        obstore("UnauthenticatedError", 401, "Unauthorized"),
        obstore("GenericError", 400, "ExpiredToken"),
        of_library("NoCredentialsError", "unable to locate credentials"),
        of_library("ClientAuthenticationError", status_code=401),
        of_library("RefreshError"),  # of google.auth
        StorageError("as before"),
    ],
    ids=repr,
)
def test_what_ends_the_run(error):
    assert fault_of(error) is Fault.FATAL
    assert fault_of(caused(RuntimeError("wrapped"), error)) is Fault.FATAL


@pytest.mark.parametrize(
    "error",
    [
        ValueError("index checksum"),
        RuntimeError("zstd: corrupt input"),
        EOFError("compressed file ended"),
        FileNotFoundError(errno.ENOENT, "no such file"),
        OSError(errno.EIO, "input/output error"),
        MemoryError("of an array"),
        of_library("ClientError", "an answer", response={"ResponseMetadata": None}, status="odd"),
    ],
    ids=repr,
)
def test_what_concerns_one_block(error):
    assert fault_of(error) is Fault.BLOCK


def test_suppressed_context_does_not_count():
    try:
        try:
            raise TimeoutError
        except TimeoutError:
            raise ValueError("quite another thing") from None
    except ValueError as error:
        assert fault_of(error) is Fault.BLOCK


def test_cycle_of_causes_ends():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert fault_of(one) is Fault.BLOCK


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left"), "no space left for.*make space"),
        (OSError(errno.EROFS, "Read-only"), "read-only under.*mount"),
        (PermissionError("the token has expired"), "access is refused.*renew the credentials"),
    ],
)
def test_storage_error_names_place_cause_and_remedy(error, said):
    told = storage_error(error, "s3://bucket/out.zarr")
    assert str(error) in str(told)
    assert "'s3://bucket/out.zarr'" in str(told)
    with pytest.raises(StorageError, match=rf"{said}.*run again"):
        raise pickle.loads(pickle.dumps(told))
    assert storage_error(told, "elsewhere") is told
