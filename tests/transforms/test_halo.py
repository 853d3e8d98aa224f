import math

import pytest
from scipy.special import erfc

from scatdask.transforms.halo import FAINTNESS, gaussian_halo


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-12])
def test_what_lies_beyond_the_halo_is_within_the_tolerance(tolerance):
    spread = 1234.5
    halo = gaussian_halo(spread, tolerance)
    beyond = [FAINTNESS * erfc(h / (math.sqrt(2) * spread)) for h in (halo, halo - 1)]
    assert beyond[0] <= tolerance < beyond[1]


def test_halo_is_in_proportion_to_the_spread():
    assert gaussian_halo(2e6, 1e-6) == pytest.approx(2 * gaussian_halo(1e6, 1e-6), abs=1)
    assert gaussian_halo(0.0, 1e-6) == 0
