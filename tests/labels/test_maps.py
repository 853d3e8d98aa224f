"""Labels of results over several dimensions."""

import json

import numpy as np
import pytest
import xarray as xr

from scatdask.labels import (
    assemble,
    assemble_dataset,
    check_names,
    edge_affected,
    output_attrs,
    output_coords,
    samplings,
)
from tests.toy import Toy1D, Toy2D, Toy3D

DIMS = ("lat", "lon")


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return xr.DataArray(
        np.zeros((3, 41, 2, 60)),
        dims=("level", "lat", "member", "lon"),
        coords={
            "lat": ("lat", 80 - 2.0 * np.arange(41), {"units": "degrees_north"}),
            "lon": ("lon", 3.0 * np.arange(60), {"units": "degrees_east"}),
            "level": [850, 500, 200],
            "area": (DIMS, rng.standard_normal((41, 60))),
            "ocean": (("lon", "member", "lat"), rng.standard_normal((60, 2, 41))),
            "zone": ("lat", rng.integers(0, 5, 41)),
            "pressure": ("level", [85e3, 50e3, 20e3]),
        },
        name="u",
        attrs={"units": "m/s", "long_name": "wind"},
    )


def arrays(transform, x, dims):
    batch = [n for dim, n in x.sizes.items() if dim not in dims]
    core = tuple(x.sizes[dim] for dim in dims)
    return [np.zeros((*batch, *o.shape, *o.core_shape(core))) for o in transform.outputs]


def attrs_of(x, transform, dims=DIMS):
    stride = transform.outputs[0].stride
    return output_attrs(x, transform, dims, samplings(x, dims), stride)


# Coordinates


@pytest.mark.parametrize("dims", [DIMS, DIMS[::-1]])
def test_coordinates_are_sliced_along_each_dimension(x, dims):
    found = output_coords(x, Toy2D(stride=4), dims, samplings(x, dims))
    every = slice(None, None, 4)
    for name in ("lat", "lon", "area", "ocean", "zone"):
        steps = {dim: every for dim in DIMS if dim in x[name].dims}
        xr.testing.assert_identical(
            found[name].variable, x[name].variable.isel(steps).drop_encoding()
        )
    for name in ("level", "pressure"):
        xr.testing.assert_identical(found[name].variable, x[name].variable)


def test_curvilinear_coordinates_are_sliced_on_both_dimensions():
    y, x = np.meshgrid(np.arange(20.0), np.arange(30.0), indexing="ij")
    field = xr.DataArray(
        np.zeros((20, 30)),
        dims=("y", "x"),
        coords={"lat": (("y", "x"), y + 0.1 * x), "lon": (("y", "x"), x - 0.1 * y)},
    )
    transform = Toy2D()
    result = assemble(field, transform, ("y", "x"), arrays(transform, field, ("y", "x")))
    np.testing.assert_array_equal(result.lat, field.lat[::4, ::4])
    np.testing.assert_array_equal(result.lon, field.lon[::4, ::4])
    assert "wavelength1" not in result.coords
    assert "lengths are in samples: the spacing of an axis is unknown" in result.sampling


def test_sums_have_no_coordinates_along_core_dimensions(x):
    found = output_coords(x, Toy2D(stride=None), DIMS, samplings(x, DIMS))
    assert not {"lat", "lon", "area", "ocean", "zone"} & set(found.variables)
    assert set(found.sizes) == {"level", "path"}


def test_ragged_outputs_have_dimensions_of_their_own(x):
    transform = Toy2D(ragged=True)
    result = assemble(x, transform, DIMS, arrays(transform, x, DIMS))
    assert result.u_stride2.dims == (
        "level",
        "member",
        "path_stride2",
        "lat_stride2",
        "lon_stride2",
    )
    np.testing.assert_array_equal(result.area_stride4, x.area[::4, ::4])
    np.testing.assert_array_equal(result.lon_stride2, x.lon[::2])


def test_lazy_coordinates_have_the_chunks_of_the_result(x):
    y = x.assign_coords(area=x.area.chunk(lat=7, lon=11), zone=x.zone.chunk(lat=5))
    chunks = [((8, 3), (4, 4, 7))]
    found = output_coords(y, Toy2D(), DIMS, samplings(y, DIMS), chunks)
    assert found.area.chunks == ((8, 3), (4, 4, 7))
    assert found.zone.chunks == ((8, 3),)
    np.testing.assert_array_equal(found.area, x.area[::4, ::4])


def test_inner_axes_have_their_coordinates(x):
    for transform in (Toy2D(n_inner=3), Toy2D(n_inner=3, stride=None)):
        y = x.drop_vars(["level", "pressure"]).rename(level="height")
        result = assemble(y, transform, DIMS, arrays(transform, y, DIMS))
        assert result.dims[:4] == ("height", "member", "path", "level")
        np.testing.assert_array_equal(result.level, [1.0, 2.0, 3.0])
        assert result.level.units == "times"  # its own, not that of the axes


@pytest.mark.parametrize("n_inner", [3])
def test_names_of_inner_axes_are_needed(x, n_inner):
    with pytest.raises(ValueError, match=r"already has 'level', which names a label"):
        check_names(x, Toy2D(n_inner=n_inner), DIMS, samplings(x, DIMS), [x.name])


# Units


def test_lengths_have_the_unit_of_the_axes(x):
    found = output_coords(x, Toy2D(), DIMS, samplings(x, DIMS))
    assert found.wavelength1.units == "degrees"
    assert found.frequency1.units == "1/degrees"
    np.testing.assert_array_equal(found.wavelength1, [3.0, 6.0])


def test_axes_of_different_units_leave_lengths_in_samples(x):
    y = x.assign_coords(lat=x.lat.assign_attrs(units="m"))
    found = output_coords(y, Toy2D(), DIMS, samplings(y, DIMS))
    assert not {"wavelength1", "frequency1"} & set(found.coords)
    note = attrs_of(y, Toy2D())["sampling"]
    assert note.endswith("; lengths are in samples: the axes have different units (m, degrees)")


def test_map_of_time_and_space():
    time = xr.date_range("2024-01-01", periods=20, freq="h")
    x = xr.DataArray(
        np.zeros((20, 20)),
        dims=("time", "x"),
        coords={"time": time, "x": ("x", np.arange(20.0), {"units": "m"})},
    )
    attrs = attrs_of(x, Toy2D(), ("time", "x"))
    assert attrs["sampling_step_time"] == 3600.0
    assert attrs["sampling_unit_time"] == "s"
    assert "different units (s, m)" in attrs["sampling"]


# Attributes


def test_attributes_name_each_dimension(x):
    transform = Toy2D(boundary=("reflect", "periodic"))
    attrs = attrs_of(x, transform)
    expected = {
        "transform": "toy2d",
        "boundary": "reflect, periodic",
        "stride": 4,
        "halo": 24,
        "sampling_step_lat": 2.0,
        "sampling_unit_lat": "degrees_north",
        "sampling_step_lon": 3.0,
        "sampling_unit_lon": "degrees_east",
        "edge_affected_lat": [6, 6],
        "edge_affected_lon": [0, 0],
        "units": "m/s",
    }
    assert {key: attrs[key] for key in expected} == expected
    assert "edge_affected" not in attrs
    assert attrs["history"].endswith(" over lat, lon")
    for part in (
        "lat is sampled every 2 degrees_north (0.5 1/(degrees_north)), decreasing; lon is",
        "spacings differ between axes: wavelets have their shape in samples",
        "directions follow the order of samples, against decreasing coordinates",
    ):
        assert part in attrs["sampling"]
    turned = attrs_of(x, transform, DIMS[::-1])
    assert turned["edge_affected_lon"] == [6, 6]
    assert turned["edge_affected_lat"] == [0, 0]


def test_edge_affected_is_of_one_axis():
    transform = Toy3D(boundary=("periodic", "zero", "reflect"))
    found = [edge_affected(transform, 100, 4, axis=axis) for axis in range(3)]
    assert found == [(0, 0), (6, 6), (6, 6)]


def test_attributes_can_be_stored(x):
    for transform in (
        Toy2D(boundary=("reflect", "zero"), selection=(0, 1)),
        Toy2D(stride=None),
    ):
        attrs = attrs_of(x, transform)
        assert json.loads(json.dumps(attrs)) == attrs
        for value in attrs.values():
            assert isinstance(value, str | int | float) or all(
                type(item) in (int, float) for item in value
            )
            assert not isinstance(value, bool)


def test_selection_is_counted_in_the_history(x):
    history = attrs_of(x, Toy2D(selection=(0, 1)))["history"]
    assert "selection='2 paths'" in history


def test_powers_have_no_common_unit(x):
    class Powers(Toy2D):
        def parameters(self):
            return {**super().parameters(), "integral_powers": self.powers}

    transform = Powers()
    object.__setattr__(transform, "powers", [1.0])
    assert attrs_of(x, transform)["units"] == "m/s"
    object.__setattr__(transform, "powers", [1.0, 2.0])
    assert "units" not in attrs_of(x, transform)


def test_parameter_with_the_name_of_a_label_is_kept_under_another(x):
    class Named(Toy1D):
        def parameters(self):
            return {**super().parameters(), "sampling": "space"}

    attrs = attrs_of(x, Named(), ("lon",))
    assert attrs["toy1d_sampling"] == "space"
    assert attrs["sampling"].startswith("lon is sampled")


# Results


def test_dims_keep_the_order_of_the_source_and_core_dims_that_of_the_call(x):
    transform = Toy2D()
    for dims in (DIMS, DIMS[::-1]):
        result = assemble(x, transform, dims, arrays(transform, x, dims))
        assert result.dims == ("level", "member", "path", *dims)
    transform = Toy3D()
    y = x.isel(level=slice(2)).drop_vars("level")
    dims = ("lon", "level", "lat")
    result = assemble(y, transform, dims, arrays(transform, y, dims))
    assert result.dims == ("member", "path", *dims)


def test_dataset_drops_what_has_some_of_the_dims(x):
    transform = Toy2D()
    ds = xr.Dataset({"u": x, "zonal": ("lat", np.zeros(41)), "gain": ("level", [1.0, 2.0, 3.0])})
    result = assemble_dataset(
        ds, transform, DIMS, {"u": arrays(transform, x, DIMS)}, skipped={"zonal": "lacks lon"}
    )
    assert set(result.data_vars) == {"u", "gain"}
    assert result.attrs["toy2d_skipped"] == "zonal (lacks lon)"
