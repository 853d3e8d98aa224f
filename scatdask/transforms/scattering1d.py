r"""Scattering of signals in time: parameters, paths, subsamplings, halo.

For first-order wavelets :math:`\psi_{n_1}`, second-order wavelets :math:`\psi_{n_2}` and a
low-pass :math:`\phi_T`,

.. math::

    S_0 x = x * \phi_T, \quad
    S_1 x(n_1) = |x * \psi_{n_1}| * \phi_T, \quad
    S_2 x(n_1, n_2) = ||x * \psi_{n_1}| * \psi_{n_2}| * \phi_T, \quad \dots

for the pairs with :math:`j_2 > j_1`, and the triples with :math:`j_3 > j_2 > j_1`, whose third
wavelet is of the second-order bank (Mallat, Comm. Pure Appl. Math. 65(10), 2012; Andén & Mallat,
IEEE Trans. Signal Process. 62(16), 2014).
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scatdask.filters import Wavelet, littlewood_paley, low_pass_sigma, morlet_bank
from scatdask.transforms import cost1d
from scatdask.transforms.base import BOUNDARIES, DTYPES, Output, Transform
from scatdask.transforms.cascade import Branch1D, all_paths, cascade
from scatdask.transforms.halo import gaussian_halo
from scatdask.transforms.tables import wavelet_columns
from scatdask.transforms.validation import (
    as_average,
    as_dtype,
    as_integer,
    as_member,
    as_pair,
    as_selection,
    as_stride,
    as_tolerance,
)

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Scattering1D(Transform):
    """Scattering transform of order one to three over one axis.

    Parameters
    ----------
    J : int
        Largest scale: wavelets reach lengths in proportion to ``2**J`` samples.
    Q : int or (int, int), default 1
        Wavelets per octave of the first and of the higher orders; an int means ``(Q, 1)``.
    T : int, "global" or None
        Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at its
        own rate; "global" is the mean over the signal's own samples.
    stride : int, optional
        Input samples per output, a power of two up to `T`; by default the largest such. Paths
        are never subsampled beyond it internally, so a smaller stride is also more precise.
    max_order : {1, 2, 3}, default 2
        Highest scattering order.
    boundary : {"reflect", "periodic", "zero", "nearest"}
        How the signal goes on past its ends. "reflect" does not repeat the edge sample.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole signal, relative to the largest
        coefficient of each path (for a path in a gap of the spectrum, such as a pure tone's,
        relative to a thousandth of the signal's size). It sets `halo`.
    selection : tuple of int, optional
        Rows of the table of all paths that are wanted, increasing; by default all. What no
        wanted path needs is not computed. Easier to make by `select`.

    Raises
    ------
    TypeError
        If `J`, `Q`, `T`, `stride` or a row is not an integer.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    `dataclasses.replace` keeps `T` and `stride` even where they were left out: with
    ``T=None, stride=None`` among the replacements they follow anew.

    References
    ----------
    Andén & Mallat, "Deep scattering spectrum", IEEE Trans. Signal Process. 62(16), 2014.
    Andreux et al., "Kymatio: scattering transforms in Python", JMLR 21(60), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> S = Scattering1D(J=6, Q=8)
    >>> S(np.random.default_rng(0).standard_normal(4096)).shape
    (126, 64)
    >>> S.stride, S.n_out(4096)
    (64, 64)
    """

    J: int
    _: KW_ONLY
    Q: int | tuple[int, int] = 1
    T: int | str | None = None
    stride: int | None = None
    max_order: int = 2
    boundary: str = "reflect"
    dtype: str = "float32"
    tolerance: float = 1e-6
    selection: tuple[int, ...] | None = None

    name: ClassVar[str] = "scattering1d"

    def __post_init__(self) -> None:
        J = as_integer("J", self.J, at_least=1, at_most=40)
        T = 2**J if self.T is None else as_average("T", self.T)
        values: dict[str, Any] = {
            "J": J,
            "Q": as_pair("Q", self.Q, at_least=1),
            "T": T,
            "stride": self._checked_stride(T),
            "max_order": as_integer("max_order", self.max_order, at_least=1, at_most=3),
            "boundary": as_member("boundary", self.boundary, BOUNDARIES),
            "dtype": as_dtype("dtype", self.dtype, DTYPES),
            "tolerance": as_tolerance("tolerance", self.tolerance),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        if self.selection is not None:
            rows = as_selection("selection", self.selection, len(self.all_path_indices))
            object.__setattr__(self, "selection", rows)

    def _checked_stride(self, T: int | str) -> int | None:
        if isinstance(T, str) or T == 0:
            if self.stride is not None:
                raise ValueError(
                    f"stride={self.stride} has no meaning with T={T!r}: leave it out, or give T "
                    "a number of samples"
                )
            return None
        return as_stride(self.stride, at_most=T, which_is=f"{T=}")

    # Wavelets and paths

    @cached_property
    def wavelets(self) -> tuple[tuple[Wavelet, ...], ...]:
        """The wavelets of each order: those of the first, of the second, and again of the third."""
        Q1, Q2 = self.Q  # type: ignore[misc]
        first, second = morlet_bank(self.J, Q1), morlet_bank(self.J, Q2)
        return first, *(second,) * max(self.max_order - 1, 1)

    @property
    def low_pass(self) -> float | None:
        """Width of the low-pass in cycles per sample, or None where nothing is smoothed."""
        return low_pass_sigma(self.T) if isinstance(self.T, int) and self.T else None

    def _log2_rate(self, j: int) -> int:
        return j if self.stride is None else min(j, self.stride.bit_length() - 1)

    @cached_property
    def all_path_indices(self) -> tuple[tuple[int, ...], ...]:
        """For each path, selected or not, the indices of its wavelets: (), (n1,), (n1, n2)..."""
        return all_paths(self.wavelets[: self.max_order])

    @cached_property
    def branches(self) -> tuple[Branch1D, ...]:
        """The cascade as the kernel walks it: the tree of what the selected paths need."""
        return cascade(self.wavelets, self.path_indices, self._log2_rate)

    def paths(self, spacing: float | tuple[float, ...] | None = None) -> xr.Dataset:
        """Return the table of paths.

        Parameters
        ----------
        spacing : float, optional
            Sampling step of the signal. With it the table also has frequencies in its inverse
            unit (Hz for seconds).

        Returns
        -------
        xarray.Dataset
            One row for each path: ``order``, then for each order ``n`` (wavelet), ``j`` (log2 of
            its subsampling), ``xi`` and ``sigma`` (cycles per sample), numbered from 1 to 2, or to
            3 for ``max_order=3``. A path of lower order has -1 for indices and NaN for
            frequencies.

        Examples
        --------
        >>> Scattering1D(J=4).paths(spacing=0.01).frequency1.values[:3].round(2)
        array([ nan, 35. , 17.5])
        """
        import xarray as xr

        if isinstance(spacing, tuple):
            (spacing,) = spacing
        order = np.array([len(path) for path in self.path_indices], dtype=np.int64)
        table: dict[str, Any] = {"order": ("path", order, {"long_name": "scattering order"})}
        for level, bank in enumerate(self.wavelets, start=1):
            chosen = [path[level - 1] if len(path) >= level else None for path in self.path_indices]
            table |= wavelet_columns(level, bank, chosen, spacing)
        return xr.Dataset(coords=table)

    # Geometry

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """One entry for each array that the transform yields."""
        everything = tuple(range(self.n_paths))
        if self.T != 0:
            return (Output(everything, self.stride),)
        return tuple(
            Output(tuple(p for p in everything if self.rates[p] == rate), rate)
            for rate in sorted(set(self.rates))
        )

    @property
    def is_ragged(self) -> bool:
        """Whether each path keeps its own rate, so that a call returns a list of arrays."""
        return self.T == 0

    @cached_property
    def rates(self) -> tuple[int, ...]:
        """Subsampling of each path before the average."""
        return tuple(
            2 ** self._log2_rate(self.wavelets[len(path) - 1][path[-1]].j) if path else 1
            for path in self.path_indices
        )

    @property
    def alignment(self) -> int:
        """The coarsest internal subsampling: every block starts at a multiple of it."""
        if self.stride is not None:
            return self.stride
        return max(self.rates)

    @cached_property
    def halo(self) -> int:
        """Input samples that an output needs on either side.

        The envelopes of the filters of a path are Gaussians in time of standard deviation
        ``1 / (2 * pi * sigma)``, and their variances add up; the path with the widest sum
        counts. See `scatdask.transforms.halo`.
        """
        average = () if self.low_pass is None else (self.low_pass,)
        widest = max(
            sum(
                sigma**-2
                for sigma in (*average, *(self.wavelets[k][n].sigma for k, n in enumerate(path)))
            )
            for path in self.path_indices
        )
        return gaussian_halo(math.sqrt(widest) / (2 * math.pi), self.tolerance)

    def n_out(self, n: int) -> int:
        """Return the number of outputs of `n` input samples.

        Raises
        ------
        ValueError
            For ``T=0``, where each path has its own.
        """
        if self.T == 0:
            raise ValueError("with T=0 each path has its own rate: see outputs")
        return self.outputs[0].n_out(n)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where a signal of shape ``(n,)`` is too short to mean anything.

        "periodic" and "zero" say what the signal is outside, so any length will do for them.
        """
        (n,) = shape
        if n < 1:
            raise ValueError("the signal has no samples: its core axis has length 0")
        if self.boundary in ("periodic", "zero"):
            return
        remedy = (
            f'or say what lies outside the signal with boundary="periodic" or "zero" '
            f"(now {self.boundary!r})"
        )
        if 2**self.J > n:
            largest = int(n).bit_length() - 1
            fits = f"the largest J that fits is {largest}" if largest else "no J fits"
            raise ValueError(
                f"J={self.J} spans 2**J = {2**self.J} samples but the signal has {n}: {fits}, "
                f"{remedy}"
            )
        if isinstance(self.T, int) and self.T > n:
            raise ValueError(
                f"T={self.T} exceeds the signal's {n} samples: the largest T that fits is {n}, "
                f"{remedy}"
            )

    # Frames

    def littlewood_paley(self, n: int) -> xr.DataArray:
        r"""Sum the energy that the wavelets of each order and the low-pass keep.

        :math:`A(f) = |\hat\phi(f)|^2 + \frac12 \sum_\lambda (|\hat\psi_\lambda(f)|^2 +
        |\hat\psi_\lambda(-f)|^2)`, over the whole bank whatever is selected. Where it is one, an
        order passes on all energy; where it is at most one, it never expands energy.

        Parameters
        ----------
        n : int
            Samples of the signal: as many frequencies as its real FFT has.

        Returns
        -------
        xarray.DataArray
            Dimensions ``order`` and ``frequency`` (cycles per sample, 0 to 1/2). Without an average
            (``T=0``) of the wavelets alone; the average over the whole signal (``T="global"``)
            keeps frequency zero only.

        References
        ----------
        Andén & Mallat (2014).

        Examples
        --------
        >>> A = Scattering1D(J=6, Q=8).littlewood_paley(4096)
        >>> A.sizes, bool(A.max() <= 1)
        (Frozen({'order': 2, 'frequency': 2049}), True)
        """
        import xarray as xr

        n = as_integer("n", n, at_least=1)
        T = self.T if isinstance(self.T, int) and self.T else None
        sums = [littlewood_paley(bank, T, n) for bank in self.wavelets[: self.max_order]]
        if self.T == "global":
            for total in sums:
                total[0] += 1
        attributes = {"long_name": "frequency", "units": "cycles per sample"}
        return xr.DataArray(
            np.stack(sums)[:, : n // 2 + 1],
            coords={
                "order": ("order", np.arange(1, len(sums) + 1), {"long_name": "scattering order"}),
                "frequency": ("frequency", np.fft.rfftfreq(n), attributes),
            },
            name="littlewood_paley",
            attrs={"long_name": "Littlewood-Paley sum"},
        )

    # Cost

    def rows_at_once(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return how many rows of padded shape ``(n,)`` the kernel takes in one pass."""
        return cost1d.rows_at_once(self, rows, *shape)

    def workspace(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return the bytes that the kernel needs beside its input, output and filters.

        Parameters
        ----------
        rows : int
            Signals in one pass.
        shape : (int,)
            Padded length of each.
        """
        return cost1d.workspace(self, rows, *shape)

    def filter_memory(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the filters for rows of padded shape ``(n,)``, which are kept."""
        return cost1d.filter_memory(self, *shape)

    def flops(self, shape: tuple[int, ...]) -> float:
        """Estimate the floating-point operations for an input of a shape ``(..., n)``.

        Counts ``5 n log2 n`` for a complex FFT and half for a real one.
        """
        return cost1d.flops(self, shape)
