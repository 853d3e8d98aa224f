from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from scatdask import Scattering1D
from scatdask.archive.layout import Layout, StoredArray, layout_memory, make_layout
from scatdask.archive.store import region
from tests.archive.common import layouts

MIB = 2**20


def stored(sizes: dict[str, int], chunks: dict[str, int]) -> StoredArray:
    return StoredArray(sizes, chunks, 4, 4)


@given(layouts())
def test_blocks_own_every_output_once_and_whole_chunks(drawn):
    transform, layout, _ = drawn
    shapes, chunks = layout.output_shapes(transform), layout.output_chunks(transform)
    for output, array_shape, chunk in zip(transform.outputs, shapes, chunks, strict=True):
        owners = np.zeros(array_shape, dtype=int)
        for block in range(layout.n_blocks):
            place = region(layout, block, output)
            owners[place] += 1
            for part, size, edge in zip(place, chunk, array_shape, strict=True):
                start, stop, _ = part.indices(edge)
                assert start % size == 0
                assert stop % size == 0 or stop == edge
        assert (owners == 1).all()


@given(layouts())
def test_layout_survives_json(drawn):
    layout = drawn[1]
    assert Layout.from_dict(layout.to_dict()) == layout


def test_signals_of_one_source_chunk_share_a_block():
    layout = make_layout(
        Scattering1D(J=6),
        "v",
        ("time",),
        stored({"station": 10, "time": 10**6}, {"station": 4, "time": 50_000}),
        500 * MIB,
    )
    assert layout.batch_block == (4,)


def test_block_is_as_long_as_a_source_chunk_where_memory_allows():
    transform = Scattering1D(J=6)
    array = stored({"time": 10**7}, {"time": 1_000_000})
    roomy = make_layout(transform, "v", ("time",), array, 2000 * MIB)
    assert roomy.lengths[0] >= 1_000_000
    tight = make_layout(transform, "v", ("time",), array, 60 * MIB)
    assert tight.lengths[0] < 1_000_000


@pytest.mark.parametrize("memory", [30, 50, 90, 300, 2000])
@pytest.mark.parametrize("J", [6, 10])
def test_memory_bounds_the_block(memory, J):
    transform = Scattering1D(J=J, Q=8)
    array = stored({"station": 64, "time": 10**7}, {"station": 64, "time": 4096})
    layout = make_layout(transform, "v", ("time",), array, memory * MIB)
    assert layout_memory(transform, layout, array) <= memory * MIB


def test_too_little_memory_says_what_is_needed():
    array = stored({"time": 10**9}, {"time": 4096})
    with pytest.raises(MemoryError, match=r"needs at least \d+ MiB with a halo of \d+ samples"):
        make_layout(Scattering1D(J=16), "v", ("time",), array, 20 * MIB)


def test_large_output_chunks_are_split_along_path_only():
    transform = Scattering1D(J=8, Q=8, stride=1)
    layout = Layout("v", ("time",), (10**6,), (), (), (), (2**19,), (2**19,))
    (chunk,) = layout.output_chunks(transform)
    assert chunk[-1] == 2**19
    assert chunk[0] < transform.n_paths
    assert math.prod(chunk) * 4 <= 64 * MIB


def test_source_chunks_that_fill_the_memory_are_named():
    array = stored({"time": 10**9}, {"time": 10**7})
    with pytest.raises(MemoryError, match=r"10 source chunks of 38\.1 MiB.*allow more memory"):
        make_layout(Scattering1D(J=4), "v", ("time",), array, 300 * MIB)
