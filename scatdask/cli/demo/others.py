"""The other transforms on small synthetic archives: blocks against one array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from scatdask.archive import Job
from scatdask.archive.memory import worker_bytes
from scatdask.archive.store import young_parts_of_zarr
from scatdask.archive.verify import TOLERANCE
from scatdask.transforms import (
    HarmonicScattering3D,
    Scattering2D,
    TimeFrequencyScattering,
    Transform,
)


@dataclass(frozen=True)
class Example:
    """A transform, and data for it.

    Attributes
    ----------
    what : str
        What the data are.
    transform : Transform
    make : callable
        Returns the data.
    dims : tuple of str
        Core dimensions.
    chunks : tuple of int
        Of the archive.
    megabytes : float
        What a block may take, beside the process itself: so little that there are some.
    """

    what: str
    transform: Transform
    make: Callable[[], xr.DataArray]
    dims: tuple[str, ...]
    chunks: tuple[int, ...]
    megabytes: float


@dataclass(frozen=True)
class Outcome:
    """What came of an example.

    Attributes
    ----------
    shape, output_shape : tuple of int
    blocks : int
        Into how many each signal was cut.
    paths : int
    worst : float
        Largest difference from the transform of the whole array, of a path's largest coefficient.
    promise : float
        What it may be.
    """

    shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    blocks: int
    paths: int
    worst: float
    promise: float


def examples() -> tuple[Example, ...]:
    """Return an example of each transform but the one of the main story."""
    return (
        Example(
            "vorticity maps",
            Scattering2D(J=3, L=4, boundary=("reflect", "periodic")),
            _maps,
            ("lat", "lon"),
            (1, 100, 130),
            16,
        ),
        Example(
            "densities of molecules",
            HarmonicScattering3D(J=1, L=2, method="local", integral_powers=(1, 2), boundary="zero"),
            _volumes,
            ("z", "y", "x"),
            (1, 15, 20, 25),
            24,
        ),
        Example(
            "chirps in noise",
            TimeFrequencyScattering(J=8, J_fr=3, Q=8, format="joint"),
            _chirps,
            ("time",),
            (1, 12_345),
            13,
        ),
    )


def compare(example: Example, folder: Path) -> Outcome:
    """Scatter an example from an archive block by block, and as one array."""
    array = example.make()
    source, target = (folder / f"{example.transform.name}{end}.zarr" for end in ("-in", ""))
    dataset = array.to_dataset(name="v")
    dataset.v.encoding["chunks"] = example.chunks
    with young_parts_of_zarr():
        dataset.to_zarr(source, mode="w", zarr_format=3)
    memory = worker_bytes(int(example.megabytes * 1e6))
    transform = example.transform
    job = Job(source, target, transform, dims=example.dims, memory=memory)
    cuts = len(job.plan().layouts[0].grid)
    job.run(progress=False)
    whole = transform(array.transpose(..., *example.dims).values)
    with xr.open_zarr(target, chunks=None) as found:
        blocks = found.v.values.astype(np.float64)
    # Axes of a result: one that counts the data, then the path, then all others.
    others = (0, *range(2, blocks.ndim))
    error = np.abs(blocks - whole).max(axis=others) / np.abs(whole).max(axis=others)
    promise = max(TOLERANCE[transform.dtype], 2 * transform.tolerance)
    worst = float(error.max())
    return Outcome(array.shape, blocks.shape, cuts, transform.n_paths, worst, promise)


def _maps() -> xr.DataArray:
    """Return two maps of a turbulent flow, each a field of given spectrum."""
    lat, lon = np.arange(-60, 60, 0.5), np.arange(0, 360, 1.0)
    k = np.hypot(np.fft.fftfreq(lat.size)[:, np.newaxis], np.fft.rfftfreq(lon.size))
    noise = np.random.default_rng(1).standard_normal((2, lat.size, lon.size))
    # The vorticity of two-dimensional turbulence has a spectrum of 1 / k.
    field = np.fft.irfft2(np.fft.rfft2(noise) / (k + 0.01), s=noise.shape[1:])
    return xr.DataArray(
        field.astype("f4"),
        dims=("time", "lat", "lon"),
        coords={
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )


def _volumes() -> xr.DataArray:
    """Return the densities of two clouds of atoms, each a Gaussian."""
    axes = np.meshgrid(*(np.arange(n, dtype="f4") for n in (36, 40, 44)), indexing="ij")
    rng = np.random.default_rng(2)
    volumes = np.zeros((2, *axes[0].shape), "f4")
    for volume in volumes:
        for centre in rng.uniform(6, 32, (8, 3)):
            distance = sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True))
            volume += np.exp(-distance / (2 * rng.uniform(1.0, 2.5) ** 2))
    return xr.DataArray(volumes, dims=("molecule", "z", "y", "x"))


def _chirps() -> xr.DataArray:
    """Return a tone that rises and one that falls, in noise."""
    t = np.arange(2**15) / 8000
    noise = np.random.default_rng(3).standard_normal((2, t.size))
    rising = np.cos(2 * np.pi * 200 * (2.0**t - 1) / np.log(2))
    return xr.DataArray(
        (np.stack([rising, rising[::-1]]) + 0.1 * noise).astype("f4"),
        dims=("channel", "time"),
        coords={"time": ("time", t, {"units": "s"})},
    )
