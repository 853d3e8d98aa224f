"""Archives for the tests of the Zarr to Zarr road."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import distributed
import numpy as np
import pytest
import xarray as xr
import zarr
from threadpoolctl import ThreadpoolController, threadpool_limits

from scatdask import Job, Scattering1D
from scatdask.transforms import Transform

N, CHANNELS = 20_011, 3
S = Scattering1D(J=6, Q=2)


def make_job(
    source: Path, transform: Transform = S, target: Path | None = None, **options: str
) -> Job:
    """Return a job over "time", by default to ``out.zarr`` beside its source."""
    return Job(source, target or source.parent / "out.zarr", transform, dim="time", **options)


def settings(libraries: ThreadpoolController) -> tuple[object, list[int]]:
    """Return what of a process is its user's: the scheduler of dask, and threads of BLAS."""
    threads = [library["num_threads"] for library in libraries.info()]
    return dask.config.get("scheduler", None), threads


@pytest.fixture(scope="package")
def blas() -> ThreadpoolController:
    """The libraries that multiply matrices, searched for once."""
    return ThreadpoolController().select(user_api="blas")


@pytest.fixture(autouse=True)
def user_settings_last(blas: ThreadpoolController) -> Iterator[None]:
    """Have no test end with other settings of the process than it began with."""
    before = settings(blas)
    yield
    assert settings(blas) == before


@pytest.fixture
def two_threads(user_settings_last: None, blas: ThreadpoolController) -> Iterator[Callable]:
    """Let products take two threads, by the order of a thread that ends, and say how many may."""
    with threadpool_limits(1):
        pass  # what the main thread ordered for all tests holds no longer
    ordering = threading.Thread(target=threadpool_limits, args=(2,))
    ordering.start()
    ordering.join()

    def threads() -> set[int]:
        return {library["num_threads"] for library in blas.info()}

    yield threads
    threadpool_limits(1)


@pytest.fixture
def write_archive(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a Dataset to Zarr, by default noise on (channel, time)."""

    def write(
        dataset: xr.Dataset | None = None,
        *,
        name: str = "in.zarr",
        chunks: dict[str, int] | None = None,
        **options: object,
    ) -> Path:
        if dataset is None:
            rng = np.random.default_rng(0)
            samples = np.cumsum(rng.standard_normal((CHANNELS, N)), axis=1)
            dataset = xr.Dataset(
                {"velocity": (("channel", "time"), samples.astype("f4"), {"units": "m/s"})},
                coords={
                    "time": xr.date_range("2024-01-01", periods=N, freq="10ms"),
                    "channel": np.arange(CHANNELS),
                    "latitude": ("channel", np.linspace(40.0, 41.0, CHANNELS)),
                },
            )
        if chunks is None:
            chunks = {"channel": 2, "time": 7_001}
        for variable in dataset.data_vars.values():
            variable.encoding["chunks"] = tuple(
                min(chunks.get(str(d), n), n) for d, n in variable.sizes.items()
            )
        path = tmp_path / name
        with warnings.catch_warnings():
            for category in (zarr.errors.ZarrUserWarning, zarr.errors.UnstableSpecificationWarning):
                warnings.filterwarnings("ignore", category=category)
            dataset.to_zarr(path, mode="w", **options)  # type: ignore[call-overload]
        return path

    return write


@pytest.fixture
def archive(write_archive: Callable[..., Path]) -> Path:
    """An archive of noise on (channel, time)."""
    return write_archive()


@pytest.fixture(scope="package")
def cluster() -> Iterator[distributed.Client]:
    """Two worker processes of one thread, which nobody kills; not the default client."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def small_blocks(monkeypatch):
    """Have blocks of a few thousand samples."""
    monkeypatch.setattr("scatdask.blocks.sizing._SMALLEST", 2**11)
    monkeypatch.setattr("scatdask.blocks.sizing.HALO_OVERHEAD", 0.5)
