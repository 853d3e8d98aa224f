from __future__ import annotations

import numpy as np
import pytest

from scatdask.archive import sketch


def of(values):
    x = np.atleast_2d(np.asarray(values, dtype="f8"))
    return sketch.count_bins(x, np.isfinite(x))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 3e7])
def test_quantiles_are_as_accurate_as_is_said(rng, scale):
    values = scale * np.exp(rng.standard_normal(5001)) * rng.choice([-1, 1], 5001)
    shares = (0.0, 0.01, 0.3, 0.5, 0.9, 1.0)
    got = sketch.quantiles_of(*of(values), shares)[:, 0]
    exact = np.quantile(values, shares, method="lower")
    assert (np.abs(got - exact) <= 1.0001 * sketch.RELATIVE_ACCURACY * np.abs(exact)).all()


def test_numbers_far_below_the_largest_are_zero():
    shares = (0.0, 1.0)
    faint, loud = sketch.quantiles_of(*of([1e-9, 1.0]), shares)[:, 0]
    assert faint == 0
    assert loud == pytest.approx(1.0, rel=1.0001 * sketch.RELATIVE_ACCURACY)
    np.testing.assert_array_equal(sketch.quantiles_of(*of([0.0, 0.0]), shares), 0.0)


def test_nothing_has_no_quantiles():
    assert np.isnan(sketch.quantiles_of(*of([np.nan]), (0.5,))).all()


@pytest.mark.parametrize("by", [0, 1, 100, sketch.SIDE, 10**6])
def test_lowered_counts_are_those_beside_a_louder_number(rng, by):
    values = np.exp2(-rng.uniform(0, 20, 300)) * rng.choice([-1, 1], 300)
    values[0] = 1.0
    top, counts = of(values)
    lowered = sketch.lowered(counts, np.array([by]))
    louder = 2.0 ** (min(by, 16_000) / sketch.PER_OCTAVE)
    if by <= 100:
        louder_top, expected = of([*values, louder])
        assert louder_top - top == by
        expected[0, -1] -= 1  # the louder one itself
        np.testing.assert_array_equal(lowered, expected)
    else:
        assert lowered[0, sketch.SIDE] == lowered.sum() == len(values)


def test_each_row_is_lowered_by_itself(rng):
    _, counts = of(rng.standard_normal((3, 50)))
    by = np.array([0, 7, 3])
    each = [sketch.lowered(counts[row : row + 1], by[row : row + 1])[0] for row in range(3)]
    np.testing.assert_array_equal(sketch.lowered(counts, by), each)
