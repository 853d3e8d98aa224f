import json

import numpy as np
import pytest
import xarray as xr

import scatdask
from scatdask import Scattering1D
from scatdask.labels import edge_affected, output_attrs, sampling, samplings


@pytest.fixture
def x():
    return xr.DataArray(
        np.zeros(1000),
        dims="time",
        coords={"time": np.arange(1000) * np.timedelta64(20, "ms")},
        name="u",
        attrs={
            "units": "m/s",
            "long_name": "velocity",
            "instrument": "STS-2",
            "history": "2023: recorded",
            "standard_name": "x_wind",
            "valid_range": [-1.0, 1.0],
            "scale_factor": 0.1,
            "_FillValue": -1,
        },
    )


def attrs_of(x, transform=None, stride=None, **kwargs):
    transform = transform or Scattering1D(J=4)
    stride = stride or transform.stride
    return output_attrs(x, transform, ("time",), samplings(x, ("time",)), stride, **kwargs)


def test_attributes_say_how_it_was_made(x):
    transform = Scattering1D(J=4, Q=(4, 2), boundary="zero", tolerance=1e-4)
    attrs = attrs_of(x, transform)
    expected = {
        "transform": "scattering1d",
        "J": 4,
        "Q": [4, 2],
        "T": 16,
        "stride": 16,
        "max_order": 2,
        "boundary": "zero",
        "tolerance": 1e-4,
        "halo": transform.halo,
        "scatdask_version": scatdask.__version__,
        "sampling_step": 0.02,
        "sampling_unit": "s",
        "long_name": "scattering coefficients of velocity",
    }
    assert {key: attrs[key] for key in expected} == expected


def test_what_holds_of_coefficients_is_kept(x):
    attrs = attrs_of(x)
    assert attrs["units"] == "m/s"
    assert attrs["instrument"] == "STS-2"
    assert not {"standard_name", "valid_range", "scale_factor", "_FillValue"} & set(attrs)


def test_history_is_appended_and_has_no_date(x):
    first, second = attrs_of(x)["history"].split("\n")
    assert first == "2023: recorded"
    assert second.startswith(f"scatdask {scatdask.__version__}: scattering1d(J=4, ")
    assert second.endswith(" over time")
    assert attrs_of(x) == attrs_of(x)


def test_keep_attrs_false(x):
    attrs = attrs_of(x, keep_attrs=False)
    assert "units" not in attrs
    assert attrs["long_name"] == "scattering coefficients of u"
    assert "\n" not in attrs["history"]


def test_source_is_not_changed(x):
    before = dict(x.attrs)
    attrs_of(x)["Q"].append(3)
    assert x.attrs == before


@pytest.mark.parametrize("T", [None, 0, "global", 5])
def test_attributes_can_be_stored(x, T):
    transform = Scattering1D(J=3, T=T)
    attrs = output_attrs(
        x, transform, ("time",), (sampling(None, "time"),), transform.outputs[0].stride
    )
    assert json.loads(json.dumps(attrs)) == attrs
    assert None not in attrs.values()
    assert "sampling_step" not in attrs


@pytest.mark.parametrize("boundary", ["reflect", "zero", "nearest"])
@pytest.mark.parametrize("n", [1, 50, 997, 1024, 4096])
@pytest.mark.parametrize("stride", [1, 4, 16])
def test_edge_affected_counts_supports_that_reach_past_the_ends(boundary, n, stride):
    transform = Scattering1D(J=4, stride=stride, boundary=boundary)
    centre = np.arange(0, n, stride)
    expected = (
        int((centre < transform.halo).sum()),
        int((centre + transform.halo > n - 1).sum()),
    )
    assert edge_affected(transform, n, stride) == expected


def test_edge_affected_is_zero_for_periodic():
    assert edge_affected(Scattering1D(J=4, boundary="periodic"), 100, 16) == (0, 0)


def test_edge_affected_outputs_are_those_that_the_boundary_changes():
    n = 2048
    noise = np.random.default_rng(0).standard_normal(n)
    a, b = (
        Scattering1D(J=4, boundary=boundary, dtype="float64")(noise)
        for boundary in ("reflect", "zero")
    )
    transform = Scattering1D(J=4)
    first, last = edge_affected(transform, n, 16)
    change = np.abs(a - b) / np.abs(a).max(axis=1, keepdims=True)
    assert change[:, first:-last].max() < transform.tolerance
    assert change[:, 0].max() > 1e-2
