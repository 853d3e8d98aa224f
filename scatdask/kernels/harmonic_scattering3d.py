"""The solid harmonic cascade on padded volumes.

Wavelets of one scale with a power of z in common share their FFT along the first axis. All that
follows (the other two axes, moduli, their powers, sums or averages, and the FFT that the second
order begins with) is done a few planes at a time, so that it stays in the cache, and no volume is
ever made but of spectra.
"""

from __future__ import annotations

from collections.abc import Iterator

from scatdask.arrays import (
    AnyArray,
    Scratch,
    array_namespace,
    batch_bytes,
    complex_dtype,
    fft_of,
    is_writable,
    power,
)
from scatdask.kernels.harmonic_filters import SampledScale, sampled_scale
from scatdask.kernels.integrals import Averages, Sums
from scatdask.kernels.keep import Keep
from scatdask.kernels.volumes import (
    Spectrum,
    Window,
    along_first,
    edge_fields,
    squared_moduli,
)
from scatdask.kernels.writer import Writer
from scatdask.transforms import HarmonicScattering3D
from scatdask.transforms.harmonic_scattering3d import Branch3D

# Order, j1, j2 and l of a path.
Node = tuple[int, int, int, int]
INPUT = (0, -1, -1, -1)


def harmonic_scattering3d(
    transform: HarmonicScattering3D, x: AnyArray, offset: AnyArray, keep: tuple[Keep, ...]
) -> list[AnyArray]:
    """Compute the solid harmonic scattering of padded volumes.

    Parameters
    ----------
    transform : HarmonicScattering3D
    x : array, shape (rows, z, y, x)
        Samples in float64, one period of periodic signals.
    offset : array of float64, shape (rows,)
        Constant that was taken out of each row; order 0 and degree 0 do not vanish on it.
    keep : tuple of Keep
        For each axis the samples whose outputs are wanted.

    Returns
    -------
    list of array
        One array, shape ``(rows, path, *core)``: averages, or sums over the kept samples with core
        axes of length one.
    """
    xp, shape = array_namespace(x), x.shape[1:]
    last: Sums | Averages
    if transform.stride is None:
        last = Sums(keep, transform.dtype, like=x)
    else:
        sigma = transform.sigma(transform.J)
        last = Averages(sigma, transform.stride, shape, keep, transform.dtype, like=x)
    # Squares of samples beyond 1e19 are beyond float32. Square roots of powers of four are exact.
    offset = xp.reshape(offset, (-1, 1, 1, 1))
    size = _power_of_four(x, offset)
    offset = offset / size
    writer = Writer(transform, x, keep)
    totals = _Totals(transform, last, writer, size)
    if INPUT in transform.rows_of:
        _order_zero(transform, x, offset, size, totals)
    if transform.branches:
        spectrum = _spectrum(transform, x, size)
        offset = xp.astype(offset, getattr(xp, transform.dtype))
        walk = _Walk(transform, shape, totals, Scratch(spectrum))
        for branch in transform.branches:
            walk.follow(branch, spectrum, offset)
    return writer.arrays()


def _power_of_four(x: AnyArray, offset: AnyArray) -> AnyArray:
    """Return for each row a power of four about as large as its largest sample or its offset."""
    xp = array_namespace(x)
    axes = tuple(range(1, x.ndim))
    high, low = (f(x, axis=axes, keepdims=True) for f in (xp.max, xp.min))
    largest = xp.where(high > -low, high, -low)
    # What is left of a constant is rounding, of which the offset would be a huge multiple.
    largest = xp.where(largest > xp.abs(offset), largest, xp.abs(offset))
    largest = xp.where(largest > 0, largest, xp.ones_like(largest))
    return 4.0 ** xp.floor(xp.log2(largest) / 2)


class _Totals:
    """Sums or averages of powers of moduli, added up from batches of planes."""

    def __init__(
        self,
        transform: HarmonicScattering3D,
        last: Sums | Averages,
        writer: Writer,
        size: AnyArray,
    ) -> None:
        self._rows_of, self.last = transform.rows_of, last
        self._writer, self._size = writer, size
        self._totals: dict[int, tuple[float, AnyArray]] = {}

    def wants(self, node: Node) -> bool:
        """Say whether any path ends here."""
        return node in self._rows_of

    def needs_modulus(self, node: Node) -> bool:
        """Say whether any power but the square is wanted."""
        return any(q != 2 for q, _ in self._rows_of.get(node, ()))

    def add(self, node: Node, planes: slice, u: AnyArray | None, squared: AnyArray | None) -> None:
        """Add what some planes of the span give, from moduli or their squares."""
        for q, path in self._rows_of[node]:
            values = squared if q == 2 and squared is not None else power(u, q)
            before = self._totals.get(path, (q, None))[1]
            self._totals[path] = q, self.last.add(before, values, planes)

    def put(self) -> None:
        """Store what has added up, in the size of the input again."""
        xp = array_namespace(self._size)
        for path, (q, total) in self._totals.items():
            values = self.last.finish(total)
            self._writer.put([path], values * xp.astype(power(self._size, q), values.dtype))
        self._totals.clear()


def _order_zero(
    transform: HarmonicScattering3D,
    x: AnyArray,
    offset: AnyArray,
    size: AnyArray,
    totals: _Totals,
) -> None:
    """Take powers of the absolute values of the samples, offset included."""
    xp, (z, y, _) = array_namespace(x), totals.last.span
    plane = 8 * x.shape[0] * x.shape[2] * x.shape[3]
    for planes in _batches(z, plane, x):
        values = x[:, planes, y, :] / size + offset
        u = xp.abs(xp.astype(values, getattr(xp, transform.dtype)))
        totals.add(INPUT, planes, u, None)
    totals.put()


def _batches(span: slice, plane_bytes: int, like: AnyArray) -> Iterator[slice]:
    """Cut planes into batches that fit the cache, or fill a device."""
    step = max(batch_bytes(like) // plane_bytes, 1)
    for start in range(span.start, span.stop, step):
        yield slice(start, min(start + step, span.stop))


def _spectrum(transform: HarmonicScattering3D, x: AnyArray, size: AnyArray) -> AnyArray:
    """Transform the input, on the bins that the first order needs.

    The one FFT in float64 whatever the transform's dtype: volumes whose low frequencies are loud
    would drown their faint high ones in its rounding, and it is a small part of the work.
    """
    xp = array_namespace(x)
    spectrum = fft_of(x).rfftn(x, axes=(-3, -2, -1))
    if is_writable(spectrum):
        spectrum /= size
    else:
        spectrum = spectrum / size
    return xp.astype(spectrum, complex_dtype(xp, transform.dtype), copy=False)


class _Walk:
    """Follow the branches of the cascade, depth first."""

    def __init__(
        self,
        transform: HarmonicScattering3D,
        shape: tuple[int, ...],
        totals: _Totals,
        scratch: Scratch,
    ) -> None:
        self._transform, self._shape = transform, shape
        self._totals, self._scratch = totals, scratch

    def follow(self, branch: Branch3D, spectrum: AnyArray, offset: AnyArray) -> None:
        """Compute the paths that begin with one scale."""
        j1 = branch.j
        children = {
            degree: {j2: self._sampled(j2, (degree,), spectrum) for j2 in scales}
            for degree, scales in branch.children
        }
        spectra = {degree: Spectrum(list(c.values())) for degree, c in children.items()}
        nodes = {degree: (1, j1, -1, degree) for degree in branch.degrees}
        scale = self._sampled(j1, branch.degrees, spectrum)
        self._moduli(scale, nodes, spectrum, offset, spectra)
        for degree, scales in children.items():
            spectrum1 = spectra.pop(degree).finish()
            for j2, sampled in scales.items():
                self._moduli(sampled, {degree: (2, j1, j2, degree)}, spectrum1, None, {})

    def _sampled(self, j: int, degrees: tuple[int, ...], like: AnyArray) -> SampledScale:
        return sampled_scale(self._transform, j, degrees, self._shape, like)

    def _moduli(
        self,
        scale: SampledScale,
        nodes: dict[int, Node],
        spectrum: AnyArray,
        offset: AnyArray | None,
        spectra: dict[int, Spectrum],
    ) -> None:
        """Compute the moduli of one scale, for each degree, and hand them on."""
        totals, scratch = self._totals, self._scratch
        span_z, span_y, _ = totals.last.span
        n_z, n_y, _ = scale.shape
        columns = along_first(scale, spectrum, scratch)
        edges = {degree: edge_fields(scale, degree, spectrum) for degree in nodes}
        plane = self._transform.plane_bytes(spectrum.shape[0], max(nodes), scale.shape)
        for planes in _batches(slice(0, n_z) if spectra else span_z, plane, columns):
            inside = slice(max(planes.start, span_z.start), min(planes.stop, span_z.stop))
            counts = inside.start < inside.stop
            kept = slice(inside.start - planes.start, inside.stop - planes.start)
            for degree, node in nodes.items():
                collected = spectra.get(degree)
                wanted = counts and totals.wants(node)
                if not (wanted or collected):
                    continue
                window = Window(planes, slice(0, n_y)) if collected else Window(inside, span_y)
                squared = squared_moduli(
                    scale, degree, columns, window, edges[degree], offset, scratch
                )
                u = power(squared, 0.5) if collected or totals.needs_modulus(node) else squared
                if collected:
                    collected.add(planes, u)
                    squared, u = (a[:, kept, span_y, :] for a in (squared, u))
                if wanted:
                    totals.add(node, inside, u, squared)
        totals.put()
