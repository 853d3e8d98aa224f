"""Products of real matrices with complex arrays, and what follows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scatdask.arrays.elementwise import Scratch, matmul, modulus
from scatdask.arrays.library import AnyArray, from_numpy, is_numpy


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
    shape = matrix.shape[0], 2 * z.shape[1]
    out = scratch.empty(name, shape, matrix.dtype)
    return np.matmul(matrix, z.view(matrix.dtype), out=out).view(z.dtype)


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
