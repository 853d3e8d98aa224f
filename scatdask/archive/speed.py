"""How fast this machine is at a transform, measured on a small one of its kind."""

from __future__ import annotations

import time
from functools import lru_cache

import numpy as np

from scatdask.blocks import block_of
from scatdask.transforms import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
    Transform,
)


@lru_cache
def measured_speed(kind: type[Transform]) -> float:
    """Measure floating-point operations per second of one thread, once a process."""
    transform, shape = _example(kind)
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    transform(x)  # samples the filters
    start = time.perf_counter()
    transform(x)
    seconds = time.perf_counter() - start
    rows, *core = shape
    block = block_of(transform, tuple(core), tuple((0, n) for n in core))
    return transform.flops((rows, *(slab.length for slab in block))) / seconds


def _example(kind: type[Transform]) -> tuple[Transform, tuple[int, ...]]:
    """Return a transform that takes some tenths of a second, and the shape of its input."""
    if issubclass(kind, Scattering2D):
        return Scattering2D(J=3, L=8), (1, 256, 256)
    if issubclass(kind, HarmonicScattering3D):
        return HarmonicScattering3D(J=1, L=2), (1, 48, 48, 48)
    if issubclass(kind, TimeFrequencyScattering):
        return TimeFrequencyScattering(J=8, J_fr=3, Q=8), (1, 2**13)
    return Scattering1D(J=8, Q=8), (4, 2**14)
