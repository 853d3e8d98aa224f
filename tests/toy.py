"""Transforms of any number of axes that are simple enough to see through: Gaussian averages.

For tests of what lies around a transform: blocks, graphs, labels. Path p is the average by a
Gaussian of WIDTHS[p] samples, and stands k + 1 times larger at place k of an inner axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from scipy import fft

from scatdask import kernels
from scatdask.transforms import Output, Transform

WIDTHS = (2.5, 3.0)


@dataclass(frozen=True)
class Toy1D(Transform):
    """Two Gaussian averages over one axis."""

    J: int = 2
    _: KW_ONLY
    stride: int | None = 4
    ragged: bool = False
    n_inner: int = 0
    boundary: str | tuple[str, ...] = "reflect"
    dtype: str = "float64"
    tolerance: float = 1e-9
    selection: tuple[int, ...] | None = None

    name: ClassVar[str] = "toy1d"

    @property
    def outputs(self):
        inner = (("level", self.n_inner),) if self.n_inner else ()
        if self.ragged:
            return (Output((0,), 2, inner), Output((1,), 4, inner))
        return (Output((0, 1), self.stride, inner),)

    halo = property(lambda self: 24)
    alignment = property(lambda self: 4)
    is_ragged = property(lambda self: self.ragged)
    all_path_indices = property(lambda self: ((0,), (1,)))
    rates = property(lambda self: (1, 1))

    def paths(self, spacing=None):
        table = {"order": ("path", [0, 1]), "sigma": ("path", list(WIDTHS))}
        if spacing is not None:
            steps = spacing if isinstance(spacing, tuple) else (spacing,)
            table["wavelength1"] = ("path", [1.0 * max(steps), 2.0 * max(steps)])
            table["frequency1"] = ("path", [1.0 / max(steps), 0.5 / max(steps)])
        return xr.Dataset(coords=table)

    def inner_coords(self, spacing=None):
        if not self.n_inner:
            return {}
        return {"level": ("level", np.arange(self.n_inner) + 1.0, {"units": "times"})}

    def check_shape(self, shape):
        for axis, n in enumerate(shape):
            if n < 1:
                raise ValueError(f"axis {axis} has length 0")
            if 2**self.J > n:
                raise ValueError(f"J={self.J} spans {2**self.J} samples, axis {axis} has {n}")

    def rows_at_once(self, rows, shape):
        return max(rows, 1)

    def workspace(self, rows, shape):
        return 64 * rows * math.prod(shape)

    def filter_memory(self, shape):
        return 16 * math.prod(shape)

    def flops(self, shape):
        return 100.0 * math.prod(shape)


@dataclass(frozen=True)
class Toy2D(Toy1D):
    """Two Gaussian averages over two axes."""

    name: ClassVar[str] = "toy2d"
    ndim: ClassVar[int] = 2


@dataclass(frozen=True)
class Toy3D(Toy1D):
    """Two Gaussian averages over three axes."""

    name: ClassVar[str] = "toy3d"
    ndim: ClassVar[int] = 3


TOYS: dict[int, Callable[..., Any]] = {1: Toy1D, 2: Toy2D, 3: Toy3D}


@kernels.kernel.register(Toy1D)
def _toy(transform, x, offset, keep):
    x = np.asarray(x)
    axes = tuple(range(1, x.ndim))
    spectrum = fft.rfftn(x, axes=axes)
    found = []
    for p in range(2):
        response = 1.0
        for axis in axes:
            frequencies = fft.rfftfreq if axis == axes[-1] else fft.fftfreq
            omega = 2 * np.pi * frequencies(x.shape[axis])
            shape = [1] * x.ndim
            shape[axis] = -1
            response = response * np.exp(-((WIDTHS[p] * omega) ** 2) / 2).reshape(shape)
        average = fft.irfftn(spectrum * response, s=x.shape[1:], axes=axes)
        found.append(average + np.reshape(offset, (-1,) + (1,) * len(axes)))
    arrays = []
    for output in transform.outputs:
        kept = [f[(..., *(slice(k.start, k.stop, output.stride) for k in keep))] for f in found]
        some = np.stack([kept[p] for p in output.paths], axis=1)
        if output.stride is None:
            some = some.sum(axis=tuple(range(2, some.ndim)), keepdims=True)
        for _, size in output.inner:
            some = np.stack([some * (k + 1) for k in range(size)], axis=2)
        arrays.append(some.astype(transform.dtype))
    return arrays
