import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask import Scattering1D
from scatdask.blocks import block_memory
from scatdask.lazy import lazy_block_lengths, scattering
from tests.lazy.common import TOLERANCE, chunkings, compute, noise, whole, worst


@st.composite
def cases(draw):
    J = draw(st.integers(1, 4))
    T = draw(st.sampled_from([None, 0, "global", 1, 3, 2**J]))
    averaged = isinstance(T, int) and T > 0
    options = {
        "J": J,
        "Q": draw(st.sampled_from([1, 2, (3, 2)])),
        "T": T,
        "stride": draw(st.sampled_from([None, 1, 2])) if averaged and T > 1 else None,
        "max_order": draw(st.sampled_from([1, 2])),
        "boundary": draw(st.sampled_from(["reflect", "periodic", "zero", "nearest"])),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
    }
    transform = Scattering1D(**options)
    n = draw(st.sampled_from([16, 17, 31, 64, 97, 255, 509, 1000, 1024, 1531, 2048]))
    batch = draw(st.sampled_from([(), (3,), (2, 2)]))
    chunks = (*((1, size - 1) if size > 1 else (size,) for size in batch), draw(chunkings(n)))
    fewest = max(1, n // transform.alignment // 8)  # at most some nine blocks, for speed
    length = transform.alignment * draw(st.integers(fewest, 10 * fewest))
    return transform, (*batch, n), chunks, length


def check_chunking(case, kind):
    transform, shape, chunks, length = case
    x = noise(shape, kind)
    lazy = scattering(da.from_array(x, chunks=chunks), transform, lengths=(length,))
    first, again = compute(lazy), compute(lazy)
    assert worst(transform, first, whole(transform, x), x) <= TOLERANCE[transform.dtype]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)  # bit-identical
    assert [a.shape for a in lazy] == [a.shape for a in first]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(cases(), st.sampled_from(["white", "brown"]))
def test_any_chunking_equals_one_array(case, kind):
    check_chunking(case, kind)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, derandomize=False)
@given(cases(), st.sampled_from(["white", "brown"]))
def test_any_chunking_equals_one_array_in_many_new_cases(case, kind):
    check_chunking(case, kind)


@pytest.mark.parametrize("boundary", ["reflect", "periodic", "zero", "nearest"])
@pytest.mark.parametrize("n", [16, 97, 211])
def test_signal_shorter_than_the_halo(boundary, n):
    transform = Scattering1D(J=4, boundary=boundary, dtype="float64")
    assert n <= 2 * transform.halo
    x = noise((2, n))
    got = compute(scattering(da.from_array(x, chunks=(1, 5)), transform, lengths=(16,)))
    assert worst(transform, got, whole(transform, x), x) <= 1e-6


def test_default_block_length_gives_the_same_numbers():
    transform = Scattering1D(J=4, Q=2, dtype="float64")
    x = noise((2, 2**18 + 1))
    lazy = scattering(da.from_array(x, chunks=(1, 10**5)), transform)
    assert lazy[0].numblocks[-1] > 1
    assert worst(transform, compute(lazy), whole(transform, x), x) <= 1e-6


def test_non_finite_samples_touch_the_same_outputs_for_any_chunks():
    transform = Scattering1D(J=3)
    x = noise(2000)
    x[[400, 1203]] = [np.nan, np.inf]
    with pytest.warns(UserWarning, match="NaN, infinite"):
        expected = np.isnan(transform(x))
    for chunks in (2000, 401, 3):
        [got] = compute(scattering(da.from_array(x, chunks=chunks), transform, lengths=(256,)))
        np.testing.assert_array_equal(np.isnan(got), expected)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "f2", ">f4", ">i2"])
def test_any_real_type_is_converted_in_its_block(dtype):
    transform = Scattering1D(J=3)
    x = (noise(1000) * 30).astype(dtype)
    got = compute(scattering(da.from_array(x, chunks=99), transform, lengths=(256,)))
    assert worst(transform, got, whole(transform, x), x) <= 5e-5


def test_masked_array_is_a_gap():
    transform = Scattering1D(J=3)
    x = np.ma.masked_greater(noise(1000), 3.0)
    [got] = compute(scattering(da.from_array(x, chunks=99), transform, lengths=(256,)))
    with pytest.warns(UserWarning, match="NaN, infinite"):
        expected = transform(x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))


@pytest.mark.parametrize("T", [None, 0, "global"])
def test_zero_size_batch(T):
    transform = Scattering1D(J=3, T=T)
    x = da.zeros((0, 1000), chunks=(1, 100))
    for lazy, got, output in zip(
        scattering(x, transform),
        compute(scattering(x, transform)),
        transform.outputs,
        strict=True,
    ):
        assert lazy.shape == got.shape
        assert got.shape[:2] == (0, len(output.paths))


def test_empty_chunks_are_passed_over():
    transform = Scattering1D(J=3, dtype="float64")
    x = noise(1000)
    lazy = da.from_array(x, chunks=((0, 400, 0, 0, 600, 0),))
    got = compute(scattering(lazy, transform, lengths=(200,)))
    assert worst(transform, got, whole(transform, x), x) <= 1e-6


def test_nothing_is_computed():
    def fail(block):
        raise AssertionError("computed")

    x = da.zeros(1000, chunks=100).map_blocks(fail, meta=np.empty(0))
    for T in (None, 0, "global"):
        scattering(x, Scattering1D(J=3, T=T))


@pytest.mark.parametrize("T", [None, 0, "global"])
def test_same_call_gives_the_same_task_names(T):
    x = da.zeros((2, 1000), chunks=(1, 100))
    first, again = (scattering(x, Scattering1D(J=3, T=T)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert a.name == b.name
        assert set(a.dask) == set(b.dask)


def test_threads_give_the_same_bits():
    transform = Scattering1D(J=3, T="global")
    x = da.from_array(noise((3, 4000)), chunks=(1, 130))
    [lazy] = scattering(x, transform, lengths=(80,))
    np.testing.assert_array_equal(
        lazy.compute(scheduler="sync"), lazy.compute(scheduler="threads", num_workers=4)
    )


def test_unknown_chunk_sizes():
    x = da.zeros(1000, chunks=100)
    with pytest.raises(ValueError, match=r"unknown.*compute_chunk_sizes\(\)"):
        scattering(x[x == 0], Scattering1D(J=3))


def test_not_a_dask_array():
    with pytest.raises(TypeError, match="needs a dask"):
        scattering(np.zeros(1000), Scattering1D(J=3))


@pytest.mark.parametrize("dtype", ["c8", "?", "O", "U3", "M8[s]", "m8[s]"])
def test_samples_that_are_not_real_numbers(dtype):
    with pytest.raises(TypeError, match="has no scattering transform"):
        scattering(da.zeros(1000, chunks=100, dtype="i8").astype(dtype), Scattering1D(J=3))


def test_too_short_and_zero_length():
    with pytest.raises(ValueError, match="largest J that fits is 6"):
        scattering(da.zeros(100), Scattering1D(J=7))
    with pytest.raises(ValueError, match="length 0"):
        scattering(da.zeros((3, 0)), Scattering1D(J=3))


@pytest.mark.parametrize("length", [0, -8, 12])
def test_length_that_is_not_aligned(length):
    with pytest.raises(ValueError, match="multiple of the transform's alignment, 8"):
        scattering(da.zeros(1000), Scattering1D(J=3), lengths=(length,))


def test_block_length_keeps_halo_small_where_memory_allows():
    transform = Scattering1D(J=10, Q=8)
    x = da.zeros((4, 10**8), chunks=(1, 10**6), dtype="f4")
    [length] = lazy_block_lengths(x, transform)
    assert 2 * transform.halo / (length + 2 * transform.halo) <= 0.1
    assert length % transform.alignment == 0
    assert block_memory(transform, 1, (10**8,), (length,), 4) <= 4 * 2**27


def test_block_length_grows_with_source_chunks_for_cheap_transforms():
    transform = Scattering1D(J=2, max_order=1)
    [short] = lazy_block_lengths(da.zeros(10**7, chunks=10**4, dtype="f4"), transform)
    [long] = lazy_block_lengths(da.zeros(10**7, chunks=10**6, dtype="f4"), transform)
    assert short < long <= 10**6


def test_too_many_signals_for_memory():
    x = da.zeros((20_000, 10**6), chunks=(20_000, 10), dtype="f4")
    with (
        dask.config.set({"array.chunk-size": "1MiB"}),
        pytest.raises(MemoryError, match=r"20000 signals.*rechunk the other dimensions"),
    ):
        scattering(x, Scattering1D(J=10))


def test_lengths_beyond_32_bits():
    n = 2**33 + 5
    x = da.zeros(n, chunks=2**27, dtype="f4")
    [lazy] = scattering(x, Scattering1D(J=10), lengths=(2**24,))
    assert lazy.shape[-1] == -(-n // 1024)
    tail = lazy[:, -1:].compute(scheduler="sync")
    np.testing.assert_array_equal(tail, 0)
