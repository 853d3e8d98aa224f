from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from scatdask.archive import samplings
from scatdask.archive.stores import PatientStore
from tests.archive.conftest import make_job

N = 30_000


@pytest.fixture
def labels_read(monkeypatch) -> list[str]:
    """Return a list of the keys of labels that stores are asked for."""
    monkeypatch.setattr(samplings, "_MANY", 1000)
    keys: list[str] = []
    read = PatientStore._read

    async def noting(self, key, *arguments):
        if key.startswith("time/c/"):
            keys.append(key)
        return await read(self, key, *arguments)

    monkeypatch.setattr(PatientStore, "_read", noting)
    return keys


@pytest.fixture
def source(write_archive):
    """An archive whose labels are in ten chunks."""
    whole = xr.Dataset({"v": ("time", np.zeros(N, "f4"))}, coords={"time": np.arange(N) * 0.5})
    whole.time.encoding["chunks"] = (N // 10,)
    return write_archive(whole)


def test_labels_are_read_once_for_all_who_go_on_with_a_job(source, labels_read):
    make_job(source).init()
    assert len(set(labels_read)) == 10
    record = json.loads((source.parent / "out.zarr.ledger" / "job.json").read_text())
    assert record["samplings"]["time"]["sampling"]["step"] == 0.5
    labels_read.clear()
    plan = make_job(source).plan()
    make_job(source).run(blocks=(0, plan.blocks))
    assert make_job(source).finalise().is_complete
    assert make_job(source).verify().is_good
    assert set(labels_read) == {"time/c/0"}  # where the axis begins


def test_labels_that_were_written_anew_are_read(source, labels_read):
    make_job(source).init()
    with xr.open_zarr(source) as archive:
        times = archive.time.values.copy()
    times[N // 2] += 0.25
    xr.Dataset(coords={"time": times}).to_zarr(source, mode="r+", consolidated=False)
    with pytest.raises(ValueError, match="'time' is not uniform"):
        make_job(source).run()


def test_labels_of_a_longer_source_are_read(source, labels_read, write_archive):
    make_job(source).run()
    later = np.arange(N, N + 1000) * 0.5
    more = xr.Dataset({"v": ("time", np.zeros(1000, "f4"))}, coords={"time": later})
    more.to_zarr(source, append_dim="time", consolidated=False)
    labels_read.clear()
    assert make_job(source).status().is_complete
    make_job(source).finalise()  # of the shorter one
    assert len(set(labels_read)) == 10
    make_job(source).run()
    assert len(set(labels_read)) == 11
    labels_read.clear()
    make_job(source).run()
    assert set(labels_read) == {"time/c/0"}


def test_few_labels_are_read_and_not_recorded(archive):
    make_job(archive).init()
    record = json.loads((archive.parent / "out.zarr.ledger" / "job.json").read_text())
    assert record["samplings"] == {}
