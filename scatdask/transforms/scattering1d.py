r"""Scattering of signals in time: parameters, paths, subsamplings, halo.

For first-order wavelets :math:`\psi_{n_1}`, second-order wavelets :math:`\psi_{n_2}` and a
low-pass :math:`\phi_T`,

.. math::

    S_0 x = x * \phi_T, \quad
    S_1 x(n_1) = |x * \psi_{n_1}| * \phi_T, \quad
    S_2 x(n_1, n_2) = ||x * \psi_{n_1}| * \psi_{n_2}| * \phi_T,

for the pairs with :math:`j_2 > j_1` (Mallat, Comm. Pure Appl. Math. 65(10), 2012; Andén & Mallat,
IEEE Trans. Signal Process. 62(16), 2014).
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scatdask.filters import Wavelet, low_pass_reach, low_pass_sigma, morlet_bank, morlet_support
from scatdask.transforms.base import BOUNDARIES, DTYPES, Output, Transform
from scatdask.transforms.tables import wavelet_columns
from scatdask.transforms.validation import (
    as_dtype,
    as_integer,
    as_member,
    as_pair,
    as_tolerance,
)

if TYPE_CHECKING:
    import xarray as xr

# Samples that one pass through the kernel works on, per row and wavelet, in bytes: what fits the
# second-level cache beside the filters.
CACHE_BYTES = 2**21
# FFTs that pocketfft runs side by side in one vector register: batches should be multiples of it.
LANES = 4
# The low-pass as a matrix reaches this many outputs on either side; beyond, an FFT is cheaper.
WIDEST_REACH = 24
# The halo bounds errors relative to the largest sample; the largest coefficient of a path may be
# much smaller. With this factor no path of white and brown noise, impulses, steps, bursts and
# chirps (J = 3, 5, 7, any T) had an error above the tolerance; twice integrated noise had thrice.
FAINTNESS = 1000
# Bytes of the objects that hold one sampled filter, beside its values.
FILTER_OVERHEAD = 4096


@dataclass(frozen=True)
class Branch:
    """First-order wavelets of one octave, and the second-order wavelets that follow them.

    Attributes
    ----------
    wavelets : range
        Indices n1, consecutive.
    log2_rate : int
        Log2 of the subsampling of their outputs.
    children : tuple of (int, int)
        Pairs (n2, log2 of the subsampling of the second-order output).
    first_child_path : int
        Path of (first wavelet, first child); the next wavelet's follow ``len(children)`` later.
    """

    wavelets: range
    log2_rate: int
    children: tuple[tuple[int, int], ...]
    first_child_path: int


@dataclass(frozen=True)
class Scattering1D(Transform):
    """Scattering transform of order one or two over one axis.

    Parameters
    ----------
    J : int
        Largest scale: wavelets reach lengths in proportion to ``2**J`` samples.
    Q : int or (int, int), default 1
        Wavelets per octave of the first and second order; an int means ``(Q, 1)``.
    T : int, "global" or None
        Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at its
        own rate; "global" is the mean over the signal's own samples.
    stride : int, optional
        Input samples per output, a power of two up to `T`; by default the largest such. Paths
        are never subsampled beyond it internally, so a smaller stride is also more precise.
    max_order : {1, 2}, default 2
        Highest scattering order.
    boundary : {"reflect", "periodic", "zero", "nearest"}
        How the signal goes on past its ends. "reflect" does not repeat the edge sample.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole signal, relative to the largest
        coefficient of each path (for a path in a gap of the spectrum, such as a pure tone's,
        relative to a thousandth of the signal's size). It sets `halo`.

    Raises
    ------
    TypeError
        If `J`, `Q`, `T` or `stride` is not an integer.
    ValueError
        If a parameter is out of its range.

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

    name: ClassVar[str] = "scattering1d"

    def __post_init__(self) -> None:
        J = as_integer("J", self.J, at_least=1, at_most=40)
        T: int | str
        if self.T is None:
            T = 2**J
        elif isinstance(self.T, str):
            T = as_member("T", self.T, ("global",))
        else:
            T = as_integer("T", self.T, at_least=0)
        values: dict[str, Any] = {
            "J": J,
            "Q": as_pair("Q", self.Q, at_least=1),
            "T": T,
            "stride": self._checked_stride(T),
            "max_order": as_integer("max_order", self.max_order, at_least=1, at_most=2),
            "boundary": as_member("boundary", self.boundary, BOUNDARIES),
            "dtype": as_dtype("dtype", self.dtype, DTYPES),
            "tolerance": as_tolerance("tolerance", self.tolerance),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def _checked_stride(self, T: int | str) -> int | None:
        if isinstance(T, str) or T == 0:
            if self.stride is not None:
                raise ValueError(
                    f"stride={self.stride} has no meaning with T={T!r}: leave it out, or give T "
                    "a number of samples"
                )
            return None
        largest: int = 2 ** math.floor(math.log2(T))
        if self.stride is None:
            return largest
        stride = as_integer("stride", self.stride, at_least=1)
        if stride & (stride - 1):
            raise ValueError(f"stride must be a power of two, got {stride}")
        if stride > T:
            raise ValueError(
                f"stride={stride} exceeds T={T}: outputs so far apart would miss samples; the "
                f"largest stride is {largest}"
            )
        return stride

    # Wavelets and paths

    @cached_property
    def wavelets(self) -> tuple[tuple[Wavelet, ...], tuple[Wavelet, ...]]:
        """The wavelets of the first and of the second order."""
        Q1, Q2 = self.Q  # type: ignore[misc]
        return morlet_bank(self.J, Q1), morlet_bank(self.J, Q2)

    @property
    def low_pass(self) -> float | None:
        """Width of the low-pass in cycles per sample, or None where nothing is smoothed."""
        return low_pass_sigma(self.T) if isinstance(self.T, int) and self.T else None

    def _log2_rate(self, j: int) -> int:
        return j if self.stride is None else min(j, self.stride.bit_length() - 1)

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """The cascade as the kernel walks it: one branch for each octave of the first order."""
        first, second = self.wavelets
        branches = []
        path = 1 + len(first)
        for j1, group in groupby(range(len(first)), key=lambda n1: first[n1].j):
            members = list(group)
            children = tuple(
                (n2, self._log2_rate(wavelet.j))
                for n2, wavelet in enumerate(second)
                if self.max_order == 2 and wavelet.j > j1
            )
            wavelets = range(members[0], members[-1] + 1)
            branches.append(Branch(wavelets, self._log2_rate(j1), children, path))
            path += len(wavelets) * len(children)
        return tuple(branches)

    @cached_property
    def all_path_indices(self) -> tuple[tuple[int, ...], ...]:
        """For each path the indices of its wavelets: (), (n1,) or (n1, n2)."""
        order1 = [(n1,) for branch in self.branches for n1 in branch.wavelets]
        order2 = [
            (n1, n2)
            for branch in self.branches
            for n1 in branch.wavelets
            for n2, _ in branch.children
        ]
        return ((), *order1, *order2)

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
            its subsampling), ``xi`` and ``sigma`` (cycles per sample). A path of lower order has
            -1 for indices and NaN for frequencies.

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
        r"""Input samples that an output needs on either side.

        The envelopes of the filters of a path are Gaussians in time of standard deviation
        :math:`1 / 2\pi\sigma`; their convolution is a Gaussian whose variance is the sum. Samples
        further away than the halo have a share of ``tolerance / FAINTNESS`` in the path with the
        widest sum.
        """
        from scipy.special import erfcinv

        widest = 0.0
        for path in self.path_indices:
            sigmas = [self.wavelets[order][n].sigma for order, n in enumerate(path)]
            if self.low_pass is not None:
                sigmas.append(self.low_pass)
            widest = max(widest, math.sqrt(sum(sigma**-2 for sigma in sigmas)) / (2 * math.pi))
        return math.ceil(math.sqrt(2) * float(erfcinv(self.tolerance / FAINTNESS)) * widest)

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

    # Cost

    def _fits(self, n: int) -> int:
        """Return how many FFTs of length `n` fit the cache; never less than fill the lanes."""
        return max(LANES, CACHE_BYTES // (2 * np.dtype(self.dtype).itemsize * n))

    def rows_at_once(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return how many rows of padded shape ``(n,)`` the kernel takes in one pass."""
        fits = self._fits(*shape)
        if rows <= LANES or rows * LANES <= fits:
            return max(rows, 1)
        return min(rows, fits) // LANES * LANES

    def wavelets_at_once(self, branch: Branch, rows: int, n: int) -> int:
        """Return how many wavelets of a branch the kernel takes in one pass over some rows."""
        unit = LANES // math.gcd(rows, LANES)
        fits = self._fits(n >> branch.log2_rate) // rows
        return min(max(fits // unit, 1) * unit, len(branch.wavelets))

    @property
    def filter_tolerance(self) -> float:
        """Share of a filter's peak below which its response is lost in the rounding of the FFT."""
        return float(np.finfo(self.dtype).eps) / 10

    def workspace(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return the bytes that the kernel needs beside its input, output and filters.

        Parameters
        ----------
        rows : int
            Signals in one pass.
        shape : (int,)
            Padded length of each.
        """
        (n,) = shape
        first, second = self.wavelets
        n_smooth = n // self.stride if self.low_pass and self.stride else 0
        product = modulus1 = modulus2 = passing = 0
        for branch in self.branches:
            batch = rows * self.wavelets_at_once(branch, rows, n)
            batch = -(-batch // LANES) * LANES
            length = n >> branch.log2_rate
            product, modulus1 = max(product, 2 * batch * length), max(modulus1, batch * length)
            for n1 in branch.wavelets:
                passing = max(passing, 6 * rows * self._bins(first[n1], n, n)[1])
            # The half spectrum of the modulus stays while each child is filtered and averaged.
            parent = length if branch.children else 0
            for n2, log2_rate in branch.children:
                bins, mirrored = self._bins(second[n2], n, length)
                below = n >> log2_rate
                modulus2 = max(modulus2, batch * below)
                adding = 2 * below if bins > below else 0
                passing = max(passing, batch * (parent + adding + 6 * mirrored))
            # Averaging takes another half spectrum, or a copy of samples that wrap around.
            last = max((n >> rate for _, rate in branch.children), default=length)
            averaging = 2 * last + 8 * n_smooth if n_smooth else 0
            passing = max(passing, batch * (parent + averaging))
        scratch = 2 * LANES * n
        words = rows * n + product + modulus1 + modulus2 + passing + scratch
        return np.dtype(self.dtype).itemsize * words

    def filter_memory(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the filters for rows of padded shape ``(n,)``, which are kept."""
        (n,) = shape
        first, second = self.wavelets
        total: float = sum(self._bins(wavelet, n, n)[0] for wavelet in first)
        for branch in self.branches:
            length = n >> branch.log2_rate
            total += sum(self._bins(second[n2], n, length)[0] for n2, _ in branch.children)
        total += self._taps(n) / 2
        n_filters = len(first) + sum(len(branch.children) for branch in self.branches)
        return 2 * np.dtype(self.dtype).itemsize * math.ceil(total) + FILTER_OVERHEAD * n_filters

    def _taps(self, n: int) -> int:
        """Return the entries of the matrices that average by tiles, one for each rate."""
        if not (self.low_pass and self.stride):
            return 0
        reach = low_pass_reach(self.low_pass, float(np.finfo(self.dtype).eps)) / self.stride
        tile = math.ceil(reach) + 1
        if reach > WIDEST_REACH or n // self.stride < 3 * reach:
            return 0
        rates = {log2_rate for branch in self.branches for _, log2_rate in branch.children}
        rates |= {branch.log2_rate for branch in self.branches if not branch.children}
        return sum((self.stride >> rate) * 3 * tile**2 for rate in rates)

    def _bins(self, wavelet: Wavelet, n: int, length: int) -> tuple[int, int]:
        """Return the bins of a filter on `length` of `n` bins, and how many are mirrored."""
        low, high = morlet_support(wavelet.xi, wavelet.sigma, self.filter_tolerance)
        mirrored = max(-low, 0.0) * n + max(high * n - length / 2, 0.0)
        return min(math.ceil((high - low) * n) + 2, length), min(math.ceil(mirrored), length // 2)

    def flops(self, shape: tuple[int, ...]) -> float:
        """Estimate the floating-point operations for an input of a shape ``(..., n)``.

        Counts ``5 n log2 n`` for a complex FFT and half for a real one.
        """
        *batch, n = shape
        rows = math.prod(batch)

        def fft(length: float) -> float:
            return 5 * length * math.log2(max(length, 2.0))

        total = fft(n) / 2
        for branch in self.branches:
            length1 = n / 2**branch.log2_rate
            each = fft(length1) * (1.5 if branch.children else 1)
            each += sum(fft(n / 2**rate) for _, rate in branch.children)
            total += each * len(branch.wavelets)
        return rows * total
