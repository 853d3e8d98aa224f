import numpy as np
import pytest

from scatdask.filters import gaussian, low_pass_sigma, morlet, morlet_bank
from scatdask.filters.quefrency import quefrency_bank, quefrency_taps


@pytest.mark.parametrize(("J_fr", "Q_fr"), [(1, 1), (3, 1), (4, 2)])
def test_bank_is_the_low_pass_then_both_spins(J_fr, Q_fr):
    low_pass, *wavelets = quefrency_bank(J_fr, Q_fr)
    assert low_pass.xi == 0
    assert low_pass.sigma == low_pass_sigma(2**J_fr)
    assert low_pass.j == J_fr
    half = len(wavelets) // 2
    assert tuple(wavelets[:half]) == morlet_bank(J_fr, Q_fr)
    for rising, falling in zip(wavelets[:half], wavelets[half:], strict=True):
        assert (falling.xi, falling.sigma, falling.j) == (-rising.xi, rising.sigma, rising.j)


@pytest.mark.parametrize("n", [64, 136])
def test_filters_have_unit_norm_and_wavelets_are_blind_to_constants(n):
    for one in quefrency_bank(3, 1):
        taps = quefrency_taps(one.xi, one.sigma, n)
        assert np.abs(taps).sum() == pytest.approx(1)
        assert abs(taps.sum()) == pytest.approx(0 if one.xi else 1, abs=1e-15)
        assert not taps.flags.writeable


def test_filters_are_those_of_the_time_axis():
    n = 136
    quefrency = np.fft.fftfreq(n)
    low_pass, *wavelets = quefrency_bank(3, 1)
    response = np.fft.fft(quefrency_taps(0.0, low_pass.sigma, n))
    np.testing.assert_allclose(response, gaussian(quefrency, low_pass.sigma), atol=1e-8)
    for one in wavelets[: len(wavelets) // 2]:
        response = np.fft.fft(quefrency_taps(one.xi, one.sigma, n))
        np.testing.assert_allclose(response, morlet(quefrency, one.xi, one.sigma), atol=1e-12)


@pytest.mark.parametrize(("J_fr", "Q_fr"), [(3, 1), (4, 2), (3, 4)])
def test_spins_are_mirror_images_but_for_the_alias_that_kymatio_leaves_out(J_fr, Q_fr):
    _, *wavelets = quefrency_bank(J_fr, Q_fr)
    half = len(wavelets) // 2
    for rising, falling in zip(wavelets[:half], wavelets[half:], strict=True):
        response = np.fft.fft(quefrency_taps(rising.xi, rising.sigma, 136))
        mirrored = np.fft.fft(quefrency_taps(falling.xi, falling.sigma, 136))
        missing = np.exp(-((1 - rising.xi) ** 2) / (2 * rising.sigma**2))
        assert missing < 3e-5
        assert np.abs(np.roll(mirrored[::-1], 1) - response).max() <= 2 * missing + 1e-15
