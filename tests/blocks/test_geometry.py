from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scatdask import Scattering1D
from scatdask.blocks import Grid, fast_length, slab
from scatdask.blocks.geometry import source_index
from tests.reference import PAD_MODES

transforms = st.builds(
    Scattering1D,
    st.integers(1, 5),
    Q=st.sampled_from([1, 8]),
    T=st.sampled_from([None, 0, "global", 24]),
    boundary=st.sampled_from(list(PAD_MODES)),
    tolerance=st.sampled_from([1e-6, 1e-2]),
)


@given(n=st.integers(1, 500), length=st.integers(1, 600))
def test_blocks_of_a_grid_lie_side_by_side(n, length):
    grid = Grid((n,), (length,))
    bounds = [grid.bounds(index)[0] for index in range(len(grid))]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == n
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    assert all(start < stop and start % length == 0 for start, stop in bounds)


@given(
    transform=transforms,
    n=st.integers(1, 4000),
    start=st.integers(0, 60),
    extent=st.integers(1, 4000),
)
def test_slab_holds_all_that_the_block_needs(transform, n, start, extent):
    start *= transform.alignment
    assume(start < n)
    stop = min(start + extent, n)
    block = slab(transform, n, start, stop)
    is_whole = transform.boundary == "periodic" and (start, stop) == (0, n)
    if is_whole and n % transform.alignment == 0:
        assert (block.low, block.high, block.length) == (0, n, n)
    else:
        assert block.low <= start - transform.halo < block.low + transform.alignment
        assert block.high == stop + transform.halo
    assert block.low % transform.alignment == 0
    assert block.length % transform.alignment == 0
    assert block.length >= block.high - block.low
    assert all(0 <= a < b <= n for a, b in block.pieces)
    assert block.n_read == sum(b - a for a, b in block.pieces)

    # Every sample that stands in the block, by the definition of the boundary.
    margin = max(-block.low, block.high - n, 0)
    padded = np.pad(np.arange(n), margin, **_pad_arguments(transform.boundary))
    needed = padded[block.low + margin : block.high + margin]
    read = np.concatenate([np.arange(a, b) for a, b in block.pieces])
    assert set(needed[needed >= 0]) <= set(read)
    if block.n_read == block.high - block.low:
        np.testing.assert_array_equal(read, needed)


def _pad_arguments(boundary):
    values = {"constant_values": -1} if boundary == "zero" else {}
    return {"mode": PAD_MODES[boundary], **values}


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_a_block_that_needs_exactly_one_period_is_in_order(start):
    # Its samples are those of the signal, but it begins elsewhere.
    transform = Scattering1D(3, boundary="periodic")
    start *= transform.alignment
    extent = 5 * transform.alignment
    n = extent + transform.halo + -(-transform.halo // transform.alignment) * transform.alignment
    block = slab(transform, n, start, start + extent)
    assert block.high - block.low == block.n_read == n
    assert block.pieces[0][0] == block.low % n


@given(
    n=st.integers(1, 30),
    boundary=st.sampled_from(["reflect", "periodic", "nearest"]),
    margin=st.integers(0, 100),
)
def test_source_index_is_that_of_numpy(n, boundary, margin):
    found = source_index(np.arange(-margin, n + margin), n, boundary)
    expected = np.pad(np.arange(n), margin, mode=PAD_MODES[boundary])
    np.testing.assert_array_equal(found, expected)


@given(minimum=st.integers(1, 10**7), alignment=st.sampled_from([1, 2, 64, 1024]))
def test_fast_lengths(minimum, alignment):
    length = fast_length(minimum, alignment)
    assert length % alignment == 0
    assert minimum <= length < 2 * minimum + alignment
    rest = length // 7 if length // alignment % 7 == 0 else length
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1


@pytest.mark.parametrize(
    ("minimum", "length"),
    [(224, 224), (225, 240), (280, 288), (320, 320), (440, 448), (1120, 1152)],
)
def test_factors_of_seven_are_taken_where_they_save_much(minimum, length):
    assert fast_length(minimum, 8) == length


def test_sizes_beyond_32_bits():
    transform = Scattering1D(10)
    n = 2**40 + 17
    start = 2**35 * transform.alignment // 1024
    block = slab(transform, n, start, start + 2**20)
    assert block.pieces[0][0] == block.low > 2**31
    last = slab(transform, n, 2**40, n)
    assert last.pieces[0][1] == n
    position = np.array([n, n + 1])
    np.testing.assert_array_equal(source_index(position, n, "reflect"), [n - 2, n - 3])
