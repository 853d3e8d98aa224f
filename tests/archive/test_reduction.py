from __future__ import annotations

import itertools
import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from scatdask import Reduction
from scatdask.archive import sketch

ALL = Reduction(1.0, ("mean", "variance", "maximum", "quantiles"), (0.0, 0.25, 0.5, 0.99, 1.0))

numbers = st.one_of(
    st.floats(-(2.0**99), 2.0**99, width=32),
    st.floats(0, 10, width=32),
    st.sampled_from([0.0, np.nan, np.inf, 1e-30]),
)


def in_parts(values, cuts):
    """Reduce an array part by part, and merge what comes of it in order."""
    state = ALL.nothing((*values.shape[:-1], 1))
    bounds = [0, *sorted(cuts), values.shape[-1]]
    for start, stop in itertools.pairwise(bounds):
        part = ALL.reduce(values[..., start:stop], [(0, stop - start)])
        state = ALL.merge(state, part)
    return state


@given(
    arrays.arrays("f4", st.tuples(st.integers(1, 3), st.integers(0, 60)), elements=numbers),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_parts_merge_to_the_whole(values, cuts):
    cuts = [min(cut, values.shape[-1]) for cut in cuts]
    whole, parts = (in_parts(values, where) for where in ([], cuts))
    for name in ("count", "maximum", "top", "bins"):
        np.testing.assert_array_equal(parts[name], whole[name])
    found, direct = ALL.finish(parts), ALL.finish(whole)
    np.testing.assert_array_equal(found["quantiles"], direct["quantiles"])
    for row in range(len(values)):
        x = values[row][np.isfinite(values[row])].astype("f8")
        assert found["count"][row, 0] == len(x)
        if not len(x):
            assert all(np.isnan(found[name][..., row, 0]).all() for name in ALL.statistics)
            continue
        scale = np.abs(x).max() + 1e-300
        assert found["maximum"][row, 0] == x.max()
        assert abs(found["mean"][row, 0] - x.mean()) <= 1e-12 * scale
        assert abs(found["variance"][row, 0] - x.var()) <= 1e-12 * scale**2
        exact = np.quantile(x, ALL.quantiles, method="lower")
        allowed = np.maximum(
            1.0001 * sketch.RELATIVE_ACCURACY * np.abs(exact), sketch.ABSOLUTE_ACCURACY * scale
        )
        assert (np.abs(found["quantiles"][:, row, 0] - exact) <= allowed).all()


def test_windows_are_reduced_each_by_itself(rng):
    values = rng.standard_normal((2, 3, 100)).astype("f4")
    state = ALL.reduce(values, [(0, 30), (30, 30), (30, 100)])
    found = ALL.finish(state)
    assert state["bins"].shape == (2, 3, 3, sketch.BINS)
    np.testing.assert_array_equal(found["count"], np.broadcast_to([30, 0, 70], (2, 3, 3)))
    np.testing.assert_allclose(found["mean"][..., 2], values[..., 30:].mean(-1), atol=1e-6)
    np.testing.assert_allclose(found["variance"][..., 0], values[..., :30].var(-1), rtol=1e-5)
    assert np.isnan(found["mean"][..., 1]).all()


def test_variance_of_small_differences_of_large_numbers_keeps_its_digits(rng):
    values = 1e8 + rng.standard_normal((1, 10_000))
    found = ALL.finish(in_parts(values, [10, 3000, 3001]))
    assert found["variance"][0, 0] == pytest.approx(values.var(), rel=1e-9)


def test_state_has_what_the_statistics_need():
    assert set(Reduction("1D", ("mean",)).parts) == {"count", "mean"}
    assert set(Reduction("1D", ("maximum",)).parts) == {"count", "maximum"}
    assert Reduction("1D", ("mean",)).state_bytes == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("1D", ()), "statistics must name at least one"),
        (("1D", ("median",)), "got 'median'"),
        (("1D", ("mean", "mean")), "statistics repeat"),
        (("1D", ("quantiles",), (50,)), "quantiles must be between 0 and 1"),
        (("1D", ("mean",), (0.9,)), r"say statistics=\('mean', 'quantiles'\)"),
        ((0.0,), "window must be longer than nothing"),
        (("-10s",), "window must be longer than nothing, got '-10s'"),
        (("1Q",), "window must be a fixed length of time"),
        ((np.timedelta64(1, "M"),), "window must be a fixed length of time"),
    ],
)
def test_bad_reductions(arguments, message):
    with pytest.raises(ValueError, match=message):
        Reduction(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("10s", "mean"), r"such as \('mean',\), got 'mean'"),
        (("10s", ("quantiles",), 0.5), r"such as \(0.5,\), got 0.5"),
        ((None,), 'window must be a length of time such as "1D"'),
        ((True,), 'window must be a length of time such as "1D"'),
    ],
)
def test_reductions_of_wrong_types(arguments, message):
    with pytest.raises(TypeError, match=message):
        Reduction(*arguments)


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (np.timedelta64(1, "D"), "1D"),
        (pd.Timedelta("36h"), "36h"),
        (timedelta(seconds=1.5), "1500ms"),
        (np.timedelta64(1_500, "ns"), "1500ns"),
    ],
)
def test_lengths_of_time_become_text(window, text):
    assert Reduction(window) == Reduction(text)
    assert pd.Timedelta(text) == pd.Timedelta(window)


def test_numbers_of_numpy_become_what_json_has():
    assert json.dumps(Reduction(np.float32(2.5)).to_dict()["window"]) == "2.5"


def test_quantiles_are_the_median_where_none_are_named():
    assert Reduction("1D", ("quantiles",)).quantiles == (0.5,)
    assert Reduction("1D").quantiles == ()


@pytest.mark.parametrize("reduction", [ALL, Reduction("1D")])
def test_reductions_come_back_from_a_ledger_of_any_version(reduction):
    fields = reduction.to_dict()
    assert Reduction.from_dict(fields) == reduction
    assert Reduction.from_dict({**fields, "quantiles": fields["quantiles"] or [0.5]}) == reduction
