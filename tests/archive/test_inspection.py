"""Damage to an output: found by `verify`, mended by the next run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from scatdask import Scattering1D
from scatdask.archive.ledger import Ledger
from tests.archive.conftest import S, make_job

SMALL = {"memory": "156 MiB"}


def shards(archive: Path) -> list[Path]:
    """Return the files of the output, those of the last signals last."""
    folder = archive.parent / "out.zarr" / "velocity" / "c"
    return sorted(path for path in folder.rglob("*") if path.is_file())


def values(archive: Path) -> np.ndarray:
    with xr.open_zarr(archive.parent / "out.zarr") as out:
        return out.velocity.values


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Change a byte, as a disk may do, and the length of nothing."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "transform"),
    [(truncate, S), (empty, S), (Path.unlink, S), (truncate, Scattering1D(J=6, Q=2, stride=1))],
)
def test_damaged_block_is_found_and_the_next_run_computes_it_alone(archive, damage, transform):
    job = make_job(archive, transform, **SMALL)
    blocks = job.run().blocks
    assert blocks > 1
    before = values(archive)
    damage(shards(archive)[-1])
    found = job.verify(1)
    assert not found.is_good
    assert found.is_recorded
    (bad,) = found.bad
    assert f"block {bad}: " in str(found)
    assert "run again to compute them" in str(found)
    assert job.status().done == blocks - 1
    assert job.run().computed == 1
    np.testing.assert_array_equal(values(archive), before)
    assert job.verify().is_good


def test_flipped_bit_is_found_when_its_block_is_read(archive):
    job = make_job(archive, **SMALL)
    blocks = job.run().blocks
    before = values(archive)
    flip(shards(archive)[0])
    found = job.verify(blocks)
    assert len(found.bad) == 1
    assert job.run().computed == 1
    np.testing.assert_array_equal(values(archive), before)


def test_bad_block_among_many_of_one_receipt(archive):
    job = make_job(archive, **SMALL)
    blocks = job.run().blocks
    ledger = Ledger(job.request.target)
    assert len(ledger.history(ledger.read()["output"], blocks)) < blocks
    truncate(shards(archive)[1])
    assert len(job.verify(1).bad) == 1


def test_output_that_others_may_only_read_is_verified_all_the_same(archive, monkeypatch):
    from scatdask.archive.lock import Lock

    def refused(lock):
        raise PermissionError(13, "Permission denied")

    job = make_job(archive, **SMALL)
    blocks = job.run().blocks
    truncate(shards(archive)[0])
    monkeypatch.setattr(Lock, "acquire", refused)
    found = job.verify(1)
    assert not found.is_good
    assert not found.is_recorded
    assert job.status().done == blocks


def test_block_that_was_written_twice_in_other_sizes_is_no_damage(archive):
    """Such as by another version of a codec, after its receipt was lost."""
    job = make_job(archive, **SMALL)
    job.run()
    ledger = Ledger(job.request.target)
    output = ledger.read()["output"]
    rows = ledger.history(output, job.plan().blocks)
    ledger.forget(output, np.ones(job.plan().blocks, dtype=bool))
    rows["bytes_stored"] += 1
    ledger.begin(output, rows)
    assert job.verify(1).is_good
