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


@pytest.mark.parametrize("scale", [1e-12, 1.0, 3e7])
def test_sketches_of_the_same_numbers_but_for_noise_differ_by_no_more_than_that(rng, scale):
    noise = 1e-4 * scale
    values = scale * rng.choice([-1, 1], (50, 300)) * np.exp2(-rng.uniform(0, 30, (50, 300)))
    values[3:5] = 0.0
    values[4:8, ::3] = np.nan
    values[7] = np.nan
    noisy = values + noise * rng.uniform(-1, 1, values.shape)
    assert (sketch.differences(*of(noisy), *of(values)) <= noise).all()
    assert (sketch.differences(*of(values), *of(values)) == 0).all()


def test_sketches_that_differ(rng):
    top, counts = of(np.exp(rng.standard_normal((2, 300))))
    far = sketch.differences(top, np.roll(counts, -8, axis=-1), top, counts)
    assert (far > 0.2 * 2.0 ** (top / sketch.PER_OCTAVE)).all()
    assert (sketch.differences(top + 8, counts, top, counts) > far / 2).all()
    assert np.isinf(sketch.differences(top + 10**6, counts, top, counts)).all()
    fewer = counts - (np.arange(sketch.BINS) == counts.argmax(axis=-1)[:, np.newaxis])
    np.testing.assert_array_equal(sketch.differences(top, fewer, top, counts), [np.inf, np.inf])
    np.testing.assert_array_equal(
        sketch.differences(top, np.zeros_like(counts), top, counts), [np.inf, np.inf]
    )
