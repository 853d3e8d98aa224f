import numpy as np
import pytest

from scatdask.filters.morlet import gaussian, gaussian_norm, morlet, morlet_constants
from tests import reference

# Wide and narrow, with and without a visible correction, near and above the Nyquist frequency.
WAVELETS = [(0.35, 0.1428), (0.4749, 0.0196), (0.0437, 0.0178), (0.01, 0.0016), (0.002, 0.0008)]


@pytest.mark.parametrize(("xi", "sigma"), WAVELETS)
def test_wavelet_is_exactly_zero_at_frequency_zero_and_its_aliases(xi, sigma):
    assert np.all(morlet(np.arange(-3.0, 4.0), xi, sigma) == 0)
    assert np.all(morlet(np.arange(-3, 4) / 8, xi, sigma, rate=8) == 0)


@pytest.mark.parametrize(("xi", "sigma"), WAVELETS)
def test_wavelet_has_unit_l1_norm_in_time(xi, sigma):
    n = 2**16
    psi = np.fft.ifft(morlet(np.fft.fftfreq(n), xi, sigma))
    assert np.abs(psi).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("sigma", [0.1, 0.0125, 0.1 / 2**10])
def test_low_pass_has_unit_l1_norm_in_time(sigma):
    n = 2**16
    phi = np.fft.ifft(gaussian(np.fft.fftfreq(n), sigma))
    assert np.abs(phi).sum() == pytest.approx(1, abs=1e-12)
    assert gaussian(np.zeros(1), sigma)[0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("xi", "sigma"), WAVELETS)
def test_wavelet_equals_the_closed_form_in_time(xi, sigma):
    n = 2**14
    time, taps = reference.wavelet(xi, sigma)
    wrapped = np.zeros(n, dtype=complex)
    np.add.at(wrapped, time % n, taps)
    np.testing.assert_allclose(
        np.fft.fft(wrapped), morlet(np.fft.fftfreq(n), xi, sigma), atol=1e-12
    )


@pytest.mark.parametrize("sigma", [0.1, 0.0125])
def test_low_pass_equals_the_closed_form_in_time(sigma):
    n = 4096
    time, taps = reference.low_pass(sigma)
    wrapped = np.zeros(n)
    np.add.at(wrapped, time % n, taps)
    np.testing.assert_allclose(np.fft.fft(wrapped), gaussian(np.fft.fftfreq(n), sigma), atol=1e-13)


def test_norm_of_a_filter_longer_than_the_canonical_grid():
    # 2**40 samples long: the grid is coarser than a sample and the sum stays exact.
    assert gaussian_norm(0.1 / 2**40) == pytest.approx(1, abs=1e-12)
    xi, sigma = 0.35 / 2**30, 0.1428 / 2**30
    kappa, norm = morlet_constants(xi, sigma)
    near_kappa, near_norm = morlet_constants(0.35 / 2**8, 0.1428 / 2**8)
    assert kappa == pytest.approx(near_kappa, rel=1e-12)
    assert norm == pytest.approx(near_norm, rel=1e-9)


@pytest.mark.parametrize("rate", [2, 8])
def test_subsampled_response_is_the_sum_over_aliases(rate):
    xi, sigma = 0.0437, 0.0178
    frequency = np.array([0.003, 0.011, 0.04])
    aliases = frequency[:, None] + np.arange(rate) / rate
    expected = morlet(aliases, xi, sigma).sum(axis=1)
    np.testing.assert_allclose(morlet(frequency, xi, sigma, rate=rate), expected, atol=1e-14)
    expected = gaussian(aliases, sigma).sum(axis=1)
    np.testing.assert_allclose(gaussian(frequency, sigma, rate=rate), expected, atol=1e-14)


def test_responses_have_period_one():
    frequency = np.linspace(-0.5, 0.5, 33)
    for response in (lambda f: morlet(f, 0.35, 0.14), lambda f: gaussian(f, 0.1)):
        np.testing.assert_allclose(response(frequency + 1), response(frequency), atol=1e-13)
