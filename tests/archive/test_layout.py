from __future__ import annotations

import numpy as np
from hypothesis import given

from scatdask import Scattering1D
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.store import region
from tests.archive.common import layouts


def stored(sizes: dict[str, int], chunks: dict[str, int]) -> StoredArray:
    return StoredArray(sizes, chunks, 4, 4)


@given(layouts())
def test_blocks_own_every_output_once_and_whole_shards(drawn):
    transform, layout, _ = drawn
    shapes, cuts = layout.output_shapes(transform), layout.output_chunks(transform)
    for output, array_shape, cut in zip(transform.outputs, shapes, cuts, strict=True):
        owners = np.zeros(array_shape, dtype=int)
        for block in range(layout.n_blocks):
            place = region(layout, block, output)
            owners[place] += 1
            for part, size, edge in zip(place, cut.shard, array_shape, strict=True):
                start, stop, _ = part.indices(edge)
                assert start % size == 0
                assert stop % size == 0 or stop == edge
        assert (owners == 1).all()


@given(layouts())
def test_layout_survives_json(drawn):
    layout = drawn[1]
    assert Layout.from_dict(layout.to_dict()) == layout


def test_output_is_cut_for_readers():
    transform = Scattering1D(J=8, Q=8)
    layout = Layout("v", ("time",), (10**7,), ("channel",), (128,), (64,), (2**17,), (2**17,))
    (cut,) = layout.output_chunks(transform)
    assert cut.shard == (64, transform.n_paths, 512)
    assert cut.chunk == (2, transform.n_paths, 512)
