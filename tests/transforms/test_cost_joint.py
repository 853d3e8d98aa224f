import pytest

from scatdask import Scattering1D, TimeFrequencyScattering
from scatdask.transforms.cost_joint import WORKING_SET, columns_at_once

TRANSFORM = TimeFrequencyScattering(8, J_fr=3, Q=8)


def test_flops_and_memory_grow_as_they_should():
    shape = (3, 2**14)
    base = TRANSFORM.flops(shape)
    assert base == pytest.approx(3 * TRANSFORM.flops(shape[1:]))
    assert TimeFrequencyScattering(8, J_fr=3, Q=16).flops(shape) > 1.5 * base
    assert base > Scattering1D(8, Q=8).flops(shape)
    assert TRANSFORM.workspace(2, (2**14,)) < 2.1 * TRANSFORM.workspace(1, (2**14,))
    assert TRANSFORM.memory(shape) > 3 * 2**14 * 4


def test_few_paths_cost_less():
    one = TRANSFORM.select(lambda path: path.n2 == 4)
    assert one.flops((2**14,)) < TRANSFORM.flops((2**14,)) / 2
    assert one.filter_memory((2**14,)) < TRANSFORM.filter_memory((2**14,)) / 2
    assert one.workspace(1, (2**14,)) < TRANSFORM.workspace(1, (2**14,))
    order0 = TRANSFORM.select(lambda path: path.order == 0)
    assert order0.flops((2**14,)) < one.flops((2**14,)) / 10
    assert order0.workspace(1, (2**14,)) < one.workspace(1, (2**14,))


def test_rows_at_once_fit_the_working_set():
    for n in (256, 4096, 2**18):
        for rows in (0, 1, 3, 1001):
            at_once = TRANSFORM.rows_at_once(rows, (n,))
            assert 1 <= at_once <= max(rows, 1)
            # Memory grows with the rows a little faster where batches are filled up.
            assert at_once == 1 or TRANSFORM.workspace(at_once, (n,)) <= 1.2 * WORKING_SET


def test_columns_at_once_fit_some_memory():
    assert columns_at_once(100, 2**21, "float32") * 100 * 8 * 4 <= 2**21
    assert columns_at_once(100, 2**21, "float64") == columns_at_once(200, 2**21, "float32")
    assert columns_at_once(10**6, 2**21, "float32") == 64
