import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask.arrays import Scratch
from scatdask.filters import morlet_bank2d, sample_morlet2d
from scatdask.kernels.operations2d import (
    centred_spectrum,
    filtered_modulus2d,
    fold_filter2d,
    laid_out_spectrum,
)

SHAPES = [*itertools.product((1, 2, 3, 8), (1, 2, 5, 8)), (7, 9), (16, 6)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_half_spectra_are_completed(xp, rng, shape):
    x = rng.standard_normal((2, *shape))
    half = xp.asarray(np.fft.rfft2(x))
    found = xp.to_numpy(centred_spectrum(half, shape[1]))
    expected = np.fft.fftshift(np.fft.fft2(x), axes=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("n", [0, 3, 8, 13, 20])
def test_filtered_images_are_those_of_the_whole_spectrum(xp, rng, factor, n):
    shape = (24, 40)
    x = rng.standard_normal((2, *shape))
    half = xp.asarray(np.fft.rfft2(x))
    sampled = sample_morlet2d(morlet_bank2d(3, 8)[n], shape, tolerance=1e-8)
    filters = [fold_filter2d(sampled, tuple(n // factor for n in shape), "float64", like=half)]
    spectrum = laid_out_spectrum(half, shape[1], filters, Scratch(half), "a")
    found = filtered_modulus2d(spectrum, filters, Scratch(half), "b")
    expected = np.abs(np.fft.ifft2(np.fft.fft2(x) * sampled.dense()))[:, ::factor, ::factor]
    np.testing.assert_allclose(xp.to_numpy(found), expected, rtol=0, atol=1e-12)


@settings(max_examples=40)
@given(
    L=st.integers(1, 9),
    j=st.integers(0, 3),
    direction=st.floats(0, 0.999),
    log2_factor=st.integers(0, 3),
    sides=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    batch=st.integers(1, 3),
)
def test_fold_is_filter_then_subsample(L, j, direction, log2_factor, sides, batch):
    factor = 2**log2_factor
    shape = sides[0] * factor, sides[1] * factor
    wavelet = morlet_bank2d(4, L)[j * L + int(direction * L)]
    sampled = sample_morlet2d(wavelet, shape)
    x = np.random.default_rng(0).standard_normal((batch, *shape))
    half = np.fft.rfft2(x)
    filters = [fold_filter2d(sampled, sides, "float64", like=half)] * 2
    scratch = Scratch(half)
    spectrum = laid_out_spectrum(half, shape[1], filters, scratch, "spectrum")
    found = filtered_modulus2d(spectrum, filters, scratch, "modulus")
    expected = np.abs(np.fft.ifft2(np.fft.fft2(x) * sampled.dense()))[:, ::factor, ::factor]
    np.testing.assert_allclose(found, np.concatenate([expected] * 2), rtol=0, atol=1e-12)
