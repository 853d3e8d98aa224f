"""FFTs of volumes that filters share, axis by axis, and moduli of what they give.

Wavelets with a power of z in common share the FFT along the first axis. The other two axes are
transformed a few planes at a time, which all that follows finds in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scatdask.arrays import (
    AnyArray,
    Scratch,
    array_namespace,
    device_of,
    fft_of,
    from_numpy,
    is_writable,
)
from scatdask.kernels.harmonic_filters import (
    Axes,
    Edge,
    SampledScale,
    lowest_bins,
    runs_of_bins,
)

# One product: spectra and what they are multiplied with.
Terms = Sequence[tuple[AnyArray, AnyArray]]


def products(sums: Sequence[Terms], n: int, axis: int, scratch: Scratch, name: str) -> AnyArray:
    """Add up products of spectra and filters, and fill one axis up with zeros.

    Parameters
    ----------
    sums : sequence of sequence of (complex array, complex array)
        For each sum its spectra, all of one shape, and what each is multiplied with.
    n : int
        Bins of the axis in the result.
    axis : int
        Counted from the end, -2 or -3.
    scratch : Scratch
    name : str
        Buffer of the result.

    Returns
    -------
    complex array, shape (sums, *shape)
    """
    a, _ = sums[0][0]
    xp, width = array_namespace(a), a.shape[axis]
    after = (slice(None),) * (-axis - 1)
    runs = runs_of_bins(n, width)
    if not is_writable(a):
        full = xp.stack([sum(spectrum * factors for spectrum, factors in s) for s in sums])
        if n == width:
            return full
        gap = [*full.shape]
        gap[axis] = n - width
        zeros = xp.zeros(tuple(gap), dtype=full.dtype, device=device_of(full))
        (_, low), (_, high) = runs
        return xp.concat([full[(..., low, *after)], zeros, full[(..., high, *after)]], axis=axis)
    shape = [*a.shape]
    shape[axis] = n
    out = scratch.empty(name, (len(sums), *shape), a.dtype)
    if n > width:
        out[(..., slice(runs[0][0].stop, runs[1][0].start), *after)] = 0
    for place, terms in enumerate(sums):
        for wide, narrow in runs:
            target = out[(place, ..., wide, *after)]
            for count, (spectrum, factors) in enumerate(terms):
                some = spectrum[(..., narrow, *after)], factors[(..., narrow, *after)]
                if count == 0:
                    xp.multiply(*some, out=target)
                else:
                    term = scratch.empty("term", target.shape, a.dtype)
                    xp.add(target, xp.multiply(*some, out=term), out=target)
    return out


# The steps


def along_first(scale: SampledScale, spectrum: AnyArray, scratch: Scratch) -> AnyArray:
    """Filter and transform along the first axis.

    Parameters
    ----------
    scale : SampledScale
    spectrum : complex array, shape (rows, bins, bins, bins)
        On at least the bins of the scale.

    Returns
    -------
    complex array, shape (vectors, rows, n, bins, bins)
    """
    b_z, b_y, b_x = scale.bins
    cut = lowest_bins(lowest_bins(spectrum[..., :b_x], b_z, 1), b_y, 2)
    sums = [[(cut, vector)] for vector in scale.first]
    product = products(sums, scale.shape[0], -3, scratch, "first")
    return fft_of(product).ifftn(product, axes=(-3,))


@dataclass(frozen=True)
class Window:
    """The planes and lines of a volume that are worked on."""

    planes: slice
    lines: slice


# What alternates along some axes, of length one along these.
EdgeField = tuple[Axes, AnyArray]


def edge_fields(scale: SampledScale, degree: int, spectrum: AnyArray) -> list[list[EdgeField]]:
    """Compute for each wavelet of a degree the output of what it has at the Nyquist frequency.

    It is imaginary where it alternates along an odd number of axes.
    """
    return [
        [(edge.axes, _edge_field(scale.shape, edge, spectrum)) for edge in harmonic.edges]
        for harmonic in scale.harmonics[degree]
    ]


def _edge_field(shape: tuple[int, ...], edge: Edge, spectrum: AnyArray) -> AnyArray:
    xp, fft = array_namespace(spectrum), fft_of(spectrum)
    factor = (-1j) ** (len(edge.axes) % 2)
    for axis in edge.axes:
        middle = slice(shape[axis] // 2, shape[axis] // 2 + 1)
        spectrum = spectrum[(*(slice(None),) * (axis + 1), middle, ...)]
        factor /= shape[axis]
    product = factor * spectrum * edge.response
    rest = tuple(axis - 3 for axis in range(3) if axis not in edge.axes)
    if -1 in rest:
        return fft.irfftn(product, s=tuple(shape[axis] for axis in rest), axes=rest)
    return xp.real(fft.ifftn(product, axes=rest) if rest else product)


def _in_window(
    shape: tuple[int, ...], field: EdgeField, window: Window, *, signs: bool = True
) -> AnyArray:
    """Return the part of an edge's output that lies in a window, with its alternating signs."""
    axes, values = field
    xp = array_namespace(values)
    whole = slice(0, shape[2])
    for axis, part in enumerate((window.planes, window.lines, whole)):
        if axis in axes and signs:
            index = np.arange(part.start, part.stop).reshape(-1, *(1,) * (2 - axis))
            turns = xp.astype(from_numpy(1 - 2 * (index % 2), like=values), values.dtype)
            values = values * turns
        elif axis not in axes:
            values = values[(*(slice(None),) * (axis + 1), part, ...)]
    return values


def squared_moduli(
    scale: SampledScale,
    degree: int,
    columns: AnyArray,
    window: Window,
    edges: list[list[EdgeField]],
    offset: AnyArray | None,
    scratch: Scratch,
) -> AnyArray:
    """Filter and transform along the last two axes, and add up the squared moduli of a degree.

    Parameters
    ----------
    scale : SampledScale
    degree : int
    columns : complex array, shape (vectors, rows, n, bins, bins)
        From `along_first`.
    window : Window
        Planes and lines that are wanted.
    edges : list of list
        From `edge_fields`.
    offset : array, shape (rows, 1, 1, 1), or None
        Constant of the input, of which degree 0 keeps its share.
    scratch : Scratch

    Returns
    -------
    real array, shape (rows, planes, lines, n)
    """
    fft = fft_of(columns)
    planes = columns[:, :, window.planes, ...]
    sums = [
        [(planes[place, ...], plane) for place, plane in harmonic.terms]
        for harmonic in scale.harmonics[degree]
    ]
    product = products(sums, scale.shape[1], -2, scratch, "planes")
    lines = fft.ifftn(product, axes=(-2,))[..., window.lines, :]
    outputs = fft.irfft(lines, n=scale.shape[2])
    fields = [outputs[place, ...] for place in range(len(sums))]
    if degree == 0 and offset is not None:
        fields = [field + scale.constant * offset for field in fields]
    beside = _with_edges(scale, fields, edges, window)
    return _sum_of_squares(fields, beside)


def _with_edges(
    scale: SampledScale,
    fields: list[AnyArray],
    edges: list[list[EdgeField]],
    window: Window,
) -> list[AnyArray]:
    """Add to the outputs of wavelets what edges make real, and return what they make imaginary."""
    beside = []
    for place, parts in enumerate(edges):
        for part in parts:
            if len(part[0]) % 2 == 0:
                fields[place] = fields[place] + _in_window(scale.shape, part, window)
        imaginary = [part for part in parts if len(part[0]) % 2]
        if not imaginary:
            continue
        if len(imaginary) == 1 and not scale.is_pair:  # of a square no sign is left
            beside.append(_in_window(scale.shape, imaginary[0], window, signs=False))
            continue
        total = sum(_in_window(scale.shape, part, window) for part in imaginary)
        if not scale.is_pair:
            beside.append(total)
        else:  # i times one of a pair is real in the other
            other = fields[1 - place]
            fields[1 - place] = other - total if place == 0 else other + total
    return beside


def _sum_of_squares(fields: Sequence[AnyArray], beside: Sequence[AnyArray]) -> AnyArray:
    """Add up squares; those of `fields` may be written over them."""
    if not is_writable(fields[0]):
        return sum(field * field for field in (*fields, *beside))
    xp = array_namespace(fields[0])
    total = xp.multiply(fields[0], fields[0])
    for field in fields[1:]:
        xp.add(total, xp.multiply(field, field, out=field), out=total)
    for field in beside:
        xp.add(total, field * field, out=total)
    return total


class Spectrum:
    """Collect the spectrum of a real signal plane by plane, on the bins that some scales need."""

    def __init__(self, scales: Sequence[SampledScale]) -> None:
        self._bins = tuple(max(scale.bins[axis] for scale in scales) for axis in range(3))
        self._n = scales[0].shape[0]
        self._array: AnyArray = None
        self._parts: list[AnyArray] = []

    def add(self, planes: slice, signal: AnyArray) -> None:
        """Transform some planes, shape (rows, planes, lines, n), along the last two axes."""
        xp, fft = array_namespace(signal), fft_of(signal)
        _, b_y, b_x = self._bins
        part = fft.fftn(fft.rfft(signal)[..., :b_x], axes=(-2,))
        if not is_writable(part):
            self._parts.append(lowest_bins(part, b_y, 2))
            return
        if self._array is None:
            shape = (part.shape[0], self._n, b_y, b_x)
            self._array = xp.empty(shape, dtype=part.dtype, device=device_of(part))
        for wide, narrow in runs_of_bins(part.shape[2], b_y):
            self._array[:, planes, narrow, :] = part[:, :, wide, :]

    def finish(self) -> AnyArray:
        """Transform what was collected along the first axis, shape (rows, bins, bins, bins)."""
        whole = self._array
        if whole is None:
            whole = array_namespace(self._parts[0]).concat(self._parts, axis=1)
        return lowest_bins(fft_of(whole).fftn(whole, axes=(1,)), self._bins[0], 1)
