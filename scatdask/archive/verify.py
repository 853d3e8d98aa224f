"""Proof on the user's own data: blocks computed anew, cut elsewhere, against what is stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from scatdask.archive import source as sources
from scatdask.archive import store
from scatdask.archive.layout import Layout
from scatdask.archive.work import Work
from scatdask.blocks import Slab, combine_sums, slab, transform_block
from scatdask.transforms import Transform
from scatdask.transforms.scattering1d import FAINTNESS

# Relative to the largest coefficient of each path, or to the signal where that is faint (see
# FAINTNESS).
TOLERANCE = {"float32": 5e-5, "float64": 1e-6}


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    blocks, done, checked : int
        Blocks in all, recorded as done, and compared.
    worst : float
        Largest difference, relative to the largest coefficient of its path near the block, or
        to a thousandth of the signal's size there (in float32 a hundredth, which is its
        rounding), for paths that are fainter.
    tolerance : float
        What is allowed.
    problems : tuple of str
        Blocks that differ, and chunks that are missing or cannot be read.
    """

    blocks: int
    done: int
    checked: int
    worst: float
    tolerance: float
    problems: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong with what is done."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, as JSON can hold them."""
        return {**asdict(self), "problems": list(self.problems), "is_good": self.is_good}

    def __str__(self) -> str:
        head = (
            f"{self.checked} of {self.done} finished blocks computed anew: largest difference "
            f"{self.worst:.1e} (allowed {self.tolerance:.1e})"
        )
        unfinished = self.blocks - self.done
        lines = [head, *self.problems]
        if unfinished:
            lines.append(f"{unfinished} blocks are not done yet")
        return "\n".join(lines)


def verify_blocks(work: Work, done: np.ndarray, count: int, seed: int) -> Verification:
    """Compare finished blocks, drawn at random, with ones that are cut in another way."""
    tolerance = max(TOLERANCE[work.transform.dtype], 2 * work.transform.tolerance)
    problems = _missing_chunks(work, done)
    finished = np.flatnonzero(done)
    drawn = np.random.default_rng(seed).permutation(finished)[:count]
    worst = 0.0
    for block in sorted(int(b) for b in drawn):
        layout, names, own = work.locate(block)
        try:
            difference = _difference(work, layout, names, own)
        except Exception as error:
            problems.append(f"block {block} cannot be compared: {type(error).__name__}: {error}")
            continue
        worst = max(worst, difference)
        if not difference <= tolerance:
            problems.append(f"block {block} of {layout.variable!r} differs by {difference:.1e}")
    return Verification(work.n_blocks, len(finished), len(drawn), worst, tolerance, tuple(problems))


def _missing_chunks(work: Work, done: np.ndarray) -> list[str]:
    """Say which output arrays lack chunks of finished blocks."""
    problems = []
    first = 0
    for layout, names in zip(work.layouts, work.names, strict=True):
        finished = np.flatnonzero(done[first : first + layout.n_blocks])
        first += layout.n_blocks
        for name, output in zip(names, work.transform.outputs, strict=True):
            array = sources.stored_array(work.target, name)
            regions = (store.region(layout, int(block), output.stride) for block in finished)
            keys = {key for region in regions for key in sources.chunk_keys(array, region)}
            if missing := sorted(keys - sources.present_keys(work.target, array)):
                problems.append(
                    f"{len(missing)} chunks of variable {name!r} are not in {work.target!r}, "
                    f"among them {', '.join(missing[:5])}"
                )
    return problems


def _difference(work: Work, layout: Layout, names: tuple[str, ...], block: int) -> float:
    """Return the largest difference of one block, relative to the scale of its path."""
    worst = 0.0
    again = _recompute(work.source, work.transform, layout, block)
    for name, output, (fresh, scale) in zip(names, work.transform.outputs, again, strict=True):
        with xr.open_zarr(work.target, chunks=None, decode_times=False) as dataset:
            region = store.region(layout, block, output.stride)
            stored = dataset[name].variable[region].values
        if stored.shape != fresh.shape or not np.array_equal(np.isnan(stored), np.isnan(fresh)):
            return np.inf
        if stored.size and np.isfinite(stored).any():
            error = np.abs(stored.astype(np.float64) - fresh)
            worst = max(worst, float(np.nanmax(error / np.maximum(scale, 1e-300))))
    return worst


def _recompute(
    source: str, transform: Transform, layout: Layout, block: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Compute a block from other slabs than the stored one.

    Returns for each output the block's values, and the scale of each path: its largest
    coefficient in these slabs, or the size of a path that is just not faint, if that is larger.
    """
    batch = layout.batch(block)
    lengths = [part.stop - part.start for part in batch.values()]
    slabs = _other_slabs(transform, layout, block)
    parts, extents = [], []
    for one in slabs:
        pieces = sources.read_slab(source, layout.variable, layout.dim, one.pieces, batch)
        extents.append(_extent(pieces))
        parts.append(transform_block(transform, one, layout.n, pieces))
    # In float32 a loud path is rounded at up to 1e-7 of the signal, and those that follow it are
    # no better: a pure tone differs by 1.2e-7.
    share = max(1 / FAINTNESS, 4 * np.finfo(transform.dtype).eps / TOLERANCE[transform.dtype])
    faintest = (share * _size(extents)).reshape(*lengths, 1)
    if transform.outputs[0].stride is None:
        sums = np.sum([part[0] for part in parts], axis=0, dtype=np.float64)
        means = combine_sums(transform, sums, layout.n)
        means = means.reshape(*lengths, *means.shape[1:])
        return [(means, np.maximum(np.abs(means), faintest))]
    start, stop = (sample - slabs[0].start for sample in layout.bounds(block))
    results = []
    for arrays, output in zip(zip(*parts, strict=True), transform.outputs, strict=True):
        joined = np.concatenate(arrays, axis=-1)
        joined = joined.reshape(*lengths, *joined.shape[1:])
        stride = output.stride or 1
        largest = np.max(np.abs(joined), axis=-1, initial=0.0, where=np.isfinite(joined))
        scale = np.maximum(largest, faintest)[..., np.newaxis]
        results.append((joined[..., start // stride : -(-stop // stride)], scale))
    return results


def _other_slabs(transform: Transform, layout: Layout, block: int) -> list[Slab]:
    """Return slabs that hold a block, and are not those that it was computed from.

    That is one slab wider by a halo on either side; where the block is the whole signal, its
    slabs are cut in half. Nothing but a signal that is too short to be cut is left as it was.
    """
    start, stop = layout.bounds(block)
    halo = _aligned(transform, transform.halo)
    low, high = max(start - halo, 0), min(stop + halo, layout.n)
    if (low, high) != (start, stop):
        return [slab(transform, layout.n, low, high)]
    at_once = _aligned(transform, min(layout.at_once, layout.n) // 2)
    if at_once == layout.at_once:  # the alignment itself
        at_once *= 2
    return replace(layout, at_once=at_once).slabs(transform, block)


def _extent(pieces: list[np.ndarray]) -> np.ndarray:
    """Return least, largest, sum and number of the finite samples of each row, shape (4, rows)."""
    x = np.concatenate(pieces, axis=1).astype(np.float64)
    finite = np.isfinite(x)
    return np.array(
        [
            np.min(x, axis=1, initial=np.inf, where=finite),
            np.max(x, axis=1, initial=-np.inf, where=finite),
            np.sum(x, axis=1, where=finite),
            np.sum(finite, axis=1),
        ]
    )


def _size(extents: list[np.ndarray]) -> np.ndarray:
    """Return the largest distance of a sample from the mean of its row."""
    least, largest, total, count = np.stack(extents, axis=1)
    mean = total.sum(axis=0) / np.maximum(count.sum(axis=0), 1)
    size = np.maximum(largest.max(axis=0) - mean, mean - least.min(axis=0))
    return np.maximum(size, 0.0)  # rows without a finite sample


def _aligned(transform: Transform, samples: int) -> int:
    return max(-(-samples // transform.alignment), 1) * transform.alignment
