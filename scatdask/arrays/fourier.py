"""The fast Fourier transforms of each library."""

from __future__ import annotations

import threading
from functools import cache
from types import SimpleNamespace
from typing import Any

from scatdask.arrays.namespaces import AnyArray, array_namespace, is_cupy, is_numpy

# cuFFT's plans that a thread keeps for each device, and the share of its memory that their work
# areas may take. CuPy fails where one plan alone takes more.
PLANS = 64
WORK_SHARE = 0.25

_local = threading.local()


def fft_of(x: AnyArray) -> Any:
    """Return the FFTs for the library of `x`.

    ``rfft(a)``, ``irfft(a, n=)`` and ``ifft(a)`` are over the last axis; ``rfftn(a, axes=)``,
    ``irfftn(a, s=, axes=)``, ``fftn(a, axes=)`` and ``ifftn(a, axes=)`` over several. Those of
    complex arrays may write to their input, which is always one made for them.

    NumPy arrays go through `scipy.fft`, whose backends (mkl_fft, pyfftw, ducc0) users may choose
    with `scipy.fft.set_global_backend`. One thread each: blocks are what runs in parallel.
    """
    if is_numpy(x):
        return _of_scipy()
    if is_cupy(x):
        _bound_plans(x.device)
        return _of_cupy()
    return array_namespace(x).fft


@cache
def _of_scipy() -> SimpleNamespace:
    import scipy.fft

    return _in_place(scipy.fft, workers=1)


@cache
def _of_cupy() -> SimpleNamespace:
    import cupyx.scipy.fft

    return _in_place(cupyx.scipy.fft)


def _in_place(fft: Any, **options: Any) -> SimpleNamespace:
    """Give the functions of `scipy.fft` the signatures of the array API."""

    # One axis of several goes through the functions of one: in ``fftn`` mkl_fft loops over all
    # others in Python, so that volumes took eight times as long.
    def irfftn(a: AnyArray, *, s: tuple[int, ...], axes: tuple[int, ...]) -> AnyArray:
        if len(axes) == 1:
            return fft.irfft(a, s[0], axis=axes[0], overwrite_x=True, **options)
        return fft.irfftn(a, s, axes=axes, overwrite_x=True, **options)

    def fftn(a: AnyArray, *, axes: tuple[int, ...]) -> AnyArray:
        if len(axes) == 1:
            return fft.fft(a, axis=axes[0], overwrite_x=True, **options)
        return fft.fftn(a, axes=axes, overwrite_x=True, **options)

    def ifftn(a: AnyArray, *, axes: tuple[int, ...], norm: str = "backward") -> AnyArray:
        if len(axes) == 1:
            return fft.ifft(a, axis=axes[0], norm=norm, overwrite_x=True, **options)
        return fft.ifftn(a, axes=axes, norm=norm, overwrite_x=True, **options)

    return SimpleNamespace(
        rfft=lambda a: fft.rfft(a, **options),
        irfft=lambda a, *, n: fft.irfft(a, n, overwrite_x=True, **options),
        ifft=lambda a: fft.ifft(a, overwrite_x=True, **options),
        rfftn=lambda a, *, axes: fft.rfftn(a, axes=axes, **options),
        irfftn=irfftn,
        fftn=fftn,
        ifftn=ifftn,
    )


def _bound_plans(device: Any) -> None:
    """Bound what CuPy keeps of cuFFT's plans; it has a cache for each thread and device."""
    bounded: set[int] = _local.__dict__.setdefault("bounded", set())
    if device.id in bounded:
        return
    import cupy

    # Of 16 plans, its default, a cascade over a dozen lengths would make most anew in each block;
    # without a bound on their memory they would keep as much again as large blocks need.
    with device:
        cache = cupy.fft.config.get_plan_cache()
        cache.set_size(PLANS)
        cache.set_memsize(int(WORK_SHARE * device.mem_info[1]))
    bounded.add(device.id)
