"""The images over time and log-frequency that joint scattering filters, and their paths.

One image, or plane, is the averaged first order; each second-order wavelet along time makes one
more. Filters along frequency make strips of a plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scatdask.filters import Wavelet
from scatdask.transforms.frequency_axis import FrequencyAxis

# The wavelet along time (of order 2), that along frequency, and with ``format="time"`` the place.
Path = tuple[int, ...]


@dataclass(frozen=True)
class Strip:
    """What one filter along frequency makes of a plane.

    Attributes
    ----------
    n_fr : int
        The filter along frequency.
    places : tuple of int
        First-order wavelet that each output stands at; -1 for a mean over all.
    paths : tuple of int
        Row of each place in the table of paths, or one row of all (``format="joint"``).
    """

    n_fr: int
    places: tuple[int, ...]
    paths: tuple[int, ...]


@dataclass(frozen=True)
class Plane:
    """An image over time and log-frequency, and what is wanted of it.

    Attributes
    ----------
    n2 : int or None
        Second-order wavelet along time; None for the averaged first order.
    n_rows : int
        First-order wavelets that it takes, from the highest frequency on.
    log2_rate : int
        Log2 of its subsampling in time.
    strips : tuple of Strip
    """

    n2: int | None
    n_rows: int
    log2_rate: int
    strips: tuple[Strip, ...] = ()


def all_planes(
    first: Sequence[Wavelet], second: Sequence[Wavelet], log2_stride: int
) -> tuple[Plane, ...]:
    """Return the planes that there are, without strips.

    Parameters
    ----------
    first, second : sequence of Wavelet
        The banks along time.
    log2_stride : int
        Log2 of the subsampling of the averaged first order; no plane has a coarser one.
    """
    planes = [Plane(None, len(first), log2_stride)]
    for n2, wavelet in enumerate(second):
        # Scales grow along the bank, so these are the first so many.
        n_rows = sum(parent.j < wavelet.j for parent in first)
        if n_rows:
            planes.append(Plane(n2, n_rows, min(wavelet.j, log2_stride)))
    return tuple(planes)


def _filters_of(plane: Plane, axis: FrequencyAxis) -> range:
    """Return the filters along frequency: of a real plane both spins are the same."""
    return range(1 + (1 if plane.n2 is None else 2) * axis.n_pairs)


def _stem(plane: Plane, n_fr: int) -> Path:
    return (n_fr,) if plane.n2 is None else (plane.n2, n_fr)


def all_paths(planes: Sequence[Plane], axis: FrequencyAxis) -> tuple[Path, ...]:
    """Return the paths of some planes: by order, then by index.

    Paths are (n_fr,) and (n2, n_fr) of the first and second order; the place along frequency
    follows, and () of order 0 comes first, unless outputs stand all around the axis.
    """
    paths: list[Path] = [] if axis.whole else [()]
    for plane in planes:
        for n_fr in _filters_of(plane, axis):
            path = _stem(plane, n_fr)
            if axis.whole:
                paths.append(path)
            else:
                paths.extend((*path, place) for place in axis.places(n_fr, plane.n_rows))
    return tuple(paths)


def wanted_planes(
    planes: Sequence[Plane], axis: FrequencyAxis, paths: Sequence[Path]
) -> tuple[Plane, ...]:
    """Return the planes of which some paths are, with their strips.

    Parameters
    ----------
    planes : sequence of Plane
    axis : FrequencyAxis
    paths : sequence of tuple of int
        Those that are wanted; strips number them.
    """
    numbered = {path: number for number, path in enumerate(paths)}
    wanted = []
    for plane in planes:
        strips = []
        for n_fr in _filters_of(plane, axis):
            path, places = _stem(plane, n_fr), axis.places(n_fr, plane.n_rows)
            if axis.whole:
                if path in numbered:
                    strips.append(Strip(n_fr, places, (numbered[path],)))
                continue
            some = tuple(place for place in places if (*path, place) in numbered)
            if some:
                rows = tuple(numbered[*path, place] for place in some)
                strips.append(Strip(n_fr, some, rows))
        if strips:
            wanted.append(Plane(plane.n2, plane.n_rows, plane.log2_rate, tuple(strips)))
    return tuple(wanted)
