"""The array library, FFT and device of an array: the one place that asks whose array it is."""

from __future__ import annotations

import math
from types import ModuleType, SimpleNamespace
from typing import Any

import array_api_compat as compat
import array_api_compat.numpy as numpy_namespace
import numpy as np

# Arrays of any library of the array API standard; there is no common type to name.
AnyArray = Any


def array_namespace(x: AnyArray) -> ModuleType:
    """Return the array API namespace of `x`."""
    if is_numpy(x):  # the general answer costs microseconds, and the kernel asks often
        return numpy_namespace
    return compat.array_namespace(x)


def is_numpy(x: AnyArray) -> bool:
    """Say whether `x` is a plain NumPy array."""
    return isinstance(x, np.ndarray)


def is_writable(x: AnyArray) -> bool:
    """Say whether fresh arrays of the library of `x` are filled in place.

    Those of JAX cannot be, and those of torch would lose their gradients' history.
    """
    return is_numpy(x) or bool(compat.is_cupy_array(x))


def check_in_memory(x: AnyArray) -> None:
    """Raise TypeError for a lazy array, which an operation here would compute unasked."""
    if compat.is_dask_array(x):
        raise TypeError(
            "a transform takes arrays in memory, not dask arrays: wrap it in an xarray object and "
            "use scatdask.scattering1d, which stays lazy"
        )


def device_of(x: AnyArray) -> Any:
    """Return the device that holds `x`, hashable."""
    return compat.device(x)


def from_numpy(array: np.ndarray, *, like: AnyArray) -> AnyArray:
    """Move a NumPy array to the library and device of `like`."""
    if is_numpy(like):
        return array
    return array_namespace(like).asarray(array, device=device_of(like))


def fft_of(x: AnyArray) -> Any:
    """Return the FFTs for the library of `x`.

    ``rfft(a)``, ``irfft(a, n=)`` and ``ifft(a)`` are over the last axis; ``rfftn(a, axes=)``,
    ``irfftn(a, s=, axes=)`` and ``ifftn(a, axes=)`` over several. The inverse ones may write to
    their input, which is always a spectrum made for them.

    NumPy arrays go through `scipy.fft`, whose backends (mkl_fft, pyfftw, ducc0) users may choose
    with `scipy.fft.set_global_backend`. One thread each: blocks are what runs in parallel.
    """
    if not is_numpy(x):
        return array_namespace(x).fft
    import scipy.fft

    return SimpleNamespace(
        rfft=lambda a: scipy.fft.rfft(a, workers=1),
        irfft=lambda a, *, n: scipy.fft.irfft(a, n, workers=1, overwrite_x=True),
        ifft=lambda a: scipy.fft.ifft(a, workers=1, overwrite_x=True),
        rfftn=lambda a, *, axes: scipy.fft.rfftn(a, axes=axes, workers=1),
        irfftn=lambda a, *, s, axes: scipy.fft.irfftn(a, s, axes=axes, workers=1, overwrite_x=True),
        ifftn=lambda a, *, axes: scipy.fft.ifftn(a, axes=axes, workers=1, overwrite_x=True),
    )


def scale_factors(factors: np.ndarray, *, like: AnyArray) -> AnyArray:
    """Prepare real factors, shape (n,), for `scale_into` on arrays such as `like`.

    NumPy multiplies pairs of reals faster than complex numbers by reals.
    """
    if is_numpy(like):
        return np.repeat(factors, 2)
    return from_numpy(factors.astype(np.result_type(factors, np.complex64)), like=like)


def scale_into(out: AnyArray, a: AnyArray, factors: AnyArray) -> None:
    """Write complex `a` times real factors to `out`, both of shape (..., n) and dense in n."""
    if is_numpy(out):
        np.multiply(a.view(factors.dtype), factors, out=out.view(factors.dtype))
    else:
        out[...] = a * factors


class Scratch:
    """Buffers that the steps of one computation use in turn.

    Fresh memory costs a page fault every 4 KiB, which for arrays beyond the cache is as much as an
    FFT. Of other libraries than NumPy arrays are made anew: their allocators keep what is freed.
    """

    def __init__(self, like: AnyArray) -> None:
        self._like = like
        self._buffers: dict[str, np.ndarray] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype: Any) -> AnyArray:
        """Return an array whose content may be that of the last one of this name."""
        if not is_numpy(self._like):
            xp = array_namespace(self._like)
            return xp.empty(shape, dtype=dtype, device=device_of(self._like))
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < n_bytes:
            buffer = self._buffers[name] = np.empty(n_bytes, np.uint8)
        return buffer[:n_bytes].view(dtype).reshape(shape)

    def modulus(self, name: str, a: AnyArray) -> AnyArray:
        """Return the absolute value of a complex array, in a buffer."""
        if not is_numpy(a):
            return array_namespace(a).abs(a)
        return np.abs(a, out=self.empty(name, a.shape, a.real.dtype))


def complex_dtype(xp: ModuleType, dtype: str) -> Any:
    """Return the complex type of the precision of `dtype` ("float32" or "float64")."""
    return {"float32": xp.complex64, "float64": xp.complex128}[dtype]
