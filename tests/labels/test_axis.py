import dataclasses

import numpy as np
import pytest
import xarray as xr

from scatdask.labels import Sampling, axis, sampling, samplings


def coordinate(values, **attrs):
    return xr.DataArray(values, dims="time", attrs=attrs)


def index(values, **attrs):
    return xr.DataArray(
        np.zeros(len(values)), dims="time", coords={"time": ("time", values, attrs)}
    ).time


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_datetimes_of_any_resolution_give_seconds(unit):
    step = np.timedelta64(2, "s").astype(f"m8[{unit}]")
    time = np.datetime64("2024-01-01", unit) + np.arange(100) * step
    assert sampling(index(time), "time").step == 2.0
    assert sampling(index(time), "time").unit == "Hz"
    assert sampling(index(time - time[0]), "time").step == 2.0


def test_step_is_exact_for_a_decimal_rate():
    time = xr.date_range("2024-01-01", periods=1001, freq="10ms")
    assert sampling(index(time), "time") == Sampling(
        0.01, "Hz", "s", "time is sampled every 0.01 s (100 Hz)"
    )


def test_coarse_datetimes_are_accepted():
    days = np.arange("2024-01-01", "2024-03-01", dtype="M8[D]")
    assert sampling(coordinate(days), "time").step == 86400.0


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard"])
def test_cftime_is_accepted_if_uniform(calendar):
    time = xr.date_range("2001-02-27", periods=50, freq="6h", calendar=calendar, use_cftime=True)
    assert sampling(index(time), "time").step == 6 * 3600.0


@pytest.mark.parametrize(
    ("units", "unit", "step_unit"),
    [
        (None, "cycles per unit of time", "units of time"),
        ("1", "cycles per unit of time", "units of time"),
        ("s", "Hz", "s"),
        ("seconds", "Hz", "s"),
        ("seconds since 1970-01-01", "Hz", "s"),
        ("m", "1/m", "m"),
        ("metres", "1/m", "m"),
        ("km", "1/km", "km"),
        ("degrees_east", "1/(degrees_east)", "degrees_east"),
    ],
)
def test_units_of_numbers_come_from_the_attribute(units, unit, step_unit):
    attrs = {} if units is None else {"units": units}
    found = sampling(coordinate(np.arange(20) * 0.25, **attrs), "time")
    assert (found.step, found.unit, found.step_unit) == (0.25, unit, step_unit)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "u8", ">i4", ">f8", "f4"])
def test_numbers_of_any_type(dtype):
    assert sampling(coordinate(np.arange(0, 120, 3).astype(dtype)), "time").step == 3.0


def test_no_coordinate_means_cycles_per_sample():
    found = sampling(None, "x")
    assert (found.step, found.unit) == (None, "cycles per sample")
    assert "x has no coordinate" in found.description


def test_a_coordinate_that_xarray_makes_up_counts_as_none():
    x = xr.DataArray(np.zeros(9), dims="time", name="x")
    for obj in (x, x.to_dataset()):
        assert sampling(obj.coords.get("time"), "time").step is None


@pytest.mark.parametrize("n", [0, 1])
def test_too_short_for_a_step(n):
    assert sampling(coordinate(np.arange(n)), "time").step is None


def test_jitter_of_float_times_is_accepted():
    assert sampling(coordinate(np.arange(10**5) / 3), "time").step == pytest.approx(1 / 3)
    assert sampling(coordinate(np.cumsum(np.full(10**5, 0.1))), "time").step == pytest.approx(0.1)


def test_float32_times_are_as_good_as_their_rounding():
    time = np.arange(10**5).astype("f4") * np.float32(0.01)  # an ulp is 0.6 % of a step here
    assert sampling(coordinate(time), "time").step == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_rounding_to_the_resolution_of_datetimes_is_accepted(unit):
    seconds = np.arange(10**4) * 3 / 100  # 100/3 Hz
    ticks = np.round(seconds * {"ms": 1e3, "us": 1e6, "ns": 1e9}[unit]).astype("i8")
    thirds = np.round(np.arange(10**4) / 300 * 1e9).astype("i8")
    assert sampling(coordinate(ticks.astype(f"M8[{unit}]")), "time").step == pytest.approx(0.03)
    rounded = thirds.astype("M8[ns]").astype(f"M8[{unit}]")
    assert sampling(coordinate(rounded), "time").step == pytest.approx(1 / 300, rel=1e-3)


def test_slow_drift_of_a_clock_is_accepted():
    n = 10**5
    steps = 0.01 * (1 + 1e-3 * np.linspace(0, 1, n))
    assert sampling(coordinate(np.cumsum(steps)), "time").step == pytest.approx(0.01, rel=1e-3)


def test_blocks_give_what_the_whole_gives(monkeypatch):
    time = coordinate(np.round(np.arange(1001) * 1e9 / 3).astype("i8").astype("M8[ns]"))
    whole = sampling(time, "time")
    monkeypatch.setattr(axis, "BLOCK", 10)
    assert sampling(time, "time") == whole


def test_a_coordinate_on_disk_is_read_in_blocks(monkeypatch, tmp_path):
    time = xr.Dataset(coords={"time": np.arange(1000) / 8})
    time.to_zarr(tmp_path / "time.zarr", consolidated=False)
    lazy = xr.open_zarr(
        tmp_path / "time.zarr", chunks=None, consolidated=False, create_default_indexes=False
    )
    monkeypatch.setattr(axis, "BLOCK", 64)
    sizes = []
    real = axis.as_ticks

    def spy(values, origin, dim):
        sizes.append(len(values))
        return real(values, origin, dim)

    monkeypatch.setattr(axis, "as_ticks", spy)
    assert sampling(lazy.time, "time").step == 0.125
    assert max(sizes) == 65
    assert sum(sizes) == 1000 + len(sizes) - 1


def test_sampling_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        sampling(None, "x").step = 1.0


# Axes that run backwards


def test_latitudes_from_north_to_south():
    lat = xr.DataArray(np.linspace(90, -90, 241), dims="lat", attrs={"units": "degrees_north"})
    found = sampling(lat, "lat", may_decrease=True)
    assert (found.step, found.decreasing) == (0.75, True)
    assert found.description.endswith(", decreasing")
    with pytest.raises(ValueError, match="decreases at 240 places"):
        sampling(lat, "lat")


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "f4", ">f8"])
def test_decreasing_numbers_of_any_type(dtype):
    values = np.arange(100, 0, -2).astype(dtype)
    found = sampling(coordinate(values), "time", may_decrease=True)
    assert (found.step, found.decreasing) == (2.0, True)


def test_an_increasing_axis_that_might_decrease_does_not():
    found = sampling(coordinate(np.arange(9.0)), "time", may_decrease=True)
    assert found == sampling(coordinate(np.arange(9.0)), "time")
    assert not found.decreasing


def test_only_several_axes_may_run_backwards():
    x = xr.DataArray(
        np.zeros((4, 5)), dims=("y", "x"), coords={"y": [3, 2, 1, 0], "x": np.arange(5)}
    )
    assert [one.decreasing for one in samplings(x, ("y", "x"))] == [True, False]
    assert [one.decreasing for one in samplings(x, ("x", "y"))] == [False, True]
    with pytest.raises(ValueError, match="'y' decreases at 3 places"):
        samplings(x, ("y",))


def test_each_axis_is_checked_by_its_name():
    x = xr.DataArray(
        np.zeros((4, 5)), dims=("y", "x"), coords={"y": np.arange(4), "x": [0, 1, 2, 4, 8]}
    )
    with pytest.raises(ValueError, match=r"coordinate 'x' is not uniform"):
        samplings(x, ("y", "x"))
    with pytest.raises(TypeError, match=r"coordinate 'y' has dtype <U1"):
        samplings(x.assign_coords(y=list("abcd")), ("y", "x"))
