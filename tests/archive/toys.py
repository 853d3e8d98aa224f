"""A transform of two paths over any number of axes whose support is five samples, exactly.

Where a real transform leaves room for its tolerance, of this one every number must be right.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import xarray as xr

from scatdask.kernels import Keep, kernel
from scatdask.transforms import Output, Transform


@dataclass(frozen=True)
class Toy(Transform):
    """Local means, and local means of the distance from them."""

    ndim: ClassVar[int] = 1
    name: ClassVar[str] = "toy"
    rates: ClassVar[tuple[int, ...]] = (1, 1)
    halo: ClassVar[int] = 2
    all_path_indices: ClassVar[tuple[tuple[int, ...], ...]] = ((), (0,))

    _: KW_ONLY
    kind: str = "mean"  # or "sum", "ragged", "inner"
    boundary: str | tuple[str, ...] = "reflect"
    dtype: str = "float64"
    tolerance: float = 1e-6

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        if self.kind == "ragged":
            return (Output((0,), 4), Output((1,), 2))
        inner = (("sign", 2),) if self.kind == "inner" else ()
        return (Output((0, 1), None if self.kind == "sum" else 4, inner),)

    @property
    def alignment(self) -> int:
        return 4

    @property
    def is_ragged(self) -> bool:
        return self.kind == "ragged"

    def paths(self, spacing: float | tuple[float, ...] | None = None) -> xr.Dataset:
        return xr.Dataset(coords={"order": ("path", [0, 1])})

    def check_shape(self, shape: tuple[int, ...]) -> None:
        if min(shape) < 1:
            raise ValueError("the signal has no samples")

    def rows_at_once(self, rows: int, shape: tuple[int, ...]) -> int:
        return rows

    def workspace(self, rows: int, shape: tuple[int, ...]) -> int:
        return 24 * rows * math.prod(shape)

    def filter_memory(self, shape: tuple[int, ...]) -> int:
        return 0

    def flops(self, shape: tuple[int, ...]) -> float:
        return 20.0 * math.prod(shape)


class Toy2D(Toy):
    ndim: ClassVar[int] = 2


class Toy3D(Toy):
    ndim: ClassVar[int] = 3


TOYS: dict[int, type[Toy]] = {1: Toy, 2: Toy2D, 3: Toy3D}


def _smooth(x: np.ndarray) -> np.ndarray:
    for axis in range(1, x.ndim):
        x = (np.roll(x, 1, axis) + 2 * x + np.roll(x, -1, axis)) / 4
    return x


@kernel.register
def _toy(
    transform: Toy, x: np.ndarray, offset: np.ndarray, keep: tuple[Keep, ...]
) -> list[np.ndarray]:
    assert x.shape[1:] == tuple(-(-n // 4) * 4 for n in x.shape[1:])
    mean = _smooth(x)
    both = (mean + offset.reshape(-1, *(1,) * transform.ndim), _smooth(np.abs(x - mean)))
    arrays = []
    for output in transform.outputs:
        place = tuple(slice(k.start, k.stop, output.stride) for k in keep)
        kept = np.stack([both[path][(slice(None), *place)] for path in output.paths], axis=1)
        if output.stride is None:
            kept = kept.sum(axis=tuple(range(2, kept.ndim)), keepdims=True)
        if output.inner:
            kept = np.stack([kept, -kept], axis=2)
        arrays.append(kept.astype(transform.dtype))
    return arrays


def expected(transform: Toy, x: np.ndarray) -> list[np.ndarray]:
    """Compute a toy of a whole array, shape (..., *core), in the plainest way."""
    modes = {"reflect": "reflect", "periodic": "wrap", "nearest": "edge", "zero": "constant"}
    core = tuple(range(x.ndim - transform.ndim, x.ndim))
    for axis, boundary in zip(core, transform.boundaries, strict=True):
        width = [(0, 0)] * x.ndim
        width[axis] = (4, 4)
        x = np.pad(x, width, mode=modes[boundary])
    flat = x.reshape(-1, *(x.shape[axis] for axis in core))
    mean = _smooth(flat)
    inside = (slice(None), *(slice(4, -4),) * transform.ndim)
    both = [
        a[inside].reshape(*x.shape[: core[0]], *a[inside].shape[1:])
        for a in (mean, _smooth(np.abs(flat - mean)))
    ]
    if transform.kind == "sum":
        return [np.stack([a.mean(axis=core) for a in both], axis=-1)]
    results = []
    for output in transform.outputs:
        step = (..., *(slice(None, None, output.stride),) * transform.ndim)
        values = np.stack([both[path][step] for path in output.paths], axis=core[0])
        if output.inner:
            values = np.stack([values, -values], axis=core[0] + 1)
        results.append(values)
    return results
