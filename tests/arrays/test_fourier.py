import numpy as np
import pytest
import scipy.fft

from scatdask import arrays


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


@pytest.mark.parametrize("axis", [-3, -2, -1])
def test_ffts_over_one_axis_of_several_are_those_of_numpy(xp, rng, axis):
    wave = rng.standard_normal((3, 4, 5)) + 1j * rng.standard_normal((3, 4, 5))
    like = xp.asarray(np.zeros(1))
    fft = arrays.fft_of(like)
    for name in ("fftn", "ifftn"):
        found = getattr(fft, name)(arrays.from_numpy(wave.copy(), like=like), axes=(axis,))
        expected = getattr(np.fft, name)(wave, axes=(axis,))
        np.testing.assert_allclose(xp.to_numpy(found), expected, atol=1e-14)
    n = 2 * wave.shape[axis] - 1
    found = fft.irfftn(arrays.from_numpy(wave.copy(), like=like), s=(n,), axes=(axis,))
    expected = np.fft.irfft(wave, n, axis=axis)
    np.testing.assert_allclose(xp.to_numpy(found), expected, atol=1e-14)


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
