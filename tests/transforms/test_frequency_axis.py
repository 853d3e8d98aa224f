import dataclasses

import numpy as np
import pytest

from scatdask.transforms.frequency_axis import FrequencyAxis

AXIS = FrequencyAxis(J_fr=3, Q_fr=1, F=8, n_bank=54, room=72, whole=False)


def test_circle_has_room_for_the_bank_and_what_leaks_out_of_it():
    assert AXIS.length == 136
    assert dataclasses.replace(AXIS, F="global").length == 136
    assert dataclasses.replace(AXIS, F=0).length == 136
    assert dataclasses.replace(AXIS, F=2).length == (72 + 16) // 8 * 8
    assert dataclasses.replace(AXIS, F=20).length == 144  # a multiple of the stride, 16
    for J_fr in (1, 3, 5):
        for F in (1, 7, 54, 0, "global"):
            axis = dataclasses.replace(AXIS, J_fr=J_fr, F=F)
            assert axis.length >= axis.n_bank
            assert axis.length % max(2**J_fr, axis.stride or 1) == 0


@pytest.mark.parametrize(("F", "stride"), [(1, 1), (7, 4), (8, 8), (0, None), ("global", None)])
def test_stride_is_the_power_of_two_below_the_average(F, stride):
    assert dataclasses.replace(AXIS, F=F).stride == stride


def test_places_are_where_outputs_stand():
    assert AXIS.places(1, 20) == (0, 8, 16)
    assert AXIS.places(0, 20) == (0, 8, 16)
    assert dataclasses.replace(AXIS, whole=True).places(1, 20) == tuple(range(0, 136, 8))
    assert dataclasses.replace(AXIS, F="global").places(1, 20) == (-1,)
    without = dataclasses.replace(AXIS, F=0)
    assert without.places(0, 20) == (0, 8, 16)
    assert without.places(1, 3) == (0, 1, 2)
    assert without.places(4, 20) == tuple(range(0, 20, 2))
    # The low-pass of the bank is narrower than the average here, and closer.
    wide = dataclasses.replace(AXIS, F=20)
    assert wide.places(0, 40) == tuple(range(0, 40, 8))
    assert wide.places(1, 40) == (0, 16, 32)


@pytest.mark.parametrize("F", [8, 3, 0, "global"])
@pytest.mark.parametrize("n_rows", [5, 30])
def test_matrices_are_circular_convolutions(rng, F, n_rows):
    axis = dataclasses.replace(AXIS, F=F)
    y = rng.standard_normal(n_rows)
    for n_fr in range(len(axis.bank)):
        places = axis.places(n_fr, n_rows)
        at = axis.moduli_at(n_fr, places, n_rows, "float64")
        spectrum = np.fft.fft(y, axis.length) * np.fft.fft(axis.taps(n_fr))
        expected = np.fft.ifft(spectrum)
        np.testing.assert_allclose(axis.matrix(n_fr, at, n_rows) @ y, expected[at], atol=1e-14)
        # What is left out is too small to count.
        others = np.setdiff1d(np.arange(0, axis.length, axis.step(n_fr)), at)
        if F and F != "global" and n_fr:
            assert np.all(np.abs(expected[others]) < 1e-12)
        average = axis.average(n_fr, places, at)
        if average is None:
            assert tuple(at) == places
        else:
            assert average.shape == (len(places), len(at))


def test_averages_keep_a_constant():
    axis = dataclasses.replace(AXIS, F=8)
    at = np.arange(axis.length)
    np.testing.assert_allclose(axis.average(1, (0, 8, 64), at).sum(axis=1), 1)
    everything = dataclasses.replace(AXIS, F="global")
    np.testing.assert_allclose(everything.average(1, (-1,), np.arange(7)).sum(axis=1), 1)


def test_fewer_places_are_needed_in_single_precision_and_of_few_wavelets():
    places = AXIS.places(1, 10)
    single = AXIS.moduli_at(1, places, 10, "float32")
    double = AXIS.moduli_at(1, places, 10, "float64")
    assert len(single) < len(double) < AXIS.length
    assert {*single} <= {*double}


@pytest.mark.parametrize(("Q_fr", "n_fr", "mirrored"), [(1, 1, False), (1, 2, True), (2, 1, True)])
def test_twins_are_mirrored_but_for_the_widest(Q_fr, n_fr, mirrored):
    assert dataclasses.replace(AXIS, Q_fr=Q_fr).are_mirrored(n_fr, "float64") == mirrored
