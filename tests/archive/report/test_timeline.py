from __future__ import annotations

import numpy as np
import pytest

from scatdask.archive.report.timeline import (
    OTHERS,
    late_rate,
    throughput,
    to_moment,
    to_working,
    working_time,
)
from tests.archive.report.synthetic import BEGAN, history


def paused() -> np.ndarray:
    """100 s of work, a day's pause, and 300 s of work."""
    rows = history(400, 400)
    rows["started"][100:] += 86_400
    rows["ended"][100:] += 86_400
    return rows


def test_long_pauses_are_left_out() -> None:
    time = working_time(paused())
    assert time.starts == (BEGAN, BEGAN + 86_500)
    assert time.stops == (BEGAN + 100, BEGAN + 86_800)
    assert time.seconds == 400


def test_moments_and_working_time_are_inverse() -> None:
    time = working_time(paused())
    seconds = np.array([0.0, 50.0, 99.0, 101.0, 400.0])
    moments = np.array([to_moment(time, s) for s in seconds])
    np.testing.assert_allclose(to_working(time, moments), seconds)
    assert to_working(time, np.array([BEGAN + 5_000.0])) == 100  # within the pause


def test_short_gaps_are_part_of_the_work() -> None:
    rows = history(100, 100)
    rows["started"][50:] += 30
    rows["ended"][50:] += 30
    assert working_time(rows).seconds == 130


def test_blocks_and_bytes_are_conserved() -> None:
    rows = history(100_003, 1_000, environments=("a", "b", "c"))
    rng = np.random.default_rng(0)
    rows["ended"] += rng.uniform(0, 10, len(rows))
    found = throughput(rows, rows["environment"])
    seconds = np.diff(found.edges)
    assert np.sum(np.array(found.blocks) @ seconds) == pytest.approx(100_003)
    assert np.sum(np.array(found.bytes) @ seconds) == pytest.approx(rows["bytes_read"].sum())
    of_a = (rows["last"] - rows["first"] + 1)[rows["environment"] == "a"].sum()
    assert found.blocks[found.devices.index("a")] @ seconds == pytest.approx(of_a)


def test_steady_work_has_a_steady_rate() -> None:
    found = throughput(history(5_000, 500), np.array(["cpu"] * 500))
    np.testing.assert_allclose(found.blocks, 10.0)
    np.testing.assert_allclose(found.bytes, 10.0 * 2**20)


def test_devices_with_little_are_put_together() -> None:
    names = tuple("abcdefg")
    found = throughput(history(7_000, 700, environments=names), np.array(list(names) * 100))
    assert len(found.devices) == 4
    assert found.devices[-1] == OTHERS
    total = sum(np.array(rates) @ np.diff(found.edges) for rates in found.blocks)
    assert total == pytest.approx(7_000)


def test_one_block_of_no_duration() -> None:
    rows = history(1, 1)
    rows["ended"] = rows["started"]
    found = throughput(rows, np.array(["cpu"]))
    assert np.isfinite(found.blocks).all()
    assert late_rate(rows, found.time) == 0.0


def test_speed_of_late_is_of_the_last_stretch() -> None:
    rows = paused()
    rows["ended"][100:] = rows["started"][100:] + 2.0  # the last stretch takes twice the time
    rows["started"][100:] = rows["ended"][99] + 86_400 + 2.0 * np.arange(300)
    rows["ended"][100:] = rows["started"][100:] + 2.0
    assert late_rate(rows, working_time(rows)) == pytest.approx(0.5)
