"""Proof on the user's own data: blocks computed anew, cut elsewhere, against what is stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from scatdask.archive import source as sources
from scatdask.archive import store
from scatdask.archive.layout import Layout
from scatdask.archive.work import Work, compute_block
from scatdask.blocks import slab, transform_block
from scatdask.transforms import Transform

# Relative to the largest coefficient of each path (the invariant of the design).
TOLERANCE = {"float32": 5e-5, "float64": 1e-6}


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    blocks, done, checked : int
        Blocks in all, recorded as done, and compared.
    worst : float
        Largest difference, relative to the largest coefficient of its path near the block.
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
    """Return the largest difference of one block, relative to the largest value of its path."""
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
    """Compute a block as part of one that is wider by a halo on either side.

    Returns for each output the block's values, and the largest coefficient of each path in the
    wider block: what lies within a halo is what the tolerance of a block is relative to.
    """
    if transform.outputs[0].stride is None:
        halves = replace(layout, at_once=_aligned(transform, layout.at_once // 2))
        arrays, *_ = compute_block(source, transform, halves, block)
        return [(array, np.abs(array)) for array in arrays]
    start, stop = layout.bounds(block)
    low = max(start - _aligned(transform, transform.halo), 0)
    high = min(stop + _aligned(transform, transform.halo), layout.n)
    wide = slab(transform, layout.n, low, high)
    batch = layout.batch(block)
    pieces = sources.read_slab(source, layout.variable, layout.dim, wide.pieces, batch)
    results = []
    lengths = [part.stop - part.start for part in batch.values()]
    for array, output in zip(
        transform_block(transform, wide, layout.n, pieces), transform.outputs, strict=True
    ):
        shaped = array.reshape(*lengths, *array.shape[1:])
        stride = output.stride or 1
        first, last = (start - low) // stride, -(-(stop - low) // stride)
        scale = np.nanmax(
            np.abs(shaped), axis=-1, keepdims=True, initial=0.0, where=np.isfinite(shaped)
        )
        results.append((shaped[..., first:last], scale))
    return results


def _aligned(transform: Transform, samples: int) -> int:
    return max(-(-samples // transform.alignment), 1) * transform.alignment
