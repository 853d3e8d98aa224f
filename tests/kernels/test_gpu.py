"""The same numbers on a CUDA device, from arrays that never leave it."""

import numpy as np
import pytest

from scatdask import Scattering1D

pytestmark = pytest.mark.gpu


@pytest.fixture
def cupy():
    cupy = pytest.importorskip("cupy")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    return cupy


@pytest.mark.parametrize("T", [None, "global", 0])
@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 5e-5), ("float64", 1e-6)])
def test_cupy_array_gives_a_cupy_array_of_the_same_numbers(cupy, T, dtype, allowed):
    transform = Scattering1D(6, Q=4, T=T, dtype=dtype)
    x = np.random.default_rng(0).standard_normal((2, 20_000)).astype(dtype)
    got, expected = transform(cupy.asarray(x)), transform(x)
    if T != 0:
        got, expected = [got], [expected]
    for a, b in zip(got, expected, strict=True):
        assert isinstance(a, cupy.ndarray)
        assert np.abs(a.get() - b).max() <= allowed * np.abs(b).max()
