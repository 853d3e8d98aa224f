"""The client is killed, and its workers live on; or there are two clients."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest

from scatdask import Job
from scatdask.archive.work import Task, run_task_on_worker
from tests.archive.common import begin
from tests.faults.conftest import MEMORY, S, receipts, wait_for_receipts
from tests.faults.plugins import Slow
from tests.faults.processes import kill_group, wait_until

LONG = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=LONG)])
def test_client_is_killed_and_the_next_one_runs_at_once(archive, cluster, count, kills):
    target, killed, before = archive.new_target(), 0, 0
    with cluster.plugged(Slow(0.02)):
        while killed < kills:
            run = archive.start(target, "--scheduler", cluster.address)
            try:
                wait_for_receipts(target, 3, run)
            finally:
                kill_group(run)
            killed += 1
            if killed == kills or killed - before == 5:
                code, result = archive.run(target, "--scheduler", cluster.address)
                assert code == 0
                assert result["found_done"] >= 3 * (killed - before)
                count("the client is killed", killed - before, target)
                target, before = archive.new_target(), killed


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=LONG)])
def test_client_is_killed_while_it_makes_the_output(archive, count, kills):
    rng = random.Random(kills)
    for _ in range(kills):
        target = archive.new_target()
        run = archive.start(target)
        try:
            wait_until(lambda: Path(f"{target}.ledger").exists(), run)  # noqa: B023
            time.sleep(rng.uniform(0.0, 0.2))  # somewhere on the way to the first receipts
        finally:
            kill_group(run)
        code, result = archive.run(target)
        assert (code, result["blocks"]) == (0, archive.blocks)
        count("the client is killed while it makes the output", 1, target)


@pytest.mark.parametrize("more", [1, *(pytest.param(n, marks=LONG) for n in range(2, 11))])
def test_second_run_on_an_output_is_refused_and_the_first_goes_on(archive, cluster, count, more):
    target = archive.new_target()
    with cluster.plugged(Slow(0.05)):
        first = archive.start(target, "--scheduler", cluster.address)
        try:
            wait_for_receipts(target, more, first)
            code, result = archive.run(target)
            assert first.poll() is None
            assert code == 3
            assert f"process {first.pid}) is writing this output" in result["error"]
            assert first.wait(180) == 0, archive.said(target)
        finally:
            kill_group(first)
    count("a second run on the same output", 1, target)


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=LONG)])
def test_same_blocks_are_computed_twice_at_once(archive, cluster, count, times):
    target = archive.new_target()
    work = begin(Job(archive.source, target, S, dim="time", memory=MEMORY))
    blocks = np.array_split(np.arange(work.n_blocks), 4)
    with cluster.client() as client:
        workers = list(client.scheduler_info(n_workers=-1)["workers"])
        assert len(workers) == 2
        for again in range(times):
            tasks = [Task(int(some[0]), int(some[-1])) for some in blocks]
            futures = [
                client.submit(run_task_on_worker, work, task, workers=[worker], pure=False)
                for task in tasks
                for worker in workers
            ]
            outcomes = client.gather(futures)
            assert not any(outcome.failures for outcome in outcomes)
            assert receipts(target) == len(blocks)
            if again == times - 1 or again % 10 == 0:
                assert archive.wrong(target) == 0
    count("blocks are computed twice at once", times * work.n_blocks, target)
