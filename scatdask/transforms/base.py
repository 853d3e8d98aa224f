"""What every transform offers to the block function and to the two roads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scatdask.transforms.validation import as_positive

if TYPE_CHECKING:
    from typing import Self

    import xarray as xr

    from scatdask.arrays import AnyArray

BOUNDARIES = ("reflect", "periodic", "zero", "nearest")
DTYPES = ("float32", "float64")

# Raised whenever the meaning of the numbers changes, so that outputs of old and new code differ.
NUMERICS = 1
# The halo of filters that are cut in frequency, and so ring forever: a block is the whole signal.
EVERYWHERE = 2**40
# Bytes for each bin of a filter that is being sampled, in float64.
SAMPLING_BYTES = 64


@dataclass(frozen=True)
class Output:
    """Paths that share a sampling rate and so fit one array.

    Attributes
    ----------
    paths : tuple of int
        Rows of the path table.
    stride : int or None
        Input samples per output along each core axis; None for one number per signal
        (``T="global"``).
    inner : tuple of (str, int)
        Names and lengths of axes that lie between ``path`` and the core axes.
    """

    paths: tuple[int, ...]
    stride: int | None
    inner: tuple[tuple[str, int], ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes before the core axes: paths, then the inner ones."""
        return (len(self.paths), *(size for _, size in self.inner))

    def core_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lengths of the core axes of the output of a signal of a shape.

        Examples
        --------
        >>> Output((0,), 8).core_shape((32, 33)), Output((0,), None).core_shape((32, 33))
        ((4, 5), ())
        """
        return () if self.stride is None else tuple(self.n_out(n) for n in shape)

    def n_out(self, n: int) -> int:
        """Return the number of outputs of `n` input samples."""
        return 1 if self.stride is None else -(-n // self.stride)


class Transform(ABC):
    """Base class of the transforms, which are frozen data classes of a few numbers.

    All else is derived. Instances compare by value, are hashable, and pickle to their parameters.

    A parameter that was left out has, from then on, the value that it stands for: ``stride`` and
    ``T`` are numbers. So `dataclasses.replace` keeps it, also where it followed from what is
    replaced; with None in its place it is derived anew.

    Examples
    --------
    >>> import dataclasses
    >>> from scatdask import Scattering2D
    >>> S = Scattering2D(3)
    >>> dataclasses.replace(S, J=4).stride, dataclasses.replace(S, J=4, stride=None).stride
    (8, 16)
    """

    name: ClassVar[str]
    ndim: ClassVar[int] = 1
    boundary: str | tuple[str, ...]
    dtype: str
    tolerance: float
    selection: tuple[int, ...] | None = None

    @property
    def boundaries(self) -> tuple[str, ...]:
        """How the signal goes on past its ends, for each core axis."""
        return (self.boundary,) * self.ndim if isinstance(self.boundary, str) else self.boundary

    @property
    @abstractmethod
    def outputs(self) -> tuple[Output, ...]:
        """One entry for each array that the transform yields."""

    @property
    @abstractmethod
    def halo(self) -> int:
        """Input samples that an output needs on either side, along each core axis."""

    @property
    @abstractmethod
    def alignment(self) -> int:
        """The coarsest internal subsampling: every block starts at multiples of it."""

    @property
    @abstractmethod
    def is_ragged(self) -> bool:
        """Whether each path keeps its own rate, so that a call returns a list of arrays."""

    @property
    @abstractmethod
    def all_path_indices(self) -> tuple[tuple[int, ...], ...]:
        """For each path, selected or not, the indices that name it."""

    @cached_property
    def path_indices(self) -> tuple[tuple[int, ...], ...]:
        """For each path the indices that name it."""
        everything = self.all_path_indices
        return (
            everything if self.selection is None else tuple(everything[p] for p in self.selection)
        )

    @property
    def n_paths(self) -> int:
        """The number of scattering paths."""
        return len(self.path_indices)

    @property
    @abstractmethod
    def rates(self) -> tuple[int, ...]:
        """Subsampling of each path before the average."""

    @abstractmethod
    def paths(self, spacing: float | tuple[float, ...] | None = None) -> xr.Dataset:
        """Return the table of paths."""

    def inner_coords(self, spacing: float | None = None) -> dict[str, Any]:
        """Return what labels the axes between path and core axes, as xarray takes coordinates."""
        return {}

    def select(
        self,
        predicate: Callable[[xr.Dataset], Any],
        *,
        spacing: float | tuple[float, ...] | None = None,
    ) -> Self:
        """Return the same transform with fewer paths; what they do not need is not computed.

        The halo is that of the paths that are left, so that a missing sample makes fewer outputs
        NaN where only short paths are.

        Parameters
        ----------
        predicate : callable
            Takes the table of paths, as `paths` gives it, and returns for each row whether to
            keep it.
        spacing : float or tuple of float, optional
            Sampling step, for a table with frequencies in its inverse unit; see `paths`.

        Raises
        ------
        ValueError
            If no path is left, the answer has another length than the table, it asks for what
            the table has with a `spacing` only, or `spacing` is not above zero.

        Examples
        --------
        >>> from scatdask import Scattering1D
        >>> S = Scattering1D(J=6, Q=8)
        >>> S.n_paths, S.select(lambda path: path.order < 2).n_paths
        (126, 39)
        >>> S.select(lambda path: path.frequency1 > 10, spacing=0.01).n_paths  # at 100 Hz
        78
        """
        for step in spacing if isinstance(spacing, tuple) else (spacing,):
            if step is not None:
                as_positive("spacing", step)
        table = self.paths(spacing)
        try:
            wanted = np.asarray(predicate(table), dtype=bool)
        except (AttributeError, KeyError) as error:
            lacking = {*self.paths(1.0).coords} - {*table.coords}
            named = lacking & {*re.findall(r"\w+", str(error))}
            if not named:
                raise
            raise ValueError(
                f"the table of paths has no {min(map(str, named))!r} where the sampling step "
                "is not known: give it, as `spacing` here or by coordinates of labelled data, or "
                f"compare what the table has: {', '.join(map(str, table.coords))}"
            ) from error
        if wanted.shape != (self.n_paths,):
            raise ValueError(
                f"the predicate gave shape {wanted.shape} for a table of {self.n_paths} paths: "
                "compare coordinates of the table, as in lambda path: path.order == 2"
            )
        rows = self.selection or range(len(self.all_path_indices))
        chosen = tuple(rows[place] for place in np.flatnonzero(wanted))
        return dataclasses.replace(self, selection=chosen)  # type: ignore[type-var]

    @abstractmethod
    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where a signal of a shape is too short to mean anything."""

    def sum_weights(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the factor of each path's sum over a signal of a shape (outputs without stride).

        By default such that sums over the samples of each path's own rate become means.
        """
        counts = [np.prod([-(-n // rate) for n in shape], dtype=np.float64) for rate in self.rates]
        return 1 / np.array(counts)

    @abstractmethod
    def rows_at_once(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return how many rows of a padded shape the kernel takes in one pass."""

    @abstractmethod
    def workspace(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return the bytes that the kernel needs beside its input, output and filters."""

    @abstractmethod
    def filter_memory(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the filters for rows of a padded shape, which are kept."""

    def sampling_memory(self, shape: tuple[int, ...]) -> int:
        """Return the bytes that sampling a filter for rows of a padded shape takes beside it."""
        return SAMPLING_BYTES * math.prod(shape)

    @abstractmethod
    def flops(self, shape: tuple[int, ...]) -> float:
        """Estimate the floating-point operations for an input of a shape ``(..., *core)``."""

    def memory(self, shape: tuple[int, ...]) -> int:
        """Return the peak bytes of a call on an array of a shape, input and output included.

        Parameters
        ----------
        shape : tuple of int
            ``(..., *core)``.
        """
        # As with __call__, a convenience: the sizes are those of the block function.
        from scatdask.blocks import array_memory

        return array_memory(self, shape)

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON can hold them."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }
        if values.get("selection", ()) is None:  # all paths: as before there was a choice
            del values["selection"]
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    def fingerprint(self) -> str:
        """Return a SHA-256 that is equal exactly where the numbers are meant to be equal."""
        record = {"transform": self.name, "numerics": NUMERICS, **self.parameters()}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    def __call__(self, x: AnyArray) -> AnyArray:
        """Transform an array over its last axes.

        Parameters
        ----------
        x : array, shape ``(..., *core)``
            Real samples, of any library of the array API standard. Never written to. The
            transform's `ndim` last axes are its core axes.

        Returns
        -------
        array, shape ``(..., path, *core)``
            Core axes are absent where there is one number for the whole signal, as for
            ``T="global"``. Where each path keeps its own rate (``T=0``) a list with one array of
            shape ``(..., n_out)`` for each.

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
