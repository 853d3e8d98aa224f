import numpy as np
import pytest
import xarray as xr

from scatdask import Scattering1D
from scatdask.labels import as_dims, check_dims, check_sizes
from tests.toy import Toy2D, Toy3D

X = xr.DataArray(np.zeros((2, 30, 40)), dims=("level", "lat", "lon"))


@pytest.mark.parametrize("dims", [("lat", "lon"), ["lat", "lon"]])
def test_several_names_in_the_order_of_the_axes(dims):
    assert check_dims(X, Toy2D(), dims) == ("lat", "lon")
    assert check_dims(X, Toy2D(), dims[::-1]) == ("lon", "lat")


def test_one_name_may_be_any_hashable():
    assert as_dims("time") == ("time",)
    assert as_dims(3) == (3,)
    assert check_dims(X, Scattering1D(J=2), "lat") == ("lat",)
    assert check_dims(X, Scattering1D(J=2), ["lat"]) == ("lat",)


@pytest.mark.parametrize(
    ("transform", "dims", "message"),
    [
        (Toy2D(), "lat", r"toy2d goes over 2 dimensions, got 1: 'lat'"),
        (Toy2D(), ("level", "lat", "lon"), r"2 dimensions, got 3: 'level', 'lat', 'lon'"),
        (Toy3D(), ("lat", "lon"), r"toy3d goes over 3 dimensions, got 2"),
        (Scattering1D(J=2), ("lat", "lon"), r"scattering1d goes over one dimension, got 2"),
        (Toy2D(), (), r"got 0: none"),
    ],
)
def test_wrong_number_of_dims(transform, dims, message):
    with pytest.raises(ValueError, match=message):
        check_dims(X, transform, dims)


def test_repeated_dims():
    with pytest.raises(ValueError, match="dims repeat 'lat'"):
        check_dims(X, Toy2D(), ("lat", "lat"))


def test_missing_dims_are_listed_with_those_there_are():
    with pytest.raises(KeyError, match="no dimension 'y', 'x'; there are 'level', 'lat', 'lon'"):
        check_dims(X, Toy2D(), ("y", "x"))
    with pytest.raises(KeyError, match="no dimension 'x'; there are 'level'"):
        check_dims(X.to_dataset(name="u"), Toy2D(), ("lat", "x"))


def test_too_large_J_names_the_dimension():
    assert check_sizes(Toy2D(J=3), X.sizes, ("lat", "lon")) == (30, 40)
    with pytest.raises(
        ValueError, match=r"over dimensions 'lat' \(30\), 'lon' \(40\): .*dimension 'lat' has 30"
    ):
        check_sizes(Toy2D(J=5), X.sizes, ("lat", "lon"))
    with pytest.raises(ValueError, match=r"over dimension 'lat' \(30\): J=5 .*J that fits is 4"):
        check_sizes(Scattering1D(J=5), X.sizes, ("lat",))
