import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Scattering1D
from scatdask.errors import NonFiniteWarning
from tests.blocks.common import BOUNDARIES, TOLERANCE, at_once, floor, in_blocks, noise, transforms
from tests.reference import PAD_MODES, worst_path


@pytest.mark.parametrize("value", [9.97e36, 1e31, -3e38])
def test_fill_values_of_other_formats_spoil_what_they_touch_and_no_more(value):
    transform = Scattering1D(4, Q=2)
    x = np.random.default_rng(0).standard_normal((1, 4000)).astype(np.float32)
    x[0, 2001] = value
    (whole,), (cut,) = (in_blocks(transform, x, length)[:1] for length in (4000, 320))
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(cut))
    spoilt = np.flatnonzero(np.isnan(whole).any(axis=tuple(range(whole.ndim - 1))))
    frames = np.arange(0, 4000, 16)
    np.testing.assert_array_equal(spoilt * 16, frames[np.abs(frames - 2001) <= transform.halo])


# Samples that are missing


@settings(max_examples=60)
@given(
    transform=transforms(dtypes=("float64",)),
    n=st.integers(1, 4000),
    where=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4),
    share=st.floats(0, 1),
    bad=st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_exactly_the_outputs_within_the_halo_are_nan(transform, n, where, share, bad):
    x = noise("white", 2, n)
    samples = [int(w * n) for w in where]
    gappy = x.copy()
    gappy[1, samples] = bad
    aligned, halo = transform.alignment, transform.halo
    most, fewest = -(-n // aligned), max(-(-n // aligned // 10), 1)
    found = in_blocks(transform, gappy, aligned * int(fewest + share * (most - fewest)))
    whole = at_once(transform, x)

    extended = np.pad(~np.isfinite(gappy[1]), halo, mode=PAD_MODES[transform.boundary])
    count = np.concatenate([[0], np.cumsum(extended)])
    touched = count[2 * halo + 1 :] > count[:n]
    scale = floor(transform, x)
    for path, (ours, clean) in enumerate(zip(found, whole, strict=True)):
        assert np.all(np.isfinite(ours[0]))
        if transform.T == "global":
            assert np.isnan(ours[1]) == touched.any()
            continue
        stride = transform.rates[path] if transform.is_ragged else transform.stride
        np.testing.assert_array_equal(np.isnan(ours[1]), touched[::stride])
        error = np.nan_to_num(np.abs(ours[1] - clean[1])).max()
        assert error <= 1e-6 * max(np.abs(clean[1]).max(), scale)


@pytest.mark.parametrize("gap", [slice(5000, 5001), slice(4000, 6000)])
def test_missing_samples_in_a_large_constant_cost_no_precision(gap):
    transform = Scattering1D(4, Q=4)
    x = noise("white", 1, 9000)
    gappy = x + 1e6
    gappy[:, gap] = np.nan
    found = in_blocks(transform, gappy, 1024)[1:]
    clean = [
        np.where(np.isnan(y), np.nan, z)
        for y, z in zip(found, at_once(transform, x)[1:], strict=True)
    ]
    assert np.isnan(found[0]).any()
    assert (
        worst_path([np.nan_to_num(y) for y in found], [np.nan_to_num(z) for z in clean])
        <= TOLERANCE["float32"]
    )


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_row_without_any_sample_is_nan_and_harms_no_other(boundary):
    transform = Scattering1D(3, boundary=boundary)
    x = noise("white", 2, 200)
    x[0] = np.nan
    found = at_once(transform, x)
    for y, clean in zip(found, at_once(transform, x[1:]), strict=True):
        assert np.all(np.isnan(y[0]))
        np.testing.assert_allclose(y[1], clean[0], rtol=1e-5, atol=1e-6)


def test_missing_samples_warn_once_and_say_how_far_they_reach():
    transform = Scattering1D(3)
    x = noise("white", 2, 500)
    x[0, 250] = np.inf
    with pytest.warns(NonFiniteWarning, match=f"within {transform.halo} samples") as record:
        y = transform(x)
    assert len(record) == 1
    assert record[0].filename == __file__
    assert np.isnan(y[0]).any()
    assert not np.isnan(y[0]).all()
    assert not np.isnan(y[1]).any()


def test_masked_samples_are_missing():
    transform = Scattering1D(3)
    x = noise("white", 1, 500)[0]
    hidden = np.ma.masked_array(np.where(np.arange(500) == 250, 1e30, x), np.arange(500) == 250)
    plain = np.where(np.arange(500) == 250, np.nan, x)
    with pytest.warns(NonFiniteWarning):
        found = transform(hidden)
    with pytest.warns(NonFiniteWarning):
        expected = transform(plain)
    np.testing.assert_array_equal(found, expected)
    integers = np.ma.masked_array(np.arange(500), np.arange(500) == 250)
    with pytest.warns(NonFiniteWarning):
        assert np.isnan(transform(integers)).any()


def test_a_mask_that_hides_nothing_is_no_mask():
    x = noise("white", 1, 300)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(
            Scattering1D(3)(np.ma.masked_array(x, np.zeros(300, bool))), Scattering1D(3)(x)
        )
