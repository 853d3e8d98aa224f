from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
import zarr

from scatdask import Scattering1D
from scatdask.archive.ledger import Ledger, Receipt
from tests.archive.conftest import make_job


def test_verification_finds_a_changed_number(archive):
    job = make_job(archive)
    job.run()
    assert job.verify().is_good
    array = zarr.open_group(archive.parent / "out.zarr", mode="r+")["velocity"]
    array[0, 5, 100] = array[0, 5, 100] * 1.01
    found = job.verify()
    assert not found.is_good
    assert "differs" in str(found)


def test_verification_finds_a_lost_chunk(archive):
    job = make_job(archive)
    job.run()
    next(
        p for p in (archive.parent / "out.zarr" / "velocity" / "c").rglob("0") if p.is_file()
    ).unlink()
    found = job.verify()
    assert not found.is_good
    assert "chunks of variable 'velocity' are not in" in found.problems[0]


def test_verification_of_an_interrupted_run_misses_chunks_of_finished_blocks_only(archive):
    job = make_job(archive)
    job.run()
    folder = archive.parent / "out.zarr.ledger" / "receipts"
    for receipt in folder.iterdir():
        receipt.unlink()
    Ledger(str(archive.parent / "out.zarr")).mark([Receipt(0, 0, 0.0, 0.0, 0.0, 0, 0)])
    chunks = archive.parent / "out.zarr" / "velocity" / "c"
    (chunks / "1" / "0" / "0").unlink()  # of the other block
    assert job.verify().is_good
    (chunks / "0" / "0" / "0").unlink()
    assert "1 chunks of variable 'velocity' are not in" in job.verify().problems[0]


def test_verification_of_half_a_job_says_so(archive):
    job = make_job(archive)
    job.run()
    for receipt in (archive.parent / "out.zarr.ledger" / "receipts").iterdir():
        receipt.unlink()
    assert "not done yet" in str(job.verify())


@pytest.mark.parametrize("T", [0, "global"])
@pytest.mark.parametrize("boundary", ["periodic", "zero"])
def test_verification_holds_for_every_kind_of_output(archive, T, boundary):
    job = make_job(archive, Scattering1D(J=5, T=T, boundary=boundary, dtype="float64"))
    job.run()
    found = job.verify()
    assert found.is_good
    assert found.worst <= 1e-6


def test_verification_finds_numbers_that_became_missing(archive):
    job = make_job(archive)
    job.run()
    array = zarr.open_group(archive.parent / "out.zarr", mode="r+")["velocity"]
    array[1, 3, 7] = np.nan
    assert not job.verify().is_good


def test_missing_samples_are_missing_in_both(write_archive):
    samples = np.random.default_rng(0).standard_normal((1, 9_000))
    samples[0, 4_000:4_010] = np.nan
    job = make_job(write_archive(xr.Dataset({"v": (("channel", "time"), samples)})))
    job.run()
    assert job.verify().is_good


def test_verification_for_machines(archive):
    job = make_job(archive)
    job.run()
    figures = json.loads(json.dumps(job.verify(blocks=1).to_dict()))
    assert figures["checked"] == 1
    assert figures["is_good"] is True
