from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatdask.archive.chunking import chunking

MIB = 2**20
sides = st.integers(0, 600)


@given(
    st.lists(sides, max_size=2),
    st.lists(st.integers(1, 600), min_size=1, max_size=2),
    st.lists(sides, max_size=3),
    st.sampled_from([4, 8]),
)
def test_chunks_divide_shards_and_shards_what_is_owned(batch, paths, core, itemsize):
    owned = [max(size, 1) for size in (*batch, *paths, *core)]
    cut = chunking(tuple(batch), tuple(paths), tuple(core), itemsize)
    for whole, shard, chunk in zip(owned, cut.shard, cut.chunk, strict=True):
        assert whole % shard == 0
        assert shard % chunk == 0
    if math.prod(owned) * itemsize <= MIB:
        assert not cut.is_sharded
    frame = slice(len(batch), len(batch) + len(paths))
    if math.prod(paths) * itemsize <= 32 * MIB:
        assert cut.chunk[frame] == tuple(paths)


@pytest.mark.parametrize(
    ("batch", "paths", "core"),
    [
        ((64,), (234,), (512,)),  # many stations
        ((1,), (234,), (135_000,)),  # one for long
        ((51,), (374,), (289,)),
        ((), (67,), (2**20,)),
        ((2,), (217,), (64, 64)),  # maps
        ((1,), (57,), (160, 160, 160)),  # volumes
        ((10,), (1800, 20), (288,)),  # joint time and frequency
        ((100_000,), (374,), ()),  # integrals
    ],
)
def test_chunks_are_about_a_mebibyte_and_shards_not_large(batch, paths, core):
    cut = chunking(batch, paths, core, 4)
    assert 0.5 * MIB <= 4 * math.prod(cut.chunk) <= 2 * MIB
    assert 4 * math.prod(cut.shard) <= 64 * MIB


def test_boxes_are_about_as_long_as_wide():
    cut = chunking((1,), (57,), (160, 160, 160), 4)
    assert max(cut.chunk[2:]) <= 2 * min(cut.chunk[2:])


def test_signals_are_parted_before_frames_are():
    assert chunking((64,), (234,), (512,), 4).chunk == (2, 234, 512)


def test_a_prime_number_of_frames_stays_whole_rather_than_one_by_one():
    assert chunking((1,), (234,), (4099,), 4).chunk == (1, 234, 4099)


def test_paths_are_parted_only_where_a_frame_is_larger_than_a_shard():
    cut = chunking((1,), (2**20, 2**5), (8,), 4)
    assert math.prod(cut.shard) * 4 <= 32 * MIB
    assert cut.chunk[-1] == 1


def test_float64_has_half_as_many_numbers_in_a_chunk():
    single, double = (chunking((1,), (256,), (2**16,), size).chunk[-1] for size in (4, 8))
    assert single == 2 * double
