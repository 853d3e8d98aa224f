import math

import numpy as np
import pytest
from scipy.special import sph_harm_y

from scatdask.filters import (
    harmonic_amplitude,
    harmonic_band,
    harmonic_reach,
    monomial_gaussian,
    solid_harmonic,
    wavelet_polynomial,
)
from tests import reference3d

DEGREES = range(9)


def evaluate(polynomial, points: np.ndarray) -> np.ndarray:
    """Evaluate a polynomial at points, shape (3, ...): z, y, x."""
    return sum(
        factor * math.prod(axis**power for axis, power in zip(points, powers, strict=True))
        for powers, factor in polynomial.items()
    )


def response(degree: int, order: int, sigma: float, shape: tuple[int, ...], sampling: str):
    """Put a wavelet's response together from vectors, as kernels do."""
    frequencies = [np.fft.fftfreq(n) for n in shape]
    total = 0.0
    for powers, factor in wavelet_polynomial(degree, order, sigma, sampling=sampling).items():
        z, y, x = (
            monomial_gaussian(f, sigma, power, sampling=sampling)
            for f, power in zip(frequencies, powers, strict=True)
        )
        total = total + factor * z[:, None, None] * y[:, None] * x
    return (-1j) ** degree * harmonic_amplitude(degree) * total


@pytest.mark.parametrize("degree", DEGREES)
def test_solid_harmonics_are_spherical_harmonics_times_a_power_of_the_radius(rng, degree):
    points = rng.standard_normal((3, 50))
    z, y, x = points
    r = np.linalg.norm(points, axis=0)
    scale = np.sqrt(4 * np.pi / (2 * degree + 1)) * r**degree
    for m in range(degree + 1):
        Y = scale * sph_harm_y(degree, m, np.arccos(z / r), np.arctan2(y, x))
        Y = Y if m == 0 else (-1) ** m * math.sqrt(2) * Y  # without Condon and Shortley's phase
        np.testing.assert_allclose(evaluate(solid_harmonic(degree, m), points), Y.real, atol=1e-11)
        if m:
            found = evaluate(solid_harmonic(degree, -m), points)
            np.testing.assert_allclose(found, Y.imag, atol=1e-11)


@pytest.mark.parametrize("degree", DEGREES)
def test_squares_of_all_orders_add_up_to_a_power_of_the_radius(rng, degree):
    points = rng.standard_normal((3, 50))
    squares = sum(
        evaluate(solid_harmonic(degree, m), points) ** 2 for m in range(-degree, degree + 1)
    )
    np.testing.assert_allclose(squares, np.sum(points**2, axis=0) ** degree, rtol=1e-10)


@pytest.mark.parametrize("degree", DEGREES)
def test_solid_harmonics_are_harmonic_and_homogeneous(degree):
    for m in range(-degree, degree + 1):
        laplacian: dict[tuple[int, ...], float] = {}
        for powers, factor in solid_harmonic(degree, m).items():
            assert sum(powers) == degree
            for axis, power in enumerate(powers):
                if power >= 2:
                    lower = tuple(p - 2 * (a == axis) for a, p in enumerate(powers))
                    laplacian[lower] = laplacian.get(lower, 0) + factor * power * (power - 1)
        assert all(abs(value) < 1e-10 for value in laplacian.values())


@pytest.mark.parametrize("degree", range(5))
def test_the_modulus_over_all_orders_has_unit_l1_norm(degree):
    grid = np.mgrid[(slice(-40, 41),) * 3] / 4.0
    radial = np.sum(grid**2, axis=0)
    modulus = radial ** (degree / 2) * np.exp(-radial / 2) / (2 * np.pi) ** 1.5
    total = harmonic_amplitude(degree) * modulus.sum() / 4**3
    assert total == pytest.approx(1, rel=1e-3 if degree == 1 else 1e-6)  # a kink at the centre


@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("sampling", ["space", "frequency"])
def test_pairs_of_real_wavelets_are_kymatios_complex_ones(sampling, degree):
    shape, sigma = (9, 11, 7), 0.9
    for m in range(degree + 1):
        theirs = reference3d.RESPONSES[sampling](shape, sigma, degree, m)
        ours = response(degree, m, sigma, shape, sampling)
        if m:
            ours = (ours + 1j * response(degree, -m, sigma, shape, sampling)) / math.sqrt(2)
        # The polar angle is counted from the other pole, and orders have a sign.
        np.testing.assert_allclose((-1) ** degree * ours, theirs, atol=1e-13)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_wavelets_vanish_at_frequency_zero(sigma):
    for degree in DEGREES:
        for m in range(-degree, degree + 1):
            for sampling in ("space", "frequency"):
                found = response(degree, m, sigma, (4, 3, 5), sampling)
                if degree:
                    assert abs(found[0, 0, 0]) <= 1e-12 * np.abs(found).max()
                else:
                    assert found[0, 0, 0].real == pytest.approx(1, rel=0.5 if sigma < 1 else 1e-7)


@pytest.mark.parametrize("power", range(5))
def test_responses_sampled_in_space_have_period_one(power):
    frequency = np.linspace(-0.5, 0.5, 33)
    found = monomial_gaussian(frequency, 0.8, power, sampling="space")
    again = monomial_gaussian(frequency + 3, 0.8, power, sampling="space")
    np.testing.assert_allclose(again, found, atol=1e-12)
    if power % 2:
        assert found[0] == found[-1] == 0


@pytest.mark.parametrize("power", range(5))
def test_samplings_agree_where_nothing_is_left_at_the_nyquist_frequency(power):
    frequency = np.linspace(-0.49, 0.49, 99)
    space, cut = (
        monomial_gaussian(frequency, 4.0, power, sampling=s) for s in ("space", "frequency")
    )
    np.testing.assert_allclose(space, cut, atol=1e-15 * 60**power)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-8, 1e-17])
def test_band_ends_where_the_response_stays_below_the_tolerance(degree, tolerance):
    band = harmonic_band(degree, tolerance)

    def profile(r):
        return r**degree * np.exp(-(r**2) / 2)

    peak = profile(math.sqrt(degree))
    assert profile(band) == pytest.approx(tolerance * peak, rel=1e-6)
    assert np.all(profile(np.linspace(band + 1e-6, 40, 1000)) < tolerance * peak)


def test_reach_of_gaussians():
    # 95.45 % lie within two standard deviations; variances add up.
    assert harmonic_reach([(3.0, 0)], 0.0455) == pytest.approx(6, rel=0.02)
    assert harmonic_reach([(3.0, 0), (4.0, 0)], 0.0455) == pytest.approx(10, rel=0.02)
    assert harmonic_reach([(0.5, 0)], 1e-9) == pytest.approx(0.5 * 6.11, rel=0.02)


@pytest.mark.parametrize("degree", [1, 3])
def test_reach_holds_all_but_the_tolerance_of_a_wavelet(degree):
    grid = np.mgrid[(slice(-30, 31),) * 3] / 3.0
    radial = np.sum(grid**2, axis=0)
    modulus = radial ** (degree / 2) * np.exp(-radial / 2)
    for tolerance in (1e-2, 1e-5):
        reach = harmonic_reach([(1.0, degree)], tolerance)
        share = modulus[np.abs(grid[0]) > reach].sum() / modulus.sum()
        assert tolerance / 4 < share <= 1.3 * tolerance  # a grid of thirds


def test_reach_grows_with_everything():
    base = harmonic_reach([(2.0, 2), (4.0, 2)], 1e-6)
    assert harmonic_reach([(2.0, 2), (4.0, 2)], 1e-9) > base
    assert harmonic_reach([(2.0, 3), (4.0, 3)], 1e-6) > base
    assert harmonic_reach([(2.0, 2), (4.0, 2), (4.0, 0)], 1e-6) > base
    assert harmonic_reach([(4.0, 2)], 1e-6) < base
    assert harmonic_reach([(4.0, 2), (8.0, 2)], 1e-6) == pytest.approx(2 * base, rel=0.02)
