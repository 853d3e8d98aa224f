import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from scatdask import arrays
from scatdask.arrays import memory


def test_the_memory_of_the_host_is_not_counted(xp):
    x = xp.asarray(np.zeros(3))
    if arrays.is_cupy(x):
        assert arrays.free_memory(x) > 0
        assert arrays.batch_bytes(x) > arrays.CACHE_BYTES
    else:
        assert arrays.free_memory(x) is None
    arrays.release_memory(x)


def test_batches_fit_the_cache_of_a_cpu():
    assert arrays.batch_bytes(np.zeros(3)) == arrays.CACHE_BYTES


FAULTS = """
import resource
import numpy as np
from scatdask import Scattering1D

S, x = Scattering1D(8, Q=4), np.zeros((2, 2**16), np.float32)
S(x), S(x)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
S(x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
@pytest.mark.parametrize("set_by_dask", [{}, {"MALLOC_TRIM_THRESHOLD_": "65536"}])
def test_memory_that_was_freed_is_used_again(set_by_dask):
    # In a process of its own, in which nothing large was freed before. Those of dask have a parent.
    program = f"with __import__('multiprocessing').Pool(1) as pool: pool.apply(exec, [{FAULTS!r}])"
    environment = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
    environment |= set_by_dask
    command = [sys.executable, "-c", program if set_by_dask else FAULTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # A padded row alone has more than a hundred pages.
    assert int(done.stdout) < 100


def test_allocator_of_a_process_that_only_starts_workers_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")  # dask sets it there, too
    asked: list[str] = []
    monkeypatch.setattr(memory, "glibc_function", asked.append)
    memory.keep_freed_memory.__wrapped__()
    assert asked == []
    monkeypatch.setattr("multiprocessing.parent_process", object)
    memory.keep_freed_memory.__wrapped__()
    assert asked == ["mallopt"]


def error_of(library: str, name: str, *args) -> Exception:
    """Return an error as a library that need not be installed would raise it."""
    return type(name, (Exception,), {"__module__": f"{library}.somewhere"})(*args)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (error_of("cupy", "OutOfMemoryError"), True),
        (error_of("torch", "OutOfMemoryError"), True),
        (error_of("jax", "JaxRuntimeError", "RESOURCE_EXHAUSTED: 3 bytes"), True),
        (error_of("jax", "JaxRuntimeError", "INTERNAL: 3 bytes"), False),
        (error_of("cupy", "CuFFTError"), False),
        (error_of("elsewhere", "OutOfMemoryError"), False),
        (MemoryError(), False),
    ],
)
def test_errors_of_devices_without_memory(error, expected):
    assert arrays.is_out_of_memory(error) == expected


@pytest.mark.parametrize(("result", "expected"), [(2, True), (5, False)])
def test_errors_of_cufft_have_numbers(result, expected):
    error = error_of("cupy", "CuFFTError")
    error.result = result
    assert arrays.is_out_of_memory(error) == expected
