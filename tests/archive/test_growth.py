from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scatdask.archive.growth import extended, new_numbers, renumbered
from scatdask.archive.receipts import Receipt, history, without
from tests.archive.common import layouts


def sizes_of(layout) -> dict[str, int]:
    names = (*layout.batch_dims, *layout.dims)
    return dict(zip(names, (*layout.batch_shape, *layout.shape), strict=True))


@st.composite
def grown_layouts(draw):
    transform, old, _ = draw(layouts())
    sizes = {dim: n + draw(st.integers(0, 30)) for dim, n in sizes_of(old).items()}
    new = extended(transform, old, sizes)
    assert new is not None
    return transform, old, new, sizes


def needs(transform, layout, block) -> tuple:
    """All that the numbers of a block depend on, and what it owns."""
    parts = layout.parts(transform, block)
    ends = [
        None if slab.high <= n and (slab.low >= 0 or boundary != "periodic") else n
        for part in parts
        for slab, n, boundary in zip(part, layout.shape, transform.boundaries, strict=True)
    ]
    signals = [(part.start, part.stop) for part in layout.batch(block).values()]
    return layout.bounds(block), tuple(signals), tuple(parts), tuple(ends)


@given(grown_layouts())
def test_block_stays_exactly_if_nothing_that_it_needs_has_changed(drawn):
    transform, old, new, _ = drawn
    after = {needs(transform, new, block): block for block in range(new.n_blocks)}
    expected = [after.get(needs(transform, old, block), -1) for block in range(old.n_blocks)]
    assert new_numbers(transform, old, new).tolist() == expected


@given(grown_layouts(), st.data())
def test_history_follows_its_blocks(drawn, data):
    transform, old, new, _ = drawn
    numbers = new_numbers(transform, old, new)
    done = np.array(
        data.draw(st.lists(st.booleans(), min_size=old.n_blocks, max_size=old.n_blocks))
    )
    rows = history(
        Receipt(int(first), int(first), bytes_stored=1000 + int(first))
        for first in np.flatnonzero(done)
    )
    moved = renumbered(rows, numbers)
    kept = np.flatnonzero(done & (numbers >= 0))
    assert sorted(moved["first"]) == sorted(numbers[kept])
    assert dict(zip(moved["first"], moved["bytes_stored"], strict=True)) == {
        numbers[block]: 1000 + block for block in kept
    }


def test_row_of_many_blocks_is_cut_where_they_part():
    rows = history([Receipt(0, 5, bytes_stored=600)])
    moved = renumbered(rows, np.array([0, 1, -1, 6, 7, 8]))
    assert [(row["first"], row["last"], row["bytes_stored"]) for row in moved] == [
        (0, 1, 200),
        (6, 8, 300),
    ]


def test_sums_are_shared_out_as_where_blocks_are_taken_out():
    """Else they drift as an output grows, and no longer fit the objects that are stored."""
    rows = history([Receipt(0, 99, bytes_stored=100, read=1.0)])
    kept = np.arange(100) < 29
    (moved,) = renumbered(rows, np.where(kept, np.arange(100), -1))
    assert moved["bytes_stored"] == 29
    assert [moved] == list(without(rows, ~kept))


def test_other_blocks_keep_nothing():
    from tests.archive.toys import Toy

    transform = Toy()
    layout = layout_of((100,), (8,))
    other = dataclasses.replace(layout, lengths=(12,), at_once=(12,), shape=(200,))
    assert (new_numbers(transform, layout, other) == -1).all()


def layout_of(shape, lengths):
    from scatdask.archive.layout import Layout

    return Layout("v", ("x",), shape, (), (), (), lengths, lengths)
