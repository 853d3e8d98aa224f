"""Matrix products: in full precision, in one thread, of real matrices with complex arrays."""

from __future__ import annotations

from collections.abc import Sequence

import array_api_compat as compat
import numpy as np

from scatdask.arrays.elementwise import Scratch, modulus
from scatdask.arrays.namespaces import AnyArray, array_namespace, from_numpy, is_numpy

# Multiplications in one call of OpenBLAS for which it starts no threads. Blocks are what runs in
# parallel: its threads would wait for each other, ten times as long as the work takes.
_ONE_THREAD = 2**18


def matmul(a: AnyArray, b: AnyArray, out: np.ndarray | None = None) -> AnyArray:
    """Return the matrix product in the full precision of its factors; `out` is for NumPy only."""
    if is_numpy(a):
        if b.ndim == 2:
            return _small_products(a, b, out)
        return _by_columns(a, b, out) if a.ndim == 2 else np.matmul(a, b, out=out)
    if compat.is_jax_array(a):
        # On GPUs and TPUs its default is to round the factors to ten bits or less.
        return array_namespace(a).matmul(a, b, precision="highest")
    return a @ b


def _small_products(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Multiply by many small products, which NumPy calls in one loop."""
    (m, n), columns = a.shape[-2:], b.shape[1]
    if m * n * columns <= _ONE_THREAD:
        return np.matmul(a, b, out=out)
    if out is None:
        out = np.empty((*a.shape[:-1], columns), np.result_type(a, b))
    if a.ndim == 2 and columns > m:
        # The transposed product has the same elements; its long side comes first.
        _small_products(b.T, a.T, out.T)
        return out
    size = max(_ONE_THREAD // (n * columns) // 8, 1) * 8
    whole = m // size * size
    if whole:
        shape = (*a.shape[:-2], whole // size, size)
        parts = out[..., :whole, :].reshape(*shape, columns)
        np.matmul(a[..., :whole, :].reshape(*shape, n), b, out=parts)
    if whole < m:
        np.matmul(a[..., whole:, :], b, out=out[..., whole:, :])
    return out


def _by_columns(a: np.ndarray, b: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """Multiply one matrix by stacks of others by small products, some columns at a time."""
    (m, n), columns = a.shape, b.shape[-1]
    size = max(_ONE_THREAD // max(m * n, 1) // 16, 1) * 16
    if columns <= size:
        return np.matmul(a, b, out=out)
    if out is None:
        out = np.empty((*b.shape[:-2], m, columns), np.result_type(a, b))
    for first in range(0, columns, size):
        some = np.s_[..., first : first + size]
        np.matmul(a, b[some], out=out[some])
    return out


def real_matrix(matrix: np.ndarray, *, like: AnyArray) -> AnyArray:
    """Prepare a real matrix for `real_product` with complex arrays such as `like`.

    NumPy multiplies real and imaginary parts side by side; torch takes factors of one type only.
    """
    if is_numpy(like):
        return matrix
    return from_numpy(matrix.astype(np.result_type(matrix, np.complex64)), like=like)


def real_product(matrix: AnyArray, z: AnyArray, scratch: Scratch, name: str) -> AnyArray:
    """Return a real matrix, shape (m, n), times complex `z`, shape (n, columns), in a buffer."""
    if not is_numpy(z):
        return matmul(matrix, z)
    if z.strides[-1] != z.itemsize:
        z = np.ascontiguousarray(z)
    shape = matrix.shape[0], 2 * z.shape[1]
    out = scratch.empty(name, shape, matrix.dtype)
    return _small_products(matrix, z.view(matrix.dtype), out).view(z.dtype)


def moduli_of_sums(
    a: AnyArray, b: AnyArray, signs: Sequence[int], scratch: Scratch
) -> list[AnyArray]:
    """Return ``|a + sign * b|`` for each sign, in buffers."""
    if not is_numpy(a):
        return [modulus(a + b if sign > 0 else a - b) for sign in signs]
    total = scratch.empty("total", a.shape, a.dtype)
    values = []
    for place, sign in enumerate(signs):
        (np.add if sign > 0 else np.subtract)(a, b, out=total)
        values.append(scratch.modulus(f"modulus {place}", total))
    return values
