from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scatdask.archive import changes
from tests.archive.common import layouts


@given(layouts(), st.data())
def test_blocks_that_read_from_an_object_are_found(drawn, data):
    transform, layout, stored = drawn
    index = [data.draw(st.integers(0, count - 1)) for count in stored.counts]
    found = changes.touched(transform, layout, stored, np.array([index]))
    for block in range(layout.n_blocks):
        reads = [
            any(
                low < (place + 1) * stored.chunks[dim] and high > place * stored.chunks[dim]
                for low, high in ranges
            )
            for dim, place in zip(stored.chunks, index, strict=True)
            for ranges in [_read(transform, layout, block, dim)]
        ]
        assert found[block] or not all(reads)


def _read(transform, layout, block, dim) -> set[tuple[int, int]]:
    """Return the samples that a block reads along a dimension."""
    if dim in layout.batch_dims:
        part = layout.batch(block)[dim]
        return {(part.start, part.stop)}
    axis = layout.dims.index(dim)
    parts = layout.parts(transform, block)
    return {piece for part in parts for piece in part[axis].pieces}


@given(st.integers(-50, 50), st.integers(1, 80), st.integers(1, 30))
def test_pieces_of_a_period(low, length, n):
    pieces = changes._pieces(low, low + length, n, periodic=True)
    found = [sample for start, stop in pieces for sample in range(start, stop)]
    assert sorted(found) == sorted({sample % n for sample in range(low, low + length)})


def test_objects_written_anew_are_told_by_size_time_or_tag():
    entries = {"a": {"size": 1, "mtime": 5.0}, "b": {"size": 1, "ETag": "x"}}
    before = changes.digests(entries, ["a", "b", "c"], (3,))
    assert before[2] == 0
    for key, mark in [("a", {"mtime": 6.0}), ("b", {"ETag": "y"}), ("b", {"size": 2})]:
        other = {**entries, key: {**entries[key], **mark}}
        after = changes.digests(other, ["a", "b", "c"], (3,))
        assert np.flatnonzero(before != after).tolist() == [["a", "b"].index(key)]
