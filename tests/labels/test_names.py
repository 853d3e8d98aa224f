import numpy as np
import pytest
import xarray as xr

from scatdask import Scattering1D
from scatdask.labels import check_names, output_names, samplings, taken_names

S, S0 = Scattering1D(J=3), Scattering1D(J=3, T=0)
DIMS = ("time",)


@pytest.fixture
def ds():
    return xr.Dataset(
        {"u": (("station", "time"), np.zeros((2, 100)))},
        coords={"time": np.arange(100) * 0.25, "station": ["a", "b"]},
    )


def taken(source, transform, statistics=()):
    variables = [source.name] if isinstance(source, xr.DataArray) else ["u"]
    return taken_names(source, transform, DIMS, samplings(source, DIMS), variables, statistics)


def check(source, transform):
    variables = [source.name] if isinstance(source, xr.DataArray) else ["u"]
    check_names(source, transform, DIMS, samplings(source, DIMS), variables)


def renamed(obj, transform):
    """Do what the message says."""
    with pytest.raises(ValueError, match=r"rename it first, as in obj\.rename") as raised:
        check(obj, transform)
    return eval(str(raised.value).partition("as in ")[2], {"obj": obj})


def test_output_names():
    assert output_names("u", S) == ("u",)
    assert output_names(None, Scattering1D(J=1, T=0)) == ("scattering_stride1",)


@pytest.mark.parametrize("T", [None, 0, "global"])
@pytest.mark.parametrize("name", ["path", "order", "frequency1"])
def test_labels(ds, name, T):
    transform = Scattering1D(J=3, T=T)
    for source in (
        ds.u.assign_coords({name: 1}),
        ds.u.rename(station=name).drop_vars(name),
        ds.assign({name: ("station", [7.0, 8.0])}),
        ds.u.rename(name),
    ):
        with pytest.raises(ValueError, match=f"already has '{name}'.*rename"):
            check(source, transform)
        check(renamed(source, transform), transform)


def test_both_the_array_and_its_coordinate_are_renamed(ds):
    x = ds.u.assign_coords(order=1).rename("order")
    fine = renamed(x, S)
    check(fine, S)
    assert fine.name == "order_input"
    assert "order_input" in fine.coords


def test_names_that_would_meet_again(ds):
    x = ds.u.assign_coords(order_stride2=1).rename("order")
    check(renamed(x, S0), S0)


def test_an_array_of_the_name_of_its_dimension(ds):
    x = ds.time * 1.0
    assert x.name == "time"
    check(x, S)
    assert "time" in renamed(x, S0).dims
    check(renamed(x, S0), S0)


@pytest.mark.parametrize("name", ["u_stride1", "time_stride2", "order_stride1", "path_stride2"])
def test_names_of_paths_at_their_own_rates(ds, name):
    for source in (
        ds.assign({name: ("station", [7.0, 8.0])}),
        ds.assign_coords({name: ("station", [7.0, 8.0])}),
        ds.rename(station=name),
    ):
        assert set(taken(source, S0)) == {name}
        check(source, S)
        check(renamed(source, S0), S0)


def test_what_does_not_come_into_the_result_does_not_matter(ds):
    skipped = ds.assign(u_stride1=ds.u.astype(bool), u_mean=ds.u > 0)
    assert not taken(skipped, S0)
    assert not taken(skipped, S, ("count", "mean"))


@pytest.mark.parametrize("name", ["u_mean", "u_count"])
def test_statistics(ds, name):
    source = ds.assign({name: ("station", [7.0, 8.0])})
    assert taken(source, S, ("count", "mean")) == {name: "names a statistic of 'u'"}
    assert not taken(source, S)
    assert set(taken(ds.rename(station="u_stride1_mean"), S0, ("mean",))) == {"u_stride1_mean"}


@pytest.mark.parametrize("change", ["coordinate", "dimension"])
def test_quantile(ds, change):
    source = (
        ds.rename(station="quantile")
        if change == "dimension"
        else ds.assign_coords(quantile=("station", [0.1, 0.2]))
    )
    assert set(taken(source, S, ("count", "quantiles"))) == {"quantile"}
    assert not taken(source, S, ("count", "mean"))
