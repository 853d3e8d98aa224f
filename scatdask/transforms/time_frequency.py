r"""Joint scattering in time and frequency: parameters, paths, subsamplings, halo.

The first-order wavelets :math:`\psi_{n_1}` make an image of a signal, :math:`X(t, n_1) = |x *
\psi_{n_1}|(t)`, whose second axis is log-frequency. Wavelets :math:`\psi_{n_2}` along time and
:math:`\chi_{n_{fr}}` along frequency see its shapes: their product is a ridge that rises or falls,

.. math::

    S_1 x(t, n_1, n_{fr}) = |X * \phi_T * \chi_{n_{fr}}| * \phi_F, \qquad
    S_2 x(t, n_1, n_2, n_{fr}) = |X * \psi_{n_2} * \chi_{n_{fr}}| * \phi_T * \phi_F

(Andén, Lostanlen & Mallat, IEEE Trans. Signal Process. 67(14), 2019). The wavelets along frequency
come in pairs of opposite quefrency; for ``spin = +1`` the ridge rises, for -1 it falls. The
low-pass among them, ``spin = 0``, needs no further :math:`\phi_F`.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scatdask.transforms import cost_joint
from scatdask.transforms.base import Output, Transform
from scatdask.transforms.frequency_axis import FrequencyAxis
from scatdask.transforms.halo import gaussian_halo
from scatdask.transforms.planes import Plane, all_paths, all_planes, wanted_planes
from scatdask.transforms.scattering1d import Scattering1D
from scatdask.transforms.tables import quefrency_columns, wavelet_columns
from scatdask.transforms.validation import as_average, as_integer, as_member, as_selection

if TYPE_CHECKING:
    import xarray as xr

FORMATS = ("time", "joint")


@dataclass(frozen=True)
class TimeFrequencyScattering(Transform):
    """Joint time-frequency scattering transform over one axis.

    Parameters
    ----------
    J : int
        Largest scale in time: wavelets reach lengths in proportion to ``2**J`` samples.
    J_fr : int
        Largest scale along frequency: ``2**J_fr`` first-order wavelets.
    Q : int or (int, int), default 8
        Wavelets per octave of the first and second order in time; an int means ``(Q, 1)``.
    Q_fr : int, default 1
        Wavelets per octave along frequency.
    T : int, "global" or None
        Averaging scale in samples. None means ``2**J``; 0 means no averaging, each path at its
        own rate; "global" is the mean over the signal's own samples. With these two the first
        order is averaged over ``2**J`` before wavelets along frequency see it.
    F : int, "global" or None
        Averaging scale along frequency, in first-order wavelets. None means ``2**J_fr``; 0 means
        no averaging, each path at its own spacing, so that most have no parent to be renormalised
        by; "global" is the mean over the wavelets.
    stride : int, optional
        Input samples per output, a power of two up to `T`; by default the largest such.
    format : {"time", "joint"}, default "time"
        "time": each output along frequency is a path of its own, beside the order-0 path.
        "joint": an axis ``frequency`` stands between path and time; there is no order 0. It needs
        one spacing of all paths along frequency: not ``F=0``, nor `F` above ``2**J_fr``.
    boundary : {"reflect", "periodic", "zero", "nearest"}
        How the signal goes on past its ends. "reflect" does not repeat the edge sample.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole signal; as in `Scattering1D`.
    selection : tuple of int, optional
        Rows of the whole table of paths that are wanted; see `select`.

    Raises
    ------
    TypeError
        If a parameter that counts is not an integer.
    ValueError
        If a parameter is out of its range, or `J_fr` or `F` exceeds the bank of first-order
        wavelets.

    Notes
    -----
    `dataclasses.replace` keeps `T`, `F` and `stride` even where they were left out: with
    ``T=None, F=None, stride=None`` among the replacements they follow anew.

    References
    ----------
    Andén, Lostanlen & Mallat, "Joint time-frequency scattering", IEEE Trans. Signal Process.
    67(14), 2019.
    Andreux et al., "Kymatio: scattering transforms in Python", JMLR 21(60), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal(4096)
    >>> TimeFrequencyScattering(J=8, J_fr=3, Q=8)(x).shape
    (279, 16)
    >>> S = TimeFrequencyScattering(J=8, J_fr=3, Q=8, format="joint")
    >>> S(x).shape
    (59, 17, 16)
    >>> S.select(lambda path: path.spin == 1).n_paths
    28
    """

    J: int
    _: KW_ONLY
    J_fr: int
    Q: int | tuple[int, int] = 8
    Q_fr: int = 1
    T: int | str | None = None
    F: int | str | None = None
    stride: int | None = None
    format: str = "time"
    boundary: str = "reflect"
    dtype: str = "float32"
    tolerance: float = 1e-6
    selection: tuple[int, ...] | None = None

    name: ClassVar[str] = "time_frequency_scattering"

    def __post_init__(self) -> None:
        in_time = Scattering1D(
            self.J,
            Q=self.Q,
            T=self.T,
            stride=self.stride,
            boundary=self.boundary,
            dtype=self.dtype,
            tolerance=self.tolerance,
        )
        same = ("J", "Q", "T", "stride", "boundary", "dtype", "tolerance")
        values: dict[str, Any] = {key: getattr(in_time, key) for key in same}
        n_rows = len(in_time.wavelets[0])
        values["J_fr"] = J_fr = self._checked_J_fr(in_time, n_rows)
        values["Q_fr"] = as_integer("Q_fr", self.Q_fr, at_least=1)
        values["format"] = as_member("format", self.format, FORMATS)
        values["F"] = self._checked_F(in_time, n_rows, J_fr)
        for key, value in values.items():
            object.__setattr__(self, key, value)
        chosen = as_selection("selection", self.selection, len(self.all_path_indices))
        object.__setattr__(self, "selection", chosen)

    def _checked_J_fr(self, in_time: Scattering1D, n_rows: int) -> int:
        J_fr = as_integer("J_fr", self.J_fr, at_least=1, at_most=40)
        if 2**J_fr > n_rows:
            raise ValueError(
                f"J_fr={J_fr} spans 2**J_fr = {2**J_fr} wavelets but the bank of J={in_time.J}, "
                f"Q={in_time.Q} has {n_rows}: the largest J_fr that fits is "
                f"{n_rows.bit_length() - 1}, or raise J or Q"
            )
        return J_fr

    def _checked_F(self, in_time: Scattering1D, n_rows: int, J_fr: int) -> int | str:
        if self.F is None:
            return 2**J_fr
        F = as_average("F", self.F)
        if isinstance(F, str):
            return F
        if n_rows < F:
            raise ValueError(
                f"F={F} exceeds the {n_rows} wavelets of the bank of J={in_time.J}, "
                f"Q={in_time.Q}: the largest F that fits is {n_rows}, or F='global' for their mean"
            )
        if self.format == "joint" and F == 0:
            raise ValueError(
                "format='joint' has one spacing along frequency, but with F=0 each path has its "
                "own: give F, or take format='time'"
            )
        if self.format == "joint" and F > 2**J_fr:
            raise ValueError(
                f"format='joint' has one spacing along frequency, but F={F} exceeds 2**J_fr = "
                f"{2**J_fr}, the spacing of spin 0: the largest F that fits is {2**J_fr}, or take "
                "format='time'"
            )
        return F

    # Wavelets and paths

    @cached_property
    def cascade(self) -> Scattering1D:
        """The scattering in time whose filters, subsamplings and halo this transform has."""
        averages = isinstance(self.T, int) and self.T > 0
        return Scattering1D(
            self.J,
            Q=self.Q,
            T=self.T if averages else None,
            stride=self.stride,
            boundary=self.boundary,
            dtype=self.dtype,
            tolerance=self.tolerance,
        )

    @cached_property
    def axis(self) -> FrequencyAxis:
        """The axis along which the first-order wavelets stand."""
        return FrequencyAxis(
            self.J_fr,
            self.Q_fr,
            self.F,  # type: ignore[arg-type]
            n_bank=len(self.cascade.wavelets[0]),
            room=(self.J + 1) * self.Q[0],  # type: ignore[index]
            whole=self.format == "joint",
        )

    @property
    def log2_stride(self) -> int:
        """Log2 of the input samples per output of the averaged first order."""
        assert self.cascade.stride is not None
        return self.cascade.stride.bit_length() - 1

    @cached_property
    def octaves(self) -> tuple[tuple[range, int], ...]:
        """The first-order wavelets that are needed, by subsampling, and log2 of it."""
        first, _ = self.cascade.wavelets
        n_needed = max((plane.n_rows for plane in self.planes), default=0)
        octaves = []
        for j, group in groupby(range(n_needed), key=lambda n1: first[n1].j):
            members = list(group)
            octaves.append((range(members[0], members[-1] + 1), min(j, self.log2_stride)))
        return tuple(octaves)

    @cached_property
    def _all_planes(self) -> tuple[Plane, ...]:
        first, second = self.cascade.wavelets
        return all_planes(first, second, self.log2_stride)

    @cached_property
    def all_path_indices(self) -> tuple[tuple[int, ...], ...]:
        """For each path, selected or not, the indices of its wavelets.

        (n_fr,) and (n2, n_fr) of the first and second order; with ``format="time"`` the place
        along frequency follows, and the first path is (), order 0.
        """
        return all_paths(self._all_planes, self.axis)

    @cached_property
    def planes(self) -> tuple[Plane, ...]:
        """What the kernel computes: each plane of which something is wanted."""
        return wanted_planes(self._all_planes, self.axis, self.path_indices)

    @property
    def has_order0(self) -> bool:
        """Whether the order-0 path is wanted; it is the first then."""
        return self.path_indices[0] == ()

    @property
    def wants_order1(self) -> bool:
        """Whether anything of the averaged first order is wanted."""
        return any(plane.n2 is None for plane in self.planes)

    def _named(self, path: tuple[int, ...]) -> tuple[int | None, int | None, int | None]:
        """Return n1, n2 and n_fr of a path, None where it has none."""
        *wavelets, place = path if self.format == "time" and path else (*path, -1)
        n1 = place if place >= 0 else None
        if not wavelets:
            return None, None, None
        return n1, wavelets[0] if len(wavelets) == 2 else None, wavelets[-1]

    @cached_property
    def _orders(self) -> tuple[int, ...]:
        shortest = 2 if self.format == "time" else 1
        return tuple(max(len(path) - shortest + 1, 0) for path in self.path_indices)

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
            One row for each path: ``order``; then ``n``, ``j``, ``xi`` and ``sigma`` of the
            second order (and, with ``format="time"``, of the first-order wavelet that the path
            stands at) as for `Scattering1D`; then of the wavelet along frequency ``n_fr``,
            ``j_fr``, ``xi_fr`` and ``sigma_fr`` (cycles per first-order wavelet), ``spin`` and
            ``quefrency`` (cycles per octave). Where a path has no such wavelet there is -1 for
            indices, NaN for frequencies, and 0 for the spin.

        Examples
        --------
        >>> S = TimeFrequencyScattering(J=6, J_fr=2, Q=8, format="joint")
        >>> paths = S.paths(spacing=0.01)
        >>> print(*paths.spin.values)
        0 1 1 1 0 1 1 1 -1 -1 -1 0 1 1 1 -1 -1 -1 0 1 1 1 -1 -1 -1 0 1 1 1 -1 -1 -1
        >>> print(*paths.quefrency.values[:4])
        0.0 2.8 1.4 0.7
        """
        import xarray as xr

        step = spacing[0] if isinstance(spacing, tuple) else spacing
        named = [self._named(path) for path in self.path_indices]
        order = np.array(self._orders, dtype=np.int64)
        table: dict[str, Any] = {"order": ("path", order, {"long_name": "scattering order"})}
        first, second = self.cascade.wavelets
        if self.format == "time":
            table |= wavelet_columns(1, first, [n1 for n1, _, _ in named], step)
        table |= wavelet_columns(2, second, [n2 for _, n2, _ in named], step)
        chosen = [n_fr for _, _, n_fr in named]
        table |= quefrency_columns(self.axis.bank, chosen, self.Q[0])  # type: ignore[index]
        return xr.Dataset(coords=table)

    def inner_coords(self, spacing: float | None = None) -> dict[str, Any]:
        """Return what labels the axis ``frequency`` of ``format="joint"``; else nothing.

        Parameters
        ----------
        spacing : float, optional
            Sampling step of the signal, for frequencies in its inverse unit.

        Returns
        -------
        dict
            From names to ``("frequency", values, attributes)``: ``n1``, ``j1``, ``xi1`` and
            ``sigma1`` of the first-order wavelet that each place stands at, as in the table of
            paths with ``format="time"``. Places beyond the bank, which hold what leaks out of
            it, have -1 and NaN, and so has a mean over all wavelets.
        """
        if self.format == "time":
            return {}
        bank = self.cascade.wavelets[0]
        places = self.axis.places(0, len(bank))
        chosen = [place if 0 <= place < len(bank) else None for place in places]
        return wavelet_columns(1, bank, chosen, spacing, dim="frequency")

    # Geometry

    @property
    def inner(self) -> tuple[tuple[str, int], ...]:
        """Names and lengths of the axes between path and time."""
        if self.format == "time":
            return ()
        return (("frequency", len(self.axis.places(0, len(self.cascade.wavelets[0])))),)

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """One entry for each array that the transform yields."""
        everything = tuple(range(self.n_paths))
        if self.T != 0:
            return (Output(everything, self.stride, self.inner),)
        return tuple(
            Output(tuple(p for p in everything if self.rates[p] == rate), rate, self.inner)
            for rate in sorted(set(self.rates))
        )

    @property
    def is_ragged(self) -> bool:
        """Whether each path keeps its own rate, so that a call returns a list of arrays."""
        return self.T == 0

    @cached_property
    def rates(self) -> tuple[int, ...]:
        """Subsampling of each path before the average in time."""
        rate_of = {plane.n2: 2**plane.log2_rate for plane in self._all_planes}
        return tuple(
            rate_of[self._named(path)[1]] if order else 1
            for path, order in zip(self.path_indices, self._orders, strict=True)
        )

    @property
    def alignment(self) -> int:
        """The coarsest internal subsampling: every block starts at a multiple of it."""
        return 2**self.log2_stride

    @cached_property
    def halo(self) -> int:
        """Input samples that an output needs on either side; frequency adds none.

        The widest cascade of wavelets and average in time counts, as in `Scattering1D`.
        """
        first, second = self.cascade.wavelets
        low_pass = self.cascade.low_pass
        assert low_pass is not None
        averages = self.stride is not None
        widest = low_pass**-2 if averages else 0.0
        for plane in self.planes:
            spread = max(wavelet.sigma**-2 for wavelet in first[: plane.n_rows])
            if plane.n2 is not None:
                spread += second[plane.n2].sigma ** -2
            if plane.n2 is None or averages:
                spread += low_pass**-2
            widest = max(widest, spread)
        return gaussian_halo(math.sqrt(widest) / (2 * math.pi), self.tolerance)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where a signal of shape ``(n,)`` is too short to mean anything."""
        self.cascade.check_shape(shape)

    # Cost

    def rows_at_once(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return how many rows of padded shape ``(n,)`` the kernel takes in one pass."""
        return cost_joint.rows_at_once(self, rows, *shape)

    def workspace(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return the bytes that the kernel needs beside its input, output and filters.

        Parameters
        ----------
        rows : int
            Signals in one pass.
        shape : (int,)
            Padded length of each.
        """
        return cost_joint.workspace(self, rows, *shape)

    def filter_memory(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the filters for rows of padded shape ``(n,)``, which are kept."""
        return cost_joint.filter_memory(self, *shape)

    def flops(self, shape: tuple[int, ...]) -> float:
        """Estimate the floating-point operations for an input of a shape ``(..., n)``."""
        return cost_joint.flops(self, shape)
