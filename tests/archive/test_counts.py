"""What is counted axis by axis is what block after block reads."""

from __future__ import annotations

import itertools
import math
from collections import Counter

from hypothesis import given

from scatdask.archive.counts import chunks_touched, samples_read
from tests.archive.common import layouts


@given(layouts())
def test_samples_and_chunks_are_those_of_the_blocks(drawn):
    transform, layout, stored = drawn
    samples = touched = 0
    for block in range(layout.n_blocks):
        batch = layout.batch(block)
        rows = math.prod(part.stop - part.start for part in batch.values())
        for part in layout.parts(transform, block):
            samples += rows * math.prod(slab.n_read for slab in part)
            for pieces in itertools.product(*(slab.pieces for slab in part)):
                ranges = dict(zip(layout.dims, pieces, strict=True))
                ranges |= {dim: (cut.start, cut.stop) for dim, cut in batch.items()}
                touched += math.prod(
                    len(range(start // stored.chunks[dim], math.ceil(stop / stored.chunks[dim])))
                    for dim, (start, stop) in ranges.items()
                )
    assert samples_read(transform, layout) == samples
    assert chunks_touched(transform, layout, stored) == touched


@given(layouts())
def test_shapes_of_ffts_are_those_of_the_blocks(drawn):
    transform, layout, _ = drawn
    shapes = Counter(
        tuple(slab.length for slab in part)
        for block in range(len(layout.grid))
        for part in layout.parts(transform, block)
    )
    counted = Counter()
    for shape, count in layout.padded_shapes(transform):
        counted[shape] += count
    assert counted == shapes
