from __future__ import annotations

import json
import math

import numpy as np
import pytest

from scatdask import Scattering1D
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.memory import PROCESS_BYTES, block_budget
from scatdask.archive.plan import Plan


def make_plan(transform, n, length, channels=4, block=2, chunks=(2, 900)) -> Plan:
    layout = Layout("v", ("time",), (n,), ("channel",), (channels,), (block,), (length,), (length,))
    stored = StoredArray(
        {"channel": channels, "time": n}, {"channel": chunks[0], "time": chunks[1]}, 4, 4
    )
    return Plan(transform, (layout,), (stored,), (("v",),))


@pytest.mark.parametrize("boundary", ["reflect", "periodic", "zero", "nearest"])
@pytest.mark.parametrize(("n", "length"), [(10_000, 1024), (9_999, 512), (300, 512)])
def test_bytes_read_and_halo_are_those_of_the_slabs(boundary, n, length):
    transform = Scattering1D(J=4, boundary=boundary)
    plan = make_plan(transform, n, length)
    layout = plan.layouts[0]
    samples = sum(
        slab.n_read * len(range(*layout.batch(block)["channel"].indices(4)))
        for block in range(layout.n_blocks)
        for (slab,) in layout.parts(transform, block)
    )
    assert plan.bytes_read == samples * 4
    assert plan.halo_overhead == pytest.approx(1 - 4 * n / samples)


def test_chunks_that_are_read_twice_count_twice():
    transform = Scattering1D(J=4, boundary="zero")
    plan = make_plan(transform, 9_000, 1024, chunks=(4, 900))
    layout = plan.layouts[0]
    touched = 0
    for block in range(layout.n_blocks):
        ((start, stop),) = layout.parts(transform, block)[0][0].pieces
        touched += len(range(start // 900, math.ceil(stop / 900)))
    assert plan.chunk_bytes_read == touched * 4 * 900 * 4


def test_bytes_written_are_those_of_the_output():
    transform = Scattering1D(J=4)
    plan = make_plan(transform, 10_000, 1024)
    assert plan.output_shapes() == {"v": (4, transform.n_paths, 625)}
    assert plan.bytes_written == 4 * transform.n_paths * 625 * 4
    assert plan.output_chunks()["v"].shard == (2, transform.n_paths, 64)


def test_long_blocks_waste_at_most_a_tenth_on_halo():
    from scatdask.archive.blocking import make_layout

    transform = Scattering1D(J=12, Q=8)
    stored = StoredArray({"time": 10**9}, {"time": 10**5}, 4, 4)
    layout = make_layout(transform, "v", ("time",), stored, block_budget(2**30))
    plan = Plan(transform, (layout,), (stored,), (("v",),))
    assert 0.05 < plan.halo_overhead <= 0.1
    assert plan.peak_memory == PROCESS_BYTES + plan.block_memory <= 2**30


def test_sizes_beyond_32_bits_are_counted_in_full():
    transform = Scattering1D(J=10)
    plan = make_plan(transform, 5 * 10**11, 2**20, channels=10**4, block=10, chunks=(10, 10**6))
    assert plan.bytes_read > 4 * 5 * 10**15
    assert plan.blocks == math.ceil(5 * 10**11 / 2**20) * 1000
    assert plan.bytes_written > 10**13


def test_small_blocks_are_grouped_into_longer_tasks():
    transform = Scattering1D(J=4)
    assert make_plan(transform, 10**6, 256).blocks_per_task(threads=4) > 10
    assert make_plan(Scattering1D(J=10, Q=8), 10**9, 2**24).blocks_per_task(threads=4) == 1


def test_tasks_are_longer_where_a_thousand_threads_share_a_scheduler(monkeypatch):
    monkeypatch.setattr("scatdask.archive.plan.measured_speed", lambda kind: 1e8)
    plan = make_plan(Scattering1D(J=4), 5 * 10**10, 2**14)
    few, many = plan.blocks_per_task(threads=4), plan.blocks_per_task(threads=1000)
    assert 10 * few < many < 30 * few


def test_few_blocks_are_shared_by_all_threads():
    plan = make_plan(Scattering1D(J=4), 10_000, 1024)
    assert [plan.blocks, plan.blocks_per_task(1), plan.blocks_per_task(4)] == [20, 5, 1]
    assert plan.blocks_per_task(100) == 1


def test_plan_for_people_and_for_machines():
    plan = make_plan(Scattering1D(J=4), 10_000, 1024)
    text = str(plan)
    for word in (
        "blocks",
        "halo",
        "read",
        "written",
        "peak memory",
        "on a GPU",
        "output",
        "Scattering1D",
    ):
        assert word in text
    figures = json.loads(json.dumps(plan.to_dict()))
    assert figures["blocks"] == plan.blocks == 20
    assert figures["outputs"]["v"]["shape"] == [4, 13, 625]
    assert figures["transform"]["J"] == 4


def test_sums_over_whole_signals_are_read_piece_by_piece():
    transform = Scattering1D(J=4, T="global")
    layout = Layout("v", ("time",), (10_000,), ("channel",), (4,), (2,), (10_000,), (1024,))
    stored = StoredArray({"channel": 4, "time": 10_000}, {"channel": 2, "time": 900}, 4, 4)
    plan = Plan(transform, (layout,), (stored,), (("v",),))
    assert plan.blocks == 2
    samples = sum(slab.n_read for (slab,) in layout.parts(transform, 0))
    assert plan.bytes_read == 4 * samples * 4
    assert np.isfinite(plan.core_seconds)
