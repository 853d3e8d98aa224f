"""What is set once in every process that computes blocks."""

from __future__ import annotations

import ctypes
import os
from functools import cache, lru_cache
from typing import Any

from threadpoolctl import threadpool_limits

# Parameters of glibc's mallopt.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Twice as much saves little more time, and workers grow past the plan.
_MMAP_BYTES, _TRIM_BYTES = 4 * 2**20, 32 * 2**20


@lru_cache(maxsize=1)
def prepare_process() -> None:
    """Leave the cores to the blocks, and keep freed memory for the next block."""
    # Matrix products of a worker use one thread.
    threadpool_limits(1)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Undo what dask sets for its workers: that every freed array goes back to the system.

    Its MALLOC_TRIM_THRESHOLD_ of 64 KiB makes glibc map each temporary array anew, page by page:
    135,000 page faults a block, which took as long as the transform itself.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)


def release_memory() -> None:
    """Return freed memory to the system, as is worth its while once a task."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


@cache
def _of_glibc(name: str) -> Any:
    """Return a function of a dask worker's glibc; the memory of other processes is not ours."""
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):  # another C library
        return None
