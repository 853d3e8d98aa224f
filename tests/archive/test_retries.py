from __future__ import annotations

import asyncio
import threading

import pytest

from scatdask.archive import retries
from scatdask.archive.retries import MOST_TRIES, patient, retries_so_far, try_again, try_again_async
from scatdask.errors import StorageError


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Record waits instead of waiting."""
    slept: list[float] = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(retries.time, "sleep", slept.append)
    monkeypatch.setattr(retries.asyncio, "sleep", sleep)
    return slept


def failing(*errors):
    """Return a function that raises these, one a call, and then returns how often it was called."""
    left, calls = list(errors), [0]

    def call():
        calls[0] += 1
        if left:
            raise left.pop(0)
        return calls[0]

    return call


@pytest.fixture(params=["at once", "awaited"])
def attempt(request):
    def run_async(call, **options):
        async def request():
            return call()

        return asyncio.run(try_again_async(request, **options))

    return try_again if request.param == "at once" else run_async


def test_what_may_pass_is_tried_again_and_counted(attempt):
    before = retries_so_far()
    assert attempt(failing(TimeoutError(), ConnectionResetError())) == 3
    assert retries_so_far() - before == 2


def test_last_error_is_raised_after_bounded_tries_with_growing_random_waits(attempt, waits):
    with pytest.raises(TimeoutError, match="the last"):
        attempt(failing(*[TimeoutError()] * (MOST_TRIES - 1), TimeoutError("the last")))
    assert len(waits) == len(set(waits)) == MOST_TRIES - 1
    bounds = [0.2 * 2**k for k in range(MOST_TRIES - 1)]
    assert all(0 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))


@pytest.mark.parametrize("error", [ValueError(), PermissionError(), FileNotFoundError()])
def test_what_will_not_pass_is_raised_at_once(attempt, waits, error):
    with pytest.raises(type(error)):
        attempt(failing(error))
    assert not waits


def test_what_is_known_to_exist_is_asked_for_again(attempt, waits):
    assert attempt(failing(*[FileNotFoundError()] * 3), is_known_to_exist=True) == 4
    with pytest.raises(FileNotFoundError):
        attempt(failing(*[FileNotFoundError()] * 4), is_known_to_exist=True)


@pytest.mark.parametrize(("kind", "tries"), [(TimeoutError, MOST_TRIES), (FileNotFoundError, 4)])
def test_what_was_tried_in_vain_is_not_tried_again_further_out(waits, kind, tries):
    def inner():
        try:
            try_again(failing(*[kind()] * 100), is_known_to_exist=True)
        except kind as error:
            raise type(error)("as others call it") from error

    with pytest.raises(kind, match="as others call it"):
        try_again(patient(inner), is_known_to_exist=True)
    assert len(waits) == tries - 1


def test_what_need_not_exist_further_in_is_asked_for_again_further_out():
    call = failing(*[FileNotFoundError()] * 3)
    assert try_again(lambda: try_again(call), is_known_to_exist=True) == 4


class GenericError(Exception):
    """As of obstore, whose errors are none of Python's."""


GenericError.__module__ = "obstore.exceptions"
STATUS = "Server returned non-2xx status code: "


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GenericError(STATUS + "503"), ConnectionError),
        (GenericError(STATUS + "403"), PermissionError),
        (GenericError("quite another"), GenericError),
        (StorageError("told already"), StorageError),
        (FileNotFoundError("there is none"), FileNotFoundError),
    ],
    ids=repr,
)
def test_patient_functions_raise_errors_of_python(error, kind):
    with pytest.raises(kind, match=str(error)[:10]):
        patient(failing(*[error] * MOST_TRIES))()


def test_each_thread_counts_its_own():
    counts = {}

    def work(failures):
        retries_so_far()
        try_again(failing(*[TimeoutError()] * failures))
        counts[failures] = retries_so_far()

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {1: 1, 4: 4}
