import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatdask.arrays import Scratch
from scatdask.filters import (
    SampledFilter,
    low_pass_sigma,
    morlet_bank,
    sample_gaussian,
    sample_morlet,
)
from scatdask.kernels.operations import (
    SpectralSmoother,
    TapSmoother,
    band_pass,
    filtered_modulus,
    fold_filter,
    padded_batch,
    periodic_slice,
    tap_smoother,
)
from scatdask.transforms.tuning import LANES, WIDEST_REACH


def plain_filter(x: np.ndarray, sampled: SampledFilter, rate: int) -> np.ndarray:
    """Filter real signals at full length, then subsample."""
    return np.fft.ifft(np.fft.fft(x) * sampled.dense())[..., ::rate]


@given(data=st.data())
def test_folded_product_equals_filtering_then_subsampling(data):
    rate = data.draw(st.sampled_from([1, 2, 4, 8]))
    n = rate * data.draw(st.integers(1, 40))
    width = data.draw(st.integers(1, n))
    first = data.draw(st.integers(-n, n))
    rng = np.random.default_rng(n * 1000 + width)
    sampled = SampledFilter(first, rng.standard_normal(width), n)
    x = rng.standard_normal((3, n))
    folded = fold_filter(sampled, n // rate, "float64", like=x)
    # What is not written shows.
    scratch = Scratch(x)
    scratch.empty("product", (8, n // rate), complex)[...] = np.nan
    product = band_pass(np.fft.rfft(x), [folded, folded], scratch)
    expected = plain_filter(x, sampled, rate)
    np.testing.assert_allclose(np.fft.ifft(product[:3]), expected, atol=1e-12)
    np.testing.assert_array_equal(product[3:6], product[:3])
    assert not product[6:].any()
    np.testing.assert_array_equal(band_pass(np.fft.rfft(x), [folded]), product[:3])


@given(data=st.data())
def test_other_libraries_fold_to_the_same_product(data):
    strict = pytest.importorskip("array_api_strict")
    rate = data.draw(st.sampled_from([1, 2, 4, 8]))
    n = rate * data.draw(st.integers(1, 40))
    width = data.draw(st.integers(1, n))
    first = data.draw(st.integers(-n, n))
    rng = np.random.default_rng(n * 1000 + width)
    sampled = SampledFilter(first, rng.standard_normal(width), n)
    spectrum = np.fft.rfft(rng.standard_normal((3, n)))
    expected = band_pass(spectrum, [fold_filter(sampled, n // rate, "float64", like=spectrum)])
    spectrum = strict.asarray(spectrum)
    found = band_pass(spectrum, [fold_filter(sampled, n // rate, "float64", like=spectrum)])
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-13)


@pytest.mark.parametrize("n", [512, 400])
@pytest.mark.parametrize("wavelet", [0, 3, 12, 20])
def test_modulus_of_wavelets(xp, rng, n, wavelet):
    psi = morlet_bank(5, 8)[wavelet]
    rate = 2 ** min(psi.j, 4)
    sampled = sample_morlet(psi.xi, psi.sigma, n)
    x = rng.standard_normal((3, n))
    spectrum = xp.asarray(np.fft.rfft(x))
    folded = fold_filter(sampled, n // rate, "float64", like=spectrum)
    found = xp.to_numpy(filtered_modulus(spectrum, [folded, folded], Scratch(spectrum), "modulus"))
    expected = np.abs(plain_filter(x, sampled, rate))
    np.testing.assert_allclose(found[:6], np.concatenate([expected, expected]), atol=1e-14)
    assert not found[6:].any()
    assert np.all(found >= 0)


def test_precision_of_the_modulus_follows_the_dtype(rng):
    spectrum = np.fft.rfft(rng.standard_normal((4, 64))).astype(np.complex64)
    folded = fold_filter(sample_morlet(0.1, 0.02, 64), 32, "float32", like=spectrum)
    assert all(run.factors.dtype == np.float32 for run in folded.runs)
    assert filtered_modulus(spectrum, [folded], Scratch(spectrum), "modulus").dtype == np.float32


@pytest.mark.parametrize("rate", [1, 2, 8])
@pytest.mark.parametrize(("T", "stride"), [(8, 8), (24, 16), (64, 8)])
def test_both_ways_to_average_equal_the_definition(xp, rng, T, stride, rate):
    n = 1024
    sigma = low_pass_sigma(T)
    # Samples that were subsampled without aliasing.
    smooth = np.fft.irfft(np.fft.rfft(rng.standard_normal((3, n)))[:, : n // 64], n)
    expected = plain_filter(smooth, sample_gaussian(sigma, n), stride).real
    samples = xp.asarray(smooth[:, ::rate])

    sampled = sample_gaussian(sigma, n // rate, rate=rate)
    folded = fold_filter(sampled, n // stride, "float64", like=samples)
    spectrum = xp.asarray(np.fft.rfft(smooth[:, ::rate]))
    for start, stop in [(0, n // stride), (3, 5), (n // stride - 1, n // stride)]:
        spectral = xp.to_numpy(SpectralSmoother(folded)(spectrum, start, stop))
        np.testing.assert_allclose(spectral, expected[:, start:stop], atol=1e-14)

    taps = tap_smoother(sigma, stride, rate, n // stride, "float64", like=samples)
    if T == 64:
        assert taps is None
        return
    assert isinstance(taps, TapSmoother)
    for start, stop in [(0, n // stride), (3, 5), (n // stride - 1, n // stride)]:
        found = xp.to_numpy(taps(samples, start, stop))
        np.testing.assert_allclose(found, expected[:, start:stop], atol=1e-14)


def test_no_tiles_where_an_fft_is_cheaper(rng):
    like = rng.standard_normal((1, 8))
    wide = tap_smoother(low_pass_sigma(256), 256, 1, 1000, "float32", like=like)
    assert wide is not None
    assert wide.tile <= WIDEST_REACH
    assert tap_smoother(low_pass_sigma(256), 32, 1, 1000, "float32", like=like) is None
    assert tap_smoother(low_pass_sigma(256), 256, 1, 20, "float32", like=like) is None


@pytest.mark.parametrize(
    ("batch", "padded"), [(0, 0), (1, 1), (2, 4), (3, 4), (4, 4), (5, 5), (6, 8), (8, 8)]
)
def test_batches_fill_the_lanes(batch, padded):
    assert LANES == 4
    assert padded_batch(batch) == padded


@given(n=st.integers(1, 9), start=st.integers(-30, 30), length=st.integers(1, 40))
def test_periodic_slice(n, start, length):
    x = np.arange(2 * n).reshape(2, n)
    expected = x[:, np.arange(start, start + length) % n]
    np.testing.assert_array_equal(periodic_slice(x, start, start + length), expected)
