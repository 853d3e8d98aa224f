import numpy as np
import pytest
import xarray as xr

from scatdask import Scattering1D
from scatdask.labels import output_coords, samplings

N = 1000
PATH_LABELS = {"order", "n1", "n2", "j1", "j2", "xi1", "xi2", "sigma1", "sigma2"}
PHYSICAL = {"frequency1", "frequency2", "bandwidth1", "bandwidth2"}


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return xr.DataArray(
        np.zeros((2, N)),
        dims=("station", "time"),
        coords={
            "time": ("time", np.arange(N) * 0.25, {"units": "s", "bounds": "time_bnds"}),
            "station": ["a", "b"],
            "quality": ("time", rng.integers(0, 9, N)),
            "delay": (("station", "time"), rng.standard_normal((2, N))),
            "height": ("station", [10.0, 20.0]),
            "run": 7,
        },
        name="u",
    )


def coords_of(x, transform, dims=("time",)):
    return output_coords(x, transform, dims, samplings(x, dims))


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_time_coords_are_slices(x, stride):
    found = coords_of(x, Scattering1D(J=3, stride=stride))
    for name in ("time", "quality", "delay"):
        xr.testing.assert_equal(
            found[name].variable, x[name].isel(time=slice(None, None, stride)).variable
        )


def test_unrelated_coords_survive(x):
    found = coords_of(x, Scattering1D(J=3))
    for name in ("station", "height", "run"):
        xr.testing.assert_identical(found[name].variable, x[name].variable)
    assert set(found.indexes) == {"time", "station"}


def test_path_labels_have_the_inverse_unit_of_the_axis(x):
    transform = Scattering1D(J=3, Q=4)
    found = coords_of(x, transform)
    on_path = {name for name, coord in found.coords.items() if coord.dims == ("path",)}
    assert on_path == PATH_LABELS | PHYSICAL
    assert all(found[name].attrs["units"] == "Hz" for name in PHYSICAL)
    np.testing.assert_allclose(found.frequency1, found.xi1 * 4)
    np.testing.assert_allclose(found.bandwidth2, found.sigma2 * 4)
    assert found.xi1.attrs["units"] == "cycles per sample"


def test_no_coordinate_on_dim(x):
    found = coords_of(x.drop_vars("time"), Scattering1D(J=3))
    assert not PHYSICAL & set(found.coords)
    assert "time" not in found.coords
    assert found.sizes["time"] == 125  # from the other coordinates along it


def test_global_has_no_time(x):
    found = coords_of(x, Scattering1D(J=3, T="global"))
    assert not {"time", "quality", "delay"} & set(found.variables)
    assert found.sizes == {"station": 2, "path": 8}


def test_unaveraged_paths_have_their_own_axes(x):
    transform = Scattering1D(J=4, T=0)
    found = coords_of(x, transform)
    for output in transform.outputs:
        end = f"_stride{output.stride}"
        every = slice(None, None, output.stride)
        for name in ("time", "quality", "delay"):
            np.testing.assert_array_equal(found[f"{name}{end}"], x[name].isel(time=every))
        assert found[f"delay{end}"].dims == ("station", f"time{end}")
        rows = transform.paths().isel(path=list(output.paths))
        np.testing.assert_array_equal(found[f"n1{end}"], rows.n1)
        assert f"time{end}" in found.indexes
    assert "time" not in found.dims
    assert "path" not in found.dims
    assert found.height.dims == ("station",)


def test_bounds_that_no_longer_fit_are_not_named(x):
    assert "bounds" not in coords_of(x, Scattering1D(J=3)).time.attrs
    assert x.time.attrs["bounds"] == "time_bnds"


def test_encodings_are_not_inherited(x):
    x.time.encoding = {"chunks": (17,), "scale_factor": 2.0}
    x.station.encoding = {"chunks": (1,)}
    assert not any(coord.encoding for coord in coords_of(x, Scattering1D(J=3)).coords.values())
    assert x.time.encoding["chunks"] == (17,)


def test_multi_index_on_a_batch_dim_survives(x):
    y = x.drop_vars("station").assign_coords(level=("station", [1, 2]))
    y = y.set_index(station=["height", "level"])
    found = coords_of(y, Scattering1D(J=3))
    assert found.indexes["station"].equals(y.indexes["station"])


def test_range_index_stays_a_range(x):
    ranged = xr.Coordinates.from_xindex(xr.indexes.RangeIndex.arange(0.0, 250.0, 0.25, dim="time"))
    y = x.drop_vars("time").assign_coords(ranged)
    found = coords_of(y, Scattering1D(J=3))
    assert isinstance(found.xindexes["time"], xr.indexes.RangeIndex)
    np.testing.assert_array_equal(found.time, np.arange(0, 250, 2.0))


def test_lazy_coords_stay_lazy(x):
    y = x.assign_coords(delay=x.delay.chunk(time=100))
    for T in (None, 0):
        found = coords_of(y, Scattering1D(J=3, T=T))
        assert all(
            coord.chunks is not None
            for name, coord in found.coords.items()
            if str(name).startswith("delay")
        )


@pytest.mark.parametrize("T", [None, 0])
def test_lazy_coords_have_the_chunks_of_the_result(x, T):
    y = x.assign_coords(delay=x.delay.chunk(time=33))
    transform = Scattering1D(J=3, T=T)
    chunks = [((o.n_out(600), o.n_out(N) - o.n_out(600)),) for o in transform.outputs]
    found = output_coords(y, transform, ("time",), samplings(y, ("time",)), chunks)
    for output, [sizes] in zip(transform.outputs, chunks, strict=True):
        name = "delay" if T is None else f"delay_stride{output.stride}"
        assert found[name].chunks == ((2,), sizes)
        np.testing.assert_array_equal(found[name], x.delay[:, :: output.stride])
