"""What processes that compute blocks are told, and threads beside those of dask."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import lru_cache
from queue import SimpleQueue
from threading import Lock, Thread, local
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

from scatdask.arrays.memory import glibc_function, keep_freed_memory, trims_at_once

P = ParamSpec("P")
T = TypeVar("T")


@lru_cache(maxsize=1)
def prepare_process() -> None:
    """Keep freed memory for the next block."""
    keep_freed_memory()


class _Partner:
    """A thread that does what another asks of it, for as long as that lives."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # Not of an executor, for whose threads a process waits at its end.
        Thread(target=_serve, args=(self._calls,), name="scatdask-task", daemon=True).start()
        weakref.finalize(self, self._calls.put, None)

    def call(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Call a function, and return or raise as it does."""
        future: Future[T] = Future()

        def call() -> None:
            try:
                future.set_result(function(*arguments, **options))
            except BaseException as error:
                future.set_exception(error)

        self._calls.put(call)
        return future.result()


def _serve(calls: SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
        del call  # with what it was given, and has returned


_partners = local()


def call_unseen(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function where the profiler of a dask worker does not see it.

    That keeps what it saw of the worker's threads in each of the last thousand seconds: some tens
    of MiB for each of them, which grow for a quarter of an hour. Each thread has a partner that it
    does not see, always the same: in processes of many threads the allocator gives each new one
    another heap, of which each keeps what was freed.
    """
    if not hasattr(_partners, "partner"):
        _partners.partner = _Partner()
    partner: _Partner = _partners.partner
    return partner.call(function, *arguments, **options)


@lru_cache(maxsize=1)
def _libraries() -> tuple[ThreadpoolController, ThreadpoolController]:
    """Return the libraries whose number of threads is each thread's own, and the process's."""
    libraries = ThreadpoolController()
    own = libraries.select(user_api="openmp", threading_layer="openmp")
    paths = {library["filepath"] for library in own.info()}
    others = [
        library["filepath"] for library in libraries.info() if library["filepath"] not in paths
    ]
    return own, libraries.select(filepath=others)


class _Limit:
    """One thread for the products of matrices of this process, as long as somebody needs that.

    The first to come sets it and the last to go restores it: contexts of several threads that
    overlap would restore what others had set. Both are done by one and the same thread, since of
    some libraries threadpoolctl takes no order from a second one.
    """

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0
        self._held: tuple[_Partner, Any] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._held is None:
                keeper = _Partner()
                limiter = keeper.call(_libraries()[1].limit, limits=1)
                keeper.call(limiter.__enter__)
                self._held = keeper, limiter
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._held is not None:
                keeper, limiter = self._held
                self._held = None
                keeper.call(limiter.__exit__, None, None, None)


_limit = _Limit()


@contextlib.contextmanager
def products_in_one_thread() -> Iterator[None]:
    """Leave the cores to the blocks: a matrix product of one takes one thread.

    Only while blocks are computed, since the process may be the user's. A limit that another
    thread of theirs holds by threadpoolctl stays as it is.
    """
    with _limit, _libraries()[0].limit(limits=1):
        yield


def release_memory() -> None:
    """Return freed memory to the system, as is worth its while once a task of a dask worker."""
    if trims_at_once():  # what other processes keep is theirs
        trim_memory()


def trim_memory() -> None:
    """Return freed memory to the system, where the C library can."""
    malloc_trim = glibc_function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)
