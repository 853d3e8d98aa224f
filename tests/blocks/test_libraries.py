"""A transform of an array of any library gives arrays of that library, with NumPy's numbers."""

import numpy as np
import pytest
import scipy.fft

from scatdask import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
    arrays,
)
from scatdask.errors import NonFiniteWarning, PrecisionWarning

# Each with the shape of its input, of which the last axes are filled up for the FFT.
CASES = {
    "1-D": (lambda **how: Scattering1D(4, Q=4, **how), (2, 1, 333)),
    "1-D, rates": (lambda **how: Scattering1D(3, T=0, **how), (100,)),
    "1-D, mean": (lambda **how: Scattering1D(3, T="global", boundary="zero", **how), (3, 100)),
    "2-D": (
        lambda **how: Scattering2D(2, L=3, boundary=("periodic", "reflect"), **how),
        (2, 24, 19),
    ),
    "3-D, sums": (lambda **how: HarmonicScattering3D(1, L=2, **how), (2, 8, 8, 8)),
    "3-D, maps": (
        # Not "reflect": of a mirrored volume some moduli are zero but for rounding, which square
        # roots make large.
        lambda **how: HarmonicScattering3D(1, L=1, method="local", boundary="nearest", **how),
        (7, 8, 9),
    ),
    "joint": (
        lambda **how: TimeFrequencyScattering(4, J_fr=1, Q=4, format="joint", **how),
        (2, 200),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def as_list(result):
    return result if isinstance(result, list) else [result]


def largest_error(found, expected, to_numpy=np.asarray) -> float:
    """Return the largest error relative to the largest coefficient."""
    worst = 0.0
    for a, b in zip(as_list(found), as_list(expected), strict=True):
        assert tuple(a.shape) == b.shape
        worst = max(worst, np.abs(to_numpy(a) - b).max() / np.abs(b).max())
    return worst


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 2e-5), ("float64", 1e-10)])
def test_numbers_are_those_of_numpy(xp, rng, case, dtype, allowed):
    make, shape = case
    transform = make(dtype=dtype)
    x = rng.standard_normal(shape)
    if dtype == "float64" and xp.namespace.__name__ == "jax.numpy":
        pytest.skip("compiled in the tests of gradients")
    found, expected = transform(xp.asarray(x)), transform(x)
    assert largest_error(found, expected, xp.to_numpy) <= allowed
    for y in as_list(found):
        assert type(y) is type(xp.asarray(x)) or arrays.is_numpy(y)
        assert y.dtype == getattr(arrays.array_namespace(y), dtype)


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32"])
def test_samples_of_any_real_type(xp, rng, dtype):
    transform = Scattering1D(3)
    x = rng.integers(0, 200, (2, 100)).astype(dtype)
    found = transform(xp.asarray(x))
    assert found.dtype == arrays.array_namespace(found).float32
    assert largest_error(found, transform(x.astype(np.float64)), xp.to_numpy) <= 1e-6


def test_missing_samples_touch_the_same_outputs(xp, rng, case):
    make, shape = case
    transform = make(dtype="float64")
    x = rng.standard_normal(shape)
    x[(0,) * len(shape)] = np.nan
    with pytest.warns(NonFiniteWarning):
        found, expected = transform(xp.asarray(x)), transform(x)
    for a, b in zip(as_list(found), as_list(expected), strict=True):
        np.testing.assert_allclose(xp.to_numpy(a), b, rtol=1e-9, atol=1e-12)
        assert np.isnan(b).any()


def test_rows_may_be_absent(xp):
    found = Scattering1D(3)(xp.asarray(np.zeros((0, 100))))
    assert tuple(found.shape) == (0, Scattering1D(3).n_paths, 13)


def test_many_rows_and_blocks(xp, rng):
    transform = Scattering1D(2, dtype="float64", T="global")
    x = rng.standard_normal((9, 2**18 + 100))
    assert largest_error(transform(xp.asarray(x)), transform(x), xp.to_numpy) <= 1e-12


def test_complex_samples_are_refused(xp):
    with pytest.raises(TypeError, match="absolute value"):
        Scattering1D(3)(xp.asarray(np.zeros(100, complex)))


# torch


@pytest.mark.libraries
def test_tensors_keep_their_history(rng):
    torch = pytest.importorskip("torch")
    x = torch.tensor(rng.standard_normal(100), requires_grad=True)
    y = Scattering1D(3)(x)
    assert y.dtype == torch.float32
    assert y.grad_fn is not None
    y.sum().backward()
    assert x.grad.dtype == torch.float64
    assert bool(torch.any(x.grad != 0))
    with torch.no_grad():
        assert Scattering1D(3)(x).grad_fn is None


@pytest.mark.libraries
def test_tensors_of_half_precision(rng):
    torch = pytest.importorskip("torch")
    x = torch.tensor(rng.standard_normal(100)).to(torch.bfloat16)
    y = Scattering1D(3)(x)
    torch.testing.assert_close(y, Scattering1D(3)(x.to(torch.float64)))


# JAX


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.mark.libraries
@pytest.mark.parametrize("name", ["1-D, rates", "2-D", "3-D, maps", "joint"])
def test_jit(jax, rng, name):
    make, shape = CASES[name]
    transform = make(dtype="float64")
    x = rng.standard_normal(shape)
    assert largest_error(jax.jit(transform)(x), transform(x)) <= 1e-10


@pytest.mark.libraries
def test_missing_samples_while_tracing(jax, rng):
    transform = Scattering1D(3, dtype="float64")
    x = rng.standard_normal((2, 200))
    x[0, 50:60] = np.nan
    found = jax.jit(transform)(x)  # what is not known is not warned of
    with pytest.warns(NonFiniteWarning):
        expected = transform(x)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.libraries
def test_gradients_with_missing_samples_are_finite(differentiable, rng):
    transform = Scattering1D(3, dtype="float64")
    x = rng.standard_normal(200)
    x[50] = np.nan
    with pytest.warns(NonFiniteWarning):
        last = 1.0 * ~np.isnan(transform(x))

    def total(v):
        xp = arrays.array_namespace(v)
        y = transform(v)
        weights = differentiable.xp.asarray(last)
        return xp.where(weights > 0, y, xp.zeros_like(y)).sum()

    with pytest.warns(NonFiniteWarning):
        gradient = differentiable.gradient(total, x)
    assert np.all(np.isfinite(gradient))
    assert gradient[50] == 0
    assert gradient[150] != 0


@pytest.mark.libraries
def test_vmap(jax, rng):
    transform = Scattering1D(3, dtype="float64")
    x = rng.standard_normal((4, 100))
    assert largest_error(jax.vmap(transform)(x), transform(x)) <= 1e-12


@pytest.mark.libraries
def test_without_64_bits(jax, rng):
    x = rng.standard_normal((2, 300)).astype(np.float32)
    with jax.enable_x64(False):
        with pytest.warns(PrecisionWarning, match="first FFT") as record:
            found = Scattering1D(4)(jax.numpy.asarray(x))
        assert record[0].filename == __file__
        with pytest.raises(TypeError, match="jax_enable_x64"):
            Scattering1D(4, dtype="float64")(jax.numpy.asarray(x))
        with pytest.warns(PrecisionWarning):
            mean = Scattering1D(4, T="global")(jax.numpy.asarray(x))
    assert largest_error(found, Scattering1D(4)(x)) <= 2e-6
    assert largest_error(mean, Scattering1D(4, T="global")(x)) <= 2e-6


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        (Scattering1D(4, Q=4), (333,)),
        (Scattering2D(2, L=3), (24, 19)),
        (HarmonicScattering3D(1, L=2), (8, 8, 8)),
        (HarmonicScattering3D(1, L=1, method="local"), (7, 8, 9)),
        (TimeFrequencyScattering(4, J_fr=1, Q=4), (200,)),
    ],
    ids=["1-D", "2-D", "3-D, sums", "3-D, maps", "joint"],
)
def test_every_wavelet_is_by_the_backend_that_scipy_has_for_all(rng, transform, shape):
    x = rng.standard_normal(shape)
    expected = transform(x)

    class Backend:
        __ua_domain__ = "numpy.scipy.fft"
        factor = 1.0

        @staticmethod
        def __ua_function__(method, args, kwargs):
            names = ("n", "s", "axis", "axes", "norm")
            how = {name: kwargs[name] for name in names if name in kwargs}
            result = getattr(np.fft, method.__name__)(*args, **how)
            return result * result.dtype.type(Backend.factor)

    with scipy.fft.set_backend(Backend, only=True):
        assert largest_error(transform(x), expected) < 2e-5
        Backend.factor = np.nan
        with pytest.warns(NonFiniteWarning):
            spoilt = transform(x)
    orders = transform.paths()["order"].values
    assert spoilt.shape[0] == len(orders)
    assert np.isnan(spoilt[orders > 0]).all()
