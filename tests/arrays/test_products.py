import numpy as np
import pytest

from scatdask.arrays import Scratch
from scatdask.arrays.products import matmul, moduli_of_sums, real_matrix, real_product


@pytest.fixture
def values(rng):
    matrix = rng.standard_normal((5, 3))
    z = rng.standard_normal((3, 8)) + 1j * rng.standard_normal((3, 8))
    return matrix, z


def test_real_matrices_times_complex_arrays(xp, values):
    matrix, z = values
    there = xp.asarray(z)
    found = real_product(real_matrix(matrix, like=there), there, Scratch(there), "product")
    np.testing.assert_allclose(xp.to_numpy(found), matrix @ z, rtol=1e-14)


@pytest.mark.parametrize("columns", [slice(2, 5), slice(None, None, 3), slice(0, 1), slice(4, 4)])
def test_columns_of_a_wider_array(values, columns):
    matrix, z = values
    some = z[:, columns]
    np.testing.assert_allclose(real_product(matrix, some, Scratch(z), "x"), matrix @ some)


@pytest.mark.parametrize("signs", [(1,), (-1,), (1, -1)])
def test_moduli_of_sums(xp, rng, signs):
    a, b = rng.standard_normal((2, 4, 6)) + 1j * rng.standard_normal((2, 4, 6))
    found = moduli_of_sums(xp.asarray(a), xp.asarray(b), signs, Scratch(xp.asarray(a)))
    assert len(found) == len(signs)
    for sign, values in zip(signs, found, strict=True):
        np.testing.assert_allclose(xp.to_numpy(values), np.abs(a + sign * b), rtol=1e-14)


def test_precision_is_that_of_the_factors(values):
    matrix, z = values
    product = real_product(
        matrix.astype(np.float32), z.astype(np.complex64), Scratch(z.astype(np.complex64)), "x"
    )
    assert product.dtype == np.complex64
    assert moduli_of_sums(product, product, (1,), Scratch(product))[0].dtype == np.float32


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)),
        ((100, 49), (49, 501)),
        ((501, 49), (49, 100)),
        ((300, 170), (170, 40)),
        ((3, 37, 1152), (1152, 27)),
        ((2, 3, 800, 60), (60, 9)),
        ((4, 5), (2, 5, 3)),
        ((30, 240), (3, 240, 250)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_in_pieces_are_the_whole(rng, a, b, dtype):
    a, b = rng.standard_normal(a).astype(dtype), rng.standard_normal(b).astype(dtype)
    expected = a.astype(float) @ b.astype(float)
    found = matmul(a, b)
    assert found.dtype == dtype
    scale = np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=100 * scale)
    strided = matmul(a[..., ::2], b[..., ::2, :])
    np.testing.assert_allclose(strided, a[..., ::2] @ b[..., ::2, :], atol=200 * scale)


def test_no_product_is_large_enough_for_threads(rng, monkeypatch):
    sizes = []
    multiply = np.matmul

    def counted(a, b, **options):
        sizes.append(a.shape[-2] * a.shape[-1] * b.shape[-1])
        return multiply(a, b, **options)

    monkeypatch.setattr(np, "matmul", counted)
    for a, b in (
        ((136, 49), (49, 5000)),
        ((3, 400, 1152), (1152, 27)),
        ((900, 170), (170, 336)),
        ((30, 240), (3, 240, 250)),
    ):
        matmul(rng.standard_normal(a), rng.standard_normal(b))
    assert max(sizes) <= 2**19
