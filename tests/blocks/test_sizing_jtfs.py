"""What joint scattering is estimated to take is what it takes."""

import numpy as np
import pytest

from scatdask import TimeFrequencyScattering
from scatdask.blocks import block_memory, block_of, transform_block
from scatdask.kernels.time_frequency import sampled_transform
from tests.blocks.test_sizing import measured

CASES = [
    ({"J": 8, "J_fr": 3, "Q": 8}, (1, 2**15)),
    ({"J": 8, "J_fr": 3, "Q": 8, "format": "joint"}, (1, 2**15)),
    ({"J": 7, "J_fr": 3, "Q": 8, "format": "joint"}, (40, 1024)),
    ({"J": 6, "J_fr": 2, "T": 0}, (3, 2**14)),
    ({"J": 6, "J_fr": 2, "T": "global", "F": "global"}, (3, 2**15)),
    ({"J": 7, "J_fr": 3, "Q": 12, "F": 0, "stride": 4}, (2, 2**12)),
    ({"J": 6, "J_fr": 3, "format": "joint", "dtype": "float64"}, (7, 2**13)),
    ({"J": 10, "J_fr": 4, "Q": 16, "format": "joint", "boundary": "periodic"}, (1, 2**13)),
    ({"J": 4, "J_fr": 2, "Q": 4, "T": 512}, (9, 2**13)),
]


@pytest.fixture
def forget_filters():
    """Have filters sampled in the test, so that their memory counts."""
    sampled_transform.cache_clear()
    yield sampled_transform.cache_clear
    sampled_transform.cache_clear()


@pytest.mark.parametrize(("parameters", "shape"), CASES, ids=str)
def test_memory_of_a_call(forget_filters, rng, parameters, shape):
    transform = TimeFrequencyScattering(**parameters)
    x = rng.standard_normal(shape).astype(transform.dtype)
    transform(x[:1])  # what is imported and planned once
    forget_filters()
    peak = x.nbytes + measured(lambda: transform(x))
    assert peak <= transform.memory(shape) <= 1.6 * peak


@pytest.mark.parametrize(("parameters", "shape"), CASES, ids=str)
def test_memory_of_a_block(forget_filters, rng, parameters, shape):
    transform = TimeFrequencyScattering(**parameters)
    rows, n = shape
    x = rng.standard_normal(shape).astype(transform.dtype)
    transform(x[:1])
    forget_filters()
    length = -(-n // 3 // transform.alignment) * transform.alignment
    block = block_of(transform, (n,), ((length, min(2 * length, n)),))

    def read_and_transform():
        pieces = [x[:, a:b].copy() for a, b in block[0].pieces]
        return transform_block(transform, block, (n,), pieces)

    peak = measured(read_and_transform)
    assert peak <= block_memory(transform, rows, (n,), (length,), x.itemsize) <= 1.8 * peak


def test_memory_of_selected_paths(forget_filters, rng):
    everything = TimeFrequencyScattering(8, J_fr=3, Q=8, format="joint")
    transform = everything.select(lambda path: (path.n2 == 4) & (path.spin == 1))
    x = rng.standard_normal((1, 2**15)).astype(np.float32)
    transform(x)
    forget_filters()
    peak = x.nbytes + measured(lambda: transform(x))
    assert peak <= transform.memory(x.shape) <= 1.6 * peak
    assert transform.memory(x.shape) < everything.memory(x.shape)
