"""How much memory a device has left, and how to tell that there was none."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
from functools import cache
from typing import Any

import array_api_compat as compat
import numpy as np

from scatdask.arrays.namespaces import AnyArray, is_cupy, is_numpy

# Bytes of one batch of FFTs. On a CPU: what fits the second-level cache beside the filters. On a
# device: enough to keep all of it busy, and a share of its memory. JAX compiles each batch anew.
CACHE_BYTES = 2**21
DEVICE_BYTES = 2**28
DEVICE_SHARE = 1 / 64
# Freed memory that the host's allocator is led to keep for the next array, about twice this. More
# saves no time, and jobs grow past their plans.
KEPT_BYTES = 2**23
# Parameters of glibc's mallopt, and what dask workers get. Twice as much saves little more time,
# and workers grow past the plans of jobs.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
MMAP_BYTES, _TRIM_BYTES = 4 * 2**20, 32 * 2**20


def is_on_device(x: AnyArray) -> bool:
    """Say whether `x` lives in memory of its own, not in the host's, as far as we can tell."""
    return is_cupy(x) or (compat.is_torch_array(x) and x.device.type == "cuda")


def batch_bytes(x: AnyArray) -> int:
    """Return how many bytes one batch of FFTs in a cascade on arrays such as `x` should have."""
    if is_numpy(x):
        return CACHE_BYTES
    if is_cupy(x):
        return min(int(DEVICE_SHARE * x.device.mem_info[1]), DEVICE_BYTES)
    if is_on_device(x):
        _, total = sys.modules["torch"].cuda.mem_get_info(x.device)
        return min(int(DEVICE_SHARE * total), DEVICE_BYTES)
    return DEVICE_BYTES if compat.is_jax_array(x) else CACHE_BYTES


def free_memory(x: AnyArray) -> int | None:
    """Return the bytes that arrays beside `x` can take on its device; None for the host's memory.

    What the library's own allocator holds and could use again counts as free. JAX takes its share
    of a device when it starts, and does not tell it in this way: None for it too.
    """
    if is_cupy(x):
        import cupy

        pool = cupy.get_default_memory_pool()
        with x.device:
            free = x.device.mem_info[0] + pool.free_bytes()
            limit = pool.get_limit()  # 0 for none
            return int(min(free, limit - pool.used_bytes()) if limit else free)
    if is_on_device(x):
        cuda = sys.modules["torch"].cuda
        held = cuda.memory_reserved(x.device) - cuda.memory_allocated(x.device)
        return int(cuda.mem_get_info(x.device)[0] + held)
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that a device had no memory left; never so for the host's."""
    # By name, since the libraries need not be there: CuPy and torch have a class for it, cuFFT a
    # number (CUFFT_ALLOC_FAILED), XLA a word.
    library, name = type(error).__module__.partition(".")[0], type(error).__name__
    if name == "CuFFTError":
        return getattr(error, "result", None) == 2
    if name in ("XlaRuntimeError", "JaxRuntimeError"):
        return "RESOURCE_EXHAUSTED" in str(error)
    return name == "OutOfMemoryError" and library in ("cupy", "torch")


def is_device_failure(error: BaseException) -> bool:
    """Say whether a device failed, as it does from then on in a process that had an error there."""
    library, name = type(error).__module__.partition(".")[0], type(error).__name__
    of_cuda = ("CUDARuntimeError", "CUDADriverError", "CuFFTError", "CUBLASError")
    return library.startswith("cupy") and name in of_cuda


def release_memory(x: AnyArray) -> None:
    """Give back what the allocator of the device of `x` holds unused, work areas included."""
    if is_cupy(x):
        import cupy

        with x.device:
            cupy.fft.config.get_plan_cache().clear()
            cupy.get_default_memory_pool().free_all_blocks()
    elif is_on_device(x):
        sys.modules["torch"].cuda.empty_cache()


def trims_at_once() -> bool:
    """Say whether this process is a worker that dask has told to give memory back at once.

    Dask sets the variable where it starts them too, and that may be the process of its user.
    """
    is_child = multiprocessing.parent_process() is not None
    return is_child and "MALLOC_TRIM_THRESHOLD_" in os.environ


@cache
def keep_freed_memory() -> None:
    """Have the C library keep some of what is freed, once a process.

    FFTs return fresh arrays. The GNU allocator hands theirs back to the system as soon as some
    megabytes are free, and each page that it then asks for again costs a fault: up to a third of
    the time of a transform. It keeps twice the largest block that was ever mapped and freed (see
    ``M_MMAP_THRESHOLD`` in mallopt(3)), so one is, untouched. Others do as they like.

    For its workers dask sets a MALLOC_TRIM_THRESHOLD_ of 64 KiB, by which every array is mapped
    anew, page by page: then a transform takes more than twice its time. There, other thresholds
    are set.
    """
    if not trims_at_once():
        np.empty(KEPT_BYTES, np.uint8)
        return
    mallopt = glibc_function("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)


@cache
def glibc_function(name: str) -> Any:
    """Return a function of the GNU C library, or None where there is another."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
