"""Images, volumes and joint scattering on labelled objects; `test_api` has signals."""

import dask
import numpy as np
import pytest
import xarray as xr

import scatdask
from scatdask import HarmonicScattering3D, Scattering2D, TimeFrequencyScattering
from scatdask.api import apply

DIMS = ("lat", "lon")


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.fixture
def x():
    """Maps from north to south, with a dimension before, between and after."""
    return xr.DataArray(
        noise(2, 45, 3, 64).astype("f4"),
        dims=("time", "lat", "level", "lon"),
        coords={
            "time": xr.date_range("2024-01-01", periods=2),
            "lat": ("lat", 66 - 3.0 * np.arange(45), {"units": "degrees_north"}),
            "lon": ("lon", 3.0 * np.arange(64), {"units": "degrees_east"}),
            "level": [850, 500, 200],
            "area": (DIMS, noise(45, 64)),
            "zone": ("lat", np.arange(45) // 10),
        },
        name="u",
        attrs={"units": "m/s", "long_name": "wind", "history": "made"},
    )


@pytest.fixture
def ds(x):
    return xr.Dataset(
        {
            "u": x,
            "count": (("lon", "lat"), np.arange(64 * 45).reshape(64, 45).astype("i2")),
            "zonal": ("lat", noise(45)),
            "lat_bnds": (("lat", "nv"), noise(45, 2)),
            "mask": (DIMS, np.zeros((45, 64), bool)),
            "gain": ("level", [1.0, 2.0, 3.0]),
            "crs": ((), 0, {"grid_mapping_name": "latitude_longitude"}),
        },
        coords={"lat": x.lat.assign_attrs(bounds="lat_bnds")},
        attrs={"title": "test"},
    )


@pytest.fixture
def rho():
    return xr.DataArray(
        noise(2, 12, 15, 16),
        dims=("snapshot", "z", "y", "x"),
        coords={dim: (dim, 0.5 * np.arange(n), {"units": "m"}) for dim, n in
                {"z": 12, "y": 15, "x": 16}.items()},
        name="rho",
        attrs={"units": "kg"},
    )  # fmt: skip


MAP = {"J": 2, "L": 3, "dims": DIMS, "boundary": ("reflect", "periodic"), "dtype": "float64"}
VOLUME = {"J": 0, "L": 1, "dims": ("z", "y", "x"), "dtype": "float64"}
JOINT = {"J": 4, "J_fr": 2, "Q": 4, "dim": "time", "dtype": "float64"}


# Numbers


@pytest.mark.parametrize("dims", [DIMS, DIMS[::-1]])
def test_map_is_eager_and_equals_the_plain_transform(x, dims):
    got = scatdask.scattering2d(x, J=2, L=3, dims=dims)
    assert got.dims == ("time", "level", "path", *dims)
    plain = Scattering2D(J=2, L=3)(x.transpose("time", "level", *dims).values)
    np.testing.assert_array_equal(got.values, plain)


def test_turned_map_has_turned_coefficients(x):
    got = scatdask.scattering2d(x, J=2, L=4, dims=DIMS, dtype="float64")
    turned = scatdask.scattering2d(x, J=2, L=4, dims=DIMS[::-1], dtype="float64")
    # The directions of a transposed image are mirrored: theta becomes 90 - theta.
    at = {(j, t): p for p, (j, t) in enumerate(zip(got.j1.values, got.theta1.values, strict=True))
          if got.order[p] == 1}  # fmt: skip
    for (j, theta), path in at.items():
        other = turned.isel(path=at[j, (90 - theta) % 180]).transpose(..., *DIMS)
        np.testing.assert_allclose(got.isel(path=path), other, rtol=1e-6, atol=1e-9)


def test_volume_equals_the_plain_transform(rho):
    for method in ("integral", "local"):
        got = scatdask.scattering3d(rho, **VOLUME, method=method)
        assert got.dims[:2] == ("snapshot", "path")
        plain = HarmonicScattering3D(J=0, L=1, dtype="float64", method=method)(rho.values)
        np.testing.assert_array_equal(got.values, plain)


@pytest.mark.parametrize("form", ["time", "joint"])
def test_joint_scattering_equals_the_plain_transform(form):
    x = xr.DataArray(noise(2, 500), dims=("station", "time"))
    got = scatdask.time_frequency_scattering(x, **JOINT, format=form)
    inner = ("frequency",) if form == "joint" else ()
    assert got.dims == ("station", "path", *inner, "time")
    plain = TimeFrequencyScattering(J=4, J_fr=2, Q=4, dtype="float64", format=form)(x.values)
    np.testing.assert_array_equal(got.values, plain)


@pytest.mark.parametrize(
    "chunks", [{"lat": 20, "lon": 17}, {"lon": 1, "time": 1}, {"level": 2, "lat": 44}]
)
def test_lazy_map_equals_the_eager_one(x, chunks):
    eager = scatdask.scattering2d(x, **MAP)
    chunked = x.chunk(chunks)
    chunked = chunked.assign_coords(area=x.area.chunk(lat=11, lon=9))
    lazy = scatdask.scattering2d(chunked, **MAP)
    assert lazy.chunks
    assert lazy.area.chunks
    assert lazy.attrs == eager.attrs
    with dask.config.set(scheduler="sync"):
        xr.testing.assert_allclose(lazy.drop_attrs(), eager.drop_attrs(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", ["integral", "local"])
def test_lazy_volume_equals_the_eager_one(rho, method):
    options = VOLUME | {"method": method, "boundary": ("zero", "periodic", "reflect")}
    eager = scatdask.scattering3d(rho, **options)
    lazy = scatdask.scattering3d(rho.chunk(snapshot=1, z=7, y=4, x=9), **options)
    assert lazy.chunks
    with dask.config.set(scheduler="sync"):
        xr.testing.assert_allclose(lazy.compute(), eager, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", ["time", "joint"])
@pytest.mark.parametrize("T", [None, 0, "global"])
def test_lazy_joint_scattering_equals_the_eager_one(form, T):
    x = xr.DataArray(noise(2, 500), dims=("station", "time"), name="u")
    eager = scatdask.time_frequency_scattering(x, **JOINT, format=form, T=T)
    lazy = scatdask.time_frequency_scattering(x.chunk(time=77), **JOINT, format=form, T=T)
    with dask.config.set(scheduler="sync"):
        xr.testing.assert_allclose(lazy.compute(), eager, rtol=1e-6, atol=1e-6)


def test_nothing_is_computed_yet(ds, rho):
    def refuse(*args, **kwargs):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        got = scatdask.scattering2d(ds.chunk(lat=13, lon=20), **MAP)
        assert got.u.chunks
        assert got["count"].chunks
        assert got.area.chunks
        again = scatdask.scattering2d(ds.chunk(lat=13, lon=20), **MAP)
        assert got.u.data.name == again.u.data.name
        assert dask.base.key_split(got.u.data.name) == "scattering2d"
        assert scatdask.scattering3d(rho.chunk(x=5), **VOLUME).chunks


def test_non_finite_samples_touch_the_same_outputs(x):
    x = x.copy(deep=True)
    x[0, 20, 1, 3] = np.nan
    with pytest.warns(scatdask.errors.NonFiniteWarning):
        eager = scatdask.scattering2d(x, **MAP)
    lazy = scatdask.scattering2d(x.chunk(lat=7, lon=50), **MAP)
    np.testing.assert_array_equal(np.isnan(lazy.values), np.isnan(eager.values))
    touched = np.isnan(eager).any("path")
    assert touched.isel(time=0, level=1).any()
    assert not touched.isel(time=1).any()
    assert not touched.isel(level=[0, 2]).any()


@pytest.mark.filterwarnings("ignore::xarray.SerializationWarning")
def test_maps_of_wind(data_folder):
    with xr.open_dataset(data_folder / "eraint_uvz.nc", engine="scipy", chunks={}) as winds:
        speed = np.hypot(winds.u, winds.v).isel(month=0).chunk(level=1, longitude=100)
        options = {"J": 2, "L": 2, "max_order": 1, "boundary": ("reflect", "periodic")}
        lazy = speed.scat.scattering2d(**options, dims=("latitude", "longitude"))
        eager = speed.load().scat.scattering2d(**options, dims=("latitude", "longitude"))
        np.testing.assert_array_equal(lazy.latitude, winds.latitude[::4])
        xr.testing.assert_allclose(lazy.compute(), eager, rtol=1e-4, atol=1e-4)
        assert eager.wavelength1.values[1] == pytest.approx(2.0)
        assert eager.wavelength1.units == "degrees"
        # Jets lie along parallels: winds vary across them, and more so at the larger scale.
        strength = eager.mean(("level", "latitude", "longitude"))
        first = strength.isel(path=slice(1, None)).values.reshape(2, 2)
        np.testing.assert_array_equal(eager.theta1[1:3], [90, 0])
        assert (first[:, 0] > 2 * first[:, 1]).all()
        assert (first[1] > first[0]).all()


# Paths


def test_selection_by_rows_or_by_a_predicate_on_the_labelled_table(x):
    every = scatdask.scattering2d(x, **MAP)
    wanted = (every.order == 1) & (every.wavelength1 > 10)
    by_predicate = scatdask.scattering2d(
        x, **MAP, selection=lambda path: (path.order == 1) & (path.wavelength1 > 10)
    )
    by_row = scatdask.scattering2d(x, **MAP, selection=np.flatnonzero(wanted).tolist())
    xr.testing.assert_identical(by_predicate, by_row)
    assert by_row.sizes["path"] == 3
    xr.testing.assert_allclose(by_row.drop_attrs(), every.isel(path=wanted).drop_attrs())
    assert "selection='3 paths'" in by_row.attrs["history"]


def test_selection_in_hertz():
    time = xr.date_range("2024-01-01", periods=1024, freq="10ms")
    x = xr.DataArray(noise(1024), dims="time", coords={"time": time})
    slow = scatdask.scattering1d(x, J=5, dim="time", selection=lambda path: path.frequency1 < 10)
    assert slow.sizes["path"] > 0
    assert slow.frequency1.max() < 10


def test_selection_of_nothing(x):
    with pytest.raises(ValueError, match="path"):
        scatdask.scattering2d(x, **MAP, selection=lambda path: path.order == 7)
    with pytest.raises(ValueError, match="selection"):
        scatdask.scattering2d(x, **MAP, selection=[10**6])


# Labels


def test_labels_of_a_map(x):
    got = scatdask.scattering2d(x, **MAP)
    for name in ("lat", "lon", "area", "zone"):
        steps = {dim: slice(None, None, 4) for dim in x[name].dims}
        xr.testing.assert_equal(got[name].variable, x[name].variable.isel(steps))
    assert got.wavelength1.units == "degrees"
    assert got.theta1.units == "degrees"
    assert got.attrs["edge_affected_lon"] == [0, 0]
    assert got.attrs["boundary"] == "reflect, periodic"
    assert got.attrs["units"] == "m/s"
    assert "against decreasing coordinates" in got.attrs["sampling"]


def test_units_of_integrals(rho):
    assert "units" not in scatdask.scattering3d(rho, **VOLUME).attrs
    got = scatdask.scattering3d(rho, **VOLUME, integral_powers=(1,))
    assert got.attrs["units"] == "kg"
    assert got.scale1.units == "m"
    assert "z" not in got.dims


def test_labels_of_joint_scattering():
    time = xr.date_range("2024-01-01", periods=500, freq="10ms")
    x = xr.DataArray(noise(500), dims="time", coords={"time": time}, name="u")
    got = scatdask.time_frequency_scattering(x, **JOINT, format="joint")
    assert got.frequency1.dims == ("frequency",)
    assert got.frequency1.units == got.frequency2.units == "Hz"
    assert got.quefrency.units == "cycles per octave"
    assert set(np.unique(got.spin)) == {-1, 0, 1}
    np.testing.assert_array_equal(got.time, x.time[::16])
    ragged = scatdask.time_frequency_scattering(x, **JOINT, format="joint", T=0)
    assert {str(dim) for v in ragged.values() for dim in v.dims if "frequency" in str(dim)} == {
        "frequency"
    }


def test_dataset_with_mixed_variables(ds):
    got = scatdask.scattering2d(ds, **MAP)
    assert set(got.data_vars) == {"u", "count", "gain", "crs"}
    assert got["count"].dims == ("path", "lat", "lon")
    assert got.attrs["scattering2d_skipped"] == (
        "zonal (lacks lon); lat_bnds (bounds of lat); mask (dtype bool)"
    )
    assert "bounds" not in got.lat.attrs
    xr.testing.assert_identical(got.u, scatdask.scattering2d(ds.u, **MAP))
    xr.testing.assert_identical(got.crs.variable, ds.crs.variable)
    lazy = scatdask.scattering2d(ds.chunk(lat=20, lon=30), **MAP)
    assert lazy.u.chunks[-2:] == lazy["count"].chunks[-2:]


# Stored


@pytest.fixture(params=["map", "integrals", "volume", "joint"])
def result(request, x, rho):
    signal = xr.DataArray(noise(500), dims="time", name="u")
    return {
        "map": lambda: scatdask.scattering2d(x.to_dataset().chunk(lat=20), **MAP),
        "integrals": lambda: scatdask.scattering3d(
            rho.chunk(z=5), **VOLUME, boundary=("zero", "zero", "reflect")
        ).to_dataset(),
        "volume": lambda: scatdask.scattering3d(
            rho.chunk(z=5), **VOLUME, method="local", selection=[0]
        ).to_dataset(),
        "joint": lambda: scatdask.time_frequency_scattering(
            signal.chunk(time=99), **JOINT, format="joint"
        ).to_dataset(),
    }[request.param]()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
def test_written_to_zarr_and_read_back_unchanged(result, tmp_path, zarr_format):
    result.to_zarr(tmp_path / "out.zarr", zarr_format=zarr_format)
    with xr.open_zarr(tmp_path / "out.zarr") as read:
        xr.testing.assert_identical(read.compute(), result.compute())


@pytest.mark.parametrize(("engine", "form"), [("netcdf4", "NETCDF4"), ("scipy", "NETCDF3_64BIT")])
def test_written_to_netcdf_and_read_back(result, tmp_path, engine, form):
    if engine == "netcdf4":
        pytest.importorskip("netCDF4")
    if form.startswith("NETCDF3"):  # which has no integers of 64 bits
        small = {name: c.astype("i4") for name, c in result.coords.items() if c.dtype.kind == "i"}
        result = result.assign_coords(small)
    result.to_netcdf(tmp_path / "out.nc", engine=engine, format=form)
    with xr.open_dataset(tmp_path / "out.nc", engine=engine) as read:
        xr.testing.assert_equal(read.load(), result.compute())
        for name, variable in result.data_vars.items():
            for key, value in variable.attrs.items():
                np.testing.assert_array_equal(np.ravel(read[name].attrs[key]), np.ravel(value))


# Bad input


@pytest.mark.parametrize(
    ("dims", "error", "message"),
    [
        ("lat", ValueError, "scattering2d goes over 2 dimensions, got 1: 'lat'"),
        (("lat", "lon", "level"), ValueError, "got 3: 'lat', 'lon', 'level'"),
        (("lat", "lat"), ValueError, "dims repeat 'lat'"),
        (("y", "lon"), KeyError, "no dimension 'y'; there are 'time', 'lat', 'level', 'lon'"),
    ],
)
def test_dims_that_do_not_fit(x, dims, error, message):
    with pytest.raises(error, match=message):
        scatdask.scattering2d(x, J=2, dims=dims)


def test_one_name_where_several_are_meant(x):
    with pytest.raises(ValueError, match="scattering1d goes over one dimension, got 2"):
        scatdask.scattering1d(x, J=2, dim=DIMS)


def test_too_large_J_names_the_dimension(x, rho):
    with pytest.raises(ValueError, match=r"'lat' \(45\), 'lon' \(64\): .*dimension 'lat'"):
        scatdask.scattering2d(x, J=6, dims=DIMS)
    with pytest.raises(ValueError, match=r"'z' \(12\).*dimension 'z'"):
        scatdask.scattering3d(rho, J=4, dims=("z", "y", "x"), boundary="reflect")


def test_axis_that_is_not_uniform_is_named(x):
    y = x.assign_coords(lat=np.arange(45.0) ** 2)
    for obj in (y, y.chunk(lat=5)):
        with pytest.raises(ValueError, match="coordinate 'lat' is not uniform"):
            scatdask.scattering2d(obj, J=2, dims=DIMS)
    with pytest.raises(ValueError, match="coordinate 'lon' repeats values"):
        scatdask.scattering2d(x.assign_coords(lon=np.zeros(64)), J=2, dims=DIMS)


def test_axis_that_runs_backwards_is_no_time_axis(x):
    assert x.lat[0] > x.lat[-1]
    with pytest.raises(ValueError, match="'lat' decreases at 44 places"):
        scatdask.scattering1d(x, J=2, dim="lat")


@pytest.mark.parametrize("chunks", [None, {"lat": 20}])
@pytest.mark.parametrize("dtype", ["c8", "?"])
def test_samples_that_are_not_real_numbers(x, dtype, chunks):
    y = x.astype(dtype)
    y = y if chunks is None else y.chunk(chunks)
    with pytest.raises(TypeError, match=r"variable 'u' has dtype .*no scattering transform"):
        scatdask.scattering2d(y, J=2, dims=DIMS)


def test_neither_dataarray_nor_dataset():
    with pytest.raises(TypeError, match="expected a DataArray or Dataset, got ndarray"):
        scatdask.scattering2d(np.zeros((40, 40)), J=2, dims=DIMS)


def test_tensors_are_not_labelled():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"expected a DataArray or Dataset, got Tensor.*on arrays"):
        scatdask.scattering2d(torch.zeros((40, 40)), J=2, dims=DIMS)
    import dask.array as da

    lazy = da.zeros((40, 40), chunks=20).map_blocks(torch.as_tensor)
    with pytest.raises(TypeError, match=r"chunks of x are torch\.Tensor.*map_blocks\(numpy"):
        scatdask.scattering2d(xr.DataArray(lazy, dims=DIMS), J=2, dims=DIMS)


def test_name_that_the_result_needs():
    x = xr.DataArray(noise(500, 2), dims=("time", "frequency"))
    with pytest.raises(ValueError, match="already has 'frequency'"):
        scatdask.time_frequency_scattering(x, **JOINT, format="joint")
    assert "frequency" in scatdask.time_frequency_scattering(x, **JOINT).dims


def test_nothing_to_transform(ds):
    with pytest.raises(
        ValueError, match=r"no numeric variable has the dimensions 'lat', 'lon'.*zonal \(lacks lon"
    ):
        scatdask.scattering2d(ds[["zonal", "mask"]], J=2, dims=DIMS)


def test_apply_takes_a_transform(x):
    transform = Scattering2D(J=2, L=3).select(lambda path: path.order < 2)
    got = apply(x, transform, dims=list(DIMS))
    xr.testing.assert_identical(
        got, scatdask.scattering2d(x, J=2, L=3, dims=DIMS, selection=transform.selection)
    )
