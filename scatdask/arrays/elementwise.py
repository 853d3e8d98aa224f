"""Operations on elements that a library does faster its own way, or not safely by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scatdask.arrays.memory import keep_freed_memory
from scatdask.arrays.namespaces import AnyArray, array_namespace, device_of, is_numpy


def modulus(a: AnyArray) -> AnyArray:
    """Return the absolute value of a complex array.

    Where it is zero torch and JAX give it the gradient zero, which is one of its subgradients.
    """
    return array_namespace(a).abs(a)


def power(a: AnyArray, exponent: float) -> AnyArray:
    """Return a power of an array that is not negative.

    For exponents below one the derivative at zero is infinite; here it counts as zero, as that of
    the modulus does: scattering coefficients are zero together with their gradients where there
    is no signal.
    """
    if exponent == 1:
        return a
    if exponent == 2:
        return a * a
    if is_numpy(a):
        return np.sqrt(a) if exponent == 0.5 else a**exponent
    xp = array_namespace(a)
    if exponent > 1:
        return a**exponent
    # Powers are taken of what is not zero only: a gradient of infinity times zero would be NaN.
    positive = a > 0
    safe = xp.where(positive, a, xp.ones_like(a))
    root = xp.sqrt(safe) if exponent == 0.5 else safe**exponent
    return xp.where(positive, root, xp.zeros_like(a))


class Scratch:
    """Buffers that the steps of one computation use in turn.

    Fresh memory costs a page fault every 4 KiB, which for arrays beyond the cache is as much as an
    FFT. Of other libraries than NumPy arrays are made anew: their allocators keep what is freed.
    """

    def __init__(self, like: AnyArray) -> None:
        keep_freed_memory()
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
            return modulus(a)
        return np.abs(a, out=self.empty(name, a.shape, a.real.dtype))
