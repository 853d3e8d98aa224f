import inspect

import numpy as np
import pytest
import xarray as xr

import scatdask
from scatdask.accessor import DataArrayScat, DatasetScat

SIGNAL = {
    "T": 6,
    "stride": 2,
    "boundary": "zero",
    "dtype": "float64",
    "tolerance": 1e-4,
    "selection": [0, 2],
    "keep_attrs": False,
}
# All parameters of each function but the object, none at its default, and the dimensions.
OPTIONS = {
    "scattering1d": {"J": 3, "Q": (2, 1), "max_order": 1, "dim": "x"} | SIGNAL,
    "scattering2d": {
        "J": 2,
        "L": 3,
        "max_order": 1,
        "boundary": ("zero", "periodic"),
        "stride": 2,
        "dtype": "float64",
        "tolerance": 1e-4,
        "selection": [0, 2],
        "sampling": "frequency",
        "keep_attrs": False,
        "dims": ("y", "x"),
    },
    "scattering3d": {
        "J": 1,
        "L": 2,
        "sigma_0": 1.5,
        "max_order": 1,
        "rotation_covariant": False,
        "integral_powers": (1.0,),
        "method": "local",
        "stride": 1,
        "boundary": ("zero", "reflect", "nearest"),
        "dtype": "float64",
        "tolerance": 1e-4,
        "selection": [0, 2],
        "sampling": "frequency",
        "keep_attrs": False,
        "dims": ("z", "y", "x"),
    },
    "time_frequency_scattering": {
        "J": 3,
        "J_fr": 1,
        "Q": (4, 1),
        "Q_fr": 2,
        "F": 1,
        "format": "joint",
        "dim": "x",
    }
    | SIGNAL,
}
NAMES = sorted(OPTIONS)


@pytest.fixture
def x():
    return xr.DataArray(
        np.random.default_rng(0).standard_normal((4, 10, 12, 64)),
        dims=("member", "z", "y", "x"),
        coords={"x": np.arange(64) / 20},
        name="u",
        attrs={"units": "m"},
    )


def small(x, name):
    """Return no more than a function needs, for speed."""
    axes = {"scattering2d": {"z": 0}, "scattering3d": {"x": slice(14)}}
    return x.isel(member=0, **axes.get(name, {"z": 0, "y": 0}))


def options_that_fit(name):
    options = dict(OPTIONS[name])
    if "sampling" in options:  # in frequency it would ask for periodic boundaries
        options["sampling"] = "space"
    return options


@pytest.mark.parametrize("name", NAMES)
def test_forwards_every_argument(x, name):
    options = options_that_fit(name)
    function = getattr(scatdask, name)
    y = small(x, name)
    for obj in (y, y.to_dataset(), y.chunk(x=7)):
        expected = function(obj, **options)
        xr.testing.assert_identical(getattr(obj.scat, name)(**options), expected)


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_arrives_by_its_own_name(x, name, monkeypatch):
    seen = {}
    monkeypatch.setattr(scatdask.accessor.api, name, lambda obj, J, **kw: seen.update(kw, J=J))
    getattr(x.scat, name)(**OPTIONS[name])
    assert seen == OPTIONS[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("accessor", [DataArrayScat, DatasetScat])
def test_signature_and_docstring_are_real(accessor, name):
    method, function = getattr(accessor, name), getattr(scatdask, name)
    ours = dict(inspect.signature(method).parameters)
    theirs = dict(inspect.signature(function).parameters)
    del ours["self"], theirs["obj"]
    assert ours == theirs
    for parameter in ours:
        assert f"\n        {parameter} : " in method.__doc__
        assert f"\n    {parameter} : " in function.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_all_options_are_those_of_the_test(name):
    assert set(inspect.signature(getattr(scatdask, name)).parameters) == {"obj", *OPTIONS[name]}


@pytest.mark.parametrize(
    ("name", "transform"),
    [
        ("scattering1d", scatdask.Scattering1D),
        ("scattering2d", scatdask.Scattering2D),
        ("scattering3d", scatdask.HarmonicScattering3D),
        ("time_frequency_scattering", scatdask.TimeFrequencyScattering),
    ],
)
def test_parameters_and_defaults_are_those_of_the_transform(name, transform):
    ours = inspect.signature(getattr(scatdask, name)).parameters
    theirs = inspect.signature(transform).parameters
    assert {*ours} - {*theirs} == {"obj", "keep_attrs", "dims" if "dims" in ours else "dim"}
    for parameter in theirs:
        assert ours[parameter].default == theirs[parameter].default


@pytest.mark.parametrize("name", NAMES)
def test_all_but_J_are_keyword_only(name):
    parameters = inspect.signature(getattr(scatdask, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional == ["obj", "J"]


def test_missing_dim_argument_is_asked_for(x):
    with pytest.raises(TypeError, match="dim"):
        x.scat.scattering1d(3)
    with pytest.raises(TypeError, match="dims"):
        x.scat.scattering3d(1)
