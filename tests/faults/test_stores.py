"""Stores whose disk is full, whose chunks are rubbish, or whose requests fail."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scatdask.archive import read_status
from tests.faults.conftest import CHANNELS, receipts, wait_for_receipts
from tests.faults.plugins import Flaky, Refusing, Slow, refusals
from tests.faults.processes import kill_group

LONG = [pytest.mark.slow, pytest.mark.timeout(3600)]
SEEDS = pytest.mark.parametrize("seed", [0, *(pytest.param(i, marks=LONG) for i in range(1, 10))])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "scatdask-test", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to the last byte; return the file that does."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    assert shutil.disk_usage(disk).free == 0
    return filler


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=LONG)])
def test_full_disk_and_space_again(archive, cluster, count, small_disk, times):
    with cluster.plugged(Slow(0.02)):
        for _ in range(times):
            target = archive.new_target(small_disk)
            run = archive.start(target, "--scheduler", cluster.address)
            try:
                wait_for_receipts(target, 5, run)
                filler = fill(small_disk)
                assert run.wait(180) == 1
            finally:
                kill_group(run)
            filler.unlink()
            assert 5 <= read_status(target).done < archive.blocks
            code, result = archive.run(target, "--scheduler", cluster.address)
            assert code == 0
            assert result["found_done"] >= 5
            count("the disk is full", 1, target)
            shutil.rmtree(target)


@SEEDS
def test_chunk_of_the_source_that_is_rubbish(archive, cluster, count, tmp_path, seed):
    rng = random.Random(seed)
    key = f"c/{rng.randrange(CHANNELS)}/{rng.randrange(4)}"
    source, target = tmp_path / "in.zarr", archive.new_target()
    shutil.copytree(archive.source, source)
    chunk = source / "v" / key
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: rng.randrange(1, len(whole))])
    code, result = archive.run(target, "--scheduler", cluster.address, source=source)
    assert code == 1
    assert f"chunk {key} of variable 'v' cannot be decoded" in result["error"]
    status = read_status(target)
    assert f"chunk {key} of variable 'v'" in str(status)
    n_failed = len(status.failures)
    assert 0 < n_failed < archive.blocks // 4
    assert status.done == archive.blocks - n_failed
    chunk.write_bytes(whole)
    code, result = archive.run(target, "--scheduler", cluster.address, source=source)
    assert code == 2
    assert "changed" in result["error"]
    recompute = ("--changed", "recompute")
    code, result = archive.run(target, "--scheduler", cluster.address, *recompute, source=source)
    assert (code, result["computed"]) == (0, n_failed)
    count("a chunk of the source is rubbish", 1, target)


@pytest.mark.parametrize(("rate", "times"), [(0.1, 1), pytest.param(0.2, 10, marks=LONG)])
def test_requests_that_fail_at_a_rate_are_made_again(archive, cluster, count, rate, times):
    for seed in range(times):
        target = archive.new_target()
        with cluster.plugged(Flaky(rate, seed)):
            code, result = archive.run(target, "--scheduler", cluster.address)
        assert code == 0
        assert result["retries"] > rate * archive.blocks
        count("requests to the store fail", result["retries"], target)


@SEEDS
def test_requests_that_always_fail_end_in_blocks_that_failed(archive, cluster, count, seed):
    target = archive.new_target()
    with cluster.plugged(Flaky(2.0, only=f"v/c/{3 + seed}/")):
        code, result = archive.run(target, "--scheduler", cluster.address)
    assert code == 1
    assert "failed 8 times" in result["error"]
    assert f"{archive.source}" in result["error"]
    failed = [failure.block for failure in read_status(target).failures]
    assert read_status(target).done == archive.blocks - len(failed)
    code, result = archive.run(target, "--scheduler", cluster.address)
    assert (code, result["computed"]) == (0, len(failed))
    count("a chunk cannot be read at all", 1, target)


@SEEDS
def test_credentials_that_expire_end_the_run_without_further_tries(archive, cluster, count, seed):
    target = archive.new_target()
    with cluster.plugged(Refusing(after=3 + seed)) as client:
        code, result = archive.run(target, "--scheduler", cluster.address)
        refused = [key for worker in client.run(refusals).values() for key in worker]
        tries = [n for worker in client.run(refusals).values() for n in worker.values()]
    assert code == 1
    assert "renew the credentials" in result["error"]
    assert "ExpiredToken" in result["error"]
    assert set(tries) == {1}
    assert len(refused) < archive.blocks // 2
    assert receipts(target) or read_status(target).done
    code, _ = archive.run(target, "--scheduler", cluster.address)
    assert code == 0
    count("credentials expire", 1, target)
