import json

import numpy as np
import pytest

from scatdask.filters.bank import (
    ALPHA,
    R_PSI,
    SIGMA_0,
    Wavelet,
    admissible_j,
    constant_q_sigma,
    low_pass_sigma,
    morlet_bank,
)

BANKS = [(J, Q) for J in (1, 3, 6, 10) for Q in (1, 2, 8, 16)]


@pytest.mark.parametrize(("J", "Q"), BANKS)
def test_bank_has_constant_q_above_its_elbow_and_constant_bandwidth_below(J, Q):
    bank = morlet_bank(J, Q)
    xi = np.array([wavelet.xi for wavelet in bank])
    sigma = np.array([wavelet.sigma for wavelet in bank])
    narrowest = SIGMA_0 / 2**J
    below = sigma == narrowest
    assert np.all(np.diff(xi) < 0)
    assert below.sum() == Q - 1
    assert np.all(below[len(bank) - (Q - 1) :])
    if not np.all(below):
        quality = xi[~below] / sigma[~below]
        np.testing.assert_allclose(quality, quality[0])
        np.testing.assert_allclose(xi[~below][1:] / xi[~below][:-1], 2 ** (-1 / Q))
        assert np.all(sigma[~below] > narrowest)
    if Q > 1:
        np.testing.assert_allclose(np.diff(xi[-(Q - 1) :]), -xi[-1])


@pytest.mark.parametrize("Q", [1, 4, 12])
def test_neighbours_cross_at_the_stated_height(Q):
    upper, lower = 0.2, 0.2 * 2 ** (-1 / Q)
    width, narrow = constant_q_sigma(upper, Q), constant_q_sigma(lower, Q)
    crossing = (upper * narrow + lower * width) / (width + narrow)
    assert np.exp(-(((crossing - upper) / width) ** 2) / 2) == pytest.approx(R_PSI)
    assert np.exp(-(((crossing - lower) / narrow) ** 2) / 2) == pytest.approx(R_PSI)


@pytest.mark.parametrize(("J", "Q"), BANKS)
def test_subsampling_is_the_coarsest_that_does_not_alias(J, Q):
    for wavelet in morlet_bank(J, Q):
        edge = min(wavelet.xi + ALPHA * wavelet.sigma, 0.5)
        assert 2.0 ** -(wavelet.j + 1) >= edge
        assert 2.0 ** -(wavelet.j + 2) < edge
        assert 0 <= wavelet.j <= J


@pytest.mark.parametrize(
    ("xi", "sigma", "j"), [(0.35, 0.1, 0), (0.25, 0.05, 0), (0.0625, 0.0125, 2), (0.063, 0.0125, 1)]
)
def test_admissible_j(xi, sigma, j):
    assert admissible_j(xi, sigma) == j


def test_low_pass_width():
    assert low_pass_sigma(1) == SIGMA_0
    assert low_pass_sigma(256) == SIGMA_0 / 256


def test_wavelets_are_values():
    assert Wavelet(0.1, 0.01, 1) == Wavelet(0.1, 0.01, 1)
    assert len({Wavelet(0.1, 0.01, 1), Wavelet(0.1, 0.01, 1)}) == 1


def test_design_equals_kymatio(reference_folder):
    files = sorted(reference_folder.glob("scattering1d_*.npz"))
    checked = 0
    for file in files:
        stored = np.load(file)
        if "xi" not in stored.files:
            continue
        params = json.loads(str(stored["params"]))
        Q = params["Q"] if isinstance(params["Q"], list) else [params["Q"], 1]
        for level in range(stored["xi"].shape[1]):
            bank = morlet_bank(params["J"], Q[level])
            rows = stored["order"] > level
            n = stored["n"][rows, level].astype(int)
            np.testing.assert_allclose(stored["xi"][rows, level], [bank[i].xi for i in n])
            np.testing.assert_allclose(stored["sigma"][rows, level], [bank[i].sigma for i in n])
            np.testing.assert_array_equal(stored["j"][rows, level], [bank[i].j for i in n])
            checked += len(n)
    assert checked > 1000
