import numpy as np
import pytest

from scatdask import TimeFrequencyScattering
from scatdask.arrays import Scratch
from scatdask.kernels.quefrency import sample_frequency_filters


def plane_of(transform, n2):
    (plane,) = (plane for plane in transform.planes if plane.n2 == n2)
    return plane


@pytest.mark.parametrize(
    "parameters",
    [{}, {"format": "joint"}, {"F": 3, "Q_fr": 2}, {"F": 0}, {"F": "global"}],
    ids=str,
)
@pytest.mark.parametrize("n2", [None, 3])
def test_strips_are_filtered_averaged_and_sampled(xp, rng, parameters, n2):
    transform = TimeFrequencyScattering(6, J_fr=2, Q=8, dtype="float64", **parameters)
    plane, axis = plane_of(transform, n2), transform.axis
    y = rng.standard_normal((plane.n_rows, 50)) + 1j * rng.standard_normal((plane.n_rows, 50))
    there = xp.asarray(y)
    found = {
        end.strip.n_fr: xp.to_numpy(values)
        for along in sample_frequency_filters(transform, plane, like=there)
        for end, values in along(there, Scratch(there))
    }
    assert set(found) == {strip.n_fr for strip in plane.strips}
    for strip in plane.strips:
        taps = np.fft.fft(axis.taps(strip.n_fr))[:, None]
        u = np.abs(np.fft.ifft(np.fft.fft(y, axis.length, axis=0) * taps, axis=0))
        at = np.arange(0, axis.length, axis.step(strip.n_fr))
        if transform.F == "global":
            at = at[at < plane.n_rows]
        weights = axis.average(strip.n_fr, strip.places, at)
        expected = u[list(strip.places)] if weights is None else weights @ u[at]
        np.testing.assert_allclose(found[strip.n_fr], expected, atol=1e-11)


def test_twins_share_their_products():
    transform = TimeFrequencyScattering(6, J_fr=2, Q=8, Q_fr=2)
    n_pairs, like = transform.axis.n_pairs, np.zeros(1)
    filters = sample_frequency_filters(transform, plane_of(transform, 3), like=like)
    assert len(filters) == 1 + n_pairs
    assert filters[0].imag is None
    assert [len(along.ends) for along in filters] == [1] + [2] * n_pairs
    for along in filters[1:]:
        plus, minus = along.ends
        assert (plus.sign, minus.sign) == (1, -1)
        assert minus.strip.n_fr == plus.strip.n_fr + n_pairs
    # Of the first order, which is real, there is one spin.
    first = sample_frequency_filters(transform, plane_of(transform, None), like=like)
    assert [len(along.ends) for along in first] == [1] * (1 + n_pairs)


def test_twins_of_which_other_places_are_wanted_do_not_share():
    everything = TimeFrequencyScattering(6, J_fr=2, Q=8, Q_fr=2)
    transform = everything.select(
        lambda path: (path.n2 == 3) & ((path.n1 == 4) | (path.spin == 1)) & (path.n_fr % 2 == 1)
    )
    filters = sample_frequency_filters(transform, plane_of(transform, 3), like=np.zeros(1))
    for along in filters:
        for end in along.ends:
            assert end.average is None or len(end.average) == len(end.strip.places)
    assert any(len(along.ends) == 1 for along in filters)
