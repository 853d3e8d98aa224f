"""Rows of a block in parts that fit the memory of a device, smaller ones where it runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from scatdask.arrays import (
    CACHE_BYTES,
    DEVICE_BYTES,
    AnyArray,
    batch_bytes,
    free_memory,
    is_out_of_memory,
)
from scatdask.blocks.geometry import Block
from scatdask.blocks.notices import tell
from scatdask.errors import DeviceMemoryWarning
from scatdask.transforms import Transform

# Share of a device's free memory that one part may take: allocators hand memory out in steps.
SHARE = 0.8
# Arrays of the size of a batch that a kernel holds beside its workspace as a CPU needs it:
# products, moduli and spectra, and the work areas of FFTs.
BATCHES = 6

Result = TypeVar("Result")


def in_parts(
    compute: Callable[[int, int], Result],
    rows: int,
    at_once: int,
    *,
    release: Callable[[], None],
    on_host: Callable[[int, int], Result],
) -> Iterator[tuple[int, Result]]:
    """Compute rows in parts; halve them while a device runs out of memory.

    Parameters
    ----------
    compute : callable
        Takes rows [start, stop) and returns their outputs.
    rows, at_once : int
        Number of rows, and how many to try first; 0 if not even one would fit.
    release : callable
        Gives the device's unused memory back, before another try.
    on_host : callable
        As `compute`, without the device: for rows that do not fit by themselves.

    Yields
    ------
    first : int
        First row of a part.
    outputs
        What was computed of it.

    Warns
    -----
    DeviceMemoryWarning
        Once, if rows were computed on the host.
    """
    start, has_warned = 0, False
    while start < rows:
        stop = min(start + (at_once or rows), rows)
        outputs = None
        if at_once:
            try:
                outputs = compute(start, stop)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
        if outputs is None:
            # Only now, since while the error was handled it held what had been allocated.
            release()
            if at_once > 1:
                at_once = min(at_once, stop - start) // 2
                continue
            if not has_warned:
                tell(
                    DeviceMemoryWarning(
                        "a device has too little free memory for one signal of a block, which is "
                        "computed on the CPU: free memory there, or use smaller blocks"
                    )
                )
                has_warned = True
            outputs = on_host(start, stop)
        yield start, outputs
        del outputs
        start = stop


def rows_at_once(
    transform: Transform,
    block: Block,
    rows: int,
    shapes: tuple[tuple[int, ...], ...],
    *,
    like: AnyArray,
) -> int:
    """Return how many rows of a block to take in one pass; 0 if a device cannot take even one.

    Parameters
    ----------
    transform : Transform
    block : tuple of Slab
    rows : int
    shapes : tuple of tuple of int
        Shapes of the outputs of one row.
    like : array
        Of the library and on the device of the rows.
    """
    at_once, batch = _at_most(transform, block, rows, batch_bytes(like)), batch_bytes(like)
    free = free_memory(like)
    if free is None:
        return at_once
    kept = np.dtype(transform.dtype).itemsize * sum(math.prod(shape) for shape in shapes)
    free = int(SHARE * free)
    while at_once and sum(_on_device(transform, block, rows, at_once, kept, batch).values()) > free:
        at_once //= 2
    return at_once


def device_parts(transform: Transform, block: Block, rows: int, itemsize: int) -> dict[str, int]:
    """Return the bytes that a block takes on a device with memory enough, by what they are for.

    Parameters
    ----------
    transform : Transform
    block : tuple of Slab
    rows : int
        Signals in the block.
    itemsize : int
        Bytes of a sample of the slab.
    """
    owned = tuple(slab.stop - slab.start for slab in block)
    numbers = sum(math.prod((*o.shape, *o.core_shape(owned))) for o in transform.outputs)
    kept = np.dtype(transform.dtype).itemsize * numbers
    at_once = _at_most(transform, block, rows, DEVICE_BYTES)
    slab = rows * math.prod(slab.n_read for slab in block) * itemsize
    return {"slab": slab, **_on_device(transform, block, rows, at_once, kept, DEVICE_BYTES)}


def _at_most(transform: Transform, block: Block, rows: int, batch: int) -> int:
    """Return how many rows one pass takes where memory does not matter."""
    lengths = tuple(slab.length for slab in block)
    at_once = transform.rows_at_once(rows, lengths)
    if batch > CACHE_BYTES:
        fits = batch // (2 * np.dtype(transform.dtype).itemsize * math.prod(lengths))
        at_once = min(max(at_once, fits), max(rows, 1))
    return at_once


def _on_device(
    transform: Transform, block: Block, rows: int, at_once: int, kept: int, batch: int
) -> dict[str, int]:
    """Return what so many rows in one pass take on a device, beside the slab."""
    lengths = tuple(slab.length for slab in block)
    # Each row in float64, extended and then filled up, and its half spectrum in both precisions.
    each = 5 * 8 * math.prod(lengths) + kept
    return {
        "filters": transform.filter_memory(lengths),
        "workspace": BATCHES * batch + at_once * each + transform.workspace(at_once, lengths),
        "output": rows * kept,  # of all rows, before any pass
    }
