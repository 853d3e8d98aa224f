import array_api_compat.numpy as numpy_namespace
import numpy as np
import pytest
import scipy.fft

from scatdask import arrays


def test_namespace_knows_its_arrays(xp):
    x = xp.asarray(np.arange(4.0))
    namespace = arrays.array_namespace(x)
    assert type(namespace.concat([x, x], axis=0)) is type(x)
    assert arrays.is_numpy(x) == (xp.namespace is np)
    if arrays.is_numpy(x):
        assert namespace is numpy_namespace
    with pytest.raises(TypeError):
        arrays.array_namespace("no array")


def test_subclasses_of_numpy_are_numpy():
    assert arrays.is_numpy(np.ma.masked_array([1.0]))


def test_device_is_hashable_and_keeps(xp):
    x = xp.asarray(np.arange(4.0))
    device = arrays.device_of(x)
    assert hash(device) == hash(arrays.device_of(x))
    moved = arrays.from_numpy(np.arange(3.0), like=x)
    assert type(moved) is type(x)
    assert arrays.device_of(moved) == device
    np.testing.assert_array_equal(xp.to_numpy(moved), np.arange(3.0))


def test_moving_to_numpy_copies_nothing():
    array = np.arange(3.0)
    assert arrays.from_numpy(array, like=np.zeros(1)) is array


@pytest.mark.parametrize("n", [8, 9])
def test_ffts_are_those_of_numpy(xp, rng, n):
    real = rng.standard_normal((2, n))
    spectrum = np.fft.rfft(real)
    wave = rng.standard_normal((2, n)) + 1j * rng.standard_normal((2, n))
    fft = arrays.fft_of(xp.asarray(real))
    np.testing.assert_allclose(xp.to_numpy(fft.rfft(xp.asarray(real))), spectrum, atol=1e-14)
    found = xp.to_numpy(fft.irfft(xp.asarray(spectrum), n=n))
    np.testing.assert_allclose(found, real, atol=1e-14)
    may_be_written_to = arrays.from_numpy(wave.copy(), like=xp.asarray(real))
    found = xp.to_numpy(fft.ifft(may_be_written_to))
    np.testing.assert_allclose(found, np.fft.ifft(wave), atol=1e-14)


@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 5)])
def test_ffts_over_several_axes_are_those_of_numpy(xp, rng, shape):
    axes = tuple(range(-len(shape), 0))
    real = rng.standard_normal((2, *shape))
    spectrum = np.fft.rfftn(real, axes=axes)
    wave = rng.standard_normal((2, *shape)) + 1j * rng.standard_normal((2, *shape))
    like = xp.asarray(real)
    fft = arrays.fft_of(like)
    np.testing.assert_allclose(xp.to_numpy(fft.rfftn(like, axes=axes)), spectrum, atol=1e-13)
    found = fft.irfftn(arrays.from_numpy(spectrum.copy(), like=like), s=shape, axes=axes)
    np.testing.assert_allclose(xp.to_numpy(found), real, atol=1e-13)
    found = fft.ifftn(arrays.from_numpy(wave.copy(), like=like), axes=axes)
    np.testing.assert_allclose(xp.to_numpy(found), np.fft.ifftn(wave, axes=axes), atol=1e-13)


def test_ffts_of_numpy_keep_single_precision():
    fft = arrays.fft_of(np.zeros(1))
    assert fft.rfft(np.zeros(8, np.float32)).dtype == np.complex64
    assert fft.irfft(np.zeros(5, np.complex64), n=8).dtype == np.float32
    assert fft.ifft(np.zeros(8, np.complex64)).dtype == np.complex64


def test_ffts_of_numpy_go_through_the_backends_of_scipy():
    class Backend:
        __ua_domain__ = "numpy.scipy.fft"
        calls: list[tuple[str, object]] = []  # noqa: RUF012

        @staticmethod
        def __ua_function__(method, args, kwargs):
            Backend.calls.append((method.__name__, kwargs.get("workers")))
            return args[0]

    fft = arrays.fft_of(np.zeros(1))
    with scipy.fft.set_backend(Backend, only=True):
        fft.rfft(np.zeros(8))
        fft.irfft(np.zeros(5, complex), n=8)
        fft.ifft(np.zeros(8, complex))
    assert Backend.calls == [("rfft", 1), ("irfft", 1), ("ifft", 1)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scale_into(xp, rng, dtype):
    if not arrays.is_writable(xp.asarray(np.zeros(1))):
        pytest.skip("arrays are not written to")
    complex_type = np.result_type(dtype, np.complex64)
    a = (rng.standard_normal((3, 9)) + 1j * rng.standard_normal((3, 9))).astype(complex_type)
    factors = rng.standard_normal(4).astype(dtype)
    whole = arrays.from_numpy(np.zeros((3, 8), complex_type), like=xp.asarray(a))
    scale = arrays.scale_factors(factors, like=xp.asarray(a))
    arrays.scale_into(whole[:, 1:5], xp.asarray(a)[:, 2:6], scale)
    expected = np.zeros((3, 8), complex_type)
    expected[:, 1:5] = a[:, 2:6] * factors
    np.testing.assert_allclose(xp.to_numpy(whole), expected, rtol=1e-6)


def test_complex_types(xp):
    assert arrays.complex_dtype(xp.namespace, "float32") == xp.namespace.complex64
    assert arrays.complex_dtype(xp.namespace, "float64") == xp.namespace.complex128


def test_only_lazy_arrays_are_refused(xp):
    arrays.check_in_memory(xp.asarray(np.zeros(3)))
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="not dask arrays"):
        arrays.check_in_memory(da.zeros(3))


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
