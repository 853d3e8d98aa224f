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
