import numpy as np
import pytest
import xarray as xr

from scatdask.labels import STEP_TOLERANCE, axis, sampling


def check(values):
    return sampling(xr.DataArray(values, dims="time"), "time")


@pytest.fixture(params=["one block", "many blocks"], autouse=True)
def block(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(axis, "BLOCK", 7)


@pytest.fixture
def time():
    return np.datetime64("2024-01-01", "ns") + np.arange(100) * np.timedelta64(10, "ms")


def test_tolerance_is_a_stated_constant():
    assert STEP_TOLERANCE == 0.01


def test_duplicate_times(time):
    time[51] = time[50]
    time[52:] -= np.timedelta64(10, "ms")
    with pytest.raises(
        ValueError,
        match=r"'time' repeats values at 1 place: from 2024-01-01T00:00:00\.5\d* at index 50 to "
        r".*\.5\d* at 51.*drop_duplicates\('time'\)",
    ):
        check(time)


def test_duplicate_first_time(time):
    time[0] = time[1]
    with pytest.raises(ValueError, match=r"repeats values at 1 place.*at index 0"):
        check(time)


def test_all_times_equal():
    with pytest.raises(ValueError, match="repeats values at 9 places"):
        check(np.zeros(10))


def test_decreasing_axis(time):
    with pytest.raises(ValueError, match=r"decreases at 99 places.*index 0.*sortby\('time'\)"):
        check(time[::-1])


def test_unsorted_axis():
    with pytest.raises(ValueError, match=r"decreases at 1 place: from 4\.0 at index 4 to 2\.0"):
        check(np.array([0.0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7]))


def test_gaps_in_time_coordinate(time):
    gappy = np.concatenate([time[:20], time[30:60], time[63:80], time[81:90], time[95:]])
    with pytest.raises(ValueError, match=r"'time' has 4 gaps.*0\.01 s.*tolerance") as caught:
        check(gappy)
    text = str(caught.value)
    assert "at index 19" in text
    assert "(11 steps)" in text
    assert "at index 49" in text
    assert "; ..." in text
    assert "reindex(time=...)" in text
    assert "leap second" not in text


def test_gap_of_any_length_is_a_gap():
    values = np.arange(50.0)
    values[30:] += 4.321
    with pytest.raises(ValueError, match=r"has 1 gap.*at index 29 .*\(5\.321 steps\)"):
        check(values)


def test_non_uniform_sampling():
    values = np.sort(np.random.default_rng(0).uniform(0, 100, 100))
    with pytest.raises(
        ValueError,
        match=r"not uniform: \d+ steps off the median.*\(1% and rounding.*obj\.interp\(time",
    ):
        check(values)


def test_rate_that_changes_is_non_uniform():
    values = np.concatenate([np.arange(50) * 1.0, 50 + np.arange(50) * 1.1])
    with pytest.raises(ValueError, match=r"not uniform: 49 steps .*at index 50 to 51\.1 "):
        check(values)


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_tolerance_applies_to_each_step(share):
    values = np.arange(100.0)
    values[40:] += share * STEP_TOLERANCE
    if share < 1:
        assert check(values).step == pytest.approx(1.0, rel=1e-3)
    else:
        with pytest.raises(ValueError, match=r"not uniform: 1 step .*at index 39"):
            check(values)


@pytest.mark.parametrize("where", [[0], [7], [13, 14, 15], [99]])
def test_missing_times(time, where):
    time[where] = np.datetime64("NaT")
    some = "1 value" if len(where) == 1 else f"{len(where)} values"
    with pytest.raises(ValueError, match=f"lacks {some}: the first is NaT at index {where[0]}\\."):
        check(time)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_numbers(bad):
    values = np.arange(30.0)
    values[[3, 14, 20]] = bad
    with pytest.raises(ValueError, match=f"lacks 3 values: the first is {bad} at index 3"):
        check(values)


def test_leap_second_repeated_at_one_hertz():
    time = np.datetime64("2016-12-31T23:59:50", "s") + np.arange(30)
    time[10:] -= np.timedelta64(1, "s")
    with pytest.raises(ValueError, match=r"repeats values .* leap second: count in TAI or GPS"):
        check(time)


def test_leap_second_repeated_at_a_hundred_hertz(time):
    time[60:] -= np.timedelta64(1, "s")
    with pytest.raises(ValueError, match=r"decreases at 1 place.*leap second"):
        check(time)


def test_leap_second_left_out(time):
    time[60:] += np.timedelta64(1, "s")
    with pytest.raises(ValueError, match=r"has 1 gap.*\(101 steps\).*leap second"):
        check(time)


def test_cftime_gap():
    time = xr.date_range("2001-01-01", periods=30, freq="D", calendar="noleap", use_cftime=True)
    with pytest.raises(ValueError, match=r"has 1 gap.*2001-01-12 00:00:00 at index 11"):
        check(np.delete(time.values, [12, 13]))


def check_backwards(values):
    return sampling(xr.DataArray(values, dims="lat"), "lat", may_decrease=True)


def test_backwards_axis_that_turns_around():
    values = np.array([9.0, 8, 7, 6, 5, 7, 6, 5, 4, 3, 2, 1, 0])
    with pytest.raises(
        ValueError, match=r"'lat' decreases, but goes back up at 1 place: from 5\.0 at index 4"
    ):
        check_backwards(values)


def test_backwards_axis_with_a_gap():
    with pytest.raises(ValueError, match=r"has 1 gap.*from 71\.0 at index 28 to 60\.0 at 29"):
        check_backwards(np.delete(np.arange(99.0, 0, -1), slice(29, 39)))


def test_backwards_axis_that_is_not_uniform():
    with pytest.raises(ValueError, match=r"'lat' is not uniform: \d+ steps"):
        check_backwards(-(np.arange(1.0, 30) ** 1.1))


def test_backwards_axis_with_missing_or_repeated_values():
    values = np.arange(30.0)[::-1].copy()
    values[3] = np.nan
    with pytest.raises(ValueError, match="lacks 1 value"):
        check_backwards(values)
    values[3] = values[4]
    with pytest.raises(ValueError, match="repeats values at 1 place"):
        check_backwards(values)
