import dataclasses

import pytest

from scatdask import Scattering1D
from scatdask.arrays.memory import CACHE_BYTES
from scatdask.transforms.cost1d import wavelets_at_once
from scatdask.transforms.tuning import LANES


def test_rows_at_once_fit_the_cache_and_fill_the_lanes():
    transform = Scattering1D(6)
    for n in (64, 4096, 2**16, 2**20):
        fits = max(LANES, CACHE_BYTES // (8 * n))
        for rows in (0, 1, 3, 5, 8, 1001):
            at_once = transform.rows_at_once(rows, (n,))
            assert 1 <= at_once <= max(rows, 1)
            assert at_once <= fits
            assert at_once == max(rows, 1) or at_once % LANES == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wavelets_at_once_fit_the_cache_and_fill_the_lanes(dtype):
    size = 8 if dtype == "float32" else 16
    for wavelets in (1, 2, 7, 16):
        for signals in (1, 2, 3, 4, 6, 8, 40):
            for n in (16, 4096, 2**17):
                count = wavelets_at_once(wavelets, signals, n, dtype, CACHE_BYTES)
                assert 1 <= count <= wavelets
                assert count == wavelets or signals * count % LANES == 0
                fewest = LANES if signals % LANES else 1
                assert count <= fewest or count * signals * n * size <= CACHE_BYTES
                assert wavelets_at_once(wavelets, signals, n, dtype, 2**40) == wavelets


def test_flops_grow_as_they_should():
    shape = (3, 2**16)
    base = Scattering1D(8, Q=8).flops(shape)
    assert base == pytest.approx(3 * Scattering1D(8, Q=8).flops(shape[1:]))
    assert Scattering1D(8, Q=8, max_order=1).flops(shape) < base
    assert Scattering1D(8, Q=8, max_order=3).flops(shape) > 1.2 * base
    assert Scattering1D(8, Q=16).flops(shape) > 1.5 * base
    assert Scattering1D(8, Q=8, stride=1).flops(shape) > base
    assert 2 < Scattering1D(8, Q=8).flops((3, 2**17)) / base < 2.2
    # At the least the forward FFT and one inverse FFT for each wavelet of full rate.
    full_rate = sum(wavelet.j == 0 for wavelet in Scattering1D(8, Q=8).wavelets[0])
    assert base > 3 * 5 * 2**16 * 16 * (0.5 + full_rate)


@pytest.mark.parametrize("max_order", [1, 2, 3])
def test_costs_never_grow_where_paths_are_left_out(max_order):
    everything = Scattering1D(7, Q=(4, 2), max_order=max_order)
    n = 2**15

    def costs(transform):
        return (
            transform.flops((2, n)),
            transform.workspace(2, (n,)),
            transform.filter_memory((n,)),
        )

    before = costs(everything)
    for share in (2, 5, 20):
        some = dataclasses.replace(everything, selection=range(0, everything.n_paths, share))
        after = costs(some)
        assert all(a <= b for a, b in zip(after, before, strict=True))
    order0 = costs(dataclasses.replace(everything, selection=(0,)))
    assert order0[0] == pytest.approx(2 * 2.5 * n * 15)
    assert order0[1] < before[1] / 2
    assert order0[2] == 0


def test_filters_that_branches_share_count_once():
    # With stride 1 all filters of order two and three are the same, whatever comes before.
    two, three = (Scattering1D(6, Q=(4, 2), stride=1, max_order=order) for order in (2, 3))
    assert three.filter_memory((2**14,)) == two.filter_memory((2**14,))


def test_memory_is_that_of_the_block_function():
    from scatdask.blocks import array_memory

    transform = Scattering1D(8)
    assert transform.memory((3, 4096)) == array_memory(transform, (3, 4096))
    assert transform.memory((3, 4096)) > 3 * 4096 * 4
