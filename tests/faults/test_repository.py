"""The output is an Icechunk repository, and workers and clients are killed."""

from __future__ import annotations

import random
import time

import pytest
import zarr
from dask.utils import parse_bytes

from scatdask.archive.libraries import ICECHUNK_BYTES
from tests.faults.conftest import MEMORY, repository, wait_for_receipts
from tests.faults.plugins import Slow
from tests.faults.processes import kill_group

KILLS = 20
# For the blocks of an undisturbed run to plain Zarr.
ENOUGH = ("--memory", parse_bytes(MEMORY) + ICECHUNK_BYTES)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_client_and_workers_of_a_repository_are_killed(archive, cluster, count):
    rng = random.Random(0)
    for _ in range(KILLS // 2):
        target = archive.new_target()
        address = f"icechunk+file://{target}"
        done = 0
        with cluster.plugged(Slow(0.05)):
            for _ in range(2):
                run = archive.start(
                    target, "--scheduler", cluster.address, *ENOUGH, address=address
                )
                try:
                    wait_for_receipts(target, 3, run)
                    cluster.kill_worker(rng)
                    time.sleep(rng.uniform(0.0, 2.0))  # before a commit, during it, or after
                finally:
                    kill_group(run)
                done += 3
                with pytest.raises(FileNotFoundError):  # readers see nothing yet
                    zarr.open_group(repository(target).readonly_session("main").store, mode="r")
            code, result = archive.run(address, "--scheduler", cluster.address, *ENOUGH)
        assert code == 0
        assert result["found_done"] >= done
        assert repository(target).list_branches() == {"main"}
        count("client and workers of a repository are killed", 2, target)
