from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from scatdask.archive import windows
from scatdask.archive.layout import Layout
from scatdask.archive.windows import windows_of


def axis(labels):
    return xr.Dataset(coords={"time": labels})


@pytest.mark.parametrize("window", ["1D", "6h", "7h", "90min", "2D"])
@pytest.mark.parametrize("begin", ["2024-05-01T22:10:00", "2024-05-01"])
def test_windows_of_times_are_those_of_pandas(window, begin, monkeypatch):
    monkeypatch.setattr(windows, "_PIECE", 37)
    time = pd.date_range(begin, periods=700, freq="11min")
    found = windows_of(axis(time), "time", window)
    expected = pd.Series(1, time).resample(window).count()
    np.testing.assert_array_equal(found.starts, expected.index.values)
    np.testing.assert_array_equal(np.diff(found.samples), expected.values)


def test_windows_of_numbers_are_multiples_of_the_window():
    found = windows_of(axis(np.arange(12.0, 30.0, 0.5)), "time", 5.0)
    np.testing.assert_array_equal(found.starts, [10.0, 15.0, 20.0, 25.0])
    np.testing.assert_array_equal(found.samples, [0, 6, 16, 26, 36])


def test_windows_without_a_coordinate_are_of_samples():
    found = windows_of(xr.Dataset({"v": ("time", np.zeros(25))}), "time", 10)
    np.testing.assert_array_equal(found.starts, [0, 10, 20])
    np.testing.assert_array_equal(found.samples, [0, 10, 20, 25])


def test_windows_since_a_start_are_lengths_of_time():
    elapsed = np.arange(100).astype("m8[m]").astype("m8[ns]")
    found = windows_of(axis(elapsed), "time", "30min")
    np.testing.assert_array_equal(found.samples, [0, 30, 60, 90, 100])


@given(st.integers(1, 300), st.integers(1, 80), st.integers(1, 20), st.sampled_from([1, 4, 8]))
def test_blocks_share_the_frames_of_windows_among_them(n, width, units, stride):
    found = windows_of(xr.Dataset({"v": ("time", np.zeros(n))}), "time", width)
    length = 8 * units
    layout = Layout("v", ("time",), (n,), (), (), (), (length,), (length,))
    frames = np.zeros(len(found), dtype=int)
    for block in range(layout.n_blocks):
        first, ranges = found.of_block(layout, block, stride)
        assert len(ranges) <= found.slots(layout)
        ((start, stop),) = layout.bounds(block)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == -(-stop // stride) - start // stride
        for place, (a, b) in enumerate(ranges):
            frames[first + place] += b - a
    owner = np.arange(0, n, stride) // width
    np.testing.assert_array_equal(frames, np.bincount(owner, minlength=len(found)))


@given(st.integers(1, 200), st.integers(0, 300), st.integers(1, 40), st.integers(1, 20))
def test_slots_are_enough_on_a_longer_axis(n, more, width, units):
    whole = windows_of(xr.Dataset({"v": ("time", np.zeros(n + more))}), "time", width)
    found = windows_of(xr.Dataset({"v": ("time", np.zeros(n))}), "time", width)
    layout = Layout("v", ("time",), (n,), (), (), (), (8 * units,), (8 * units,))
    longer = replace(layout, shape=(n + more,))
    touched = [len(whole.of_block(longer, b, 1)[1]) for b in range(longer.n_blocks)]
    assert max(touched) <= found.slots(layout)


@pytest.mark.parametrize(
    ("labels", "window", "error", "message"),
    [
        (pd.date_range("2024", periods=9, freq="s"), 3.0, TypeError, 'such as "1D"'),
        (np.arange(9.0), "1D", TypeError, "give the window as a number"),
        (pd.date_range("2024", periods=9, freq="s"), "1MS", ValueError, "fixed length of time"),
        (pd.date_range("2024", periods=9, freq="s"), "-1D", ValueError, "longer than nothing"),
        (pd.date_range("2024", periods=9, freq="s"), "1ms", ValueError, "nothing to reduce"),
    ],
)
def test_bad_windows(labels, window, error, message):
    with pytest.raises(error, match=message):
        windows_of(axis(labels), "time", window)


def test_dates_of_other_calendars_are_refused():
    time = xr.date_range("2024-01-01", periods=9, freq="D", calendar="noleap", use_cftime=True)
    with pytest.raises(TypeError, match="another calendar"):
        windows_of(axis(time), "time", "1D")
