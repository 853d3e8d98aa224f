"""Requests to stores are tried again where that may help, and counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from scatdask.archive.faults import Fault, chain, fault_of
from scatdask.errors import ScatdaskError

P = ParamSpec("P")
T = TypeVar("T")

MOST_TRIES = 8
# What is said not to exist, and should, is asked for so often.
_MOST_TRIES_ABSENT = 4
# Before each further try a random time, up to 0.2, 0.4, 0.8, ... seconds, so that a service that
# is asked too much is asked less, and by many workers at different times: on average 13 s in all.
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 30.0
# Attribute of errors that have been tried again in vain. What is tried again is made of requests
# that are, too: without it tries would multiply.
_IN_VAIN = "_scatdask_tried_in_vain"


@dataclass
class Tally:
    """What stores have counted for one thread.

    Attributes
    ----------
    retries : int
        Requests that were made once more.
    stored : int
        Bytes of chunks as they were written to the store.
    """

    retries: int = 0
    stored: int = 0


# Zarr makes its requests on another thread, which works with a copy of the context of the thread
# that asked: the same tally.
_tally: ContextVar[Tally] = ContextVar("_tally")


def tally() -> Tally:
    """Return the tally of this thread, which counts from the first time that it is asked for."""
    try:
        return _tally.get()
    except LookupError:
        _tally.set(Tally())
        return _tally.get()


def retries_so_far() -> int:
    """Return how many requests this thread had to make again since it first asked."""
    return tally().retries


def try_again(call: Callable[[], T], *, is_known_to_exist: bool = False) -> T:
    """Call a function, and again after a while if it raises what may pass.

    What a call of this kind inside of it has tried in vain is raised at once.

    Parameters
    ----------
    call : callable
        Without arguments; may be called several times.
    is_known_to_exist : bool, default False
        Whether FileNotFoundError may pass too.

    Raises
    ------
    Exception
        What the last call raised.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return call()
        except Exception as error:
            if not _is_worth_another(error, tries, is_known_to_exist):
                raise
        time.sleep(_wait(tries))


def patient(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function that `try_again` calls, and that raises OSError whatever the library.

    PermissionError where the store refuses, ConnectionError where it does not answer.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return try_again(lambda: function(*args, **kwargs))
        except (OSError, ScatdaskError):
            raise
        except Exception as error:
            kinds = {Fault.FATAL: PermissionError, Fault.TRANSIENT: ConnectionError}
            if (kind := kinds.get(fault_of(error))) is None:
                raise
            raise kind(str(error)) from error

    return call


async def try_again_async(
    call: Callable[[], Awaitable[T]], *, is_known_to_exist: bool = False
) -> T:
    """Await what a function returns, as `try_again` calls one."""
    tries = 0
    while True:
        tries += 1
        try:
            return await call()
        except Exception as error:
            if not _is_worth_another(error, tries, is_known_to_exist):
                raise
        await asyncio.sleep(_wait(tries))


def _is_worth_another(error: Exception, tries: int, is_known_to_exist: bool) -> bool:
    if isinstance(error, FileNotFoundError):
        most = _MOST_TRIES_ABSENT if is_known_to_exist else 1
    else:
        most = MOST_TRIES if fault_of(error) is Fault.TRANSIENT else 1
    if most == 1 or any(_IN_VAIN in vars(one) for one in chain(error)):
        return False
    if tries == most:
        vars(error)[_IN_VAIN] = True
    return tries < most


def _wait(tries: int) -> float:
    """Count another try, and return the seconds to wait before it."""
    tally().retries += 1
    return random.uniform(0.0, min(_FIRST_WAIT * 2.0 ** (tries - 1), _LONGEST_WAIT))
