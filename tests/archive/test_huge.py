"""More samples than 32-bit integers count, without the disk that they would take."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr
import zarr

from scatdask import Job, Scattering1D
from scatdask.archive.work import Task, run_task
from tests.archive.common import begin

N = 5 * 2**31 + 77
MIB = 2**20


@pytest.fixture
def huge(tmp_path, monkeypatch):
    """A job on signals whose chunks all hold the fill value, but for a few in the last one."""
    # No disk need have room for what is not computed here.
    monkeypatch.setattr("scatdask.archive.beginning.check_room", lambda *_: None)
    group = zarr.open_group(tmp_path / "in.zarr", mode="w", zarr_format=3)
    array = group.create_array(
        "v",
        shape=(2, N),
        chunks=(1, 2**20),
        dtype="i2",
        fill_value=1,
        dimension_names=("channel", "time"),
    )
    array[1, -5000:] = np.random.default_rng(0).integers(-99, 99, 5000)
    transform = Scattering1D(J=6, stride=16)
    return Job(
        tmp_path / "in.zarr",
        tmp_path / "out.zarr",
        transform,
        dim="time",
        missing_chunks="fill",
        memory="300 MiB",
    )


def test_plan_and_output_of_ten_billion_samples_take_little_memory(huge):
    huge.plan()  # what is imported and measured once
    tracemalloc.start()
    try:
        plan = huge.plan()
        begin(huge)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    transform, (layout,) = plan.transform, plan.layouts
    assert plan.output_shapes() == {"v": (2, transform.n_paths, -(-N // 16))}
    assert plan.bytes_read > 2 * 2 * N
    assert layout.bounds(layout.n_blocks - 1)[0][1] == N
    assert peak < 64 * MIB


def test_last_block_of_ten_billion_samples_is_computed_where_it_belongs(huge):
    work = begin(huge)
    last = work.n_blocks - 1
    outcome = run_task(work, Task(last, last))
    assert not outcome.failures
    ((start, _),) = work.layouts[0].bounds(last % work.layouts[0].n_blocks)
    tail = 2**17
    with xr.open_zarr(huge.request.source.url, chunks=None, consolidated=False) as ds:
        samples = ds.v[1, N - N % 64 - tail :].values
    own = min(-(-(N - start) // 16), tail // 32)
    expected = work.transform(samples)[:, -own:]
    with xr.open_zarr(huge.request.target.url, chunks=None) as out:
        got = out.v[1, :, -own:].values
        assert np.isnan(out.v[0, :, -1]).all()
    np.testing.assert_allclose(got, expected, atol=5e-5 * np.abs(expected).max())
