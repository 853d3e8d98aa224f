import numpy as np
import pytest

from scatdask.arrays import Like
from scatdask.filters import low_pass_sigma, morlet_bank
from scatdask.kernels.operations import SpectralSmoother, TapSmoother
from scatdask.kernels.sampling import TimeFilters


@pytest.fixture
def time() -> TimeFilters:
    return TimeFilters(low_pass_sigma(64), 64, 4096, "float64", Like(np.zeros(1)))


def test_filters_are_sampled_once(time):
    wavelet = morlet_bank(6, 1)[2]
    assert time.band(wavelet, 0, 1) is time.band(wavelet, 0, 1)
    assert time.band(wavelet, 0, 1) is not time.band(wavelet, 1, 1)
    assert time.spectral(1) is time.spectral(1)
    assert time.last(2) is time.last(2)


def test_lengths_follow_the_subsamplings(time):
    wavelet = morlet_bank(6, 1)[3]
    folded = time.band(wavelet, 1, 2)
    assert (folded.n, folded.n_out) == (2048, 1024)
    assert (time.spectral(3).folded.n, time.spectral(3).folded.n_out) == (512, 64)


def test_the_last_average_is_by_taps_where_that_is_cheaper(time):
    assert isinstance(time.last(1), TapSmoother)
    short = TimeFilters(low_pass_sigma(64), 64, 512, "float64", Like(np.zeros(1)))
    assert isinstance(short.last(1), SpectralSmoother)
    assert short.last(1) is short.spectral(1)


def test_without_average_there_is_none():
    time = TimeFilters(None, None, 512, "float64", Like(np.zeros(1)))
    assert time.spectral(0) is None
    assert time.last(0) is None
