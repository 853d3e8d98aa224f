"""Workers are killed, or take more memory than there is."""

from __future__ import annotations

import random
import time

import pytest

from scatdask.archive import read_status
from tests.faults.conftest import receipts, wait_for_receipts
from tests.faults.plugins import Hungry, Slow
from tests.faults.processes import Cluster, kill_group, wait_until

LONG = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("kills", [2, pytest.param(100, marks=LONG)])
def test_workers_are_killed_throughout(archive, cluster, count, kills):
    rng, killed = random.Random(kills), 0
    with cluster.plugged(Slow(0.02)):
        while killed < kills:
            target, before = archive.new_target(), killed
            run = archive.start(target, "--scheduler", cluster.address)
            try:
                while killed < kills and receipts(target) < archive.blocks - 4:
                    wait_for_receipts(target, 2, run)
                    time.sleep(rng.uniform(0.0, 0.3))  # in whatever step the worker is then
                    killed += cluster.kill_worker(rng)
                assert run.wait(180) == 0, archive.said(target)
            finally:
                kill_group(run)
            count("a worker is killed", killed - before, target)
        wait_until(lambda: len(cluster.pids()) == 2)


@pytest.mark.parametrize("block", [pytest.param(b, marks=LONG) for b in (0, 7, 30, 50, 71)])
def test_block_that_takes_too_much_memory(archive, count, tmp_path, block):
    target = archive.new_target()
    with Cluster(tmp_path, memory_limit="400 MB", allowed_failures=1) as small:
        with small.plugged(Hungry(block, 400_000_000)):
            code, result = archive.run(target, "--scheduler", small.address)
        assert code == 1
        assert "memory=" in result["error"]
        status = read_status(target)
        assert [failure.block for failure in status.failures] == [block]
        assert status.done == archive.blocks - 1
        code, result = archive.run(target, "--scheduler", small.address)
        assert (code, result["computed"]) == (0, 1)
    count("a block takes more memory than its worker has", 1, target)
