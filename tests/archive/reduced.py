"""What tests of jobs that reduce have in common."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from scatdask import Job, Reduction, Scattering1D

ALL = Reduction("1h", ("mean", "variance", "maximum", "quantiles"), (0.1, 0.5, 0.99))
S = Scattering1D(J=5, Q=2, stride=8, dtype="float64")


def signals(n=12_000, seed=0):
    time = xr.date_range("2024-05-01T22:07:00", periods=n, freq="1s")
    noise = np.random.default_rng(seed).standard_normal((3, n)).cumsum(axis=1)
    noise[1, 4000:4100] = np.nan
    return xr.Dataset(
        {"v": (("station", "time"), noise, {"units": "m/s"})},
        coords={"time": time, "height": ("time", np.arange(n)), "station": [4, 5, 6]},
    )


def write(path: Path, dataset: xr.Dataset, chunks: tuple[int, ...] = (2, 3000)) -> Path:
    dataset.v.encoding["chunks"] = chunks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        dataset.to_zarr(path, mode="w")
    return path


def reducing_job(folder: Path) -> Job:
    source = write(folder / "in.zarr", signals().fillna(0.0))
    return Job(source, folder / "out.zarr", S, dim="time", reduce=ALL)
