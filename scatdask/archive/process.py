"""What is set once in every process that computes blocks."""

from __future__ import annotations

import os
from functools import lru_cache

from threadpoolctl import threadpool_limits

from scatdask.arrays.memory import glibc_function, keep_freed_memory


@lru_cache(maxsize=1)
def prepare_process() -> None:
    """Leave the cores to the blocks, and keep freed memory for the next block."""
    # Matrix products of a worker use one thread.
    threadpool_limits(1)
    keep_freed_memory()


def release_memory() -> None:
    """Return freed memory to the system, as is worth its while once a task of a dask worker."""
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:  # what other processes keep is theirs
        trim_memory()


def trim_memory() -> None:
    """Return freed memory to the system, where the C library can."""
    malloc_trim = glibc_function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)
