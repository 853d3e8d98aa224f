r"""Scattering of images: parameters, paths, subsamplings, halo.

For oriented wavelets :math:`\psi_{j, \theta}` (see `scatdask.filters.morlet2d`) and a Gaussian
low-pass :math:`\phi_J`,

.. math::

    S_0 x = x * \phi_J, \quad
    S_1 x(j_1, \theta_1) = |x * \psi_{j_1, \theta_1}| * \phi_J, \quad
    S_2 x(j_1, \theta_1, j_2, \theta_2) =
        ||x * \psi_{j_1, \theta_1}| * \psi_{j_2, \theta_2}| * \phi_J,

for the pairs with :math:`j_2 > j_1` (Bruna & Mallat, IEEE Trans. Pattern Anal. Mach. Intell.
35(8), 2013). The output of a wavelet of scale j is subsampled by :math:`2^j`, or by the stride if
that is less.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from scatdask.filters import Wavelet2D, littlewood_paley2d, low_pass_sigma2d, morlet_bank2d
from scatdask.transforms import cost1d, cost2d
from scatdask.transforms.base import BOUNDARIES, DTYPES, EVERYWHERE, Output, Transform
from scatdask.transforms.halo import gaussian_halo
from scatdask.transforms.sampling import as_sampling, check_sides
from scatdask.transforms.validation import (
    as_boundary,
    as_dtype,
    as_integer,
    as_selection,
    as_stride,
    as_tolerance,
)

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Branch2D:
    """First-order wavelets of one scale, and the second-order wavelets that follow each of them.

    Attributes
    ----------
    j : int
        Scale.
    wavelets : tuple of int
        Indices n1.
    children : tuple of (int, tuple of int)
        Scales j2, and for each of them the indices n2.
    """

    j: int
    wavelets: tuple[int, ...]
    children: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Scattering2D(Transform):
    """Scattering transform of order one or two over two axes.

    Parameters
    ----------
    J : int
        Number of scales: wavelets reach lengths in proportion to ``2**j`` samples for j from 0 to
        ``J - 1``, and coefficients are averaged over ``2**J`` samples.
    L : int, default 8
        Number of directions between 0 and 180 degrees.
    max_order : {1, 2}, default 2
        Highest scattering order.
    boundary : {"reflect", "periodic", "zero", "nearest"} or one for each axis
        How the image goes on past its edges. "reflect" does not repeat the edge sample.
    stride : int, optional
        Input samples per output along both axes, a power of two up to ``2**J``, which is the
        default. Paths are never subsampled beyond it internally, so a smaller stride is also more
        precise.
    dtype : {"float32", "float64"}
        Precision of the result and of the work.
    tolerance : float, default 1e-6
        Error that a block may have for not seeing the whole image, relative to the largest
        coefficient of each path. It sets `halo`.
    selection : sequence of int, optional
        Rows of the path table to compute; see `select`.
    sampling : {"space", "frequency"}, optional
        What becomes of filters that are applied to subsampled images. "space" samples them there,
        which keeps them short, so that an image can be cut into blocks. "frequency" cuts their
        response off at the Nyquist frequency, as Kymatio does; that makes them as long as the
        image, which is then one block, must be periodic, and must have sides that are multiples
        of the stride. By default "frequency" for images that are periodic along both axes, else
        "space".

    Raises
    ------
    TypeError
        If a parameter has the wrong type.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    Between the two samplings order 0 does not differ, order 1 by about 1e-3 of its norm and order
    2 by about 2e-3. With ``stride=1`` nothing is subsampled and they are the same.

    Kymatio divides wavelets and the low-pass by 2 * 3.1415 instead of by 2 pi, which makes its
    order 0 larger by 3e-5, its order 1 by 6e-5 and its order 2 by 9e-5.

    With 3 to 5 directions the transform never expands energy. With more it may at some frequencies:
    by 1 % with 6, by 6 % with 8, for J up to 5; with 1 or 2 wavelets overlap by far more (see
    `littlewood_paley`).

    `dataclasses.replace` keeps `stride` and `sampling` even where they were left out: with
    ``stride=None, sampling=None`` among the replacements they follow anew.

    References
    ----------
    Bruna & Mallat, "Invariant scattering convolution networks", IEEE Trans. Pattern Anal. Mach.
    Intell. 35(8), 2013.
    Andreux et al., "Kymatio: scattering transforms in Python", JMLR 21(60), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> S = Scattering2D(J=3, L=4)
    >>> S(np.random.default_rng(0).standard_normal((2, 64, 50))).shape
    (2, 61, 8, 7)
    """

    J: int
    _: KW_ONLY
    L: int = 8
    max_order: int = 2
    boundary: str | tuple[str, ...] = "reflect"
    stride: int | None = None
    dtype: str = "float32"
    tolerance: float = 1e-6
    selection: tuple[int, ...] | None = None
    sampling: str | None = None

    name: ClassVar[str] = "scattering2d"
    ndim: ClassVar[int] = 2

    def __post_init__(self) -> None:
        J = as_integer("J", self.J, at_least=1, at_most=20)
        values: dict[str, Any] = {
            "J": J,
            "L": as_integer("L", self.L, at_least=1),
            "max_order": as_integer("max_order", self.max_order, at_least=1, at_most=2),
            "boundary": as_boundary("boundary", self.boundary, self.ndim, BOUNDARIES),
            "stride": as_stride(self.stride, at_most=2**J, which_is=f"2**J = {2**J}"),
            "dtype": as_dtype("dtype", self.dtype, DTYPES),
            "tolerance": as_tolerance("tolerance", self.tolerance),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        selection = as_selection("selection", self.selection, len(self.all_path_indices))
        object.__setattr__(self, "selection", selection)
        default = "frequency" if self.boundary == "periodic" else "space"
        sampling = as_sampling(self.sampling, self.boundary, default=default, signal="image")
        object.__setattr__(self, "sampling", sampling)

    # Wavelets and paths

    @cached_property
    def wavelets(self) -> tuple[Wavelet2D, ...]:
        """The wavelets of either order: number ``j * L + direction``."""
        return morlet_bank2d(self.J, self.L)

    @property
    def low_pass(self) -> float:
        """Standard deviation of the low-pass in samples."""
        return low_pass_sigma2d(self.J)

    def rate(self, j: int) -> int:
        """Return the subsampling of the output of a wavelet of scale j."""
        return min(2**j, self.alignment)

    @cached_property
    def all_path_indices(self) -> tuple[tuple[int, ...], ...]:
        """For each path, selected or not, its wavelets: (), (n1,) or (n1, n2)."""
        everything = range(self.J * self.L)
        order2 = [
            (n1, n2)
            for n1 in (everything if self.max_order == 2 else ())
            for n2 in everything
            if n2 // self.L > n1 // self.L
        ]
        return ((), *((n1,) for n1 in everything), *order2)

    @cached_property
    def path_of(self) -> dict[tuple[int, ...], int]:
        """For the wavelets of each path that is wanted its row in the table."""
        return {indices: path for path, indices in enumerate(self.path_indices)}

    @cached_property
    def branches(self) -> tuple[Branch2D, ...]:
        """The cascade as the kernel walks it: wavelets of one scale with the same children."""
        follow: dict[int, list[int]] = {indices[0]: [] for indices in self.path_indices if indices}
        for indices in self.path_indices:
            if len(indices) == 2:
                follow[indices[0]].append(indices[1])
        alike: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for n1 in sorted(follow):
            alike.setdefault((n1 // self.L, tuple(follow[n1])), []).append(n1)
        return tuple(
            Branch2D(
                j,
                tuple(wavelets),
                tuple((j2, tuple(some)) for j2, some in groupby(n2s, lambda n2: n2 // self.L)),
            )
            for (j, n2s), wavelets in alike.items()
        )

    @cached_property
    def filters(self) -> tuple[tuple[int, int], ...]:
        """The subsampling of the image and the index of the wavelet, of each filter."""
        found = {(1, n1) for branch in self.branches for n1 in branch.wavelets}
        for branch in self.branches:
            for _, children in branch.children:
                found |= {(self.rate(branch.j), n2) for n2 in children}
        return tuple(sorted(found))

    def paths(self, spacing: float | tuple[float, ...] | None = None) -> xr.Dataset:
        """Return the table of paths.

        Parameters
        ----------
        spacing : float or (float, float), optional
            Sampling step of the image along the second last and the last axis, in one unit; a
            float for both. With it the table also has wavelengths in that unit.

        Returns
        -------
        xarray.Dataset
            One row for each path: ``order``, then for each order ``n`` (wavelet), ``j`` (log2 of
            its scale), ``theta`` (direction in degrees) and ``xi`` (radial centre frequency in
            cycles per sample). A path of lower order has -1 for indices and NaN for the rest.

            ``theta`` is the direction in which the wavelet oscillates, which is across the
            stripes that it answers to, from 0 up to but without 180. It is measured in the plane
            of the samples, whatever their spacing: 0 along the last axis, 90 along the second
            last, 45 where both indices grow alike. An image with its origin at the top shows
            positive angles clockwise.

            ``wavelength`` is that of the centre frequency, in the plane of the axes: where
            spacings differ, along the direction there, and not the same for all directions.

        Examples
        --------
        >>> table = Scattering2D(J=2, L=2).paths(spacing=(2.0, 0.5))
        >>> table.j1.values[:5], table.theta1.values[:5]
        (array([-1,  0,  0,  1,  1]), array([nan, 90.,  0., 90.,  0.]))
        >>> table.wavelength1.values[:5].round(3)
        array([   nan,  5.333,  1.333, 10.667,  2.667])
        """
        import xarray as xr

        order = np.array([len(indices) for indices in self.path_indices], dtype=np.int64)
        table: dict[str, Any] = {"order": ("path", order, {"long_name": "scattering order"})}
        for level in (1, 2):
            chosen = [
                indices[level - 1] if len(indices) >= level else -1 for indices in self.path_indices
            ]
            table.update(self._columns(level, np.array(chosen, dtype=np.int64), spacing))
        return xr.Dataset(coords=table)

    def _columns(
        self, level: int, index: np.ndarray, spacing: float | tuple[float, ...] | None
    ) -> dict[str, Any]:
        """Describe which wavelet each path has at one order, -1 for none."""

        def of_each(values: list[float]) -> np.ndarray:
            return np.array([*values, np.nan])[index]

        label = f"of the order-{level} wavelet"
        direction = "direction of oscillation, from the last axis to the second last,"
        degrees = [round(math.degrees(wavelet.theta) % 180, 9) % 180 for wavelet in self.wavelets]
        theta = of_each(degrees)
        xi = of_each([wavelet.xi for wavelet in self.wavelets])
        j = np.where(index < 0, -1, index // self.L)
        columns: dict[str, Any] = {
            f"n{level}": (index, {"long_name": f"index {label}"}),
            f"j{level}": (j, {"long_name": f"log2 of the scale {label}"}),
            f"theta{level}": (theta, {"long_name": f"{direction} {label}", "units": "degrees"}),
            f"xi{level}": (
                xi,
                {"long_name": f"radial centre frequency {label}", "units": "cycles per sample"},
            ),
        }
        if spacing is not None:
            dy, dx = np.broadcast_to(spacing, 2).tolist()
            wavelength = of_each(
                [1 / math.hypot(w.centre[0] / dy, w.centre[1] / dx) for w in self.wavelets]
            )
            columns[f"wavelength{level}"] = (wavelength, {"long_name": f"wavelength {label}"})
        return {name: ("path", *column) for name, column in columns.items()}

    # Geometry

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The one array that the transform yields."""
        return (Output(tuple(range(self.n_paths)), self.stride),)

    @property
    def is_ragged(self) -> bool:
        """Whether each path keeps its own rate: never."""
        return False

    @cached_property
    def rates(self) -> tuple[int, ...]:
        """Subsampling of each path before the average."""
        return tuple(
            self.rate(indices[-1] // self.L) if indices else 1 for indices in self.path_indices
        )

    @property
    def alignment(self) -> int:
        """The coarsest internal subsampling: every block starts at multiples of it."""
        assert self.stride is not None
        return self.stride

    @cached_property
    def halo(self) -> int:
        """Samples that an output needs on either side, along each axis.

        The envelopes of the filters of a path are Gaussians; their convolution is a Gaussian
        whose variance along an axis is the sum; the path with the widest sum counts. See
        `scatdask.transforms.halo`.
        """
        if self.sampling == "frequency" and max(self.rates) > 1:
            return EVERYWHERE
        widest = max(
            sum(self.wavelets[n].variances[axis] for n in indices)
            for indices in self.path_indices
            for axis in (0, 1)
        )
        return gaussian_halo(math.sqrt(widest + self.low_pass**2), self.tolerance)

    def n_out(self, n: int) -> int:
        """Return the number of outputs along an axis of `n` input samples."""
        return self.outputs[0].n_out(n)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where an image of a shape is too small to mean anything.

        "periodic" and "zero" say what the image is outside, so any size will do for them.
        """
        for axis, (n, boundary) in enumerate(zip(shape, self.boundaries, strict=True)):
            if n < 1:
                raise ValueError(f"the image has no samples: core axis {axis} has length 0")
            if boundary not in ("periodic", "zero") and 2**self.J > n:
                largest = int(n).bit_length() - 1
                fits = f"the largest J that fits is {largest}" if largest else "no J fits"
                raise ValueError(
                    f"J={self.J} spans 2**J = {2**self.J} samples but core axis {axis} has {n}: "
                    f'{fits}, or say what lies outside the image with boundary="periodic" or '
                    f'"zero" (now {boundary!r})'
                )
        check_sides(self, shape, "image")

    def littlewood_paley(self, shape: tuple[int, int]) -> xr.DataArray:
        r"""Sum the energy that the wavelets and the low-pass keep at each frequency.

        :math:`A(f) = |\hat\phi(f)|^2 + \frac12 \sum_{j, \theta} (|\hat\psi_{j, \theta}(f)|^2 +
        |\hat\psi_{j, \theta}(-f)|^2)`, over the whole bank whatever is selected; the same for both
        orders. Where it is at most one, the transform never expands energy.

        Parameters
        ----------
        shape : (int, int)
            Number of frequencies along either axis.

        Returns
        -------
        xarray.DataArray
            Dimensions ``frequency_y`` and ``frequency_x`` (cycles per sample, ascending).

        References
        ----------
        Bruna & Mallat (2013).

        Examples
        --------
        >>> A = Scattering2D(J=3, L=6).littlewood_paley((64, 48))
        >>> A.sizes, bool(A.max() < 1 + 1e-5)
        (Frozen({'frequency_y': 64, 'frequency_x': 48}), True)
        """
        import xarray as xr

        height, width = (as_integer("shape", n, at_least=1) for n in shape)
        energy = littlewood_paley2d(self.J, self.L, (height, width))
        coords = {
            f"frequency_{axis}": (
                f"frequency_{axis}",
                np.fft.fftshift(np.fft.fftfreq(n)),
                {"long_name": f"frequency along the {place} axis", "units": "cycles per sample"},
            )
            for axis, place, n in (("y", "second last", height), ("x", "last", width))
        }
        return xr.DataArray(
            np.fft.fftshift(energy),
            coords=coords,
            name="littlewood_paley",
            attrs={"long_name": "Littlewood-Paley sum"},
        )

    # Cost

    @property
    def filter_tolerance(self) -> float:
        """Share of a filter's peak below which its response is lost in the rounding of the FFT."""
        return cost1d.filter_tolerance(self.dtype)

    def rows_at_once(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return how many images of a padded shape the kernel takes in one pass."""
        return cost2d.rows_at_once(self, rows, shape)

    def workspace(self, rows: int, shape: tuple[int, ...]) -> int:
        """Return the bytes that the kernel needs beside its input, output and filters.

        Parameters
        ----------
        rows : int
            Images in one pass.
        shape : (int, int)
            Padded shape of each.
        """
        return cost2d.workspace(self, rows, shape)

    def filter_memory(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the filters for images of a padded shape, which are kept."""
        return cost2d.filter_memory(self, shape)

    def flops(self, shape: tuple[int, ...]) -> float:
        """Estimate the floating-point operations for an input of a shape ``(..., y, x)``.

        Counts ``5 n log2 n`` for a complex FFT of n samples and half for a real one.
        """
        return cost2d.flops(self, shape)
