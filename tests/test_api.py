import dask
import numpy as np
import pytest
import xarray as xr

import scatdask
from scatdask import Scattering1D
from scatdask.api import apply

N = 2000


@pytest.fixture
def x():
    return xr.DataArray(
        np.random.default_rng(0).standard_normal((N, 3)).astype("f4"),
        dims=("time", "station"),
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(N) * np.timedelta64(10, "ms"),
            "station": ["a", "b", "c"],
            "delay": (("station", "time"), np.random.default_rng(1).standard_normal((3, N))),
            "height": ("station", [1.0, 2.0, 3.0]),
        },
        name="u",
        attrs={"units": "m/s", "history": "made"},
    )


@pytest.fixture
def ds(x):
    return xr.Dataset(
        {
            "u": x,
            "count": ("time", np.arange(N, dtype="i4")),
            "time_bnds": (("time", "nv"), np.zeros((N, 2))),
            "flag": ("time", np.zeros(N, bool)),
            "label": ("time", np.full(N, "a")),
            "crs": ((), 0, {"grid_mapping_name": "latitude_longitude"}),
            "gain": ("station", [1.0, 2.0, 3.0]),
        },
        coords={"time": x.time.assign_attrs(bounds="time_bnds")},
        attrs={"title": "test"},
    )


# Numbers


def test_numpy_is_eager_and_equals_the_plain_transform(x):
    transform = Scattering1D(J=5, Q=2)
    got = scatdask.scattering1d(x, J=5, Q=2, dim="time")
    assert got.chunks is None
    assert got.dims == ("station", "path", "time")
    np.testing.assert_array_equal(got.values, transform(x.values.T))


@pytest.mark.parametrize("T", [None, 0, "global", 5])
@pytest.mark.parametrize("chunks", [{"time": 170}, {"station": 1}, {"time": 1000, "station": 2}])
def test_dask_is_lazy_and_equals_numpy(x, T, chunks):
    options = {"J": 4, "T": T, "dtype": "float64", "dim": "time"}
    eager = scatdask.scattering1d(x, **options)
    with dask.config.set(scheduler="sync"):
        chunked = x.chunk(chunks)
        chunked = chunked.assign_coords(delay=chunked.delay.chunk(time=111))
        lazy = scatdask.scattering1d(chunked, **options)
        assert lazy.chunks
        xr.testing.assert_allclose(lazy.drop_attrs(), eager.drop_attrs(), rtol=1e-6, atol=1e-6)
    assert lazy.attrs == eager.attrs


def test_nothing_is_computed_yet(ds):
    def refuse(*args, **kwargs):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        for T in (None, 0, "global"):
            lazy = scatdask.scattering1d(ds.chunk(time=300), J=3, T=T, dim="time")
            assert all(v.chunks for name, v in lazy.items() if "time" in str(v.dims))
        chunked = ds.u.chunk(time=300)
        chunked = chunked.assign_coords(delay=chunked.delay.chunk(time=100))
        assert scatdask.scattering1d(chunked, J=3, dim="time").delay.chunks


def test_same_call_gives_the_same_task_names(x):
    first, again = (scatdask.scattering1d(x.chunk(time=300), J=3, dim="time") for _ in range(2))
    assert first.data.name == again.data.name
    assert dask.base.key_split(first.data.name) == "scattering1d"


def test_unaveraged_paths_equal_the_plain_transform(x):
    transform = Scattering1D(J=4, T=0, dtype="float64")
    paths = transform(x.values.T)
    got = apply(x, transform, dims="time")
    for output in transform.outputs:
        array = got[f"u_stride{output.stride}"]
        for row, path in enumerate(output.paths):
            np.testing.assert_array_equal(array[:, row], paths[path])


def test_input_is_not_touched(x):
    before = x.copy(deep=True)
    x.data.flags.writeable = False
    scatdask.scattering1d(x, J=3, dim="time")
    xr.testing.assert_identical(x, before)


@pytest.mark.parametrize("dtype", ["i2", "f2", ">f4", "u1", "i8"])
def test_real_types_are_converted(x, dtype):
    y = (x * 20 + 100).astype(dtype)
    got = scatdask.scattering1d(y, J=3, dim="time")
    np.testing.assert_array_equal(got.values, Scattering1D(J=3)(y.values.astype("f8").T))


def test_zero_size_batch(x):
    got = scatdask.scattering1d(x.isel(station=[]), J=3, dim="time")
    assert got.shape == (0, 8, 250)


def test_transform_is_applied_to_any_dim(x):
    space = x.rename(time="x").assign_coords(x=("x", np.arange(N) * 5.0, {"units": "m"}))
    got = apply(space, Scattering1D(J=3), dims="x")
    assert got.frequency1.units == "1/m"
    np.testing.assert_array_equal(got.x, space.x[::8])


# Datasets


def test_dataset_transforms_numeric_variables_and_says_what_it_skipped(ds):
    got = scatdask.scattering1d(ds, J=3, dim="time")
    assert set(got.data_vars) == {"u", "count", "crs", "gain"}
    assert got.u.dims == ("station", "path", "time")
    assert got["count"].dims == ("path", "time")
    xr.testing.assert_identical(got.crs.variable, ds.crs.variable)
    xr.testing.assert_identical(got.gain.variable, ds.gain.variable)
    note = got.attrs["scattering1d_skipped"]
    assert note == "time_bnds (bounds of time); flag (dtype bool); label (dtype <U1)"
    assert "bounds" not in got.time.attrs
    assert got.attrs["title"] == "test"


def test_dataset_equals_its_variables(ds):
    got = scatdask.scattering1d(ds, J=3, dim="time")
    one = scatdask.scattering1d(ds.u, J=3, dim="time")
    xr.testing.assert_identical(got.u, one)


def test_dataset_without_averaging(ds):
    got = scatdask.scattering1d(ds[["u", "count"]], J=3, T=0, dim="time")
    assert set(got.data_vars) == {"u_stride1", "u_stride2", "count_stride1", "count_stride2"}
    assert got.u_stride2.dims == ("station", "path_stride2", "time_stride2")


def test_dataset_without_anything_to_transform(ds):
    with pytest.raises(ValueError, match=r"nothing to transform; passed over flag \(dtype bool\)"):
        scatdask.scattering1d(ds[["flag", "gain"]], J=3, dim="time")
    with pytest.raises(ValueError, match="no numeric variable has the dimension 'nv'"):
        scatdask.scattering1d(ds[["gain"]].assign_coords(nv=[0, 1]), J=1, dim="nv")


def test_keep_attrs(ds):
    kept = scatdask.scattering1d(ds, J=3, dim="time")
    assert kept.u.attrs["units"] == "m/s"
    dropped = scatdask.scattering1d(ds, J=3, dim="time", keep_attrs=False)
    assert "units" not in dropped.u.attrs
    assert "title" not in dropped.attrs


# Stored


@pytest.mark.parametrize("T", [None, 0, "global"])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
def test_written_to_zarr_and_read_back_unchanged(ds, tmp_path, T, zarr_format):
    result = scatdask.scattering1d(ds[["u", "gain"]].chunk(time=300), J=4, T=T, dim="time")
    result.to_zarr(tmp_path / "out.zarr", zarr_format=zarr_format)
    with xr.open_zarr(tmp_path / "out.zarr") as read:
        xr.testing.assert_identical(read.compute(), result.compute())


def test_written_to_netcdf_and_read_back(x, tmp_path):
    pytest.importorskip("netCDF4")
    result = scatdask.scattering1d(x, J=4, dim="time")
    result.to_netcdf(tmp_path / "out.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "out.nc", engine="netcdf4") as read:
        xr.testing.assert_equal(read.u.load(), result)
        assert list(read.u.attrs["Q"]) == [1, 1]
        assert set(read.u.attrs) == set(result.attrs)


def test_packed_source_on_disk_is_decoded_once(x, tmp_path):
    pytest.importorskip("netCDF4")
    packed = x.to_dataset(name="u").drop_vars("delay")
    encoding = {"u": {"dtype": "i2", "scale_factor": 1e-3, "add_offset": 0.5, "_FillValue": -9999}}
    packed.to_netcdf(tmp_path / "in.nc", encoding=encoding, engine="netcdf4")
    with xr.open_dataset(tmp_path / "in.nc", engine="netcdf4", chunks={}) as source:
        got = scatdask.scattering1d(source, J=3, dim="time")
        assert got.u.encoding == {}
        expected = Scattering1D(J=3)(source.u.values.T)
        np.testing.assert_allclose(got.u.values, expected, rtol=1e-5, atol=1e-5)
    with xr.open_dataset(tmp_path / "in.nc", engine="netcdf4", mask_and_scale=False) as raw:
        with pytest.warns(UserWarning, match="'u' holds integers and has the attribute scale_f"):
            got = scatdask.scattering1d(raw, J=3, dim="time")
        assert "scale_factor" not in got.u.attrs


# Bad input


@pytest.mark.parametrize("kind", ["array", "dataset"])
def test_missing_dimension(x, ds, kind):
    obj = x if kind == "array" else ds
    with pytest.raises(KeyError, match=r"no dimension 'tiem'; there are 'time', 'station'"):
        scatdask.scattering1d(obj, J=3, dim="tiem")


@pytest.mark.parametrize("chunks", [None, {"time": 100}])
@pytest.mark.parametrize("dtype", ["c8", "?", "O", "U3", "M8[ns]", "m8[ns]"])
def test_samples_that_are_not_real_numbers(x, dtype, chunks):
    y = x.astype("i8").astype(dtype)
    y = y if chunks is None else y.chunk(chunks)
    with pytest.raises(TypeError, match=r"variable 'u' has dtype .*no scattering transform"):
        scatdask.scattering1d(y, J=3, dim="time")


def test_complex_variable_in_a_dataset_is_not_passed_over(ds):
    ds["spectrum"] = ds.u * 1j
    with pytest.raises(TypeError, match=r"variable 'spectrum' has dtype complex64"):
        scatdask.scattering1d(ds, J=3, dim="time")


def test_unnamed_input(x):
    with pytest.raises(TypeError, match="the input has dtype bool"):
        scatdask.scattering1d(x.rename(None) > 0, J=3, dim="time")


@pytest.mark.parametrize("obj", [np.zeros(100), [1, 2], None])
def test_neither_dataarray_nor_dataset(obj):
    with pytest.raises(TypeError, match=r"expected a DataArray or Dataset, got"):
        scatdask.scattering1d(obj, J=3, dim="time")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"J": 0}, ValueError, "J must be at least 1"),
        ({"J": 2.5}, TypeError, "J must be an integer"),
        ({"J": 3, "Q": 0}, ValueError, "Q"),
        ({"J": 3, "stride": 3}, ValueError, "power of two"),
        ({"J": 3, "stride": 16}, ValueError, "exceeds T=8"),
        ({"J": 11}, ValueError, "largest J that fits is 10"),
        ({"J": 3, "T": 4096}, ValueError, "largest T that fits is 2000"),
        ({"J": 3, "boundary": "mirror"}, ValueError, "boundary must be one of"),
    ],
)
def test_parameters_out_of_range(x, options, error, message):
    def refuse(*args, **kwargs):
        raise AssertionError("computed")

    for obj in (x, x.chunk(time=100), x.to_dataset()):
        with dask.config.set(scheduler=refuse), pytest.raises(error, match=message):
            scatdask.scattering1d(obj, dim="time", **options)


def test_too_large_J_is_meaningful_with_a_boundary_that_is_known(x):
    got = scatdask.scattering1d(x, J=12, boundary="zero", dim="time")
    assert got.attrs["edge_affected"] == [1, 1]
    got = scatdask.scattering1d(x, J=12, boundary="periodic", dim="time")
    assert got.attrs["edge_affected"] == [0, 0]


def test_zero_length_axis(x):
    with pytest.raises(ValueError, match="length 0"):
        scatdask.scattering1d(x.isel(time=[]), J=3, dim="time")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: np.where(np.arange(N) == 9, t[8], t), "repeats values"),
        (lambda t: t[::-1], "decreases at 1999 places"),
        (lambda t: np.where(np.arange(N) > 99, t + np.timedelta64(1, "h"), t), "has 1 gap"),
        (lambda t: t + np.arange(N) ** 2 * np.timedelta64(1, "ms"), "not uniform"),
    ],
    ids=["duplicate", "decreasing", "gap", "non-uniform"],
)
@pytest.mark.parametrize("chunks", [None, {"time": 100}])
def test_time_axis_that_is_not_uniform(x, spoil, message, chunks):
    y = x.assign_coords(time=spoil(x.time.values))
    y = y if chunks is None else y.chunk(chunks)
    with pytest.raises(ValueError, match=f"'time' .*{message}|'time' {message}"):
        scatdask.scattering1d(y, J=3, dim="time")


def test_name_that_the_result_needs(x):
    with pytest.raises(ValueError, match="already has 'path'"):
        scatdask.scattering1d(x.rename(station="path"), J=3, dim="time")


def test_dim_without_coordinate_is_in_cycles_per_sample(x):
    got = scatdask.scattering1d(x.drop_vars("time"), J=3, dim="time")
    assert "frequency1" not in got.coords
    assert "cycles per sample" in got.attrs["sampling"]


def test_unknown_chunk_sizes(x):
    import dask.array as da

    values = da.from_array(x.values[:, 0], chunks=100)
    y = xr.DataArray(values[values > 0], dims="time")
    with pytest.raises(ValueError, match=r"compute_chunk_sizes\(\)"):
        scatdask.scattering1d(y, J=3, dim="time")


def test_array_of_another_library():
    class Duck:
        """Enough of an array for xarray to wrap it."""

        shape, dtype, ndim = (100,), np.dtype("f4"), 1

        def __array_function__(self, *args):
            return NotImplemented

        def __array_ufunc__(self, *args):
            return NotImplemented

        def transpose(self, axes):
            return self

    with pytest.raises(TypeError, match=r"u is held by a .*Duck, which is not an array of"):
        apply(xr.DataArray(Duck(), dims="time", name="u"), Scattering1D(J=3), dims="time")


def test_non_finite_samples_warn_where_they_are_seen(x):
    x = x.copy(deep=True)
    x[1000, 1] = np.nan
    with pytest.warns(scatdask.errors.NonFiniteWarning):
        eager = scatdask.scattering1d(x, J=3, dim="time")
    lazy = scatdask.scattering1d(x.chunk(time=99), J=3, dim="time")
    np.testing.assert_array_equal(np.isnan(lazy.values), np.isnan(eager.values))
    assert not np.isnan(eager.values[[0, 2]]).any()


def test_variables_of_a_lazy_dataset_have_the_same_chunks(x):
    x = x.drop_vars(["delay", "height"])
    ds = xr.Dataset({"narrow": x[:, 0].drop_vars("station").astype("f8"), "wide": x})
    got = scatdask.scattering1d(ds.chunk(time=100), J=3, dim="time")
    assert got.chunks["time"] == (250,)
