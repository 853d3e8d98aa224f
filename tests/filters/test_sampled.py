import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatdask.filters import (
    gaussian,
    littlewood_paley,
    low_pass_reach,
    low_pass_sigma,
    low_pass_taps,
    morlet,
    morlet_bank,
    morlet_support,
    sample_gaussian,
    sample_morlet,
)

BANK = morlet_bank(6, 1) + morlet_bank(6, 8) + morlet_bank(2, 16)


@given(
    n=st.integers(1, 700),
    wavelet=st.sampled_from(BANK),
    rate=st.sampled_from([1, 2, 8]),
    tolerance=st.sampled_from([1e-16, 1e-8]),
)
def test_run_of_bins_equals_the_dense_closed_form_at_any_length(n, wavelet, rate, tolerance):
    xi, sigma = wavelet.xi, wavelet.sigma
    sampled = sample_morlet(xi, sigma, n, rate=rate, tolerance=tolerance)
    assert len(sampled.values) <= n
    expected = morlet(np.fft.fftfreq(n, d=1 / n) / (n * rate), xi, sigma, rate=rate)
    # What is left out is below the share of the peak, once for each alias and for the correction.
    np.testing.assert_allclose(sampled.dense(), expected, atol=8 * tolerance * 1.1 + 1e-15)


@given(
    n=st.integers(1, 700),
    T=st.sampled_from([1, 2, 24, 64, 1024]),
    rate=st.sampled_from([1, 2, 8]),
)
def test_low_pass_equals_the_dense_closed_form_at_any_length(n, T, rate):
    sigma = low_pass_sigma(T)
    sampled = sample_gaussian(sigma, n, rate=rate)
    expected = gaussian(np.fft.fftfreq(n, d=1 / n) / (n * rate), sigma, rate=rate)
    np.testing.assert_allclose(sampled.dense(), expected, atol=1e-15)


def test_support_wraps_around_frequency_zero_and_nyquist():
    below = sample_morlet(0.0437, 0.0178, 256)
    assert below.first < 0
    assert below.dense()[below.first] == below.values[0]
    above = sample_morlet(0.4749, 0.0196, 256)
    assert above.first + len(above.values) > 128


def test_a_filter_wider_than_the_circle_takes_every_bin_once():
    sampled = sample_gaussian(0.1, 16, rate=8)
    assert len(sampled.values) == 16
    assert np.count_nonzero(sampled.dense()) == 16


@pytest.mark.parametrize("tolerance", [1e-16, 1e-8, 1e-4])
@pytest.mark.parametrize("wavelet", [BANK[0], BANK[3], BANK[8], BANK[-1]])
def test_support_is_where_the_response_exceeds_the_tolerance(wavelet, tolerance):
    xi, sigma = wavelet.xi, wavelet.sigma
    low, high = morlet_support(xi, sigma, tolerance)
    # On a grid of rate 1 the aliases come in; the Gabor term alone has no period.
    frequency = np.linspace(-4, 4, 80001)

    def gabor(f):
        ratio = np.exp(-(xi**2) / (2 * sigma**2))
        bump = np.exp(-((f - xi) ** 2) / (2 * sigma**2))
        return np.abs(bump - ratio * np.exp(-(f**2) / (2 * sigma**2)))

    beyond = (frequency < low) | (frequency > high)
    assert gabor(frequency[beyond]).max() <= 2 * tolerance
    assert high - low < 2 * sigma * np.sqrt(-2 * np.log(tolerance)) + xi + 1e-12


@pytest.mark.parametrize("rate", [1, 4])
@pytest.mark.parametrize("T", [8, 100])
def test_taps_are_the_inverse_fft_of_the_response(T, rate):
    n = 4096
    sigma = low_pass_sigma(T)
    taps = low_pass_taps(sigma, rate=rate)
    m = len(taps) // 2
    impulse = np.fft.ifft(sample_gaussian(sigma, n, rate=rate).dense()).real
    np.testing.assert_allclose(taps, np.roll(impulse, m)[: 2 * m + 1], atol=1e-15)
    assert taps.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-7])
def test_taps_left_out_hold_less_than_the_tolerance(tolerance):
    sigma = low_pass_sigma(64)
    every = low_pass_taps(sigma)
    some = low_pass_taps(sigma, tolerance=tolerance)
    assert len(some) < len(every)
    assert every.sum() - some.sum() < tolerance
    half = len(some) // 2
    assert half - 1 < low_pass_reach(sigma, tolerance) <= half


@pytest.mark.parametrize(("J", "Q"), [(1, 1), (2, 2), (3, 8), (4, 16), (7, 1), (7, 8), (7, 16)])
def test_littlewood_paley_sum_never_expands_energy_and_leaves_no_hole(J, Q):
    bank = morlet_bank(J, Q)
    energy = littlewood_paley(bank, 2**J, 4096)
    assert energy.max() <= 1 + 1e-9
    assert energy[0] == pytest.approx(1)
    covered = np.abs(np.fft.fftfreq(4096)) <= bank[0].xi
    assert energy[covered].min() > 0.05
    np.testing.assert_allclose(energy[1:], energy[:0:-1], atol=1e-14)
