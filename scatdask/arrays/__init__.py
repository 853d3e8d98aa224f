"""The array library, FFT, memory and device of an array: the one place that asks whose it is.

Kernels are written once, against the array API standard. Where a library has a faster way to do
the same (NumPy in place, CuPy in one launch), or where plain operations would have gradients that
are not finite, the operation is here, under one name for all.
"""

from scatdask.arrays.bands import BandTable, band_table, fold_bands, fold_blocks
from scatdask.arrays.elementwise import (
    Scratch,
    modulus,
    power,
)
from scatdask.arrays.fourier import fft_of
from scatdask.arrays.memory import (
    CACHE_BYTES,
    DEVICE_BYTES,
    MMAP_BYTES,
    batch_bytes,
    free_memory,
    is_device_failure,
    is_out_of_memory,
    release_memory,
)
from scatdask.arrays.namespaces import (
    AnyArray,
    Like,
    array_namespace,
    check_in_memory,
    check_precision,
    compiled,
    complex_dtype,
    device_of,
    from_numpy,
    is_cupy,
    is_numpy,
    is_surely,
    is_writable,
    kind_of,
    to_numpy,
    widest_float,
)
from scatdask.arrays.products import matmul

__all__ = [
    "CACHE_BYTES",
    "DEVICE_BYTES",
    "MMAP_BYTES",
    "AnyArray",
    "BandTable",
    "Like",
    "Scratch",
    "array_namespace",
    "band_table",
    "batch_bytes",
    "check_in_memory",
    "check_precision",
    "compiled",
    "complex_dtype",
    "device_of",
    "fft_of",
    "fold_bands",
    "fold_blocks",
    "free_memory",
    "from_numpy",
    "is_cupy",
    "is_device_failure",
    "is_numpy",
    "is_out_of_memory",
    "is_surely",
    "is_writable",
    "kind_of",
    "matmul",
    "modulus",
    "power",
    "release_memory",
    "to_numpy",
    "widest_float",
]
