import numpy as np
import pytest
import xarray as xr

from scatdask.labels import common_spacing, samplings


def spacing_of(dims=("y", "x"), **coords):
    """Return the common spacing of a map with coordinates (values, units)."""
    found = {
        name: (name, values, {} if units is None else {"units": units})
        for name, (values, units) in coords.items()
    }
    obj = xr.Dataset({"u": (dims, np.zeros((20,) * len(dims)))}, coords=found)
    return common_spacing(samplings(obj, dims))


STEPS = np.arange(20.0)


def test_one_axis_has_its_own_unit():
    found = spacing_of(("x",), x=(STEPS / 4, "m"))
    assert (found.steps, found.unit, found.inverse, found.note) == (0.25, "m", "1/m", "")
    found = spacing_of(("x",))
    assert (found.steps, found.unit, found.inverse) == (None, "samples", "cycles per sample")
    assert found.note == "frequencies are in cycles per sample"


def test_equal_axes():
    found = spacing_of(y=(STEPS * 2, "km"), x=(STEPS * 2, "km"))
    assert (found.steps, found.unit, found.inverse, found.note) == ((2.0, 2.0), "km", "1/km", "")


def test_spacings_that_differ_by_rounding_are_the_same():
    y = np.linspace(-90, 90, 721, dtype="f4")
    x = (np.arange(1440) * 0.25).astype("f4")
    obj = xr.Dataset(coords={"y": y, "x": x})
    found = common_spacing(samplings(obj, ("y", "x")))
    assert found.steps[0] == found.steps[1] == pytest.approx(0.25, rel=1e-5)
    assert found.note == ""


def test_unequal_spacings_are_stated():
    found = spacing_of(y=(STEPS * 2, "km"), x=(STEPS * 3, "km"))
    assert found.steps == (2.0, 3.0)
    assert found.note == "spacings differ between axes: wavelets have their shape in samples"


def test_latitude_and_longitude_are_both_in_degrees():
    found = spacing_of(y=(90 - STEPS, "degrees_north"), x=(STEPS, "degrees_east"))
    assert (found.steps, found.unit, found.inverse) == ((1.0, 1.0), "degrees", "1/degrees")
    assert found.note == "directions follow the order of samples, against decreasing coordinates"


def test_volumes_have_neither_directions_nor_wavelengths():
    axes = {"y": (-STEPS, "m"), "x": (STEPS, "m")}
    assert spacing_of(("z", "y", "x"), z=(-STEPS, "m"), **axes).note == ""
    note = spacing_of(("z", "y", "x"), **axes).note
    assert note == "lengths are in samples: the spacing of an axis is unknown"


def test_coordinates_without_units_share_theirs():
    found = spacing_of(y=(STEPS, None), x=(STEPS, None))
    assert (found.steps, found.unit) == ((1.0, 1.0), "units of the axes")
    assert found.inverse == "cycles per unit of the axes"


@pytest.mark.parametrize(
    ("y", "why"),
    [
        ((STEPS, "m"), "the axes have different units (m, degrees)"),
        ((STEPS, None), "the axes have different units (units of the axes, degrees)"),
        ((STEPS.astype("M8[s]"), None), "the axes have different units (s, degrees)"),
        (None, "the spacing of an axis is unknown"),
    ],
)
def test_axes_of_different_units_are_in_samples(y, why):
    coords = {"x": (STEPS, "degrees_east")} | ({} if y is None else {"y": y})
    found = spacing_of(**coords)
    assert (found.steps, found.unit, found.inverse) == (None, "samples", "cycles per sample")
    assert found.note == f"lengths are in samples: {why}"
