import threading
import tracemalloc

import numpy as np
import pytest

from scatdask import Scattering1D
from scatdask.blocks import array_memory, block_lengths, block_memory, slab, transform_block
from scatdask.blocks.sizing import HALO_OVERHEAD, eager_lengths
from scatdask.kernels.scattering1d import sampled_cascade

# Parameters, then the shape: one long row, many short rows, batches that do not fill the lanes.
CASES = [
    ({"J": 4}, (1, 2**18)),
    ({"J": 8, "Q": 8}, (1, 2**16)),
    ({"J": 8, "Q": 8}, (100, 2048)),
    ({"J": 10, "Q": 8}, (2, 2**15)),
    ({"J": 7, "Q": (8, 2), "stride": 4}, (2, 2**14)),
    ({"J": 6, "Q": 4, "T": 0}, (3, 2**15)),
    ({"J": 7, "Q": 4, "T": "global"}, (5, 2**15)),
    ({"J": 5, "Q": 4, "T": 512}, (9, 2**14)),
    ({"J": 8, "Q": 8, "max_order": 1}, (8, 2**15)),
    ({"J": 6, "Q": 8, "boundary": "periodic", "dtype": "float64"}, (7, 2**14)),
    ({"J": 8, "Q": (8, 2), "max_order": 3}, (2, 2**15)),
    ({"J": 6, "Q": 4, "max_order": 3, "stride": 1}, (1, 2**15)),
    ({"J": 7, "max_order": 3, "T": 0}, (5, 2**15)),
    ({"J": 7, "Q": 8, "selection": range(9)}, (2, 2**15)),
    ({"J": 7, "Q": 8, "max_order": 3, "selection": range(0, 300, 7)}, (2, 2**15)),
    ({"J": 4, "boundary": "zero", "dtype": "float64"}, (60, 3000)),
]


def measured(call) -> int:
    """Return the peak of what Python's allocators hold during a call."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        peak = tracemalloc.get_traced_memory()[1] - before
        del result
        return peak
    finally:
        tracemalloc.stop()


@pytest.fixture
def forget_filters():
    """Have filters sampled in the test, so that their memory counts."""
    # The cache is behind sampled_cascade, in the module that defines it.
    cached = sampled_cascade.__globals__["_sampled_cascade"]
    cached.cache_clear()
    yield cached.cache_clear
    cached.cache_clear()


@pytest.mark.parametrize(("parameters", "shape"), CASES, ids=str)
def test_memory_of_a_call(forget_filters, rng, parameters, shape):
    transform = Scattering1D(**parameters)
    x = rng.standard_normal(shape).astype(transform.dtype)
    transform(x[:1])  # what is imported and planned once
    forget_filters()
    peak = x.nbytes + measured(lambda: transform(x))
    assert peak <= transform.memory(shape) <= 1.6 * peak


@pytest.mark.parametrize(("parameters", "shape"), CASES, ids=str)
def test_memory_of_a_block(forget_filters, rng, parameters, shape):
    transform = Scattering1D(**parameters)
    rows, n = shape
    x = rng.standard_normal(shape).astype(transform.dtype)
    transform(x[:1])
    forget_filters()
    length = -(-n // 3 // transform.alignment) * transform.alignment
    block = slab(transform, n, length, min(2 * length, n))

    def read_and_transform():
        pieces = [x[:, a:b].copy() for a, b in block.pieces]
        return transform_block(transform, (block,), (n,), pieces)

    peak = measured(read_and_transform)
    assert peak <= block_memory(transform, rows, (n,), (length,), x.itemsize) <= 1.8 * peak


def test_memory_of_a_long_array_in_blocks(forget_filters, monkeypatch, rng):
    monkeypatch.setattr("scatdask.blocks.sizing._SMALLEST", 2**12)
    transform = Scattering1D(3, Q=4)
    shape = (3, 2**16)
    assert eager_lengths(transform, shape[1:])[0] < 2**14
    x = rng.standard_normal(shape).astype(np.float32)
    transform(x[:1])
    forget_filters()
    peak = x.nbytes + measured(lambda: transform(x))
    assert peak <= array_memory(transform, shape) <= 1.6 * peak


def test_two_threads_need_twice_the_memory(forget_filters, rng):
    transform = Scattering1D(6, Q=8)
    shape = (4, 2**15)
    x = [rng.standard_normal(shape).astype(np.float32) for _ in range(2)]
    transform(x[0])
    forget_filters()
    together = threading.Barrier(2)

    def repeat(which):
        together.wait()
        for _ in range(4):
            transform(x[which])

    def run():
        threads = [threading.Thread(target=repeat, args=(which,)) for which in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert 2 * x[0].nbytes + measured(run) <= 2 * transform.memory(shape)


def test_memory_grows_with_everything_that_is_read():
    transform = Scattering1D(6, Q=4)
    base = block_memory(transform, 8, (2**20,), (2**16,), 4)
    assert block_memory(transform, 16, (2**20,), (2**16,), 4) > base
    assert block_memory(transform, 8, (2**20,), (2**17,), 4) > base
    assert block_memory(transform, 8, (2**20,), (2**16,), 8) - base == 4 * 8 * (
        slab(transform, 2**20, 2**18, 2**18 + 2**16).n_read
    )
    # The signal's length is not what costs, and 64 bits hold it.
    assert block_memory(transform, 8, (2**45,), (2**16,), 4) == base


@pytest.mark.parametrize("J", [3, 8, 12])
@pytest.mark.parametrize("T", [None, 0])
def test_blocks_where_memory_abounds_read_little_halo(J, T):
    transform = Scattering1D(J, Q=8, T=T)
    n = 2**32
    (length,) = block_lengths(transform, (n,), rows=1, itemsize=4, memory=2**40)
    assert length % transform.alignment == 0
    block = slab(transform, n, 4 * length, 5 * length)
    assert (block.n_read - length) / block.n_read <= HALO_OVERHEAD


def test_blocks_fit_the_memory():
    transform = Scattering1D(8, Q=8)
    n, lengths = 2**30, []
    for memory in (2**36, 2**26, 2**25, 2**24):
        (length,) = block_lengths(transform, (n,), rows=16, itemsize=4, memory=memory)
        assert length % transform.alignment == 0
        assert block_memory(transform, 16, (n,), (length,), 4) <= memory
        lengths.append(length)
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) > 2


def test_blocks_own_what_is_asked_for_where_memory_allows():
    transform = Scattering1D(8, Q=8)
    n = 2**30
    (wide,) = block_lengths(transform, (n,), 1, 4, memory=2**36, at_least=(10_000_001,))
    assert 10_000_001 <= wide < 10_000_001 + transform.alignment
    (narrow,) = block_lengths(transform, (n,), 1, 4, memory=2**27, at_least=(10_000_001,))
    assert narrow < wide
    assert block_memory(transform, 1, (n,), (narrow,), 4) <= 2**27


def test_a_block_never_exceeds_the_signal():
    transform = Scattering1D(4)
    assert block_lengths(transform, (1000,), 1, 4, memory=2**30) == (1008,)
    assert eager_lengths(transform, (1000,)) == (1008,)


def test_a_halo_that_does_not_fit_says_what_to_change():
    transform = Scattering1D(12, Q=8)
    with pytest.raises(MemoryError, match=rf"of {transform.halo} samples.* 1 MiB: .* lower J or T"):
        block_lengths(transform, (2**30,), rows=4, itemsize=4, memory=2**20)


def test_arrays_are_cut_only_where_they_are_much_longer_than_a_block():
    transform = Scattering1D(4)
    (length,) = eager_lengths(transform, (2**30,))
    assert length % transform.alignment == 0
    assert eager_lengths(transform, (2 * length,)) == (2 * length,)
    assert eager_lengths(transform, (2 * length + 1,)) == (length,)
