"""A small archive, and the command line in this process."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner, Result

from scatdask.cli import main


@pytest.fixture
def source(tmp_path: Path) -> str:
    """An archive of two signals of 20,000 samples."""
    samples = np.random.default_rng(0).standard_normal((2, 20_000)).astype("f4")
    dataset = xr.Dataset(
        {
            "noise": (("station", "time"), samples),
            "name": (("station",), np.array([1, 2])),
        },
        coords={"time": xr.date_range("2024-01-01", periods=20_000, freq="10ms")},
    )
    dataset["noise"].encoding["chunks"] = (1, 5_000)
    path = tmp_path / "in.zarr"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        dataset.to_zarr(path)
    return str(path)


@pytest.fixture
def target(tmp_path: Path) -> str:
    return str(tmp_path / "out.zarr")


@pytest.fixture
def scatdask() -> Callable[..., Result]:
    """Return a function that runs a command line; a traceback fails the test."""

    def call(*words: object) -> Result:
        result = CliRunner().invoke(main, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call
