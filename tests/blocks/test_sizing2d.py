import importlib

import numpy as np
import pytest

from scatdask import Scattering2D
from scatdask.blocks import block_lengths, block_memory, block_of, transform_block
from scatdask.blocks.sizing import HALO_OVERHEAD
from tests.blocks.test_sizing import measured

KERNEL = importlib.import_module("scatdask.kernels.scattering2d")
AVERAGES = importlib.import_module("scatdask.kernels.averages2d")

# Parameters, then the shape: one image, many small ones, filters that are kept whole and not.
CASES = [
    ({"J": 3}, (1, 224, 224)),
    ({"J": 2}, (50, 32, 32)),
    ({"J": 4, "L": 4}, (3, 256, 256)),
    ({"J": 3, "dtype": "float64"}, (2, 200, 300)),
    ({"J": 3, "stride": 1, "L": 4}, (1, 150, 150)),
    ({"J": 2, "stride": 2, "boundary": ("zero", "periodic")}, (4, 100, 120)),
    ({"J": 3, "max_order": 1}, (2, 600, 600)),
    ({"J": 3, "boundary": "periodic"}, (1, 512, 512)),
    ({"J": 3, "L": 4}, (1, 900, 1000)),
]


@pytest.fixture
def forget_filters():
    """Have filters sampled in the test, so that their memory counts."""

    def forget():
        KERNEL._sampled_filters.cache_clear()
        AVERAGES._averages.cache_clear()

    forget()
    yield forget
    forget()


@pytest.mark.parametrize(("parameters", "shape"), CASES, ids=str)
def test_memory_of_a_call(forget_filters, rng, parameters, shape):
    transform = Scattering2D(**parameters)
    x = rng.standard_normal(shape).astype(transform.dtype)
    transform(x[:1, :64, :64])  # what is imported and planned once
    forget_filters()
    peak = x.nbytes + measured(lambda: transform(x))
    assert peak <= transform.memory(shape) <= 1.6 * peak


@pytest.mark.parametrize(("parameters", "shape"), CASES[:6], ids=str)
def test_memory_of_a_block(forget_filters, rng, parameters, shape):
    transform = Scattering2D(**parameters)
    x = rng.standard_normal(shape).astype(transform.dtype)
    transform(x[:1, :64, :64])
    forget_filters()
    step = transform.alignment
    lengths = tuple(-(-n // 3 // step) * step for n in shape[1:])
    block = block_of(transform, shape[1:], tuple((n, 2 * n) for n in lengths))

    def read_and_transform():
        rows, columns = block
        pieces = [[x[:, a:b, c:d].copy() for c, d in columns.pieces] for a, b in rows.pieces]
        return transform_block(transform, block, shape[1:], pieces)

    peak = measured(read_and_transform)
    estimate = block_memory(transform, shape[0], shape[1:], lengths, x.itemsize)
    assert peak <= estimate <= 1.9 * peak


def test_filters_of_large_images_take_little(forget_filters):
    transform = Scattering2D(5)
    assert transform.filter_memory((4096, 4096)) < 2**28
    like = np.empty(0)
    kept = measured(lambda: KERNEL.sampled_filters(transform, (4096, 4096), like))
    assert kept <= transform.filter_memory((4096, 4096)) + 64 * 4096**2


def test_blocks_where_memory_abounds_read_little_halo():
    transform = Scattering2D(3)
    shape = (2**16, 2**17)
    lengths = block_lengths(transform, shape, rows=1, itemsize=4, memory=2**40)
    block = block_of(transform, shape, tuple((2 * n, 3 * n) for n in lengths))
    for slab, length in zip(block, lengths, strict=True):
        assert length % transform.alignment == 0
        assert (slab.n_read - length) / slab.n_read <= HALO_OVERHEAD
