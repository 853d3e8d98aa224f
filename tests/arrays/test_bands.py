"""Fused filters give the products that NumPy writes run by run."""

import numpy as np
import pytest

from scatdask.arrays import band_table, fold_bands, fold_blocks
from scatdask.filters import SampledFilter
from scatdask.kernels.operations import band_pass, fold_filter


def test_tables_lay_filters_end_to_end(rng):
    filters = [(-3, rng.standard_normal(5)), (7, rng.standard_normal(1)), (0, np.ones(2))]
    table = band_table(filters, 16, 8, like=np.zeros(1))
    np.testing.assert_array_equal(table.filters, [[-3, 5, 0], [7, 1, 5], [0, 2, 6]])
    np.testing.assert_array_equal(table.factors, np.concatenate([values for _, values in filters]))


@pytest.fixture
def cupy():
    cupy = pytest.importorskip("cupy")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    return cupy


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "n_out"), [(64, 64), (64, 8), (63, 21), (10, 1)])
def test_bands(cupy, rng, n, n_out, dtype):
    spectrum = np.fft.rfft(rng.standard_normal((3, n))).astype(np.result_type(dtype, np.complex64))
    for firsts, width in [((-n, -5, 0, 3), n), ((0, 1, n // 2, n - 1), max(n // 4, 1))]:
        sampled = [SampledFilter(first, rng.standard_normal(width), n) for first in firsts]
        expected = band_pass(
            spectrum, [fold_filter(one, n_out, dtype, like=spectrum) for one in sampled]
        )
        device = cupy.asarray(spectrum)
        table = band_table(
            [(one.first, (one.values * n_out / n).astype(dtype)) for one in sampled],
            n,
            n_out,
            like=device,
        )
        found = fold_bands(device, table).get()
        np.testing.assert_allclose(found, expected, atol=1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.gpu
def test_blocks(cupy, rng):
    whole = rng.standard_normal((2, 12, 20)) + 1j * rng.standard_normal((2, 12, 20))
    blocks = np.moveaxis(whole.reshape(2, 3, 4, 5, 4), 2, 3)
    factors = rng.standard_normal((2, 3, 4, 4))
    out = cupy.empty((2, 4, 4), complex)
    moved = cupy.moveaxis(cupy.asarray(whole).reshape(2, 3, 4, 5, 4), 2, 3)
    fold_blocks(moved[:, 1:3, 2:5], cupy.asarray(factors), out)
    expected = np.einsum("pabij,abij->pij", blocks[:, 1:3, 2:5], factors)
    np.testing.assert_allclose(out.get(), expected, atol=1e-13)
