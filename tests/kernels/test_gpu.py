"""The same numbers on a CUDA device, from arrays that never leave it.

What every library must do is tested with the fixture `xp`, of which CuPy is one; here is what
only a device has.
"""

from __future__ import annotations

import numpy as np
import pytest

from scatdask import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
    arrays,
)
from scatdask.blocks import function, parts
from scatdask.errors import DeviceMemoryWarning

pytestmark = pytest.mark.gpu

CASES = {
    "1-D": (Scattering1D(6, Q=4), (2, 20_000)),
    "1-D, third order": (Scattering1D(6, Q=4, max_order=3), (2, 20_000)),
    "1-D, rates": (Scattering1D(6, Q=4, T=0), (2, 20_000)),
    "1-D, mean": (Scattering1D(6, Q=4, T="global"), (2, 20_000)),
    "1-D, float64": (Scattering1D(6, Q=4, dtype="float64"), (2, 20_000)),
    "2-D": (Scattering2D(3, L=4), (3, 100, 130)),
    "2-D, fine": (Scattering2D(3, L=4, stride=2, boundary="periodic"), (3, 96, 128)),
    "3-D, sums": (HarmonicScattering3D(2, L=2), (2, 32, 32, 32)),
    "3-D, maps": (HarmonicScattering3D(1, L=2, method="local", boundary="zero"), (30, 31, 32)),
    "joint": (TimeFrequencyScattering(6, J_fr=2, Q=8, format="joint"), (2, 4096)),
    "joint, time": (TimeFrequencyScattering(6, J_fr=2, Q=8), (2, 4096)),
}


@pytest.fixture
def cupy():
    cupy = pytest.importorskip("cupy")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    yield cupy
    cupy.get_default_memory_pool().set_limit(size=0)
    cupy.get_default_memory_pool().free_all_blocks()


@pytest.fixture(params=CASES)
def case(request):
    transform, shape = CASES[request.param]
    return transform, np.random.default_rng(0).standard_normal(shape).astype(transform.dtype)


def as_list(result):
    return result if isinstance(result, list) else [result]


def check(cupy, found, expected, dtype):
    allowed = {"float32": 5e-5, "float64": 1e-10}[dtype]
    for a, b in zip(as_list(found), as_list(expected), strict=True):
        assert isinstance(a, cupy.ndarray)
        assert a.dtype == b.dtype
        assert np.abs(a.get() - b).max() <= allowed * np.abs(b).max()


def test_numbers_are_those_of_the_cpu(cupy, case):
    transform, x = case
    check(cupy, transform(cupy.asarray(x)), transform(x), transform.dtype)


def test_blocks_stay_on_the_device(cupy, case, monkeypatch):
    transform, x = case
    device = cupy.asarray(x)
    transform(device)  # filters are moved once
    moved = []

    def counted(of_old):
        def move(array, **like):
            moved.append(array.nbytes)
            return of_old(array, **like)

        return move

    monkeypatch.setattr(function, "from_numpy", counted(arrays.from_numpy))
    monkeypatch.setattr(function, "to_numpy", counted(arrays.to_numpy))
    transform(device)
    # What says how the ends go on: an integer for each sample of a side.
    assert sum(moved) <= 8 * 4 * transform.ndim * (transform.halo + sum(x.shape[-transform.ndim :]))


def test_too_little_memory_for_all_rows_means_fewer_at_once(cupy, monkeypatch):
    transform = Scattering1D(8, Q=8)
    x = np.random.default_rng(0).standard_normal((64, 2**16)).astype(np.float32)
    expected = transform(x)
    device = cupy.asarray(x)
    transform(device[:1])
    tried = []
    of_old = function.transform_rows

    def transform_rows(transform, rows, *rest):
        tried.append(rows.shape[0])
        return of_old(transform, rows, *rest)

    monkeypatch.setattr(function, "transform_rows", transform_rows)
    monkeypatch.setattr(parts, "SHARE", 1e6)  # the estimate is not to prevent it
    monkeypatch.setattr(parts, "batch_bytes", lambda like: 2**28)
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=pool.used_bytes() + expected.nbytes + 3 * x.nbytes)
    found = transform(device)
    assert tried == sorted(tried, reverse=True)
    assert tried[0] == 64 > tried[-1]
    check(cupy, found, expected, "float32")


def test_too_little_memory_for_one_row_means_the_cpu(cupy):
    transform = Scattering1D(8, Q=8)
    x = np.random.default_rng(0).standard_normal((2, 2**16)).astype(np.float32)
    expected = transform(x)
    device = cupy.asarray(x)
    pool = cupy.get_default_memory_pool()
    pool.set_limit(size=pool.used_bytes() + 4 * expected.nbytes)
    with pytest.warns(DeviceMemoryWarning):
        found = transform(device)
    check(cupy, found, expected, "float32")


def test_plans_are_bounded(cupy):
    for n in range(1000, 1200):
        Scattering1D(2)(cupy.zeros(n, np.float32))
    cache = cupy.fft.config.get_plan_cache()
    assert 0 < cache.get_curr_size() <= cache.get_size() < 200
    assert cache.get_curr_memsize() <= cache.get_memsize()
    assert 0 < cache.get_memsize() < cupy.cuda.Device().mem_info[1]


def test_foreign_bytes_and_strides_are_mended_on_the_host(cupy):
    x = np.arange(12.0).reshape(3, 4)
    for array in (x.astype(">f8"), x[:, ::-1], x.T):
        np.testing.assert_array_equal(arrays.from_numpy(array, like=cupy.zeros(1)).get(), array)


@pytest.mark.parametrize("T", [None, 0])
def test_tensors_of_torch_on_a_device(T):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device for torch")
    transform = Scattering1D(5, Q=4, T=T)
    x = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    tensor = torch.tensor(x, device="cuda", requires_grad=True)
    found = as_list(transform(tensor))
    for a, b in zip(found, as_list(transform(x)), strict=True):
        assert a.device == tensor.device
        assert np.abs(a.detach().cpu().numpy() - b).max() <= 5e-5 * np.abs(b).max()
    sum(y.sum() for y in found).backward()
    assert bool(torch.all(torch.isfinite(tensor.grad)))
