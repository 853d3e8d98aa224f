"""The lazy road in any number of dimensions, by transforms that are easy to see through."""

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask.blocks import block_memory
from scatdask.lazy import lazy_block_lengths, scattering
from scatdask.lazy.graph import block_arrays
from scatdask.lazy.task import transform_chunks
from tests.lazy.common import chunkings, compute, noise, whole
from tests.toy import TOYS, Toy1D, Toy2D, Toy3D

BOUNDARIES = ["reflect", "periodic", "zero", "nearest"]


def largest_error(got, expected):
    assert [a.shape for a in got] == [b.shape for b in expected]
    return max(
        float(np.max(np.abs(a - b), initial=0.0)) for a, b in zip(got, expected, strict=True)
    )


@st.composite
def cases(draw):
    ndim = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["plain", "sums", "ragged"]))
    transform = TOYS[ndim](
        stride={"plain": draw(st.sampled_from([1, 2, 4])), "sums": None, "ragged": 4}[kind],
        ragged=kind == "ragged",
        n_inner=draw(st.sampled_from([0, 0, 2])),
        boundary=tuple(draw(st.sampled_from(BOUNDARIES)) for _ in range(ndim)),
    )
    sizes = {1: [9, 60, 203], 2: [9, 31, 77], 3: [8, 17, 26]}[ndim]
    shape = tuple(draw(st.sampled_from(sizes)) for _ in range(ndim))
    batch = draw(st.sampled_from([(), (3,), (2, 2)]))
    chunks = (
        *((1, size - 1) for size in batch),
        *(draw(chunkings(n, most={1: 40, 2: 8, 3: 4}[ndim])) for n in shape),
    )
    lengths = tuple(
        4 * draw(st.integers(max(1, n // {1: 40, 2: 16, 3: 8}[ndim]), n // 4 + 1)) for n in shape
    )
    return transform, (*batch, *shape), chunks, lengths


@settings(max_examples=35, deadline=None, derandomize=True)
@given(cases())
def test_any_chunking_equals_one_array(case):
    transform, shape, chunks, lengths = case
    x = noise(shape)
    lazy = scattering(da.from_array(x, chunks=chunks), transform, lengths=lengths)
    got = compute(lazy)
    assert [a.shape for a in lazy] == [a.shape for a in got]
    part = lazy[0].blocks[(-1,) * lazy[0].ndim]  # chunks are of the size they say
    assert part.compute(scheduler="sync").shape == part.shape
    assert largest_error(got, whole(transform, x)) < 1e-9


def test_one_task_a_block_lists_the_chunks_it_reads():
    x = da.zeros((2, 400, 600), chunks=(1, 100, 150))
    [out] = block_arrays(x, Toy2D(), (200, 200))
    assert set(out.dask.layers) == {x.name, out.name}
    layer = out.dask.layers[out.name]
    assert len(layer) == 2 * 2 * 3
    task = layer[(out.name, 1, 0, 1, 0)]  # owns 200 to 400, and 0 to 200; the halo is 24
    assert task.func is transform_chunks
    assert task.dependencies == {(x.name, 1, row, column) for row in (1, 2, 3) for column in (0, 1)}


def test_tasks_carry_the_transform_and_a_few_integers():
    [out] = block_arrays(da.zeros((40, 40, 40), chunks=7), Toy3D(), (20, 20, 20))
    for task in out.dask.layers[out.name].values():
        transform, shape, bounds, cuts = task.args[:4]
        assert isinstance(transform, Toy3D)
        flat = (*shape, *sum(bounds, ()), *sum(sum(cuts, ()), ()))
        assert all(type(value) is int for value in flat)


@pytest.mark.parametrize("axis", [0, 1])
def test_periodic_blocks_wrap_around_one_axis(axis):
    boundary = ["reflect", "reflect"]
    boundary[axis] = "periodic"
    x = da.zeros((400, 400), chunks=50)
    [out] = block_arrays(x, Toy2D(boundary=tuple(boundary)), (200, 200))
    read = out.dask.layers[out.name][(out.name, 0, 0, 0)].dependencies
    along = {key[1 + axis] for key in read}
    across = {key[2 - axis] for key in read}
    assert along == {0, 1, 2, 3, 4, 7}
    assert across == {0, 1, 2, 3, 4}


def test_chunks_are_regular_and_batch_chunks_are_kept():
    x = da.zeros((5, 103, 90), chunks=((2, 3), (1, 50, 2, 50), (90,)))
    [out] = block_arrays(x, Toy2D(n_inner=2), (40, 64))
    assert out.chunks == ((2, 3), (2,), (2,), (10, 10, 6), (16, 7))


def test_sums_are_added_up_over_all_axes():
    x = da.from_array(noise((2, 90, 50)), chunks=(1, 31, 50))
    transform = Toy2D(stride=None, boundary="periodic")
    [out] = scattering(x, transform, lengths=(40, 20))
    assert out.chunks == ((1, 1), (2,))
    mean = x.mean(axis=(1, 2)).compute()  # averages do not change the mean of a periodic signal
    np.testing.assert_allclose(out.compute(), np.stack([mean, mean], axis=1), atol=1e-12)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_same_call_gives_the_same_task_names(ndim, ragged):
    x = da.zeros((20,) * ndim, chunks=9)
    first, again = (scattering(x, TOYS[ndim](ragged=ragged), lengths=(8,) * ndim) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert a.name == b.name
        assert set(a.dask) == set(b.dask)


def test_other_blocks_and_boundaries_have_other_names():
    x = da.zeros((40, 40), chunks=9)
    names = [
        block_arrays(x, Toy2D(), (8, 16))[0].name,
        block_arrays(x, Toy2D(), (16, 8))[0].name,
        block_arrays(x, Toy2D(boundary=("zero", "reflect")), (8, 16))[0].name,
        block_arrays(x, Toy2D(boundary=("reflect", "zero")), (8, 16))[0].name,
    ]
    assert len(set(names)) == 4


def test_nothing_is_computed():
    def fail(block):
        raise AssertionError("computed")

    x = da.zeros((40, 40, 40), chunks=9).map_blocks(fail, meta=np.empty((0, 0, 0)))
    for transform in (Toy3D(), Toy3D(stride=None), Toy3D(ragged=True), Toy2D(), Toy1D()):
        scattering(x, transform)


def test_non_finite_samples_touch_the_same_outputs_for_any_chunks():
    transform = Toy2D(boundary=("reflect", "periodic"))
    x = noise((120, 140))
    x[60, 5] = np.nan
    with pytest.warns(UserWarning, match="NaN, infinite"):
        expected = np.isnan(transform(x))
    row, column = 4 * np.arange(30)[:, None], 4 * np.arange(35)[None]
    apart = np.minimum(abs(column - 5), 140 - abs(column - 5))
    np.testing.assert_array_equal(expected[0], (abs(row - 60) <= 24) & (apart <= 24))
    for chunks in ((120, 140), (7, 50), (120, 1)):
        [got] = compute(scattering(da.from_array(x, chunks=chunks), transform, lengths=(32, 48)))
        np.testing.assert_array_equal(np.isnan(got), expected)


def test_masked_chunks_are_gaps():
    x = np.ma.masked_greater(noise((60, 60)), 3.0)
    [got] = compute(scattering(da.from_array(x, chunks=13), Toy2D(), lengths=(32, 32)))
    with pytest.warns(UserWarning, match="NaN, infinite"):
        expected = Toy2D()(x)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))


def test_too_few_axes():
    with pytest.raises(ValueError, match="x has 1 axes: toy2d needs at least 2"):
        scattering(da.zeros(100), Toy2D())


@pytest.mark.parametrize("lengths", [(8,), (8, 8, 8), (8, 6), (0, 8)])
def test_lengths_that_do_not_fit(lengths):
    with pytest.raises(ValueError, match=r"2 positive numbers, each a multiple of .* alignment, 4"):
        scattering(da.zeros((40, 40)), Toy2D(), lengths=lengths)


def test_blocks_grow_towards_the_chunks_of_the_source():
    class Dear(Toy2D):
        def flops(self, shape):
            return 1e10

    x = da.zeros((20_000, 20_000), chunks=(8000, 500), dtype="f4")
    small, large = (lazy_block_lengths(x, transform) for transform in (Dear(), Toy2D()))
    assert all(length % 4 == 0 for length in (*small, *large))
    assert small[0] == small[1] == large[1]  # a chunk is no longer along the last axis
    assert 2 * small[0] <= large[0] <= 8000
    assert block_memory(Toy2D(), 1, x.shape, large, 4) <= 4 * 2**27


def test_too_many_maps_for_memory():
    x = da.zeros((20_000, 500, 500), chunks=(20_000, 2, 2), dtype="f4")
    with (
        dask.config.set({"array.chunk-size": "1MiB"}),
        pytest.raises(MemoryError, match=r"20000 signals.*rechunk the other dimensions"),
    ):
        scattering(x, Toy2D())
