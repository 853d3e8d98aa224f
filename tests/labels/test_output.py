import numpy as np
import pytest
import xarray as xr

from scatdask import Scattering1D
from scatdask.labels import assemble, assemble_dataset


@pytest.fixture
def x():
    return xr.DataArray(
        np.zeros((2, 800, 3)),
        dims=("station", "time", "component"),
        coords={"time": np.arange(800) * np.timedelta64(5, "ms")},
        name="u",
        attrs={"units": "m"},
    )


def arrays(transform, n=800, batch=(2, 3)):
    times = [() if o.stride is None else (o.n_out(n),) for o in transform.outputs]
    return [
        np.random.default_rng(0).standard_normal((*batch, len(o.paths), *time))
        for o, time in zip(transform.outputs, times, strict=True)
    ]


def test_dims_keep_the_order_of_the_source(x):
    transform = Scattering1D(J=3)
    [values] = arrays(transform)
    result = assemble(x, transform, ("time",), [values])
    assert result.dims == ("station", "component", "path", "time")
    assert result.name == "u"
    assert result.data is values or np.shares_memory(result.data, values)
    assert result.attrs["units"] == "m"
    assert result.encoding == {}


def test_global_has_one_number_a_path(x):
    transform = Scattering1D(J=3, T="global")
    result = assemble(x, transform, ("time",), arrays(transform))
    assert result.dims == ("station", "component", "path")
    assert "stride" not in result.attrs


@pytest.mark.parametrize(("name", "stem"), [("u", "u"), (None, "scattering")])
def test_unaveraged_paths_make_a_dataset(x, name, stem):
    transform = Scattering1D(J=3, T=0)
    result = assemble(x.rename(name), transform, ("time",), arrays(transform))
    assert set(result.data_vars) == {f"{stem}_stride1", f"{stem}_stride2"}
    half = result[f"{stem}_stride2"]
    assert half.dims == ("station", "component", "path_stride2", "time_stride2")
    assert half.attrs["stride"] == 2
    assert half.attrs["edge_affected"] == [-(-transform.halo // 2), -(-(transform.halo - 1) // 2)]


def test_a_single_rate_makes_a_dataset_too(x):
    transform = Scattering1D(J=1, T=0)
    assert set(assemble(x, transform, ("time",), arrays(transform)).data_vars) == {"u_stride1"}


def test_dataset_keeps_what_lacks_the_dim(x):
    transform = Scattering1D(J=3)
    ds = xr.Dataset(
        {"u": x, "flag": ("time", np.zeros(800, bool)), "height": ("station", [1.0, 2.0])},
        attrs={"title": "test", "history": "made"},
    )
    result = assemble_dataset(
        ds, transform, ("time",), {"u": arrays(transform)}, skipped={"flag": "dtype bool"}
    )
    assert set(result.data_vars) == {"u", "height"}
    xr.testing.assert_identical(result.height.variable, ds.height.variable)
    assert result.attrs["title"] == "test"
    assert result.attrs["scattering1d_skipped"] == "flag (dtype bool)"
    assert result.attrs["history"].startswith("made\nscatdask ")
    bare = assemble_dataset(ds, transform, ("time",), {"u": arrays(transform)}, keep_attrs=False)
    assert set(bare.attrs) == {"history"}
    assert "units" not in bare.u.attrs


def test_wrong_number_of_arrays(x):
    with pytest.raises(ValueError, match="shorter"):
        assemble(x, Scattering1D(J=3, T=0), ("time",), arrays(Scattering1D(J=3, T=0))[:1])


def test_non_uniform_axis_is_refused(x):
    transform = Scattering1D(J=3)
    broken = x.assign_coords(time=np.arange(800.0) ** 2)
    with pytest.raises(ValueError, match="not uniform"):
        assemble(broken, transform, ("time",), arrays(transform))
