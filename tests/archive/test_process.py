import ctypes
import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, resource
import numpy as np
from scatdask.archive.process import prepare_process

prepare_process()
np.ones(2**18)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**18)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def is_glibc() -> bool:
    return hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not sys.platform.startswith("linux") or not is_glibc(), reason="glibc only")
def test_memory_is_not_mapped_anew_for_every_array_of_a_dask_worker():
    # What dask sets for its workers.
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    pages = 20 * 8 * 2**18 / os.sysconf("SC_PAGE_SIZE")
    assert int(result.stdout) < pages / 10
