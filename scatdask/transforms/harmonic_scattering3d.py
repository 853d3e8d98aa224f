r"""Solid harmonic scattering of volumes: parameters, paths, halo.

For wavelets :math:`\psi_{j,l,m}` of scale j and degree l (see `scatdask.filters.solid_harmonic`),

.. math::

    U_1 x(j_1, l) = \Bigl(\sum_m |x * \psi_{j_1,l,m}|^2\Bigr)^{1/2}, \quad
    U_2 x(j_1, j_2, l) = \Bigl(\sum_m |U_1 x(j_1, l) * \psi_{j_2,l,m}|^2\Bigr)^{1/2},
    \quad j_1 < j_2,

and a coefficient is the sum of :math:`U^q` over the volume, or its average around a point. The sum
over m makes it turn with the volume (Eickenberg et al., J. Chem. Phys. 148, 241732, 2018).
"""

from __future__ import annotations

import math
import operator
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scatdask.filters import harmonic_band, harmonic_reach
from scatdask.transforms.base import (
    BOUNDARIES,
    DTYPES,
    EVERYWHERE,
    SAMPLING_BYTES,
    Output,
    Transform,
)
from scatdask.transforms.cost3d import ROW_BYTES, filter_memory3d, flops3d, workspace3d
from scatdask.transforms.halo import FAINTNESS
from scatdask.transforms.sampling import as_sampling, check_sides
from scatdask.transforms.validation import (
    as_boundary,
    as_dtype,
    as_flag,
    as_integer,
    as_member,
    as_positive,
    as_powers,
    as_selection,
    as_stride,
    as_tolerance,
)

if TYPE_CHECKING:
    import xarray as xr

METHODS = ("integral", "local")
# Monomials of a harmonic cancel: up to this degree float32 keeps its errors below 1e-6.
HIGHEST_DEGREE = 20


@dataclass(frozen=True)
class Branch3D:
    """First-order wavelets of one scale, and the second-order wavelets that follow them.

    Attributes
    ----------
    j : int
        Scale.
    degrees : tuple of int
        Those that a selected path needs, first-order ones or what follows them.
    children : tuple of (int, tuple of int)
        For each degree that is followed, its scales j2.
    """

    j: int
    degrees: tuple[int, ...]
    children: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class HarmonicScattering3D(Transform):
    """Solid harmonic scattering transform of order one or two over three axes.

    Parameters
    ----------
    J : int
        Largest scale: wavelets have widths ``sigma_0 * 2**j`` for j from 0 to J.
    L : int, default 3
        Highest degree of the solid harmonics; l goes from 0 to L, at most 20.
    sigma_0 : float, default 1
        Width of the narrowest wavelet in samples, along each axis.
    max_order : {1, 2}, default 2
        Highest scattering order.
    rotation_covariant : bool, default True
        Whether moduli are over all m of a degree, so that they turn with the volume. If not, only
        the complex wavelet m = -l is used, as in Kymatio; its pole is the first core axis.
    integral_powers : sequence of float, default (0.5, 1, 2)
        Powers q of the moduli.
    method : {"integral", "local"}
        Whether coefficients are sums over the whole volume, or maps: averages by a Gaussian of
        width ``sigma_0 * 2**J``, one every `stride` samples. Sums are not divided by the number of
        samples; averages have weights that add up to one.
    stride : int, optional
        Input samples per output of "local", a power of two up to ``2**J``, which is the default.
    boundary : {"periodic", "reflect", "zero", "nearest"} or one for each axis
        How the volume goes on past its faces. "reflect" does not repeat the edge sample.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole volume, relative to the largest
        coefficient of each path. It sets `halo`.
    selection : sequence of int, optional
        Rows of the path table to compute; see `select`.
    sampling : {"space", "frequency"}, optional
        Where wavelets are sampled. "space" makes them short, so that a volume can be cut into
        blocks. "frequency" cuts their response at the Nyquist frequency, as Kymatio does; unless
        `sigma_0` is so large that nothing is left there, that makes them as long as the volume,
        which is then one block and must be periodic. By default what fits the other
        parameters: "frequency" for integrals over a box with periodic boundaries, else "space".

    Raises
    ------
    TypeError
        If a parameter has the wrong type.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    With ``sigma_0=1`` coefficients of white noise, which is as strong at the Nyquist frequency as
    elsewhere, differ by up to 2 % between the samplings; those of a smooth density do not. Sampled
    in space coefficients do not change, but for rounding, when a cube is turned by 90 degrees; in
    frequency this holds for odd sides only (6e-4 for white noise in a cube of 8 samples).

    Powers below one make the rounding of empty space count. A body in a large empty box needs
    ``dtype="float64"`` for them: in float32 these coefficients alone may be wrong by some percent,
    and differ by some thousandths between blocks.

    `dataclasses.replace` keeps `stride` and `sampling` even where they were left out: with
    ``stride=None, sampling=None`` among the replacements they follow anew.

    References
    ----------
    Eickenberg, Exarchakis, Hirn, Mallat & Thiry, "Solid harmonic wavelet scattering for
    predictions of molecule properties", J. Chem. Phys. 148, 241732, 2018.
    Andreux et al., "Kymatio: scattering transforms in Python", JMLR 21(60), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((2, 16, 16, 16))
    >>> S = HarmonicScattering3D(J=2, L=2)
    >>> S(x).shape  # order 0, then 6 pairs of scales and 3 degrees; 3 powers each
    (2, 57)
    >>> HarmonicScattering3D(J=2, L=2, method="local")(x).shape
    (2, 57, 4, 4, 4)
    """

    J: int
    _: KW_ONLY
    L: int = 3
    sigma_0: float = 1.0
    max_order: int = 2
    rotation_covariant: bool = True
    integral_powers: tuple[float, ...] = (0.5, 1.0, 2.0)
    method: str = "integral"
    stride: int | None = None
    boundary: str | tuple[str, ...] = "periodic"
    dtype: str = "float32"
    tolerance: float = 1e-6
    selection: tuple[int, ...] | None = None
    sampling: str | None = None

    name: ClassVar[str] = "scattering3d"
    ndim: ClassVar[int] = 3

    def __post_init__(self) -> None:
        values: dict[str, Any] = {
            "J": as_integer("J", self.J, at_least=0, at_most=40),
            "L": as_integer("L", self.L, at_least=1, at_most=HIGHEST_DEGREE),
            "sigma_0": as_positive("sigma_0", self.sigma_0),
            "max_order": as_integer("max_order", self.max_order, at_least=1, at_most=2),
            "rotation_covariant": as_flag("rotation_covariant", self.rotation_covariant),
            "integral_powers": as_powers("integral_powers", self.integral_powers),
            "method": as_member("method", self.method, METHODS),
            "boundary": as_boundary("boundary", self.boundary, self.ndim, BOUNDARIES),
            "dtype": as_dtype("dtype", self.dtype, DTYPES),
            "tolerance": as_tolerance("tolerance", self.tolerance),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        object.__setattr__(self, "stride", self._checked_stride())
        selection = as_selection("selection", self.selection, len(self.all_path_indices))
        object.__setattr__(self, "selection", selection)
        object.__setattr__(self, "sampling", self._checked_sampling())

    def _checked_stride(self) -> int | None:
        if self.method == "integral":
            if self.stride is not None:
                raise ValueError(
                    f'stride={self.stride} has no meaning with method="integral": leave it out, '
                    'or ask for maps with method="local"'
                )
            return None
        return as_stride(self.stride, at_most=2**self.J, which_is=f"2**J = {2**self.J}")

    def _checked_sampling(self) -> str:
        is_sum = self.method == "integral"
        default = "frequency" if is_sum and self.boundary == "periodic" else "space"
        # The halo is known only once the sampling is.
        are_short = self.sampling == "frequency" and self.halo != EVERYWHERE
        return as_sampling(
            self.sampling, self.boundary, default=default, signal="volume", are_short=are_short
        )

    # Wavelets and paths

    def sigma(self, j: int) -> float:
        """Return the width of the wavelets of a scale in samples."""
        return self.sigma_0 * 2**j

    def orders(self, degree: int) -> tuple[int, ...]:
        """Return the orders m of the real wavelets of a degree.

        Without covariance there is one complex wavelet, of m = -l, which is a pair of real ones.
        """
        if self.rotation_covariant:
            return tuple(range(-degree, degree + 1))
        return (degree, -degree) if degree else (0,)

    @cached_property
    def all_path_indices(self) -> tuple[tuple[int, ...], ...]:
        """For each path, selected or not: order, j1, j2, l and which power; -1 if it has none."""
        scales = range(self.J + 1)
        pairs = [(j1, j2) for j1 in scales for j2 in scales if j1 < j2 and self.max_order == 2]
        nodes = [(0, -1, -1, -1)]
        for order, (j1, j2) in [*((1, (j, -1)) for j in scales), *((2, pair) for pair in pairs)]:
            nodes += [(order, j1, j2, degree) for degree in range(self.L + 1)]
        return tuple((*node, q) for node in nodes for q in range(len(self.integral_powers)))

    @cached_property
    def rows_of(self) -> dict[tuple[int, ...], tuple[tuple[float, int], ...]]:
        """For each order, j1, j2 and l that is wanted: powers, and the path of each."""
        rows: dict[tuple[int, ...], list[tuple[float, int]]] = {}
        for path, (*node, q) in enumerate(self.path_indices):
            rows.setdefault(tuple(node), []).append((self.integral_powers[q], path))
        return {node: tuple(pairs) for node, pairs in rows.items()}

    @cached_property
    def branches(self) -> tuple[Branch3D, ...]:
        """The cascade as the kernel walks it: one branch for each scale of the first order."""
        branches = []
        for j in range(self.J + 1):
            degrees = {degree for order, j1, _, degree in self.rows_of if order and j1 == j}
            follow: dict[int, list[int]] = {}
            for order, j1, j2, degree in sorted(self.rows_of):
                if order == 2 and j1 == j:
                    follow.setdefault(degree, []).append(j2)
            children = tuple((degree, tuple(scales)) for degree, scales in sorted(follow.items()))
            if degrees:
                branches.append(Branch3D(j, tuple(sorted(degrees)), children))
        return tuple(branches)

    def paths(self, spacing: float | tuple[float, ...] | None = None) -> xr.Dataset:
        """Return the table of paths.

        Parameters
        ----------
        spacing : float or (float, float, float), optional
            Sampling steps of the volume. If they are equal, the table also has scales in their
            unit.

        Returns
        -------
        xarray.Dataset
            One row for each path: ``order``, for each order ``j`` (log2 of its scale over
            `sigma_0`) and ``sigma`` (that scale, the width of the wavelet, in samples), ``l``
            (degree of the solid harmonics) and ``power`` (of the modulus). With equal spacings
            ``scale``, the same in the unit of the axes. A path of lower order has -1 for indices
            and NaN for scales.

        Examples
        --------
        >>> table = HarmonicScattering3D(J=1, L=1, integral_powers=(1,)).paths(spacing=0.5)
        >>> table.j1.values, table.l.values, table.scale1.values[:3]
        (array([-1,  0,  0,  1,  1,  0,  0]), array([-1,  0,  1,  0,  1,  0,  1]),
         array([nan, 0.5, 0.5]))
        """
        import xarray as xr

        steps = {} if spacing is None else set(np.atleast_1d(spacing).tolist())
        columns = np.array(self.path_indices, dtype=np.int64).reshape(-1, 5).T
        order, *scales, degree, which = columns
        power = np.array(self.integral_powers)[which]
        table: dict[str, Any] = {"order": ("path", order, {"long_name": "scattering order"})}
        for level, j in enumerate(scales, start=1):
            label = f"of the order-{level} wavelet"
            sigma = np.where(j < 0, np.nan, self.sigma_0 * 2.0**j)
            log2 = {"long_name": f"log2 of the scale {label}, in units of sigma_0"}
            table[f"j{level}"] = ("path", j, log2)
            scale = {"long_name": f"scale {label}"}
            table[f"sigma{level}"] = ("path", sigma, scale | {"units": "samples"})
            if len(steps) == 1:
                table[f"scale{level}"] = ("path", sigma * next(iter(steps)), scale)
        table["l"] = ("path", degree, {"long_name": "degree of the solid harmonics"})
        table["power"] = ("path", power, {"long_name": "power of the modulus"})
        return xr.Dataset(coords=table)

    # Geometry

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The one array that the transform yields."""
        return (Output(tuple(range(self.n_paths)), self.stride),)

    @property
    def is_ragged(self) -> bool:
        """Whether each path keeps its own rate: never."""
        return False

    @property
    def rates(self) -> tuple[int, ...]:
        """Subsampling of each path before the average: powers of moduli are not band-limited."""
        return (1,) * self.n_paths

    @property
    def alignment(self) -> int:
        """Blocks start at multiples of the stride of maps; integrals have no grid."""
        return self.stride or 1

    @cached_property
    def halo(self) -> int:
        """Samples that an output needs on either side, along each axis.

        Further away lies a share of ``tolerance / FAINTNESS`` of the L1 norm of the path with the
        widest chain of filters.
        """
        share = self.tolerance / FAINTNESS
        # Wider scale, narrower scale (-1 for none) and degree of each chain.
        chains = {(max(j1, j2), min(j1, j2), degree) for _, j1, j2, degree in self.rows_of}
        if self.sampling != "space" and any(
            math.pi * self.sigma(j) < harmonic_band(degree, share)
            for *scales, degree in chains
            for j in scales
            if j >= 0
        ):
            return EVERYWHERE
        low_pass = [(self.sigma(self.J), 0)] if self.method == "local" else []
        reach = 0.0
        for chain in chains:
            # One that is wider in all respects reaches further.
            if any(chain != o and all(map(operator.le, chain, o)) for o in chains):
                continue
            *scales, degree = chain
            parts = [(self.sigma(j), degree) for j in scales if j >= 0] + low_pass
            reach = max(reach, harmonic_reach(parts, share) if parts else 0.0)
        return math.ceil(reach)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where a volume of a shape is too small to mean anything.

        Only "zero" makes sense of a wavelet that is wider than the volume.
        """
        widest = self.sigma(self.J)
        for axis, (n, boundary) in enumerate(zip(shape, self.boundaries, strict=True)):
            if n < 1:
                raise ValueError(f"the volume has no samples: core axis {axis} has length 0")
            if boundary != "zero" and widest > n:
                J = math.floor(math.log2(n / self.sigma_0)) if n >= self.sigma_0 else -1
                fits = f"the largest J that fits is {J}" if J >= 0 else "no J fits"
                raise ValueError(
                    f"J={self.J} makes wavelets of width sigma_0 * 2**J = {widest:g} samples but "
                    f"core axis {axis} has {n}: {fits}, or say that nothing lies outside the "
                    f'volume with boundary="zero" (now {boundary!r})'
                )
        check_sides(self, shape, "volume")

    def sum_weights(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return ones: integrals are sums over the samples, not means."""
        return np.ones(self.n_paths)

    # Cost

    @property
    def filter_tolerance(self) -> float:
        """Share of a filter's peak below which its response is lost in the rounding of the FFT."""
        return float(np.finfo(self.dtype).eps) / 10

    def band(self, j: int, degree: int, n: int) -> int:
        """Return how many of the `n` bins of an axis the wavelets of a scale have: the lowest.

        Either all, or an odd number.
        """
        edge = harmonic_band(degree, self.filter_tolerance) / (2 * math.pi * self.sigma(j))
        width = 2 * math.floor(edge * n) + 1
        return width if width < n else n

    def is_asymmetric(self, j: int, degree: int, shape: tuple[int, ...]) -> bool:
        """Say whether wavelets are complex because of what they are at the Nyquist frequency.

        Sampled in frequency, an odd harmonic is cut there to the value at minus the Nyquist
        frequency, which counts by its square.
        """
        edge = harmonic_band(degree, math.sqrt(self.filter_tolerance))
        return (
            self.sampling == "frequency"
            and degree > 0
            and edge > math.pi * self.sigma(j)
            and any(n % 2 == 0 for n in shape)
        )

    def plane_bytes(self, rows: int, degree: int, shape: tuple[int, ...]) -> int:
        """Return the bytes of one plane of the outputs of all wavelets of a degree, complex."""
        size = 2 * np.dtype(self.dtype).itemsize
        return size * rows * len(self.orders(degree)) * math.prod(shape[1:])

    def rows_at_once(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return how many volumes of a padded shape the kernel takes in one pass."""
        row = math.prod(shape) * 2 * np.dtype(self.dtype).itemsize
        return max(min(rows, ROW_BYTES // row), 1)

    def workspace(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return the bytes that the kernel needs beside its input, output and filters.

        Parameters
        ----------
        rows : int
            Volumes in one pass.
        shape : (int, int, int)
            Padded shape of each.
        """
        return workspace3d(self, rows, shape)

    def filter_memory(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the filters for volumes of a padded shape, which are kept."""
        return filter_memory3d(self, shape)

    def sampling_memory(self, shape: tuple[int, ...]) -> int:
        """Return the bytes that sampling a filter takes beside it: filters are planes."""
        return SAMPLING_BYTES * math.prod(sorted(shape)[1:])

    def flops(self, shape: tuple[int, ...]) -> float:
        """Estimate the floating-point operations for an input of a shape ``(..., z, y, x)``.

        Counts ``5 n log2 n`` for a complex FFT of n samples and half for a real one.
        """
        return flops3d(self, shape)
