import dataclasses
import tracemalloc

import pytest

from scatdask import HarmonicScattering3D
from scatdask.blocks import block_memory, block_of, transform_block
from scatdask.kernels.harmonic_filters import sampled_scale
from scatdask.kernels.integrals import gaussian_matrix
from tests.blocks.test_function3d import cut

# Large volumes, many small ones, few bins, maps, what is not covariant, and what is selected.
CASES = [
    ({"J": 2, "L": 2}, (1, 64, 64, 64)),
    ({"J": 2, "L": 3}, (1, 48, 40, 64)),
    ({"J": 1, "L": 1, "dtype": "float64"}, (1, 50, 50, 50)),
    ({"J": 2, "L": 2}, (40, 16, 16, 16)),
    ({"J": 2, "L": 2, "method": "local"}, (2, 40, 40, 40)),
    ({"J": 1, "L": 2, "sampling": "space", "boundary": "zero"}, (1, 50, 50, 50)),
    ({"J": 3, "L": 3, "rotation_covariant": False}, (1, 64, 64, 64)),
    ({"J": 2, "L": 2, "max_order": 1}, (1, 64, 64, 64)),
    ({"J": 2, "L": 1, "sigma_0": 2}, (1, 64, 64, 64)),
    ({"J": 2, "L": 2, "selection": (0, 1, 2)}, (1, 64, 64, 64)),
    (
        {"J": 1, "L": 2, "method": "local", "stride": 1, "integral_powers": (1,)},
        (1, 32, 32, 32),
    ),
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
    kept = [sampled_scale.__globals__["_sampled_scale"], gaussian_matrix]

    def forget():
        for cached in kept:
            cached.cache_clear()

    forget()
    yield forget
    forget()


@pytest.mark.parametrize(("parameters", "shape"), CASES, ids=str)
def test_memory_of_a_call(forget_filters, rng, parameters, shape):
    transform = HarmonicScattering3D(**parameters)
    x = rng.standard_normal(shape).astype(transform.dtype)
    transform(x[:1])  # what is imported and planned once
    forget_filters()
    peak = x.nbytes + measured(lambda: transform(x))
    assert peak <= transform.memory(shape) <= 1.6 * peak


@pytest.mark.parametrize(
    ("parameters", "shape"), [case for case in CASES if len(case[0]) > 2][2:], ids=str
)
def test_memory_of_a_block(forget_filters, rng, parameters, shape):
    transform = HarmonicScattering3D(**{"sampling": "space", **parameters})
    rows, core = shape[0], shape[1:]
    x = rng.standard_normal(shape).astype(transform.dtype)
    transform(x[:1, :8, :8, :8])
    lengths = tuple(-(-n // (2 * transform.alignment)) * transform.alignment for n in core)
    bounds = tuple((length, min(2 * length, n)) for length, n in zip(lengths, core, strict=True))
    block = block_of(transform, core, bounds)
    forget_filters()
    peak = measured(lambda: transform_block(transform, block, core, cut(x, block)))
    assert peak <= block_memory(transform, rows, core, lengths, x.itemsize) <= 1.8 * peak


def test_rows_at_once_share_a_cache():
    transform = HarmonicScattering3D(1)
    assert transform.rows_at_once(0, (8, 8, 8)) == 1
    assert transform.rows_at_once(1000, (128, 128, 128)) == 1
    several = transform.rows_at_once(1000, (16, 16, 16))
    assert 10 < several < 1000
    assert transform.rows_at_once(5, (16, 16, 16)) == 5
    assert transform.rows_at_once(1000, (8, 8, 8)) > several


def test_flops_grow_as_they_should():
    shape = (3, 64, 64, 64)
    transform = HarmonicScattering3D(2, L=2)
    base = transform.flops(shape)
    assert base == pytest.approx(3 * transform.flops(shape[1:]))
    assert HarmonicScattering3D(2, L=2, max_order=1).flops(shape) < base
    assert HarmonicScattering3D(3, L=2).flops(shape) > base
    assert HarmonicScattering3D(2, L=3).flops(shape) > 1.3 * base
    assert HarmonicScattering3D(2, L=2, rotation_covariant=False).flops(shape) < base
    assert HarmonicScattering3D(2, L=2, sigma_0=4).flops(shape) < 0.8 * base
    # At the least a real inverse FFT along the last axis for each wavelet.
    assert base > 3 * 54 * 2.5 * 64**3 * 6


def test_costs_never_grow_where_paths_are_left_out():
    everything = HarmonicScattering3D(2, L=2)
    shape = (64, 64, 64)

    def costs(transform):
        return (
            transform.flops(shape),
            transform.workspace(1, shape),
            transform.filter_memory(shape),
        )

    n = everything.n_paths
    for rows in ((0,), (n - 1,), tuple(range(0, n, 5)), tuple(range(20))):
        some = dataclasses.replace(everything, selection=rows)
        assert all(a <= b for a, b in zip(costs(some), costs(everything), strict=True))
    assert costs(dataclasses.replace(everything, selection=(0,)))[2] == 0
