import itertools

import numpy as np
import pytest

from scatdask import Scattering1D
from scatdask.blocks import block_of, function, parts, transform_block
from scatdask.blocks.parts import in_parts
from scatdask.errors import DeviceMemoryWarning
from tests.blocks.common import noise


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


OutOfMemoryError.__module__ = "cupy.cuda.memory"


class Device:
    """A device that takes so many rows, and counts what is asked of it."""

    def __init__(self, room: int) -> None:
        self.room, self.tried, self.on_host, self.released = room, [], [], 0

    def compute(self, start: int, stop: int) -> list[int]:
        self.tried.append(stop - start)
        if stop - start > self.room:
            raise OutOfMemoryError
        return list(range(start, stop))

    def host(self, start: int, stop: int) -> list[int]:
        self.on_host.append((start, stop))
        return list(range(start, stop))

    def release(self) -> None:
        self.released += 1

    def run(self, rows: int, at_once: int) -> list[int]:
        found = []
        for first, outputs in in_parts(
            self.compute, rows, at_once, release=self.release, on_host=self.host
        ):
            assert first == len(found)
            found += outputs
        return found


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 16])
@pytest.mark.parametrize("at_once", [1, 2, 5, 16])
@pytest.mark.parametrize("room", [1, 2, 3, 100])
def test_all_rows_in_order_in_parts_that_fit(rows, at_once, room):
    device = Device(room)
    assert device.run(rows, at_once) == list(range(rows))
    failed = [size for size in device.tried if size > room]
    assert failed == device.tried[: len(failed)]  # halved at first, and never too large again
    assert device.released == len(failed)
    assert all(b == a // 2 for a, b in itertools.pairwise(failed))
    assert not device.on_host


def test_a_row_that_never_fits_is_computed_on_the_host_and_told_once():
    device = Device(0)
    with pytest.warns(DeviceMemoryWarning, match="computed on the CPU") as record:
        assert device.run(3, 2) == [0, 1, 2]
    assert len(record) == 1
    assert device.tried == [2, 1, 1, 1]
    assert device.on_host == [(0, 1), (1, 2), (2, 3)]


def test_where_not_even_one_row_will_fit_the_device_is_not_asked():
    device = Device(0)
    with pytest.warns(DeviceMemoryWarning):
        assert device.run(5, 0) == [0, 1, 2, 3, 4]
    assert not device.tried
    assert device.on_host == [(0, 5)]


@pytest.mark.parametrize("error", [MemoryError, ValueError])
def test_other_errors_are_not_caught(error):
    def compute(start, stop):
        raise error("of the host")

    with pytest.raises(error, match="of the host"):
        list(in_parts(compute, 2, 1, release=lambda: None, on_host=compute))


@pytest.fixture
def small_device(monkeypatch):
    """Have a library of the CPU look as if on a device that takes one row at a time."""
    strict = pytest.importorskip("array_api_strict")
    tried = []

    def transform_rows(transform, x, offset, keep):
        if isinstance(x, np.ndarray):
            tried.append("host")
        else:
            tried.append(x.shape[0])
            if x.shape[0] > transform_rows.room:
                raise OutOfMemoryError
        return of_old(transform, x, offset, keep)

    def free_memory(x):
        return None if isinstance(x, np.ndarray) else transform_rows.free

    transform_rows.room, transform_rows.free, transform_rows.tried = 1, 2**40, tried
    of_old = function.transform_rows
    monkeypatch.setattr(function, "transform_rows", transform_rows)
    for module in (function, parts):
        monkeypatch.setattr(module, "free_memory", free_memory)
    monkeypatch.setattr(
        parts, "batch_bytes", lambda x: 2**21 if isinstance(x, np.ndarray) else 2**28
    )
    return strict, transform_rows


@pytest.mark.parametrize("T", [None, 0, "global"])
def test_a_block_on_a_device_that_runs_out(small_device, T):
    strict, device = small_device
    transform, n = Scattering1D(3, T=T, dtype="float64"), 300
    x = noise("white", 5, n)
    block = block_of(transform, (n,), ((0, n),))
    expected = transform_block(transform, block, (n,), x)
    device.tried.clear()
    found = transform_block(transform, block, (n,), strict.asarray(x))
    assert device.tried == [5, 2, 1, 1, 1, 1, 1]
    for a, b in zip(found, expected, strict=True):
        assert type(a) is type(strict.asarray(b))
        np.testing.assert_allclose(np.asarray(a), b, atol=1e-12)


@pytest.mark.parametrize(("room", "free"), [(0, 2**40), (100, 2**20)])
def test_a_block_that_does_not_fit_a_device_is_computed_on_the_cpu(small_device, room, free):
    strict, device = small_device
    device.room, device.free = room, free
    transform, n = Scattering1D(3, dtype="float64"), 300
    x = noise("white", 2, n)
    x[0, 7] = np.nan
    block = block_of(transform, (n,), ((0, n),))
    expected = transform_block(transform, block, (n,), x)
    device.tried.clear()
    with pytest.warns(DeviceMemoryWarning):
        found = transform_block(transform, block, (n,), strict.asarray(x))
    assert device.tried == (["host"] if free == 2**20 else [2, 1, "host", 1, "host"])
    assert type(found[0]) is type(strict.asarray(x))
    np.testing.assert_allclose(np.asarray(found[0]), expected[0], atol=1e-12)
    assert np.isnan(np.asarray(found[0])).any()


def test_rows_at_once_follow_what_is_free(small_device):
    strict, device = small_device
    transform, n, rows = Scattering1D(5, Q=4), 4000, 1000
    block = block_of(transform, (n,), ((0, n),))
    shapes = ((transform.n_paths, 125),)
    counts = []
    for device.free in (2**20, 2**31, 2**32, 2**40):
        like = strict.zeros((rows, n))
        counts.append(parts.rows_at_once(transform, block, rows, shapes, like=like))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert 0 < counts[1] < counts[-1] == rows
    host = np.zeros((rows, n))
    assert parts.rows_at_once(transform, block, rows, shapes, like=host) == transform.rows_at_once(
        rows, (block[0].length,)
    )
