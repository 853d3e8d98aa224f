from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import HarmonicScattering3D, Scattering1D, Scattering2D, TimeFrequencyScattering
from scatdask.archive.blocking import make_layout, make_layouts
from scatdask.archive.gpu import BLOCKS_UNDER_WAY
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.memory import (
    ALLOCATOR_BYTES,
    DRIVER_BYTES,
    PROCESS_BYTES,
    block_budget,
    decoding_memory,
    device_memory_parts,
    gpu_host_parts,
    layout_memory,
    memory_parts,
    worker_bytes,
)
from tests.archive.common import layouts

MIB = 2**20


def stored(sizes: dict[str, int], chunks: dict[str, int], **more) -> StoredArray:
    return StoredArray(sizes, chunks, 4, 4, **more)


@given(st.integers(0, 2**36))
def test_a_block_within_its_budget_is_a_worker_within_its_memory(memory):
    assert worker_bytes(block_budget(PROCESS_BYTES + memory)) <= PROCESS_BYTES + memory
    assert worker_bytes(block_budget(PROCESS_BYTES + memory) + 2) > PROCESS_BYTES + memory


@pytest.mark.parametrize(
    "transform",
    [
        Scattering1D(J=6, Q=8, max_order=3),
        Scattering1D(J=6, T="global", dtype="float64"),
        Scattering2D(J=2),
        HarmonicScattering3D(J=1, boundary="reflect"),
        TimeFrequencyScattering(J=6, J_fr=2),
    ],
    ids=lambda transform: transform.name,
)
def test_parts_are_those_of_the_moment_that_takes_most(transform):
    dims = ("z", "y", "x")[-transform.ndim :]
    side = {1: 2**18, 2: 700, 3: 90}[transform.ndim]
    array = stored(
        {"run": 6, **dict.fromkeys(dims, side)}, {"run": 2, **dict.fromkeys(dims, side // 5)}
    )
    layout = make_layout(transform, "v", dims, array, 2**31)
    parts = memory_parts(transform, (layout,), (array,))
    live = layout_memory(transform, layout, array)
    assert sum(parts.values()) == worker_bytes(live)
    assert parts["process"] == PROCESS_BYTES
    assert 0 < parts["allocator"] <= ALLOCATOR_BYTES
    assert parts["filters"] >= max(
        transform.filter_memory(shape) for shape, _ in layout.padded_shapes(transform)
    )
    assert min(parts.values()) >= 0


def test_filters_of_all_variables_are_kept():
    transform = Scattering1D(J=8, Q=8)
    arrays = {
        name: stored({"time": n}, {"time": 50_000})
        for name, n in (("u", 10**6), ("v", 1_300_000), ("w", 700_000))
    }
    memory = worker_bytes(64 * MIB)
    chosen = make_layouts(transform, ("time",), arrays, memory)
    parts = memory_parts(transform, chosen, arrays.values())
    assert sum(parts.values()) <= memory
    alone = (
        memory_parts(transform, (layout,), (arrays[layout.variable],))["filters"]
        for layout in chosen
    )
    assert parts["filters"] > max(alone)


@settings(max_examples=50)
@given(layouts())
def test_no_block_touches_more_chunks_than_count(case):
    transform, layout, array = case
    allowed = decoding_memory(transform, layout, array) // (2 * array.chunk_bytes)
    for block in range(min(layout.n_blocks, 20)):
        ranges = [(part.start, part.stop) for part in layout.batch(block).values()]
        dims = [*layout.batch(block), *layout.dims]
        for part in layout.parts(transform, block):
            for pieces in itertools.product(*(slab.pieces for slab in part)):
                touched = math.prod(
                    len(range(start // array.chunks[dim], -(-stop // array.chunks[dim])))
                    for dim, (start, stop) in zip(dims, [*ranges, *pieces], strict=True)
                )
                assert min(touched, 10) <= allowed


def peak_of(call) -> int:
    """Return the peak of what Python's allocators hold during a call."""
    call()  # what is imported and opened once
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        peak = tracemalloc.get_traced_memory()[1] - before
        del result
        return peak
    finally:
        tracemalloc.stop()


NOISE = np.random.default_rng(0).integers(0, 2**32, (4, 2**20), dtype=np.uint32)
# What zarr itself needs for a call: events, futures, selections.
CALL = 2**20


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("chunks", "shards"),
    [((4, 2**20), None), ((2, 2**18), None), ((1, 2**16), None), ((1, 2**16), (2, 2**19))],
)
def test_zarr_takes_what_is_allowed_for_source_chunks(tmp_path, zarr_format, chunks, shards):
    if shards and zarr_format == 2:
        pytest.skip("Zarr 2 has no shards")
    array = zarr.create_array(
        tmp_path / "v.zarr",
        shape=NOISE.shape,
        chunks=chunks,
        shards=shards,
        dtype=NOISE.dtype,
        zarr_format=zarr_format,
    )
    whole = shards or chunks
    array[...] = NOISE
    stored_array, dims = (
        StoredArray(
            {"run": 4, "time": 2**20},
            dict(zip(("run", "time"), whole, strict=True)),
            4,
            4,
            dict(zip(("run", "time"), chunks, strict=True)),
        ),
        ("time",),
    )
    transform = Scattering1D(J=4)
    layout = Layout("v", dims, (2**20,), ("run",), (4,), (4,), (2**18,), (2**18,))
    slab = slice(2**18 - transform.halo, 2**19 + transform.halo)
    allowed = decoding_memory(transform, layout, stored_array)
    assert peak_of(lambda: array[:, slab]) <= NOISE[:, slab].nbytes + allowed + CALL


def test_on_a_device_slab_and_output_are_beside_the_workspace():
    transform = Scattering1D(J=8, Q=8)
    array = stored({"station": 64, "time": 2**22}, {"station": 64, "time": 2**18})
    (layout,) = make_layouts(transform, ("time",), {"v": array}, 2**32)
    parts = device_memory_parts(transform, (layout,), (array,))
    host = memory_parts(transform, (layout,), (array,))
    assert set(parts) == {"slab", "filters", "workspace", "output"}
    assert parts["workspace"] > host["workspace"]
    assert parts["slab"] >= 64 * 4 * min(layout.at_once[0], 2**22)


WIDE = stored({"station": 64, "time": 2**22}, {"station": 64, "time": 2**13})


def test_host_of_a_gpu_holds_all_blocks_that_are_under_way_and_computes_one_at_a_time():
    transform = Scattering1D(J=8, Q=8)
    layouts = make_layouts(transform, ("time",), {"v": WIDE}, 2**30)
    parts = gpu_host_parts(transform, layouts, (WIDE,))
    of_one = memory_parts(transform, layouts, (WIDE,))
    assert parts["filters"] == of_one["filters"]
    assert 0 < parts["workspace"] < sum(of_one.values())
    assert (parts["process"], parts["driver"]) == (PROCESS_BYTES, DRIVER_BYTES)
    slab = 64 * 4 * (layouts[0].lengths[0] + 2 * transform.halo)
    assert parts["staging"] >= 2 * slab
    blocks = sum(parts[name] for name in ("slab", "source chunks", "output", "output chunks"))
    assert BLOCKS_UNDER_WAY * slab <= blocks < BLOCKS_UNDER_WAY * sum(of_one.values())


def test_blocks_fit_the_host_of_a_gpu_too():
    transform = Scattering1D(J=4)  # whose blocks are slabs and outputs above all
    cpu_memory, gpu_memory = 2**30, 1200 * MIB
    without = make_layouts(transform, ("time",), {"v": WIDE}, cpu_memory)
    assert sum(gpu_host_parts(transform, without, (WIDE,)).values()) > gpu_memory
    chosen = make_layouts(transform, ("time",), {"v": WIDE}, cpu_memory, gpu_memory)
    taken = sum(gpu_host_parts(transform, chosen, (WIDE,)).values())
    assert 0.5 * gpu_memory < taken <= gpu_memory
    assert make_layouts(transform, ("time",), {"v": WIDE}, cpu_memory, 2**36) == without


def test_host_of_a_gpu_that_holds_not_even_the_smallest_blocks():
    with pytest.raises(
        MemoryError, match=r"at least (\d+) MiB .*driver .* 400 MiB: .*device=\"cpu\""
    ):
        make_layouts(Scattering1D(J=8), ("time",), {"v": WIDE}, 2**30, 400 * MIB)
