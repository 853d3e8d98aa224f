from __future__ import annotations

import numpy as np
import pytest

from scatdask.archive.ledger import Failure
from scatdask.archive.report import Summary, summarise
from tests.archive.report.synthetic import (
    BEGAN,
    SyntheticLedger,
    history,
    layout,
    run,
    week,
    worker,
)


def half(*runs: dict, lost: list[Failure] | None = None) -> SyntheticLedger:
    """Sixty of 120 blocks, in a minute."""
    return SyntheticLedger(
        [layout(3, 40)], history(60, 60), {"a": worker()}, lost or [], list(runs)
    )


def summary(ledger: SyntheticLedger, seconds: float = 70.0) -> Summary:
    return summarise(ledger, "/archive/out.zarr", now=BEGAN + seconds)


@pytest.mark.parametrize(
    ("runs", "seconds", "state"),
    [
        ([], 70, "stopped"),
        ([run(BEGAN, None, "running")], 70, "running"),
        ([run(BEGAN, None, "running")], 5_000, "silent"),
        ([run(BEGAN + 4_900, None, "running")], 5_000, "running"),
        ([run(BEGAN, BEGAN + 60, "stopped")], 70, "stopped"),
        ([run(BEGAN, BEGAN + 60, "failed")], 70, "failed"),
        ([run(BEGAN, None, "running"), run(BEGAN + 50, BEGAN + 60, "stopped")], 70, "stopped"),
        ([run(BEGAN, BEGAN + 9, "failed"), run(BEGAN + 50, None, "running")], 70, "running"),
    ],
)
def test_states(runs: list[dict], seconds: float, state: str) -> None:
    assert summary(half(*runs), seconds).state == state


def test_a_run_that_another_one_followed_has_died() -> None:
    found = summary(half(run(BEGAN, None, "running"), run(BEGAN + 30, None, "running")))
    assert [each.state for each in found.runs] == ["killed", "running"]


def test_a_run_that_gives_no_sign_of_life_has_died() -> None:
    ledger = half(run(BEGAN, None, "running"))
    ledger.locked = False
    found = summary(ledger)
    assert found.state == "killed"
    assert [each.state for each in found.runs] == ["killed"]


def test_runs_that_share_an_output_are_at_work_at_once() -> None:
    shared = [{**run(BEGAN + i, None, "running"), "range": [i, i + 1]} for i in range(3)]
    ledger = half(*shared, run(BEGAN + 4, BEGAN + 5, "finished"))
    ledger.locked = False  # such runs take no lock
    found = summary(ledger)
    assert [each.state for each in found.runs] == ["running"] * 3 + ["finished"]
    assert found.state == "running"


def test_complete_and_not_begun() -> None:
    done = SyntheticLedger([layout(3, 40)], history(120, 60), {"a": worker()})
    assert summary(done).state == "complete"
    assert summary(done).seconds_left is None
    nothing = SyntheticLedger([layout(3, 40)], history(120, 60)[:0])
    assert summary(nothing).state == "not begun"
    assert summary(nothing).rate == 0
    empty = SyntheticLedger([layout(0, 40)], history(1, 1)[:0])
    assert summary(empty).state == "complete"


@pytest.mark.parametrize("also", [{"reduction": {"window": "1h"}}, {"is_published": False}])
def test_what_is_done_and_not_in_the_output_yet_is_not_complete(also: dict) -> None:
    ended = [run(BEGAN, BEGAN + 60, "stopped")]
    done = SyntheticLedger([layout(3, 40)], history(120, 60), {"a": worker()}, [], ended)
    done.also = also
    assert summary(done).state == "running"  # somebody holds the lock: it merges
    done.locked = False
    assert summary(done).state == "stopped"
    done.also = {**also, "is_merged": True, "is_published": True}
    assert summary(done).state == "complete"


def test_all_but_some_given_up_has_failed() -> None:
    rows = np.delete(history(120, 120), [7, 8])
    lost = [Failure(b, "OSError: no", 3, BEGAN) for b in (7, 8)]
    ended = [run(BEGAN, BEGAN + 130, "finished")]
    found = summary(SyntheticLedger([layout(3, 40)], rows, {}, lost, ended), 140)
    assert (found.state, found.failed, found.done) == ("failed", 2, 118)
    (group,) = found.failures
    assert group.blocks == 2
    assert group.examples[0] == "block 7 of velocity, at station 0:1, time 7168:8192"


def test_time_left() -> None:
    found = summary(half(run(BEGAN, None, "running")))
    assert found.rate == pytest.approx(1.0)
    assert found.seconds_left == pytest.approx(60.0)


def test_reasons_are_grouped() -> None:
    lost = [Failure(60 + i, f"reason {i % 2}", i, BEGAN + i) for i in range(7)]
    found = summary(half(lost=lost)).failures
    assert [(group.reason, group.blocks) for group in found] == [("reason 0", 4), ("reason 1", 3)]
    assert (found[0].attempts, found[0].last) == (6, BEGAN + 6)
    assert len(found[0].examples) == 3


def test_measured_against_the_plan_of_what_is_done() -> None:
    ledger = half()
    ledger.plan = {"bytes_read": 120 * 2**20, "core_seconds": 84.0, "peak_memory": 5}
    rows = {row.name: (row.planned, row.measured) for row in summary(ledger).comparisons}
    assert rows["Read from the source, uncompressed"] == (60 * 2**20, 60 * 2**20)
    assert rows["Written, uncompressed"] == (None, 60 * 2**19)
    assert rows["Computing, seconds of one core"] == (42, pytest.approx(42.0))
    assert rows["Peak memory of a worker"] == (5, None)


def test_a_gpu_is_no_measure_of_a_core() -> None:
    ledger = half()
    ledger.rows["environment"][:20] = "g"
    ledger.workers["g"] = worker("gpu")
    ledger.plan = {"core_seconds": 84.0}
    found = summary(ledger)
    (row,) = [row for row in found.comparisons if row.kind == "seconds"]
    assert (row.planned, row.measured) == (28, pytest.approx(28.0))
    assert [(d.name, d.blocks) for d in found.devices] == [
        ("CPU (AMD EPYC 9654)", 40),
        ("GPU (NVIDIA H100)", 20),
    ]


def test_versions() -> None:
    ledger = half()
    assert len(summary(ledger).versions) == 1
    ledger.workers["g"] = worker("gpu")  # another device is no other version
    ledger.rows["environment"][:20] = "g"
    (versions,) = summary(ledger).versions
    assert versions.devices == ("CPU (AMD EPYC 9654)", "GPU (NVIDIA H100)")
    ledger.workers["g"] = worker("gpu", zarr="3.2.0")
    assert [each.blocks for each in summary(ledger).versions] == [40, 20]


def test_an_environment_that_is_not_recorded() -> None:
    ledger = half()
    ledger.workers = {}
    assert summary(ledger).devices[0].name == "unknown device"


def test_retries_and_nan() -> None:
    ledger = half()
    ledger.rows["retries"][[3, 5]] = 2, 7
    ledger.rows["missing"] = 2**17 // 100
    found = summary(ledger)
    assert found.retries == 9
    assert [(each.retries, each.where.split()[1]) for each in found.retried] == [(7, "5"), (2, "3")]
    assert found.missing_share == pytest.approx(0.01, rel=1e-3)


def test_a_week_of_a_million_blocks() -> None:
    found = summarise(week(), "out.zarr", now=BEGAN + 8.8e5)
    assert found.blocks == 1_000_000
    assert found.done == sum(v.done for v in found.variables)
    assert found.done == sum(cell.done for blocks in found.maps for cell in blocks.cells)
    assert found.failed == sum(cell.failed for blocks in found.maps for cell in blocks.cells) == 47


def test_no_ledger() -> None:
    class Nothing(SyntheticLedger):
        def read(self) -> None:  # type: ignore[override]
            return None

    with pytest.raises(FileNotFoundError, match="no run of this job has begun"):
        summarise(Nothing([], history(1, 1)), "out.zarr")
