"""What is set once in every process that computes blocks."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from queue import SimpleQueue
from threading import Thread, local
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

from scatdask.arrays.memory import glibc_function, keep_freed_memory

P = ParamSpec("P")
T = TypeVar("T")


@lru_cache(maxsize=1)
def prepare_process() -> None:
    """Leave the cores to the blocks, and keep freed memory for the next block."""
    # Matrix products of a worker use one thread.
    threadpool_limits(1)
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


def release_memory() -> None:
    """Return freed memory to the system, as is worth its while once a task of a dask worker."""
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:  # what other processes keep is theirs
        trim_memory()


def trim_memory() -> None:
    """Return freed memory to the system, where the C library can."""
    malloc_trim = glibc_function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)
