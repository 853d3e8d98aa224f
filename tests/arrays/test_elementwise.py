import numpy as np
import pytest

from scatdask import arrays


def test_scratch_is_used_again_where_it_is_large_enough(rng):
    scratch = arrays.Scratch(np.zeros(0))
    first = scratch.empty("a", (4, 8), np.complex64)
    assert first.shape == (4, 8)
    assert first.dtype == np.complex64
    assert np.shares_memory(scratch.empty("a", (2, 3), np.float32), first)
    assert not np.shares_memory(scratch.empty("b", (2, 3), np.float32), first)
    assert not np.shares_memory(scratch.empty("a", (4, 9), np.complex64), first)


def test_modulus_in_scratch(xp, rng):
    a = rng.standard_normal((3, 5)) + 1j * rng.standard_normal((3, 5))
    scratch = arrays.Scratch(xp.asarray(a))
    found = xp.to_numpy(scratch.modulus("m", xp.asarray(a)))
    np.testing.assert_allclose(found, np.abs(a))


@pytest.mark.parametrize("exponent", [0.25, 0.5, 1, 1.5, 2, 3.0])
def test_power(xp, rng, exponent):
    a = np.abs(rng.standard_normal((3, 5)))
    a[0] = 0
    found = xp.to_numpy(arrays.power(xp.asarray(a), exponent))
    np.testing.assert_allclose(found, a**exponent, rtol=1e-14)


def test_power_keeps_the_precision(xp):
    a = xp.asarray(np.arange(4, dtype=np.float32))
    assert all(arrays.power(a, q).dtype == a.dtype for q in (0.5, 0.7, 2, 3.5))


def test_matmul(xp, rng):
    a, b = rng.standard_normal((2, 4, 3)), rng.standard_normal((3, 5))
    np.testing.assert_allclose(
        xp.to_numpy(arrays.matmul(xp.asarray(a), xp.asarray(b))), a @ b, rtol=1e-13
    )


@pytest.mark.parametrize("exponent", [0.25, 0.5, 1, 1.5, 2])
def test_powers_of_moduli_have_gradients_of_zero_at_zero(differentiable, exponent):
    def total(x):
        return arrays.power(arrays.modulus(x * (1 + 2j)), exponent).sum()

    gradient = differentiable.gradient(total, np.array([0.0, 4.0]))
    size = np.sqrt(5)
    np.testing.assert_allclose(gradient, [0, exponent * size * (4 * size) ** (exponent - 1)])
