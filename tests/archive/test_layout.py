from __future__ import annotations

import math

import numpy as np
from hypothesis import given

from scatdask import Scattering1D
from scatdask.archive.layout import Layout, StoredArray
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


def test_large_output_chunks_are_split_along_path_only():
    transform = Scattering1D(J=8, Q=8, stride=1)
    layout = Layout("v", ("time",), (10**6,), (), (), (), (2**19,), (2**19,))
    (chunk,) = layout.output_chunks(transform)
    assert chunk[-1] == 2**19
    assert chunk[0] < transform.n_paths
    assert math.prod(chunk) * 4 <= 64 * MIB
