"""What a run makes of trouble."""

from __future__ import annotations

import errno
import time

import numpy as np
import pytest
from tqdm import tqdm

from scatdask.archive import work as module
from scatdask.archive.ledger import Ledger
from scatdask.archive.pools import SameThread
from scatdask.archive.receipts import Receipt
from scatdask.archive.running import Tally, noted, run_blocks
from scatdask.archive.work import Outcome
from scatdask.errors import BlocksFailedError, StorageError
from tests.archive.common import begin
from tests.archive.conftest import make_job


@pytest.fixture
def work(archive):
    return begin(make_job(archive))


def run(work) -> Tally:
    ledger = Ledger(work.target)
    todo = np.arange(work.n_blocks)
    with tqdm(disable=True) as bar:
        return run_blocks(work, todo, SameThread(), ledger, blocks_per_task=1, lock=None, bar=bar)


def failing(monkeypatch, error: Exception, first: int = 1) -> None:
    """Have all blocks fail but the first ones."""
    real = module.run_block

    def run_block(work, block):
        if block >= first:
            raise error
        return real(work, block)

    monkeypatch.setattr(module, "run_block", run_block)


def test_full_disk_ends_the_run_at_once_and_the_next_one_goes_on(archive, monkeypatch):
    job = make_job(archive, memory="154 MiB")
    with monkeypatch.context() as patch:
        failing(patch, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(StorageError, match=r"no space left for .*out\.zarr.*run again"):
            job.run(scheduler="synchronous")
    status = job.status()
    assert (status.done, status.failures) == (1, ())
    report = job.run()
    assert (report.found_done, report.computed) == (1, status.blocks - 1)
    runs = Ledger(job.request.target).runs()
    assert [run["state"] for run in runs] == ["failed", "finished"]
    assert "no space left" in runs[0]["message"]


@pytest.mark.parametrize("method", ["mark", "compact"])
def test_ledger_that_cannot_be_reached_ends_the_run_with_where_and_what_is_recorded(
    archive, monkeypatch, method
):
    def fail(*_, **__):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr(Ledger, method, fail)
    with pytest.raises(StorageError, match=r"failing for .*out\.zarr.*reset by peer.*recorded"):
        make_job(archive).run(scheduler="synchronous")


def test_blocks_that_fail_are_recorded_and_tried_again(archive, monkeypatch):
    job = make_job(archive, memory="154 MiB")
    with monkeypatch.context() as patch:
        failing(patch, RuntimeError("chunk c/0/5 is rubbish"))
        for attempts in (1, 2):
            with pytest.raises(BlocksFailedError, match="first block 1: RuntimeError: chunk c/0/5"):
                job.run()
            assert {failure.attempts for failure in job.status().failures} == {attempts}
    assert "block 1 failed 2 times: RuntimeError: chunk c/0/5 is rubbish" in str(job.status())
    job.run()
    assert job.status().failures == ()


def test_run_whose_blocks_all_fail_gives_up_early_and_one_where_some_do_does_not():
    bad = Tally()
    for block in range(20):
        assert not bad.is_hopeless
        bad.add(Outcome([], [(block, "no")]))
    assert bad.is_hopeless
    mixed = Tally()
    for block in range(200):
        mixed.add(Outcome([Receipt(2 * block, 2 * block)], [(2 * block + 1, "no")]))
    assert mixed.computed == len(mixed.failures) == 200
    assert not mixed.is_hopeless


def test_blocks_that_failed_before_come_last(archive, monkeypatch):
    job = make_job(archive, memory="160 MiB")
    real, order = module.run_block, []

    def run_block(work, block):
        order.append(block)
        if block == 0:
            raise RuntimeError("no")
        return real(work, block)

    monkeypatch.setattr(module, "run_block", run_block)
    monkeypatch.setattr("scatdask.archive.plan.Plan.blocks_per_task", lambda plan, threads=1: 1)
    blocks = job.init().blocks
    with pytest.raises(BlocksFailedError):
        job.run(blocks=(0, 1), scheduler="synchronous")
    order.clear()
    with pytest.raises(BlocksFailedError):
        job.run(scheduler="synchronous")
    assert order == [*range(1, blocks), 0]


def test_run_is_recorded_from_its_beginning(work):
    ledger = Ledger(work.target)
    before = time.time()
    with noted(ledger, "1234", blocks=5) as note:
        (running,) = ledger.runs()
        assert (running["state"], running["ended"], running["blocks"]) == ("running", None, 5)
        note["pool"] = "somewhere"
    (finished,) = ledger.runs()
    assert finished["state"] == "finished"
    assert finished["pool"] == "somewhere"
    assert before <= finished["started"] <= finished["ended"] <= time.time()
    with pytest.raises(KeyboardInterrupt), noted(ledger, "5678"):
        raise KeyboardInterrupt
    assert ledger.runs()[-1]["state"] == "stopped"


def test_receipts_say_where_when_and_how_much(work):
    before = time.time()
    tally = run(work)
    ledger = Ledger(work.target)
    rows = ledger.history(work.output, work.n_blocks)
    assert (rows["started"] >= before).all()
    assert (rows["ended"] >= rows["started"]).all()
    assert rows["bytes_written"].sum() == tally.totals["bytes_written"] > 0
    stored = work.target.filesystem.du(f"{work.target.path}/velocity/c")
    assert rows["bytes_stored"].sum() == stored
    (environment,) = ledger.environments().items()
    assert set(rows["environment"]) == {environment[0]}
    assert environment[1]["device"] == "cpu"
    assert environment[1]["numpy"] == np.__version__
