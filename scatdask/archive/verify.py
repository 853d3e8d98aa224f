"""Proof on the user's own data: blocks computed anew, cut elsewhere, against what is stored."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scatdask.archive import sketch
from scatdask.archive import source as sources
from scatdask.archive.faults import Fault, fault_of
from scatdask.archive.inspection import damaged_blocks, is_damage
from scatdask.archive.layout import Layout
from scatdask.archive.reducing import places, values_of
from scatdask.archive.reduction import State
from scatdask.archive.work import Work
from scatdask.blocks import block_of, combine_sums, slab, transform_block
from scatdask.blocks.function import Pieces
from scatdask.transforms import Output, Transform
from scatdask.transforms.halo import FAINTNESS

# A block is computed anew from slabs that, padded, have at most so many samples, or so many times
# as many as its own.
_SMALL, _MOST_GROWTH = 2**20, 4

_MOST_SHOWN = 20
# So many blocks after each other that a store does not answer for, and no more are tried.
_MOST_AWAY = 3

Range = tuple[int, int]
Place = tuple[Range, ...]

# Relative to the largest coefficient of each path, or to the signal where that is faint (see
# FAINTNESS).
TOLERANCE = {"float32": 5e-5, "float64": 1e-6}


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    blocks, done, checked : int
        Blocks in all, recorded as done, and computed anew and compared.
    worst : float
        Largest difference, relative to the largest coefficient of its path near the block, or
        to a thousandth of the signal's size there (in float32 a hundredth, which is its
        rounding), for paths that are fainter.
    tolerance : float
        What is allowed.
    problems : tuple of str
        Blocks that differ, and those whose chunks are missing or cannot be read; and merged
        statistics that are not what the blocks give.
    bad : tuple of int
        These blocks.
    is_recorded : bool
        Whether they count as not done from now on.
    not_compared : tuple of str
        Blocks that could not be computed anew or compared, and why: such as where the source
        cannot be read. That says nothing of what is stored; they count as done as before.
    """

    blocks: int
    done: int
    checked: int
    worst: float
    tolerance: float
    problems: tuple[str, ...]
    bad: tuple[int, ...] = ()
    is_recorded: bool = False
    not_compared: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong with what is done, and all that was drawn was compared."""
        return not self.problems and not self.not_compared

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, as JSON can hold them."""
        names = ("problems", "bad", "not_compared")
        lists = {name: list(getattr(self, name)) for name in names}
        return {**asdict(self), **lists, "is_good": self.is_good}

    def __str__(self) -> str:
        head = f"{self.checked} of {self.done} finished blocks computed anew"
        if self.checked:
            head += f": largest difference {self.worst:.1e} (allowed {self.tolerance:.1e})"
        unfinished = self.blocks - self.done
        lines = [head, *_first(self.problems)]
        if self.is_recorded:
            lines.append(
                "these blocks count as not done: run again to compute them"
                if self.bad
                else "the statistics count as not merged: run again to merge them"
            )
        if self.not_compared:
            lines.append(
                f"{len(self.not_compared)} could not be compared, which says nothing of what is "
                "stored; what was done counts as done:"
            )
            lines += _first(self.not_compared)
        if unfinished:
            lines.append(f"{unfinished} blocks are not done yet")
        return "\n".join(lines)


def _first(lines: tuple[str, ...]) -> list[str]:
    """Return the first of some lines, and how many more there are."""
    more = len(lines) - _MOST_SHOWN
    return [*lines[:_MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])]


def verify_blocks(
    work: Work, done: np.ndarray, rows: np.ndarray, count: int, seed: int
) -> Verification:
    """Look at the objects of all finished blocks, and compute some anew, cut in another way.

    Bad is a block only by what is stored of it: if it is missing, cannot be decoded, or differs.

    Parameters
    ----------
    work : Work
    done : array of bool
        Which blocks are done.
    rows : structured array
        History of the output.
    count, seed : int
        How many blocks to draw, and the seed of the draw.
    """
    tolerance = max(TOLERANCE[work.transform.dtype], 2 * work.transform.tolerance)
    bad = damaged_blocks(work, done, rows)
    drawn = drawn_blocks(done, count, seed)
    not_compared: dict[int, str] = {}
    worst, checked, away = 0.0, 0, 0
    for block in sorted(set(drawn) - set(bad)):
        if away >= _MOST_AWAY:
            not_compared[block] = "not tried, after those before it"
            continue
        layout, names, own = work.locate(block)
        try:
            stored = _stored(work, layout, names, own)
        except Exception as error:
            found = bad if is_damage(error) else not_compared
            found[block] = f"it cannot be read: {type(error).__name__}: {error}"
            away = _times_away(away, error)
            continue
        try:
            difference = _difference(work, layout, stored, own)
        except Exception as error:
            not_compared[block] = f"it cannot be computed anew: {type(error).__name__}: {error}"
            away = _times_away(away, error)
            continue
        away, checked = 0, checked + 1
        worst = max(worst, difference)
        if not difference <= tolerance:
            bad[block] = f"{layout.variable!r} differs by {difference:.1e}"
    return Verification(
        work.n_blocks,
        int(done.sum()),
        checked,
        worst,
        tolerance,
        _lines(bad),
        tuple(sorted(bad)),
        not_compared=_lines(not_compared),
    )


def drawn_blocks(done: np.ndarray, count: int, seed: int) -> list[int]:
    """Return which blocks are drawn from those that are done."""
    finished = np.flatnonzero(done)
    return list(map(int, np.random.default_rng(seed).permutation(finished)[:count]))


def _lines(reasons: dict[int, str]) -> tuple[str, ...]:
    return tuple(f"block {block}: {reasons[block]}" for block in sorted(reasons))


def _times_away(before: int, error: Exception) -> int:
    """Count blocks after each other that a store has not answered for, or has refused."""
    if isinstance(error, MemoryError):
        return 0
    return {Fault.BLOCK: 0, Fault.TRANSIENT: before + 1, Fault.FATAL: _MOST_AWAY}[fault_of(error)]


def _stored(work: Work, layout: Layout, names: tuple[str, ...], block: int) -> list[State]:
    """Read what is stored of a block: for each output, its arrays by their names."""
    return [
        {
            path.rpartition("/")[2]: np.asarray(sources.stored_array(where, path)[place(block)])
            for where, path, place in places(work, layout, name, output)
        }
        for name, output in zip(names, work.transform.outputs, strict=True)
    ]


def _difference(work: Work, layout: Layout, stored: list[State], block: int) -> float:
    """Return the largest difference of one block, relative to the scale of its path."""
    worst = 0.0
    again = _recompute(work, layout, block)
    for state, output, (fresh, scale) in zip(stored, work.transform.outputs, again, strict=True):
        found, expected, size = _comparable(work, layout, state, output, block, fresh, scale)
        if found.shape != expected.shape or not np.array_equal(np.isnan(found), np.isnan(expected)):
            return np.inf
        if found.size and np.isfinite(found).any():
            error = np.abs(found.astype(np.float64) - expected)
            worst = max(worst, float(np.nanmax(error / np.maximum(size, 1e-300))))
    return worst


def _comparable(
    work: Work,
    layout: Layout,
    stored: State,
    output: Output,
    block: int,
    fresh: np.ndarray,
    scale: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what is stored of a block, what should be, and the scale of each path.

    Of states, those that are coefficients, and how far these are from their mean, go into the
    comparison; counts must be the same, and are NaN where they are not. Sketches are compared by
    their quantiles.
    """
    if work.reducing is None:
        (array,) = stored.values()
        return array, fresh, scale
    values = values_of(work, layout, block, output, fresh)
    expected = dict(zip(work.reducing.reduction.parts, values, strict=True))
    pairs = []
    for state in (stored, expected):
        count = np.maximum(state["count"], 1)
        arrays = [np.where(state["count"] == expected["count"], 0.0, np.nan)]
        arrays += [state[part] for part in ("mean",) if part in state]
        if "maximum" in state:
            arrays.append(np.where(state["count"] > 0, state["maximum"], 0.0))
        if "squares" in state:
            arrays.append(np.sqrt(state["squares"] / count))
        if "bins" in state:
            sketches = (one[part] for one in (state, expected) for part in ("top", "bins"))
            arrays.append(sketch.differences(*sketches))
        pairs.append(np.stack(arrays, axis=-1))
    return pairs[0], pairs[1], scale[..., np.newaxis]


def _recompute(work: Work, layout: Layout, block: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Compute a block from other slabs than the stored one.

    Returns for each output the block's values, and the scale of each path: its largest
    coefficient in these slabs, or the size of a path that is just not faint, if that is larger.
    """
    transform, batch = work.transform, layout.batch(block)
    lengths = [part.stop - part.start for part in batch.values()]
    bounds = layout.bounds(block)
    places, values, extents = [], [], []
    for place in itertools.product(*_other_ranges(transform, layout, block)):
        part = block_of(transform, layout.shape, place)
        pieces = sources.read_block(
            work.source, layout.variable, layout.dims, part, batch, work.run
        )
        places.append(place)
        values.append(transform_block(transform, part, layout.shape, pieces))
        extents.append(_extent(pieces))
    faintest = _faintest(transform, layout.shape, _size(extents))
    results = []
    for output, arrays in zip(transform.outputs, zip(*values, strict=True), strict=True):
        if output.stride is None:
            sums = np.sum(arrays, axis=0, dtype=np.float64)
            found = owned = combine_sums(transform, sums, layout.shape)
        else:
            found, owned = _joined(list(arrays), places, bounds, output.stride)
        # Within a path the scale is one, whatever its inner axes.
        largest = np.max(
            np.abs(found),
            axis=tuple(range(2, found.ndim)),
            keepdims=True,
            initial=0.0,
            where=np.isfinite(found),
        )
        floor = faintest[:, list(output.paths)]
        scale = np.maximum(largest, floor.reshape(*floor.shape, *(1,) * (found.ndim - 2)))
        results.append(
            (owned.reshape(*lengths, *owned.shape[1:]), scale.reshape(*lengths, *scale.shape[1:]))
        )
    return results


def _other_ranges(transform: Transform, layout: Layout, block: int) -> list[list[Range]]:
    """Return for each core axis ranges that hold a block, none of which it was computed from.

    They reach past the block by up to a halo, and are cut in its middle: other seams, and hardly
    more memory than the block took. What is left as it was: a signal that is too short to be cut,
    and one that is its own extension, where halos would cost far more than it does.
    """
    bounds = layout.bounds(block)
    own = [one.length for one in layout.parts(transform, block)[0]]
    ranges, lengths = [], []
    for axis, (n, (start, stop)) in enumerate(zip(layout.shape, bounds, strict=True)):
        ranges.append(_cut(transform, n, start, stop, layout.at_once[axis]))
        lengths.append(max(slab(transform, n, *one, axis=axis).length for one in ranges[-1]))
    if math.prod(lengths) <= max(_SMALL, _MOST_GROWTH * math.prod(own)):
        return ranges
    return [
        [bound] if length > before else some
        for some, length, before, bound in zip(ranges, lengths, own, bounds, strict=True)
    ]


def _cut(transform: Transform, n: int, start: int, stop: int, at_once: int) -> list[Range]:
    alignment = transform.alignment
    half = max(min(at_once, stop - start) // 2 // alignment, 1) * alignment
    if at_once < stop - start:  # a sum, part by part: other parts
        size = 2 * half if half == at_once else half
        return [(low, min(low + size, stop)) for low in range(start, stop, size)]
    wider = min(half, -(-transform.halo // alignment) * alignment)
    low, middle, high = max(start - wider, 0), start + half, min(stop + wider, n)
    return [(low, middle), (middle, high)] if middle < stop else [(low, high)]


def _joined(
    arrays: list[np.ndarray], places: list[Place], bounds: Place, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lay parts side by side; return all that they hold, and what of it a block owns."""
    low = [min(place[axis][0] for place in places) for axis in range(len(bounds))]
    high = [max(place[axis][1] for place in places) for axis in range(len(bounds))]

    before = arrays[0].shape[: arrays[0].ndim - len(bounds)]

    def region(place: Place) -> tuple[slice, ...]:
        pairs = zip(low, place, strict=True)
        core = (slice((a - lo) // stride, -(-(b - lo) // stride)) for lo, (a, b) in pairs)
        return (*(slice(None) for _ in before), *core)

    core = (-(-(stop - start) // stride) for start, stop in zip(low, high, strict=True))
    whole = np.empty((*before, *core), dtype=arrays[0].dtype)
    for array, place in zip(arrays, places, strict=True):
        whole[region(place)] = array
    return whole, whole[region(bounds)]


def _extent(pieces: Pieces) -> np.ndarray:
    """Return least, largest, sum and number of the finite samples of each row, shape (4, rows)."""
    x = np.block(pieces).astype(np.float64)
    x = x.reshape(x.shape[0], -1)
    finite = np.isfinite(x)
    return np.array(
        [
            np.min(x, axis=1, initial=np.inf, where=finite),
            np.max(x, axis=1, initial=-np.inf, where=finite),
            np.sum(x, axis=1, where=finite),
            np.sum(finite, axis=1),
        ]
    )


def _faintest(transform: Transform, shape: tuple[int, ...], size: np.ndarray) -> np.ndarray:
    """Return the coefficients of paths that are just not faint, shape (rows, path).

    Parameters
    ----------
    transform : Transform
    shape : tuple of int
        Samples of the signal.
    size : array, shape (rows,)
        By `_size`.
    """
    tolerance = TOLERANCE[transform.dtype]
    # In float32 a loud path is rounded at up to 1e-7 of the signal, and those that follow it are
    # no better: a pure tone differs by 1.2e-7.
    share = max(1 / FAINTNESS, 4 * np.finfo(transform.dtype).eps / tolerance)
    table = transform.paths().coords
    power = table["power"].values if "power" in table else np.ones(transform.n_paths)
    # Powers below one make much of little: an error of U near zero is one of its power there.
    floor = (share * size[:, np.newaxis]) ** power * np.maximum(tolerance ** (power - 1), 1.0)
    if transform.outputs[0].stride is None:  # by how much sums are larger than means
        floor = floor * transform.sum_weights(shape) / Transform.sum_weights(transform, shape)
    return floor


def _size(extents: list[np.ndarray]) -> np.ndarray:
    """Return the largest distance of a sample from the mean of its row, or how it is rounded."""
    least, largest, total, count = np.stack(extents, axis=1)
    mean = total.sum(axis=0) / np.maximum(count.sum(axis=0), 1)
    low, high = least.min(axis=0), largest.max(axis=0)
    size = np.maximum(high - mean, mean - low)
    # A constant differs from its mean by no more than that, which filters leave something of.
    rounding = np.finfo(np.float64).eps * np.maximum(np.abs(low), np.abs(high))
    return np.where(low <= high, np.maximum(size, rounding), 0.0)  # no finite sample: 0
