import datetime

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from scatdask.labels import sampling
from scatdask.labels.ticks import as_ticks


def check(values):
    return sampling(xr.DataArray(values, dims="time"), "time")


def test_differences_of_recent_nanoseconds_are_exact():
    values = np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(3, "ns")
    np.testing.assert_array_equal(as_ticks(values, values[0], "t").values, [0, 3, 6, 9])
    stamps = values.astype("i8")
    np.testing.assert_array_equal(as_ticks(stamps, stamps[0], "t").values, [0, 3, 6, 9])


def test_unsigned_integers_do_not_wrap():
    values = np.array([250, 240], dtype="u1")
    np.testing.assert_array_equal(as_ticks(values, values[0], "t").values, [0, -10])


def test_time_zone_aware_index():
    time = pd.date_range("2024-01-01", periods=5, tz="Europe/Oslo")
    x = xr.DataArray(np.zeros(5), dims="time", coords={"time": time})
    with pytest.raises(TypeError, match=r"'time' .*time zone.*tz_convert\(\"UTC\"\)") as caught:
        sampling(x.time, "time")
    # The way out is one that works.
    assert "tz_localize(None)" in str(caught.value)
    x = x.assign_coords(time=x.indexes["time"].tz_convert("UTC").tz_localize(None))
    assert sampling(x.time, "time").step == 86400.0


def test_time_zone_aware_objects():
    utc = datetime.UTC
    time = np.array([datetime.datetime(2024, 1, d, tzinfo=utc) for d in (1, 2, 3)], dtype=object)
    with pytest.raises(TypeError, match="time zone"):
        check(time)


@pytest.mark.parametrize(
    "values",
    [np.array(["a", "b", "c"]), np.array([True, False, True]), np.arange(3) * 1j],
    ids=["string", "bool", "complex"],
)
def test_values_that_are_no_numbers(values):
    with pytest.raises(TypeError, match=r"'time' has dtype .*drop_vars\('time'\)"):
        check(values)


def test_objects_that_are_no_dates():
    with pytest.raises(TypeError, match=r"dtype object \(tuple\)"):
        check(pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("c", 3)]).values)
