import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask.filters import (
    littlewood_paley2d,
    low_pass_sigma2d,
    morlet_bank2d,
    morlet_box2d,
    sample_morlet2d,
)
from tests import reference2d


def test_bank_has_kymatios_parameters():
    bank = morlet_bank2d(J=3, L=8)
    assert [wavelet.j for wavelet in bank] == [0] * 8 + [1] * 8 + [2] * 8
    assert [wavelet.xi for wavelet in bank[::8]] == [3 / 8, 3 / 16, 3 / 32]
    assert [wavelet.sigma for wavelet in bank[::8]] == [0.8, 1.6, 3.2]
    assert {wavelet.slant for wavelet in bank} == {0.5}
    degrees = [math.degrees(wavelet.theta) for wavelet in bank[:8]]
    np.testing.assert_allclose(degrees, np.arange(1, 9) * 22.5)
    assert low_pass_sigma2d(3) == 3.2


def test_centre_and_variances_are_along_the_axes():
    _, down, _, along = morlet_bank2d(J=1, L=4)
    np.testing.assert_allclose(down.centre, (3 / 8, 0), atol=1e-15)
    np.testing.assert_allclose(along.centre, (0, -3 / 8), atol=1e-15)
    wide = morlet_bank2d(J=1, L=8)[3]
    np.testing.assert_allclose(wide.variances, (0.64, 4 * 0.64, 0), atol=1e-15)
    for wavelet in morlet_bank2d(J=2, L=6):
        var_y, var_x, covariance = wavelet.variances
        across = (wavelet.sigma / wavelet.slant) ** 2
        assert var_y + var_x == pytest.approx(wavelet.sigma**2 + across)
        assert var_y * var_x - covariance**2 == pytest.approx(wavelet.sigma**2 * across)


@settings(max_examples=40)
@given(
    L=st.sampled_from([1, 2, 3, 4, 5, 8, 12, 16]),
    j=st.integers(0, 3),
    direction=st.floats(0, 0.999),
    log2_rate=st.integers(0, 3),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    tolerance=st.sampled_from([1e-16, 1e-8]),
)
def test_response_is_that_of_samples_in_space(L, j, direction, log2_rate, shape, tolerance):
    rate, direction = 2 ** min(log2_rate, j), int(direction * L)
    sampled = sample_morlet2d(
        morlet_bank2d(4, L)[j * L + direction], shape, rate=rate, tolerance=tolerance
    )
    expected = reference2d.wavelet(shape, rate, j, direction, L)
    # What is left out is below the share of the peak, once for each alias and for the correction.
    np.testing.assert_allclose(sampled.dense(), expected, atol=20 * tolerance + 1e-12)


@pytest.mark.parametrize("L", [1, 2, 3, 8])
def test_response_is_exactly_zero_at_frequency_zero(L):
    for wavelet in morlet_bank2d(3, L)[:: max(L // 4, 1)]:
        for rate in (1, 4):
            for shape in ((64, 48), (5, 7)):
                assert sample_morlet2d(wavelet, shape, rate=rate).dense()[0, 0] == 0


def test_rotation_by_a_right_angle_permutes_the_bank():
    bank = morlet_bank2d(2, 8)
    for n, wavelet in enumerate(bank):
        turned = bank[n - n % 8 + (n + 4) % 8]
        response = sample_morlet2d(wavelet, (48, 48)).dense()
        # (y, x) -> (x, -y), and a direction is the same as its opposite mirrored.
        rotated = np.roll(response.T[:, ::-1], 1, axis=1)
        if n % 8 >= 4:
            rotated = np.roll(rotated[::-1, ::-1], (1, 1), axis=(0, 1))
        expected = sample_morlet2d(turned, (48, 48)).dense()
        opposite = np.roll(expected[::-1, ::-1], (1, 1), axis=(0, 1))
        error = min(np.abs(rotated - expected).max(), np.abs(rotated - opposite).max())
        assert error < 1e-12


@pytest.mark.parametrize("tolerance", [1e-12, 1e-8, 1e-4])
@pytest.mark.parametrize("L", [2, 6, 8])
def test_the_box_holds_what_exceeds_the_tolerance(L, tolerance):
    for wavelet in morlet_bank2d(4, L)[2 * L :]:
        sampled = sample_morlet2d(wavelet, (96, 128), tolerance=tolerance)
        everywhere = sample_morlet2d(wavelet, (96, 128)).dense()
        left_out = np.where(sampled.dense() == 0, everywhere, 0)
        assert np.abs(left_out).max() <= 4 * tolerance * everywhere.max()
        (low_y, high_y), (low_x, high_x) = morlet_box2d(wavelet, tolerance)
        assert sampled.box[0] <= math.ceil((high_y - low_y) * 96) + 2
        assert sampled.box[1] <= math.ceil((high_x - low_x) * 128) + 2


def test_few_terms_hold_a_filter_of_any_size():
    for wavelet in morlet_bank2d(2, 8)[::3]:
        small = sample_morlet2d(wavelet, (64, 64), tolerance=1e-8)
        large = sample_morlet2d(wavelet, (4096, 2048), tolerance=1e-8)
        assert large.left.shape[1] == small.left.shape[1] <= 40
        assert large.left.nbytes + large.right.nbytes < 2**21
        np.testing.assert_allclose(large.dense()[::64, ::32], small.dense(), atol=1e-7)


def test_cropped_filters_keep_the_lowest_frequencies():
    for n in (4, 9, 11):
        sampled = sample_morlet2d(morlet_bank2d(2, 6)[n], (48, 60))
        for rate in (1, 2):
            found = sampled.cropped((48 // rate, 60 // rate)).dense()
            np.testing.assert_allclose(found, reference2d.cropped(sampled.dense(), rate))


@pytest.mark.parametrize("L", [3, 4, 5])
@pytest.mark.parametrize("J", [1, 3, 5])
def test_littlewood_paley_sum_never_expands_energy_with_few_directions(J, L):
    energy = littlewood_paley2d(J, L, (96, 128))
    assert energy.max() <= 1 + 1e-9
    assert energy[0, 0] == pytest.approx(1)


@pytest.mark.parametrize(("L", "most"), [(6, 1.01), (7, 1.04), (8, 1.06), (12, 1.11)])
@pytest.mark.parametrize("J", [3, 5])
def test_littlewood_paley_sum_expands_energy_little_with_more(J, L, most):
    assert littlewood_paley2d(J, L, (64, 96)).max() <= most


@pytest.mark.parametrize("L", [3, 4, 6, 8, 16])
def test_littlewood_paley_sum_leaves_no_hole(L):
    energy = littlewood_paley2d(4, L, (96, 128))
    f = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(128))
    assert energy[f <= 3 / 8].min() > 0.5
    mirrored = np.roll(energy[::-1, ::-1], (1, 1), axis=(0, 1))
    np.testing.assert_allclose(energy, mirrored, atol=1e-12)
