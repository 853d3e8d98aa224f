"""What every transform offers to the block function and to the two roads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import xarray as xr

    from scatdask.arrays import AnyArray

BOUNDARIES = ("reflect", "periodic", "zero", "nearest")
DTYPES = ("float32", "float64")

# Raised whenever the meaning of the numbers changes, so that outputs of old and new code differ.
NUMERICS = 1


@dataclass(frozen=True)
class Output:
    """Paths that share a sampling rate and so fit one array.

    Attributes
    ----------
    paths : tuple of int
        Rows of the path table.
    stride : int or None
        Input samples per output; None for one number per signal (``T="global"``).
    """

    paths: tuple[int, ...]
    stride: int | None

    def n_out(self, n: int) -> int:
        """Return the number of outputs of `n` input samples."""
        return 1 if self.stride is None else -(-n // self.stride)


class Transform(ABC):
    """Base class of the transforms, which are frozen data classes of a few numbers.

    All else is derived. Instances compare by value, are hashable, and pickle to their parameters.
    """

    name: ClassVar[str]
    boundary: str
    dtype: str
    tolerance: float

    @property
    @abstractmethod
    def outputs(self) -> tuple[Output, ...]:
        """One entry for each array that the transform yields."""

    @property
    @abstractmethod
    def halo(self) -> int:
        """Input samples that an output needs on either side."""

    @property
    @abstractmethod
    def alignment(self) -> int:
        """The coarsest internal subsampling: every block starts at a multiple of it."""

    @property
    @abstractmethod
    def is_ragged(self) -> bool:
        """Whether each path keeps its own rate, so that a call returns a list of arrays."""

    @property
    @abstractmethod
    def n_paths(self) -> int:
        """The number of scattering paths."""

    @property
    @abstractmethod
    def rates(self) -> tuple[int, ...]:
        """Subsampling of each path before the average."""

    @abstractmethod
    def paths(self, spacing: float | None = None) -> xr.Dataset:
        """Return the table of paths."""

    @abstractmethod
    def check_length(self, n: int) -> None:
        """Raise ValueError where a signal of `n` samples is too short to mean anything."""

    @abstractmethod
    def rows_at_once(self, rows: int, n: int) -> int:
        """Return how many rows of padded length `n` the kernel takes in one pass."""

    @abstractmethod
    def workspace(self, rows: int, n: int) -> int:
        """Return the bytes that the kernel needs beside its input, output and filters."""

    @abstractmethod
    def filter_memory(self, n: int) -> int:
        """Return the bytes of the filters sampled for rows of padded length `n`, which are kept."""

    @abstractmethod
    def flops(self, shape: tuple[int, ...]) -> float:
        """Estimate the floating-point operations for an input of a shape."""

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON can hold them."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    def fingerprint(self) -> str:
        """Return a SHA-256 that is equal exactly where the numbers are meant to be equal."""
        record = {"transform": self.name, "numerics": NUMERICS, **self.parameters()}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    def __call__(self, x: AnyArray) -> AnyArray:
        """Transform an array over its last axis.

        Parameters
        ----------
        x : array, shape (..., n)
            Real samples, of any library of the array API standard. Never written to.

        Returns
        -------
        array, shape (..., path, time)
            ``time`` is absent for ``T="global"``. For ``T=0`` a list with one array of shape
            ``(..., n_out)`` for each path, at its own rate.

        Raises
        ------
        TypeError
            If `x` is complex, boolean, or not numeric.
        ValueError
            If `x` is shorter than the transform's scale.
        """
        # The one upward import between layers: a transform knows only numbers, and calling it is
        # a convenience for which the block function does all the work.
        from scatdask.blocks import transform_array

        return transform_array(self, x)

    def __getstate__(self) -> dict[str, Any]:
        # Derived tables are cached in __dict__ and must not travel with a task.
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
