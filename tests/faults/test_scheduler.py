"""The scheduler is killed, and everybody with it."""

from __future__ import annotations

import pytest

from tests.faults.conftest import wait_for_receipts
from tests.faults.plugins import Slow
from tests.faults.processes import Cluster, kill_group

LONG = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=LONG)])
def test_scheduler_is_killed_and_a_new_cluster_goes_on(archive, count, tmp_path, kills, cluster):
    target, killed, before = archive.new_target(), 0, 0
    while killed < kills:
        with Cluster(tmp_path / str(killed), workers=1, nanny=False) as doomed:
            doomed.plug(Slow(0.02))
            run = archive.start(target, "--scheduler", doomed.address)
            try:
                wait_for_receipts(target, 3, run)
                doomed.scheduler.kill()
                killed += 1
                assert run.wait(180) == 1
            finally:
                kill_group(run)
        last = archive.said(target).splitlines()[-1]  # after what distributed has to say
        assert last.startswith("scatdask: ")
        assert last.endswith("run again to do the rest")
        if killed == kills or killed - before == 5:
            code, result = archive.run(target, "--scheduler", cluster.address)
            assert code == 0
            assert result["found_done"] >= 3 * (killed - before)
            count("the scheduler is killed", killed - before, target)
            target, before = archive.new_target(), killed
