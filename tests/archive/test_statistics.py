"""Jobs that reduce are verified: states of blocks, and the statistics that users read."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
import zarr

import scatdask
from scatdask import Job, Scattering1D
from scatdask.archive import reducing
from tests.archive.reduced import ALL, reducing_job, signals, write


@pytest.fixture
def job(tmp_path, small_blocks):
    return reducing_job(tmp_path)


def test_verify_computes_states_anew(job, tmp_path):
    job.run()
    assert job.verify().is_good
    mean = zarr.open_group(tmp_path / "out.zarr.partials", mode="r+")["v/mean"]
    mean[...] = mean[...] * 1.01
    found = job.verify()
    assert not found.is_good
    job.run()  # what was bad is done again
    states = tmp_path / "out.zarr.partials" / "v" / "maximum" / "c"
    path = next(path for path in states.rglob("*") if path.is_file())
    path.unlink()
    assert "1 chunks of variable 'v/maximum'" in str(job.verify(1))


def test_damage_to_the_merged_statistics_is_found_and_mended(job, tmp_path):
    job.run()
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        before = out.load()
    chunk = next(p for p in (tmp_path / "out.zarr" / "v_mean" / "c").rglob("*") if p.is_file())
    chunk.unlink()
    found = job.verify(1)
    assert "variable 'v_mean' cannot be read" in str(found)
    assert found.bad == ()
    assert job.run().computed == 0  # they are merged again
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        xr.testing.assert_identical(out.load(), before)
    assert job.verify(1).is_good


def test_verify_compares_sketches(tmp_path, small_blocks):
    source = write(tmp_path / "in.zarr", signals())
    transform = Scattering1D(J=5, Q=2, stride=8)
    job = Job(source, tmp_path / "out.zarr", transform, dim="time", reduce=ALL)
    with pytest.warns(scatdask.errors.NonFiniteWarning):
        blocks = job.run().blocks
    found = job.verify(blocks)
    assert found.is_good, str(found)
    assert found.worst > 0
    bins = zarr.open_group(tmp_path / "out.zarr.partials", mode="r+")["v/bins"]
    bins[0] = np.roll(bins[0], 3, axis=-1)
    found = job.verify(blocks)
    assert 0 < len(found.bad) < blocks
    assert "'v' differs by" in str(found)


def test_verify_merges_windows_anew(job, tmp_path, monkeypatch):
    blocks = job.run().blocks
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        before = out.load()
    output = zarr.open_group(tmp_path / "out.zarr", mode="r+")
    names = [f"v_{what}" for what in ("count", *ALL.statistics)]
    for name in names:
        output[name][..., 4, 2] = output[name][..., 4, 2] + 1
    found = job.verify(blocks)
    assert found.bad == ()
    assert {line.split("'")[1] for line in found.problems} == {*names}
    assert "'v_mean' is not what its blocks give, in windows " in str(found)
    assert "run again to merge them" in str(found)
    assert not job.status().is_merged
    assert job.run().computed == 0
    with xr.open_zarr(tmp_path / "out.zarr") as out:
        xr.testing.assert_identical(out.load(), before)
    merge, asked = reducing._merged, []

    def counted(*arguments):
        *_, signals, first, last = arguments
        asked.extend((str(signals), window) for window in range(first, last))
        return merge(*arguments)

    monkeypatch.setattr(reducing, "_merged", counted)
    assert job.verify(blocks).is_good
    assert len(set(asked)) == len(asked) == 2 * len(before.time)


def test_statistics_stay_merged_where_states_cannot_be_read(job, monkeypatch):
    def reset(*_):
        raise ConnectionResetError(104, "Connection reset by peer")

    blocks = job.run().blocks
    monkeypatch.setattr(reducing, "_merged", reset)
    found = job.verify(blocks)
    assert (found.problems, found.checked) == ((), blocks)
    (reason,) = found.not_compared  # the others are not tried
    assert "cannot be merged anew: ConnectionResetError" in reason
    assert not found.is_good
    assert job.status().is_merged
