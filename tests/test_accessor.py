import inspect

import numpy as np
import pytest
import xarray as xr

import scatdask
from scatdask.accessor import DataArrayScat, DatasetScat


@pytest.fixture
def x():
    return xr.DataArray(
        np.random.default_rng(0).standard_normal(600),
        dims="time",
        coords={"time": np.arange(600) / 20},
        name="u",
    )


OPTIONS = {
    "J": 3,
    "Q": (2, 1),
    "T": 6,
    "stride": 2,
    "max_order": 1,
    "boundary": "zero",
    "dtype": "float64",
    "tolerance": 1e-4,
    "keep_attrs": False,
}


def test_forwards_every_argument(x):
    for obj in (x, x.to_dataset(), x.chunk(time=100)):
        expected = scatdask.scattering1d(obj, dim="time", **OPTIONS)
        xr.testing.assert_identical(obj.scat.scattering1d(dim="time", **OPTIONS), expected)


@pytest.mark.parametrize("accessor", [DataArrayScat, DatasetScat])
def test_signature_and_docstring_are_real(accessor):
    ours = dict(inspect.signature(accessor.scattering1d).parameters)
    theirs = dict(inspect.signature(scatdask.scattering1d).parameters)
    del ours["self"], theirs["obj"]
    assert ours == theirs
    for name in ours:
        assert f"\n        {name} : " in accessor.scattering1d.__doc__


def test_all_options_are_those_of_the_test():
    assert set(inspect.signature(scatdask.scattering1d).parameters) == {"obj", "dim", *OPTIONS}


def test_all_but_J_are_keyword_only():
    parameters = inspect.signature(scatdask.scattering1d).parameters.values()
    positional = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional == ["obj", "J"]


def test_missing_dim_argument_is_asked_for(x):
    with pytest.raises(TypeError, match="dim"):
        x.scat.scattering1d(3)
