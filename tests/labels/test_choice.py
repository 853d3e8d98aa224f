import numpy as np
import pytest
import xarray as xr

from scatdask.labels import choose


@pytest.fixture
def ds():
    return xr.Dataset(
        {
            "u": ("time", np.zeros(4)),
            "count": ("time", np.zeros(4, int)),
            "wave": ("time", np.zeros(4, complex)),
            "flag": ("time", np.zeros(4, bool)),
            "depth_bnds": (("time", "nv"), np.zeros((4, 2))),
            "gain": ((), 2.0),
        },
        coords={"depth": ("time", np.zeros(4), {"bounds": "depth_bnds"})},
    )


def test_numeric_variables_with_the_dim_are_chosen_and_the_others_told(ds):
    chosen, skipped = choose(ds, ("time",))
    assert list(chosen) == ["u", "count", "wave"]
    assert skipped == {"flag": "dtype bool", "depth_bnds": "bounds of depth"}


@pytest.mark.parametrize("name", ["count", "flag", "depth_bnds"])
def test_the_one_asked_for_is_chosen_whatever_it_holds(ds, name):
    chosen, skipped = choose(ds, ("time",), name)
    assert list(chosen) == [name]
    assert set(skipped) == {"u", "count", "wave", "flag", "depth_bnds"} - {name}


@pytest.mark.parametrize("name", ["gain", "depth", "nothing"])
def test_what_does_not_have_the_dim_cannot_be_asked_for(ds, name):
    with pytest.raises(KeyError, match=rf"variable='{name}'.*those are 'u', 'count'"):
        choose(ds, ("time",), name)


def test_nothing_to_transform(ds):
    with pytest.raises(ValueError, match=r"nothing to transform; passed over flag \(dtype bool\)"):
        choose(ds[["flag"]], ("time",))


def test_variables_with_some_of_the_dims_are_told():
    ds = xr.Dataset(
        {
            "u": (("level", "lat", "lon"), np.zeros((2, 3, 4))),
            "turned": (("lon", "lat"), np.zeros((4, 3))),
            "zonal": ("lat", np.zeros(3)),
            "mask": (("lat", "lon"), np.zeros((3, 4), bool)),
            "lat_bnds": (("lat", "nv"), np.zeros((3, 2))),
            "time_of_level": ("level", np.zeros(2)),
        },
        coords={"lat": ("lat", np.arange(3.0), {"bounds": "lat_bnds"})},
    )
    chosen, skipped = choose(ds, ("lat", "lon"))
    assert list(chosen) == ["u", "turned"]
    assert skipped == {
        "zonal": "lacks lon",
        "mask": "dtype bool",
        "lat_bnds": "bounds of lat",
    }
    chosen, skipped = choose(ds, ("lat", "lon"), "u")
    assert list(chosen) == ["u"]
    assert set(skipped) == {"turned", "zonal", "mask", "lat_bnds"}
    with pytest.raises(KeyError, match=r"not a variable with dimensions 'lat', 'lon'; .*'turned'"):
        choose(ds, ("lat", "lon"), "zonal")
    with pytest.raises(ValueError, match=r"has the dimensions 'lat', 'lon'.*zonal \(lacks lon\)"):
        choose(ds[["zonal"]], ("lat", "lon"))
